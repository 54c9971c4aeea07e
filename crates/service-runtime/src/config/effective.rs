//! The configuration as it took effect, fit to be shown.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use super::tree;
use crate::secret::REDACTED;

/// Key → where its value came from; keys that are not in it have their default.
pub type Sources = BTreeMap<String, String>;

/// Parts of a key's name that make its text a secret even where the type doesn't say so, as in a pass-through map.
const SECRET_NAMES: &[&str] = &["password", "secret", "passphrase", "token", "credential", "private", ".pem", "jaas"];

/// Every key, value and source as TOML lines; secrets hidden.
pub(super) fn render<C: Serialize>(service: &str, config: &C, sources: &Sources) -> String {
    let mut out = format!("# effective configuration of {service}\n");
    for (path, value) in flatten(&redacted(config)) {
        let key = tree::display(&path);
        let source = sources.get(&key).map_or("default", String::as_str);
        match value {
            // TOML has no null; the key is shown so that one sees that it exists.
            Value::Null => writeln!(out, "# {key} is not set"),
            value => writeln!(out, "{key} = {value}  # {source}"),
        }
        .expect("writing to a string can't fail");
    }
    out
}

/// The same as one line of JSON, for the log.
pub(super) fn json_line<C: Serialize>(config: &C) -> String {
    redacted(config).to_string()
}

fn redacted<C: Serialize>(config: &C) -> Value {
    let mut value = serde_json::to_value(config).unwrap_or_else(|error| Value::from(format!("not shown: {error}")));
    redact("", &mut value);
    value
}

fn redact(key: &str, value: &mut Value) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| redact(key, value)),
        Value::Array(items) => items.iter_mut().for_each(|item| redact(key, item)),
        Value::String(text) if !text.is_empty() && is_secret_name(key) => REDACTED.clone_into(text),
        Value::String(text) => {
            if let Some(hidden) = without_user_info(text) {
                *text = hidden;
            }
        }
        _ => {}
    }
}

fn is_secret_name(key: &str) -> bool {
    let key = key.to_lowercase();
    SECRET_NAMES.iter().any(|name| key.contains(name))
}

/// `scheme://user:password@host` → `scheme://***@host`; `None` when there is no such part.
fn without_user_info(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let (user_info, _) = authority.rsplit_once('@')?;
    Some(format!("{scheme}://{REDACTED}{}", &rest[user_info.len()..]))
}

fn flatten(value: &Value) -> Vec<(Vec<String>, Value)> {
    fn walk(value: &Value, above: &mut Vec<String>, found: &mut Vec<(Vec<String>, Value)>) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (key, value) in map {
                    above.push(key.clone());
                    walk(value, above, found);
                    above.pop();
                }
            }
            leaf => found.push((above.clone(), leaf.clone())),
        }
    }
    let mut found = Vec::new();
    walk(value, &mut Vec::new(), &mut found);
    found
}
