//! The services of a local installation: which there are, where they listen, and their settings.

use super::supervisor::Service;
use crate::exit::BadConfig;
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

/// Order in which services are started: what others ask comes first.
pub const NAMES: &[&str] = &["metadata", "validate", "ingest", "alert", "parquet-sink", "redshift-loader"];

/// The web page and its API: started after the others, where the stack has an identity server.
pub const DASHBOARD: &str = "dashboard";

/// The services of a stack, in the order in which they are started.
pub fn names(stack: &StackEnv) -> Vec<&'static str> {
    NAMES.iter().copied().chain(stack.get("OIDC_ISSUER").is_ok().then_some(DASHBOARD)).collect()
}

/// Settings of the running components, as the local stack wrote them.
#[derive(Debug, Clone)]
pub struct StackEnv(BTreeMap<String, String>);

impl StackEnv {
    /// Reads a file of `KEY=value` lines.
    ///
    /// # Errors
    /// [`BadConfig`] when it cannot be read.
    pub fn read(path: &Path) -> Result<Self, BadConfig> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| BadConfig(format!("{}: {error}; start the stack first", path.display())))?;
        let lines = text.lines().filter_map(|line| line.split_once('='));
        Ok(Self(lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()))
    }

    /// A setting.
    ///
    /// # Errors
    /// [`BadConfig`] when the stack did not write it.
    pub fn get(&self, key: &str) -> Result<&str, BadConfig> {
        self.0.get(key).map(String::as_str).ok_or_else(|| BadConfig(format!("the stack's settings lack {key}")))
    }

    /// The same settings with another value, such as the address of a proxy in place of the component's own.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// Every setting, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// Addresses of the services, from one base port.
#[derive(Debug, Clone, Copy)]
pub struct Ports(pub u16);

impl Ports {
    /// The HTTP door.
    pub fn ingest(self) -> SocketAddr {
        self.ingest_of(1)
    }

    /// The HTTP door of a replica, counted from 1.
    pub fn ingest_of(self, number: u16) -> SocketAddr {
        self.at(100 + 2 * (number - 1))
    }

    /// gRPC of metadata.
    pub fn metadata(self) -> SocketAddr {
        self.at(101)
    }

    /// The web page and its API. Sign-ins lead back there, so the identity servers know it too.
    pub fn dashboard(self) -> SocketAddr {
        self.at(109)
    }

    /// Admin endpoint of a service.
    pub fn admin(self, name: &str) -> SocketAddr {
        self.admin_of(name, 1)
    }

    /// Admin endpoint of a replica, counted from 1.
    pub fn admin_of(self, name: &str, number: u16) -> SocketAddr {
        let index = NAMES.iter().position(|known| *known == name).unwrap_or(NAMES.len());
        self.at(110 + index as u16 + 10 * (number - 1))
    }

    fn at(self, offset: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.0 + offset))
    }
}

/// How often things are committed and loaded; the demo wants to see rows soon.
const COMMIT_AGE: &str = "4s";

/// The services with their settings.
///
/// # Errors
/// [`BadConfig`] when the stack's settings lack something.
pub fn services(stack: &StackEnv, ports: Ports, root: &Path) -> Result<Vec<Service>, BadConfig> {
    names(stack).into_iter().map(|name| replica(name, 1, stack, ports, root)).collect()
}

