//! Where the parts of an installation are. The names of the variables are those that the local stack prints.

use crate::exit::BadConfig;
use crate::required;
use clap::Args;
use kafka_pipeline::{KafkaConfig, RegistryConfig};

/// Name under which brokers see this program.
const CLIENT_ID: &str = "meterway-cli";

/// How to reach Kafka.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Kafka")]
pub(crate) struct KafkaArgs {
    /// Brokers, `host:port`, comma separated
    #[arg(long, env = "KAFKA_BOOTSTRAP", value_name = "HOST:PORT")]
    kafka_bootstrap: Option<String>,
    /// Further librdkafka property, such as security.protocol=SASL_SSL; may be repeated, or separated by ';' in the
    /// variable
    #[arg(
        long = "kafka-property",
        env = "KAFKA_PROPERTIES",
        value_name = "KEY=VALUE",
        value_delimiter = ';',
        hide_env_values = true
    )]
    kafka_properties: Vec<String>,
}

impl KafkaArgs {
    /// The settings.
    ///
    /// # Errors
    /// [`BadConfig`] when the brokers are not named or a property is no `key=value`.
    pub(crate) fn config(&self) -> Result<KafkaConfig, BadConfig> {
        let bootstrap = required(self.kafka_bootstrap.as_ref(), "--kafka-bootstrap", "KAFKA_BOOTSTRAP")?;
        let mut config = KafkaConfig::new(bootstrap, CLIENT_ID);
        for property in self.kafka_properties.iter().filter(|property| !property.is_empty()) {
            // The value may be a password: only the key is named.
            let no_value = || BadConfig(format!("--kafka-property {property:?} is not KEY=VALUE"));
            let (key, value) = property.split_once('=').ok_or_else(no_value)?;
            config.properties.insert(key.trim().to_owned(), value.to_owned());
        }
        Ok(config)
    }
}

/// How to reach the schema registry.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Schema registry")]
pub(crate) struct RegistryArgs {
    /// Base URL of the Confluent-compatible API
    #[arg(long, env = "SCHEMA_REGISTRY_URL", value_name = "URL", hide_env_values = true)]
    schema_registry_url: Option<String>,
}

impl RegistryArgs {
    /// The settings.
    ///
    /// # Errors
    /// [`BadConfig`] when the URL is not given.
    pub(crate) fn config(&self) -> Result<RegistryConfig, BadConfig> {
        let url = required(self.schema_registry_url.as_ref(), "--schema-registry-url", "SCHEMA_REGISTRY_URL")?;
        Ok(RegistryConfig { url: url.to_owned() })
    }
}
