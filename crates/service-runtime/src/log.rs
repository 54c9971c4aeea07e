//! Structured logs on standard error: one JSON object per line for machines, or text for people.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::Problems;

/// `[log]` of every service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// What is logged: a level, or directives such as `info,rdkafka=warn`.
    pub level: String,
    /// How it is written.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Json }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object per line, fields at the top level.
    Json,
    /// For people: time, level, message, fields.
    Text,
}

impl LogConfig {
    /// Notes a level that isn't one.
    pub fn validate(&self, problems: &mut Problems) {
        if let Err(error) = EnvFilter::try_new(&self.level) {
            problems.add("log.level", format!("is not a level or list of directives: {error}"));
        }
    }
}

/// Starts logging. A process that logs already (a test with several services in it) keeps what it has.
pub(crate) fn install(config: &LogConfig) {
    // Validated before; a filter that still can't be read must not keep the service from logging at all.
    let filter = EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    // Colours are for a person at a terminal who hasn't declined them; in a file they are noise.
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    let _already_installed = match config.format {
        LogFormat::Json => builder.json().flatten_event(true).with_span_list(false).finish().try_init(),
        LogFormat::Text => builder.finish().try_init(),
    };
}