/// One of several processes of a service, counted from 1; they differ in the ports they listen on.
///
/// # Errors
/// [`BadConfig`] when the stack's settings lack something.
pub fn replica(
    name: &'static str,
    number: u16,
    stack: &StackEnv,
    ports: Ports,
    root: &Path,
) -> Result<Service, BadConfig> {
    let prefix = format!("METER_{}", name.replace('-', "_").to_uppercase());
    let mut environment = shared(stack)?;
    let own = |key: &str, value: String| (format!("{prefix}__{key}"), value);
    let admin = ports.admin_of(name, number);
    environment.push(own("ADMIN__LISTEN", admin.to_string()));
    match name {
        "ingest" => {
            environment.push(own("HTTP__LISTEN", ports.ingest_of(number).to_string()));
            environment.push(own("METADATA__URL", format!("http://{}", ports.metadata())));
            for (key, setting) in [
                ("ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
                ("SECRET_KEY", "AWS_SECRET_ACCESS_KEY"),
                ("REGION", "AWS_REGION"),
                ("ENDPOINT", "DYNAMODB_ENDPOINT"),
            ] {
                environment.push(own(&format!("IDEMPOTENCY__{key}"), stack.get(setting)?.to_owned()));
            }
            environment.push(own("IDEMPOTENCY__CREATE_TABLE", "true".to_owned()));
        }
        "metadata" => {
            environment.push(own("GRPC__LISTEN", ports.metadata().to_string()));
            environment.push(own("POSTGRES__URL", stack.get("METADATA_APP_URL")?.to_owned()));
            environment.push(own("POSTGRES__OWNER_URL", stack.get("METADATA_OWNER_URL")?.to_owned()));
        }
        "alert" => {
            for (key, setting) in [("ACCESS_KEY", "AWS_ACCESS_KEY_ID"), ("SECRET_KEY", "AWS_SECRET_ACCESS_KEY")] {
                environment.push(own(&format!("DYNAMODB__{key}"), stack.get(setting)?.to_owned()));
            }
            environment.push(own("DYNAMODB__ENDPOINT", stack.get("DYNAMODB_ENDPOINT")?.to_owned()));
            environment.push(own("DYNAMODB__CREATE_TABLES", "true".to_owned()));
        }
        "parquet-sink" => {
            environment.push(own("SINK__COMMIT_AGE", COMMIT_AGE.to_owned()));
            environment.push(own("SINK__IDLE_COMMIT_AGE", "20s".to_owned()));
        }
        "redshift-loader" => {
            environment.push(own("WAREHOUSE__URL", stack.get("WAREHOUSE_LOADER_URL")?.to_owned()));
            environment.extend(dbt(stack, root, own)?);
        }
        DASHBOARD => {
            environment.push(own("HTTP__LISTEN", ports.dashboard().to_string()));
            environment.push(own("METADATA__URL", format!("http://{}", ports.metadata())));
            environment.push(own("WEB__ASSETS", root.join("web/dist").display().to_string()));
            for (key, setting) in [
                ("WAREHOUSE__URL", "WAREHOUSE_DASHBOARD_URL"),
                ("STORE__URL", "DASHBOARD_STORE_URL"),
                ("OIDC__ISSUER", "OIDC_ISSUER"),
                ("OIDC__JWKS_URL", "OIDC_JWKS_URL"),
                ("OIDC__AUDIENCE", "OIDC_AUDIENCE"),
                ("OIDC__CLIENT_ID", "OIDC_CLIENT_ID"),
                ("WEB__DEMO_USERS", "OIDC_DEMO_USERS"),
                ("DYNAMODB__ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
                ("DYNAMODB__SECRET_KEY", "AWS_SECRET_ACCESS_KEY"),
                ("DYNAMODB__REGION", "AWS_REGION"),
                ("DYNAMODB__ENDPOINT", "DYNAMODB_ENDPOINT"),
            ] {
                environment.push(own(key, stack.get(setting)?.to_owned()));
            }
        }
        _ => {}
    }
    Ok(Service { name, admin, environment })
}

/// Settings that every service takes for the sections it has.
fn shared(stack: &StackEnv) -> Result<Vec<(String, String)>, BadConfig> {
    let from = [
        ("KAFKA__BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP"),
        ("REGISTRY__URL", "SCHEMA_REGISTRY_URL"),
        ("LAKE__CATALOG__URI", "ICEBERG_CATALOG_URL"),
        ("LAKE__S3__ENDPOINT", "S3_ENDPOINT"),
        ("LAKE__S3__REGION", "S3_REGION"),
        ("LAKE__S3__ACCESS_KEY", "S3_ACCESS_KEY"),
        ("LAKE__S3__SECRET_KEY", "S3_SECRET_KEY"),
    ];
    let mut settings = vec![
        ("METER__LAKE__S3__PATH_STYLE".to_owned(), "true".to_owned()),
        ("METER__LAKE__CATALOG__WAREHOUSE".to_owned(), format!("s3://{}/warehouse", stack.get("S3_BUCKET")?)),
    ];
    for (key, setting) in from {
        settings.push((format!("METER__{key}"), stack.get(setting)?.to_owned()));
    }
    Ok(settings)
}

/// Has the loader run dbt after loads.
fn dbt(
    stack: &StackEnv,
    root: &Path,
    own: impl Fn(&str, String) -> (String, String),
) -> Result<Vec<(String, String)>, BadConfig> {
    let script = root.join("warehouse/dbt.sh");
    Ok(vec![
        own("WAREHOUSE__READERS", r#"["dbt", "reader", "meterway_dashboard"]"#.to_owned()),
        own("DBT__COMMAND", format!(r#"["{}", "refresh"]"#, script.display())),
        own("DBT__MIN_INTERVAL", "10s".to_owned()),
        ("WAREHOUSE_DBT_URL".to_owned(), stack.get("WAREHOUSE_DBT_URL")?.to_owned()),
    ])
}

/// Writes every address and credential as `KEY=value`, so that own tools and the commands find them (`--env-file`).
///
/// # Errors
/// When the file cannot be written.
pub fn write_settings(path: &Path, stack: &StackEnv, ports: Ports) -> std::io::Result<()> {
    let admin = NAMES.iter().map(|name| format!("{name}=http://{}", ports.admin(name))).collect::<Vec<_>>().join(",");
    let own = [
        ("METADATA_GRPC_URL", format!("http://{}", ports.metadata())),
        ("INGEST_URL", format!("http://{}", ports.ingest())),
        ("METERWAY_ADMIN_URLS", admin),
    ];
    let components = stack.iter().map(|(key, value)| format!("{key}={value}\n"));
    let own = own.iter().map(|(key, value)| format!("{key}={value}\n"));
    let header = std::iter::once("# Local throw-away addresses and credentials.\n".to_owned());
    std::fs::write(path, header.chain(components).chain(own).collect::<String>())
}
