//! Binary of the double, for whole-system runs.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use redshift_double::{Double, Isolation, S3Settings, Settings};
use tokio::signal::unix::{SignalKind, signal};

/// A double of Amazon Redshift for tests, in front of a real PostgreSQL. Not Redshift.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address for clients, on the loopback interface; port 0 takes any
    #[arg(long, default_value = "127.0.0.1:5439")]
    listen: SocketAddr,
    /// Address of the endpoint for faults, on the loopback interface
    #[arg(long, default_value = "127.0.0.1:5440")]
    control: SocketAddr,
    /// host:port of the PostgreSQL behind; user, password and database are those that the client logs in with
    #[arg(long, value_parser = host_and_port)]
    upstream: (String, u16),
    /// Base URL of the S3 API
    #[arg(long, env = "S3_ENDPOINT")]
    s3_endpoint: String,
    /// Region to sign S3 requests for
    #[arg(long, env = "S3_REGION", default_value = "us-east-1")]
    s3_region: String,
    /// Access key; reading is enough
    #[arg(long, env = "S3_ACCESS_KEY", hide_env_values = true)]
    s3_access_key: String,
    /// Secret key
    #[arg(long, env = "S3_SECRET_KEY", hide_env_values = true)]
    s3_secret_key: String,
    /// How transactions see each other
    #[arg(long, value_enum, default_value_t = Isolation::Snapshot)]
    isolation: Isolation,
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(':').ok_or("host:port is wanted")?;
    Ok((host.to_owned(), port.parse().map_err(|_| format!("{port} is no port"))?))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).json().init();
    let double = Double::start(Settings {
        listen: arguments.listen,
        control: arguments.control,
        upstream: arguments.upstream,
        s3: S3Settings {
            endpoint: arguments.s3_endpoint,
            region: arguments.s3_region,
            access_key: arguments.s3_access_key,
            secret_key: arguments.s3_secret_key,
        },
        isolation: arguments.isolation,
    })
    .await?;
    // For whoever started it: one line when it is ready.
    let ready = serde_json::json!({"listen": double.address(), "control": double.control()});
    writeln!(std::io::stdout(), "{ready}").context("tell the addresses")?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
