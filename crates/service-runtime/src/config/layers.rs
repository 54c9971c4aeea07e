//! Where values come from.

use std::fmt;
use std::path::{Path as FilePath, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};

use super::Problems;
use super::tree::{self, Path};
use crate::ServiceInfo;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Default,
    File(PathBuf),
    /// A `METER__` variable: meant for all services, so a key that this one lacks is no mistake.
    Shared(String),
    /// A `METER_<SERVICE>__` variable.
    Own(String),
    /// Stands in for a missing key, which has been reported, so that the search for mistakes can go on.
    StandIn,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("built-in default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Shared(name) | Self::Own(name) => write!(f, "environment variable {name}"),
            Self::StandIn => f.write_str("not set anywhere"),
        }
    }
}

/// A value that replaces the default.
#[derive(Debug, Clone)]
pub(super) struct Override {
    pub(super) path: Path,
    pub(super) value: Value,
    pub(super) source: Source,
    /// Other readings of the same text, tried in turn when `value` has the wrong type: a variable holds only text, and
    /// whether `123` is a number or a password depends on the key.
    pub(super) alternatives: Vec<Value>,
}

/// The embedded defaults.
pub(super) fn defaults(info: ServiceInfo, problems: &mut Problems) -> Dict {
    Toml::from_str::<Dict>(info.defaults).unwrap_or_else(|error| {
        problems.push(String::new(), one_line(&error.to_string()), Source::Default.to_string());
        Dict::new()
    })
}

/// The values of the file, if one was named.
pub(super) fn file(path: Option<&FilePath>, problems: &mut Problems) -> Vec<Override> {
    let Some(path) = path else { return Vec::new() };
    let source = Source::File(path.to_owned());
    let read = std::fs::read_to_string(path).map_err(|error| format!("can't be read: {error}"));
    let parsed = read.and_then(|text| Toml::from_str::<Dict>(&text).map_err(|e| one_line(&e.to_string())));
    match parsed {
        Ok(tree) => tree::leaves(&tree)
            .into_iter()
            .map(|(path, value)| Override { path, value, source: source.clone(), alternatives: Vec::new() })
            .collect(),
        Err(message) => {
            problems.push(String::new(), message, source.to_string());
            Vec::new()
        }
    }
}

/// The values of the environment: shared ones first, so that the service's own win.
pub(super) fn environment(service: &str, variables: impl IntoIterator<Item = (String, String)>) -> Vec<Override> {
    const SHARED: &str = "METER__";
    let own = format!("METER_{}__", service.to_uppercase().replace('-', "_"));
    let mut found: Vec<Override> = Vec::new();
    for (name, text) in variables {
        let (rest, source) = if let Some(rest) = name.strip_prefix(SHARED) {
            (rest, Source::Shared(name.clone()))
        } else if let Some(rest) = name.strip_prefix(&own) {
            (rest, Source::Own(name.clone()))
        } else {
            continue;
        };
        let path: Path = rest.split("__").map(str::to_lowercase).collect();
        let value = read_text(&text);
        let alternatives = if matches!(value, Value::String(..)) && value.as_str() == Some(&text) {
            Vec::new()
        } else {
            vec![tree::text(&text)]
        };
        found.push(Override { path, value, source, alternatives });
    }
    // Shared before own, and a table before the keys in it; names break ties, so that the order of the environment,
    // which nobody controls, decides nothing.
    found.sort_by_key(|o| (matches!(o.source, Source::Own(_)), o.path.len(), o.source.to_string()));
    found
}

/// Reads a variable as a TOML value (number, boolean, array, inline table); anything else is text as it stands.
fn read_text(text: &str) -> Value {
    let wrapped = Toml::from_str::<Dict>(&format!("value = {text}")).ok();
    match wrapped.map(|mut tree| (tree.remove("value"), tree.is_empty())) {
        // More keys than one means that the text broke out of the assignment: it is text.
        Some((Some(value), true)) => value,
        _ => tree::text(text),
    }
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
