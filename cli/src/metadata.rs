//! The connection to the register of devices.

use crate::exit::BadConfig;
use crate::required;
use anyhow::Context;
use clap::Args;
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For one call; a stream of chunks has as long for each answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(300);

/// How to reach the register of devices.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Metadata")]
pub(crate) struct MetadataArgs {
    /// URL of the metadata service's gRPC port
    #[arg(long, env = "METADATA_GRPC_URL", value_name = "URL")]
    metadata_grpc_url: Option<String>,
    /// Token that the metadata service demands of its callers
    #[arg(long, env = "METADATA_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    metadata_token: Option<String>,
}

impl MetadataArgs {
    /// Connects.
    ///
    /// # Errors
    /// [`BadConfig`] for a wrong setting; otherwise when nobody answers.
    pub(crate) async fn connect(&self) -> anyhow::Result<Metadata> {
        let url = required(self.metadata_grpc_url.as_ref(), "--metadata-grpc-url", "METADATA_GRPC_URL")?;
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|error| BadConfig(format!("--metadata-grpc-url {url:?}: {error}")))?;
        let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(CALL_TIMEOUT);
        let header = self.metadata_token.as_deref().filter(|token| !token.is_empty());
        let header = header.map(|token| format!("Bearer {token}").parse()).transpose();
        let header = header.map_err(|_| BadConfig("--metadata-token holds a character that no header may".into()))?;
        let channel = endpoint.connect().await.with_context(|| format!("connect to metadata at {url}"))?;
        Ok(Metadata { channel, token: Token(header) })
    }
}

/// A connection, to be given to any of the register's clients.
#[derive(Debug, Clone)]
pub(crate) struct Metadata {
    /// The connection.
    pub channel: Channel,
    /// Says who calls.
    pub token: Token,
}

/// Adds the token to each call.
#[derive(Clone)]
pub(crate) struct Token(Option<MetadataValue<Ascii>>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("given", &self.0.is_some()).finish()
    }
}

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}
