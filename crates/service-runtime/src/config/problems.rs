//! Mistakes in a configuration, collected.

use std::fmt;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key concerned, such as `kafka.bootstrap_servers`; empty for the configuration as a whole.
    pub key: String,
    /// What is wrong; completes a sentence that starts with the key.
    pub message: String,
    /// Where the value came from, when it is known.
    pub source: Option<String>,
}

/// The mistakes found so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Notes a mistake of the key. A key that has been found wrong already is not blamed twice: what `validate` sees
    /// there is the default that stands in for the wrong value.
    pub fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        let key = key.into();
        if !self.0.iter().any(|problem| problem.key == key) {
            self.0.push(Problem { key, message: message.into(), source: None });
        }
    }

    /// Notes a mistake unless the condition holds.
    pub fn require(&mut self, condition: bool, key: impl Into<String>, message: impl Into<String>) {
        if !condition {
            self.add(key, message);
        }
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mistakes, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    pub(super) fn push(&mut self, key: String, message: String, source: String) {
        let problem = Problem { key, message, source: Some(source) };
        // Several values below one key (a table that makes no sense as a whole) share one mistake.
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }
}

/// The configuration can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The service whose configuration it is.
    pub service: &'static str,
    /// What is wrong; never empty.
    pub problems: Problems,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.0.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "the configuration of {} has {count} {noun}:", self.service)?;
        for problem in self.problems.iter() {
            let separator = if problem.key.is_empty() { "" } else { ": " };
            write!(f, "\n  {}{separator}{}", problem.key, problem.message)?;
            if let Some(source) = &problem.source {
                write!(f, " [{source}]")?;
            }
        }
        Ok(())
    }
}
