//! Paths into a tree of values.

use figment::value::{Dict, Tag, Value};

/// The keys from the root to a value.
pub(super) type Path = Vec<String>;

/// `a.b."c.d"`: a key that isn't bare is quoted, as in TOML.
pub(super) fn display(path: &[String]) -> String {
    let bare = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let quoted = |key: &String| if bare(key) { key.clone() } else { format!("{key:?}") };
    path.iter().map(quoted).collect::<Vec<_>>().join(".")
}

/// Sets the value at the path; what stands in the way and is no table becomes one.
pub(super) fn insert(tree: &mut Dict, path: &[String], value: Value) {
    match path {
        [] => {}
        [key] => {
            tree.insert(key.clone(), value);
        }
        [key, rest @ ..] => {
            let entry = tree.entry(key.clone()).or_insert_with(|| table(Dict::new()));
            if !matches!(entry, Value::Dict(..)) {
                *entry = table(Dict::new());
            }
            if let Value::Dict(_, child) = entry {
                insert(child, rest, value);
            }
        }
    }
}

/// The leaves of a tree with their paths; an empty table is a leaf.
pub(super) fn leaves(tree: &Dict) -> Vec<(Path, Value)> {
    let mut found = Vec::new();
    collect(tree, &mut Vec::new(), &mut found);
    found
}

fn collect(tree: &Dict, above: &mut Path, found: &mut Vec<(Path, Value)>) {
    for (key, value) in tree {
        above.push(key.clone());
        match value {
            Value::Dict(_, child) if !child.is_empty() => collect(child, above, found),
            leaf => found.push((above.clone(), leaf.clone())),
        }
        above.pop();
    }
}

pub(super) fn table(dict: Dict) -> Value {
    Value::Dict(Tag::Default, dict)
}

pub(super) fn text(text: &str) -> Value {
    Value::String(Tag::Default, text.to_owned())
}
