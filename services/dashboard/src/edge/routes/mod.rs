//! Every route, in one table.

mod alerts;
mod completeness;
mod consumption;
mod devices;
mod exports;
mod me;
mod onboarding;
mod overview;
mod pipeline;
mod readings;
mod table;

pub(super) use devices::find as find_device;
pub use table::ROUTES;

use serde_json::{Map, Value, json};

use super::problem::Problem;

/// A page: cut to the limit when there is one item more, with a cursor made of the last that is shown.
fn page<T>(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(cursor);
    (items, next)
}

/// The document of a page.
fn page_document(items: Vec<Value>, next_cursor: Option<String>) -> Value {
    json!({"items": items, "next_cursor": next_cursor})
}

/// A text of a row; empty when it has none.
fn text<'a>(row: &'a Map<String, Value>, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Checks a cursor of so many parts.
fn cursor<const N: usize>(query: &crate::core::query::Query) -> Result<Option<[String; N]>, Problem> {
    let Some(text) = query.text("cursor") else { return Ok(None) };
    let parts = crate::core::cursor::decode(text);
    parts.map(Some).ok_or_else(|| Problem::wrong(("cursor", "must be the next_cursor of a page before".into())))
}
