//! The proxies between the services and what they stand on.

use crate::core::fault::StoreFault;
use crate::proxy::{HttpFault, HttpProxy, Rule, TcpProxy, Times};
use anyhow::Context;
use meterway_cli::local::StackEnv;
use std::{net::SocketAddr, time::Duration};

/// The ways that can fail on command.
#[derive(Debug)]
pub(crate) struct Ways {
    /// To the object store.
    pub(crate) store: HttpProxy,
    /// To PostgreSQL: catalogue, warehouse and register.
    pub(crate) postgres: TcpProxy,
    /// To the schema registry.
    pub(crate) registry: TcpProxy,
    /// To DynamoDB.
    pub(crate) dynamo: TcpProxy,
}

/// Settings of the stack that lead to PostgreSQL.
const POSTGRES_URLS: &[&str] =
    &["ICEBERG_CATALOG_URL", "WAREHOUSE_LOADER_URL", "METADATA_APP_URL", "METADATA_OWNER_URL"];

/// How late a slow store answers. Longer than the sink's own impatience would be another fault: an outage.
const SLOW: Duration = Duration::from_millis(1_500);

impl Ways {
    /// Opens the proxies; returns the settings that lead the services through them.
    ///
    /// # Errors
    /// When a setting is missing or a proxy cannot listen.
    pub(crate) async fn open(stack: &StackEnv, seed: u64) -> anyhow::Result<(Self, StackEnv)> {
        let upstream = |key: &str| -> anyhow::Result<SocketAddr> {
            let url = stack.get(key)?;
            authority(url).parse().with_context(|| format!("find the address in {key}"))
        };
        let ways = Self {
            store: HttpProxy::start(upstream("S3_ENDPOINT")?, seed).await.context("proxy before the store")?,
            postgres: TcpProxy::start(upstream("ICEBERG_CATALOG_URL")?).await.context("proxy before postgresql")?,
            registry: TcpProxy::start(upstream("SCHEMA_REGISTRY_URL")?).await.context("proxy before the registry")?,
            dynamo: TcpProxy::start(upstream("DYNAMODB_ENDPOINT")?).await.context("proxy before dynamodb")?,
        };
        let mut through = stack.clone();
        let mut lead = |key: &str, address: SocketAddr| -> anyhow::Result<()> {
            let url = stack.get(key)?;
            through = through.clone().with(key, url.replacen(authority(url), &address.to_string(), 1));
            Ok(())
        };
        lead("S3_ENDPOINT", ways.store.address())?;
        lead("SCHEMA_REGISTRY_URL", ways.registry.address())?;
        lead("DYNAMODB_ENDPOINT", ways.dynamo.address())?;
        for key in POSTGRES_URLS {
            lead(key, ways.postgres.address())?;
        }
        Ok((ways, through))
    }

    /// How often the store was made to misbehave in any way so far.
    pub(crate) fn store_faults(&self) -> u64 {
        self.store.counts().injected.values().sum()
    }
}

/// The rules by which the store misbehaves. Most are a share of the requests: a fault of all requests is an outage, which
/// has its own place.
pub(crate) fn rules(how: StoreFault) -> Vec<Rule> {
    match how {
        StoreFault::Unavailable => vec![Rule::new(HttpFault::SlowDown).times(Times::Share(0.7))],
        StoreFault::Conflict => vec![Rule::new(HttpFault::Conflict).method("PUT").times(Times::Share(0.5))],
        StoreFault::Slow => vec![Rule::new(HttpFault::Delay(SLOW)).times(Times::Share(0.8))],
        StoreFault::HalfAnswer => vec![Rule::new(HttpFault::HalfAnswer).times(Times::Share(0.4))],
        StoreFault::HalfWritten => vec![Rule::new(HttpFault::HalfRequest).method("PUT").times(Times::Share(0.4))],
        StoreFault::Reset => vec![Rule::new(HttpFault::Reset).times(Times::Share(0.5))],
        StoreFault::AnswerLost => vec![Rule::new(HttpFault::LostAnswer).method("PUT").times(Times::Share(0.4))],
    }
}

/// `host:port` of a URL.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['/', '?']).next().unwrap_or(rest);
    rest.rsplit_once('@').map_or(rest, |(_, address)| address)
}

#[cfg(test)]
mod tests {
    use super::authority;

    #[test]
    fn the_address_is_found_behind_scheme_and_user() {
        assert_eq!(authority("http://127.0.0.1:33/apis"), "127.0.0.1:33");
        assert_eq!(authority("postgresql://u:p@127.0.0.1:32/db?x=1"), "127.0.0.1:32");
        assert_eq!(authority("127.0.0.1:92"), "127.0.0.1:92");
    }
}
