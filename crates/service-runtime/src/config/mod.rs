//! Layered, typed configuration.
//!
//! Layers, later wins: the service's `config.default.toml` < the file of `--config` < `METER__<SECTION>__<KEY>` (shared
//! by all services; ignored where the service has no such key) < `METER_<SERVICE>__<SECTION>__<KEY>`. Whatever is wrong
//! is reported together, each mistake with its key and where it came from.

mod collect;
mod effective;
mod layers;
mod problems;
mod tree;

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::effective::Sources;
pub use self::problems::{ConfigError, Problem, Problems};

use crate::{AdminConfig, LogConfig, ServiceInfo};

/// A service's configuration. Derive `Deserialize` with `deny_unknown_fields`, so that a misspelt key is a mistake.
pub trait ServiceConfig: DeserializeOwned + Serialize {
    /// Notes relations that types can't express, such as "a flush must be shorter than the grace period".
    fn validate(&self, problems: &mut Problems);

    /// The `[admin]` section.
    fn admin(&self) -> &AdminConfig;

    /// The `[log]` section.
    fn log(&self) -> &LogConfig;

    /// How long the service may take to end after it was asked to.
    fn grace(&self) -> Duration;
}

/// A configuration and how it came about.
#[derive(Debug)]
pub struct LoadedConfig<C> {
    /// The values.
    pub config: C,
    /// Every key with its value and source, secrets hidden, as TOML with comments.
    pub effective: String,
    /// The same as one line of JSON, without the sources.
    pub effective_json: String,
}

/// Loads the configuration of a service.
///
/// # Errors
/// [`ConfigError`] with every mistake found: unreadable file, unknown keys, wrong types, broken relations.
pub fn load<C: ServiceConfig>(
    info: ServiceInfo,
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<LoadedConfig<C>, ConfigError> {
    let mut problems = Problems::default();
    let defaults = layers::defaults(info, &mut problems);
    let mut overrides = layers::file(file, &mut problems);
    overrides.extend(layers::environment(info.name, environment));

    let collected = collect::deserialize::<C>(&defaults, overrides, &mut problems);
    if let Some((config, _)) = &collected {
        config.log().validate(&mut problems);
        config.validate(&mut problems);
    }
    match collected {
        Some((config, sources)) if problems.is_empty() => {
            let effective = effective::render(info.name, &config, &sources);
            let effective_json = effective::json_line(&config);
            Ok(LoadedConfig { config, effective, effective_json })
        }
        _ => Err(ConfigError { service: info.name, problems }),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
