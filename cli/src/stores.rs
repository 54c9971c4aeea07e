//! How to reach the stores that the services fill: the warehouse and the tables of the live state.

use crate::exit::BadConfig;
use crate::required;
use anyhow::Context;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How to reach the warehouse.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Warehouse")]
pub(crate) struct WarehouseArgs {
    /// Connection URL of the warehouse, as a role that may read
    #[arg(long, env = "WAREHOUSE_READER_URL", value_name = "URL", hide_env_values = true)]
    warehouse_url: Option<String>,
    /// PEM file with the certificates to trust when the URL asks for TLS (sslmode); the machine's when left out
    #[arg(long, env = "WAREHOUSE_CA_FILE", value_name = "FILE")]
    pub(crate) warehouse_ca_file: Option<PathBuf>,
}

impl WarehouseArgs {
    /// Connects.
    ///
    /// # Errors
    /// [`BadConfig`] when the URL is not given or none; otherwise when the server does not let us in.
    pub(crate) async fn connect(&self) -> anyhow::Result<tokio_postgres::Client> {
        let url = required(self.warehouse_url.as_ref(), "--warehouse-url", "WAREHOUSE_READER_URL")?;
        postgres(url, "--warehouse-url", self.warehouse_ca_file.as_deref()).await
    }
}

/// Connects to PostgreSQL, or what speaks its protocol; encrypted when `sslmode` in the URL says so, and then certificate
/// and host name are verified. `option` names the setting in errors; the URL holds a password.
///
/// # Errors
/// [`BadConfig`] when it is no URL or the certificates cannot be read; otherwise when the server does not let us in.
pub(crate) async fn postgres(
    url: &str,
    option: &str,
    ca_file: Option<&Path>,
) -> anyhow::Result<tokio_postgres::Client> {
    let mut config: Config = url.parse().map_err(|_| BadConfig(format!("{option} is no postgresql:// URL")))?;
    config.connect_timeout(CONNECT_TIMEOUT).application_name("meterway-cli");
    let tls = service_runtime::tls_client(ca_file).map_err(|error| BadConfig(format!("{error:#}")))?;
    let connecting = config.connect(MakeRustlsConnect::new(tls));
    let (client, connection) = connecting.await.with_context(|| format!("connect to {}", place(&config)))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "postgresql connection ended");
        }
    });
    Ok(client)
}

/// Host, port and database, without user and password.
fn place(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
        _ => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("postgresql {host}:{port}/{}", config.get_dbname().unwrap_or_default())
}

/// Credentials of the services that write the lake.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Object store")]
pub(crate) struct WriterKeyArgs {
    /// Access key that may write; leave out to use the role of the machine
    #[arg(long, env = "S3_ACCESS_KEY", value_name = "KEY", hide_env_values = true)]
    s3_writer_access_key: Option<String>,
    /// Its secret key
    #[arg(long, env = "S3_SECRET_KEY", value_name = "KEY", hide_env_values = true)]
    s3_writer_secret_key: Option<String>,
}

impl WriterKeyArgs {
    /// Both keys, when both are given.
    pub(crate) fn pair(&self) -> Option<(&str, &str)> {
        given(&self.s3_writer_access_key).zip(given(&self.s3_writer_secret_key))
    }
}

/// How to reach the live state.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "DynamoDB")]
pub(crate) struct DynamoArgs {
    /// Address of the API; leave out for AWS
    #[arg(long, env = "DYNAMODB_ENDPOINT", value_name = "URL")]
    dynamodb_endpoint: Option<String>,
    /// AWS region
    #[arg(long, env = "AWS_REGION", value_name = "REGION")]
    aws_region: Option<String>,
    /// Access key; leave out to use the role, the environment or the profile
    #[arg(long, env = "AWS_ACCESS_KEY_ID", value_name = "KEY", hide_env_values = true)]
    aws_access_key_id: Option<String>,
    /// Secret key
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", value_name = "KEY", hide_env_values = true)]
    aws_secret_access_key: Option<String>,
    /// Session token of temporary credentials
    #[arg(long, env = "AWS_SESSION_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    aws_session_token: Option<String>,
    /// Table of the live status per device
    #[arg(long, env = "METERWAY_STATUS_TABLE", value_name = "TABLE", default_value = "device_status")]
    pub(crate) status_table: String,
    /// Table of alerts
    #[arg(long, env = "METERWAY_ALERTS_TABLE", value_name = "TABLE", default_value = "alerts")]
    pub(crate) alerts_table: String,
}

impl DynamoArgs {
    /// A client; it connects with the first request.
    ///
    /// # Errors
    /// [`BadConfig`] when the region is not given.
    pub(crate) async fn client(&self) -> Result<Client, BadConfig> {
        let region = required(self.aws_region.as_ref(), "--aws-region", "AWS_REGION")?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).region(Region::new(region.to_owned()));
        if let Some(endpoint) = given(&self.dynamodb_endpoint) {
            loader = loader.endpoint_url(endpoint);
        }
        if let (Some(key), Some(secret)) = (given(&self.aws_access_key_id), given(&self.aws_secret_access_key)) {
            let token = given(&self.aws_session_token).map(str::to_owned);
            loader = loader.credentials_provider(Credentials::new(key, secret, token, None, "command line"));
        }
        Ok(Client::new(&loader.load().await))
    }
}

/// A setting that is not empty: variables that are set to nothing mean nothing.
pub(crate) fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_names_neither_user_nor_password() {
        let config: Config = "postgresql://loader:hush@db.example:6543/warehouse".parse().unwrap();
        assert_eq!(place(&config), "postgresql db.example:6543/warehouse");
    }

    #[tokio::test]
    async fn a_wrong_url_is_not_repeated() {
        let error = postgres("postgresql://loader:hush@[", "--warehouse-url", None).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "--warehouse-url is no postgresql:// URL");
    }

    #[test]
    fn an_empty_setting_is_none() {
        assert_eq!(given(&Some(String::new())), None);
        assert_eq!(given(&Some("x".to_owned())), Some("x"));
    }
}
