//! The document of a request: one delivery, an array of them, or one per line.

use serde_json::value::RawValue;

/// How the body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A JSON object, or an array of objects; taken as a whole or not at all.
    Json,
    /// One JSON object per line; each line is taken or refused by itself.
    Ndjson,
}

impl Format {
    /// The format of a content type; `None` when it is neither.
    pub fn of(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Some(Self::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Self::Ndjson),
            _ => None,
        }
    }

    /// A word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
        }
    }
}

/// A delivery's text and its place in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// Line of an NDJSON body, or position in an array; from 1.
    pub number: usize,
    /// JSON text.
    pub json: &'a str,
}

/// A body that is no document of its format.
#[derive(Debug, thiserror::Error)]
#[error("the body is no JSON object or array: {0}")]
pub struct NotADocument(#[from] serde_json::Error);

/// Takes the body apart. Blank lines of NDJSON are passed over.
///
/// # Errors
/// [`NotADocument`] when a JSON body is neither object nor array; NDJSON lines are not looked into here.
pub fn items(format: Format, body: &str) -> Result<Vec<Item<'_>>, NotADocument> {
    if format == Format::Ndjson {
        let lines = body.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        return Ok(lines.map(|(i, json)| Item { number: i + 1, json }).collect());
    }
    if body.trim_start().starts_with('[') {
        let parts: Vec<&RawValue> = serde_json::from_str(body)?;
        return Ok(parts.iter().enumerate().map(|(i, part)| Item { number: i + 1, json: part.get() }).collect());
    }
    let whole: &RawValue = serde_json::from_str(body)?;
    Ok(vec![Item { number: 1, json: whole.get() }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(format: Format, body: &str) -> Vec<(usize, &str)> {
        items(format, body).unwrap().into_iter().map(|item| (item.number, item.json)).collect()
    }

    #[test]
    fn each_format_is_taken_apart() {
        assert_eq!(numbers(Format::Json, r#" {"a":1} "#), [(1, r#"{"a":1}"#)]);
        assert_eq!(numbers(Format::Json, r#"[{"a":1}, {}]"#), [(1, r#"{"a":1}"#), (2, "{}")]);
        assert_eq!(numbers(Format::Ndjson, "{}\n\n{\"a\":1}\n"), [(1, "{}"), (3, r#"{"a":1}"#)]);
        assert!(items(Format::Json, "{").is_err());
    }

    #[test]
    fn nesting_without_end_is_refused_not_followed() {
        assert!(items(Format::Json, &"[".repeat(1_000_000)).is_err());
    }

    #[test]
    fn content_types_are_recognised_with_parameters() {
        assert_eq!(Format::of("application/json; charset=utf-8"), Some(Format::Json));
        assert_eq!(Format::of("Application/X-NDJSON"), Some(Format::Ndjson));
        assert_eq!(Format::of("text/plain"), None);
    }
}
