//! Deserialises the layers and, where that fails, notes the mistake, drops the value that caused it and tries again, so
//! that one run finds them all.

use figment::error::{Actual, Error, Kind};
use figment::value::{Dict, Value};
use serde::de::DeserializeOwned;

use super::Problems;
use super::effective::Sources;
use super::layers::{Override, Source};
use super::tree::{self, Path};

/// The configuration and the source of every overridden key; `None` when not even dropping values made it readable. The
/// value may be used only if `problems` is empty afterwards.
pub(super) fn deserialize<C: DeserializeOwned>(
    defaults: &Dict,
    mut overrides: Vec<Override>,
    problems: &mut Problems,
) -> Option<(C, Sources)> {
    loop {
        let mut merged = defaults.clone();
        for o in &overrides {
            tree::insert(&mut merged, &o.path, o.value.clone());
        }
        let error = match C::deserialize(&tree::table(merged)) {
            Ok(config) => return Some((config, sources(&overrides))),
            Err(error) => error,
        };
        // Each turn consumes an override or one of its alternatives, or adds the one stand-in of a missing key.
        if !resolve(error, &mut overrides, problems) {
            return None;
        }
    }
}

/// Deals with one error; `false` when nothing can be done about it.
fn resolve(error: Error, overrides: &mut Vec<Override>, problems: &mut Problems) -> bool {
    let path = error.path.clone();
    match &error.kind {
        Kind::UnknownField(_, expected) => {
            let message = format!("is not a known key; {}", known_keys(expected));
            drop_below(&path, &message, overrides, problems)
        }
        Kind::MissingField(field) => {
            let path: Path = path.into_iter().chain([field.to_string()]).collect();
            stand_in(path, overrides, problems)
        }
        kind => blame(&path, &describe(kind), overrides, problems),
    }
}

/// Blames the override that set the value at the path, or those that set parts of it.
fn blame(path: &[String], message: &str, overrides: &mut Vec<Override>, problems: &mut Problems) -> bool {
    let Some(index) = overrides.iter().rposition(|o| path.starts_with(&o.path)) else {
        return drop_below(path, message, overrides, problems);
    };
    let culprit = &mut overrides[index];
    if !culprit.alternatives.is_empty() {
        culprit.value = culprit.alternatives.remove(0);
        return true;
    }
    if culprit.source == Source::StandIn {
        return false;
    }
    problems.push(tree::display(path), message.to_owned(), culprit.source.to_string());
    overrides.remove(index);
    true
}

/// Blames and drops every override at or below the path, except shared variables where the key is unknown.
fn drop_below(path: &[String], message: &str, overrides: &mut Vec<Override>, problems: &mut Problems) -> bool {
    let (below, kept): (Vec<_>, Vec<_>) = std::mem::take(overrides).into_iter().partition(|o| o.path.starts_with(path));
    *overrides = kept;
    if below.is_empty() {
        problems.push(tree::display(path), message.to_owned(), Source::Default.to_string());
        return false;
    }
    let unknown = message.starts_with("is not a known key");
    for culprit in below.iter().filter(|o| !(unknown && matches!(o.source, Source::Shared(_)))) {
        problems.push(tree::display(path), message.to_owned(), culprit.source.to_string());
    }
    true
}

/// Reports a missing key and puts something in its place, so that the search can go on.
fn stand_in(path: Path, overrides: &mut Vec<Override>, problems: &mut Problems) -> bool {
    if overrides.iter().any(|o| o.source == Source::StandIn && o.path == path) {
        return false;
    }
    problems.push(tree::display(&path), "is missing and has no default".to_owned(), Source::StandIn.to_string());
    let alternatives = vec![Value::from(0), Value::from(false), Value::from("1s"), Value::from(Vec::<u8>::new())];
    overrides.push(Override { path, value: tree::text(""), source: Source::StandIn, alternatives });
    true
}

/// Says what is wrong without repeating a value of the wrong type, which might be a secret in the wrong place.
fn describe(kind: &Kind) -> String {
    match kind {
        Kind::InvalidType(actual, expected) => {
            format!("has the wrong type: expected {expected}, found {}", type_name(actual))
        }
        Kind::InvalidValue(actual, expected) => format!("has an invalid value: expected {expected}, found {actual}"),
        Kind::UnknownVariant(found, expected) => {
            format!("is not one of {}: found {found:?}", expected.join(", "))
        }
        Kind::Message(message) => format!("is invalid: {message}"),
        other => format!("is invalid: {other}"),
    }
}

fn type_name(actual: &Actual) -> &'static str {
    match actual {
        Actual::Bool(_) => "boolean",
        Actual::Unsigned(_) | Actual::Signed(_) => "integer",
        Actual::Float(_) => "float",
        Actual::Char(_) | Actual::Str(_) => "string",
        Actual::Seq => "array",
        Actual::Map => "table",
        _ => "something else",
    }
}

fn known_keys(expected: &[&str]) -> String {
    if expected.is_empty() { "there are none here".to_owned() } else { format!("known are {}", expected.join(", ")) }
}

fn sources(overrides: &[Override]) -> Sources {
    overrides.iter().map(|o| (tree::display(&o.path), o.source.to_string())).collect()
}
