//! Exit codes, the same for every command.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done, nothing to object to |
//! | 1 | done, and it found differences, incompatible schemas, failed lines or a failed check |
//! | 2 | the command line is wrong |
//! | 64 | a setting or an input file is wrong; nothing was done |
//! | 70 | a server cannot be reached or refuses, or a defect of the program |

use std::process::ExitCode;

/// How a command that came to its end ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Nothing to object to.
    Ok,
    /// It found what it was asked to look for: differences, failures.
    Differences,
}

impl Exit {
    /// `Ok` when the condition holds.
    pub fn ok_if(condition: bool) -> Self {
        if condition { Self::Ok } else { Self::Differences }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Ok => Self::SUCCESS,
            Exit::Differences => Self::from(1),
        }
    }
}

/// A setting or an input file that the command cannot work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadConfig(pub String);

impl BadConfig {
    /// From whatever says what is wrong.
    pub fn new(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}

const BAD_CONFIG: u8 = 64;
const INTERNAL: u8 = 70;

/// Says on stderr why the command failed, and gives its exit code.
pub fn failure(error: &anyhow::Error) -> ExitCode {
    crate::out::complain(&format!("error: {}", told(error)));
    ExitCode::from(code_of(error))
}

/// The causes from the outside in, without those that the one before has quoted already.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    let mut before = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if before.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
        before = cause;
    }
    text
}

fn code_of(error: &anyhow::Error) -> u8 {
    if error.chain().any(|cause| cause.is::<BadConfig>()) { BAD_CONFIG } else { INTERNAL }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn cause_that_is_quoted_already_is_not_told_twice() {
        let error = anyhow::anyhow!("timeout").context("fetch: timeout").context("connect");
        assert_eq!(told(&error), "connect: fetch: timeout");
    }

    #[test]
    fn bad_setting_is_told_from_a_failure_under_any_context() {
        let bad = Err::<(), _>(BadConfig::new("no url")).context("read settings").context("apply topics").unwrap_err();
        assert_eq!(code_of(&bad), 64);
        assert_eq!(code_of(&anyhow::anyhow!("connection refused")), 70);
    }
}
