//! Where the lake is: a catalog that knows the tables, and a store that keeps the objects.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

/// A value that is never printed: not by `Debug`, not in the effective configuration.
#[derive(Clone, Deserialize, Default)]
#[serde(transparent)]
pub struct Secret(SecretString);

impl Secret {
    /// The value itself. Hand it to the client that needs it and nowhere else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // An empty secret is worth seeing: it is the usual reason why a login is refused.
        serializer.serialize_str(if self.expose().is_empty() { "" } else { "***" })
    }
}

/// The lake as a whole: section `[lake]` of a service's configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LakeConfig {
    /// Namespace of the tables in the catalog.
    pub namespace: String,
    /// The catalog.
    pub catalog: CatalogConfig,
    /// The object store.
    pub s3: S3Config,
}

/// Which kind of catalog keeps the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatalogKind {
    /// Tables of a PostgreSQL database.
    Sql,
    /// An Iceberg REST catalog.
    Rest,
    /// AWS Glue; only in builds with the cargo feature `glue`.
    Glue,
}

/// The catalog: section `[lake.catalog]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogConfig {
    /// Kind of the catalog.
    pub kind: CatalogKind,
    /// Name of the catalog; part of the key of a table in the SQL catalog.
    pub name: String,
    /// `sql`: PostgreSQL URL; `rest`: base URL; `glue`: endpoint, empty for AWS's own. A secret, since it holds a password.
    pub uri: Secret,
    /// Where new tables are put: `s3://bucket/prefix`.
    pub warehouse: String,
    /// Further properties, passed to the catalog as they are.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// The object store: section `[lake.s3]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// Base URL of the store; empty for AWS's own of the region.
    pub endpoint: String,
    /// Region.
    pub region: String,
    /// Access key; empty to use the credentials of the environment (role, profile, instance).
    pub access_key: Secret,
    /// Secret key; empty as the access key is.
    pub secret_key: Secret,
    /// Whether the bucket is part of the path instead of the host name, as most stores but AWS want it.
    pub path_style: bool,
}

impl LakeConfig {
    /// What is wrong with the configuration, as pairs of key (below `lake.`) and sentence; empty when nothing is.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.namespace.is_empty() || self.namespace.contains('.') {
            problems.push(("namespace", "must be one word without dots".to_owned()));
        }
        if self.catalog.name.trim().is_empty() {
            problems.push(("catalog.name", "must not be empty".to_owned()));
        }
        if self.bucket().is_none() {
            problems.push(("catalog.warehouse", "must be of the form s3://bucket/prefix".to_owned()));
        }
        if self.catalog.kind == CatalogKind::Sql && !self.catalog.uri.expose().starts_with("postgres") {
            problems.push(("catalog.uri", "must be a URL postgres://…, since catalog.kind is sql".to_owned()));
        }
        if self.catalog.kind == CatalogKind::Rest && !self.catalog.uri.expose().starts_with("http") {
            problems.push(("catalog.uri", "must be a URL http(s)://…, since catalog.kind is rest".to_owned()));
        }
        if self.catalog.kind == CatalogKind::Glue && !cfg!(feature = "glue") {
            problems.push(("catalog.kind", "this build has no Glue catalog (cargo feature glue)".to_owned()));
        }
        if self.s3.access_key.expose().is_empty() != self.s3.secret_key.expose().is_empty() {
            problems
                .push(("s3.secret_key", "access_key and secret_key must both be given or both be empty".to_owned()));
        }
        problems
    }

    /// Bucket of the warehouse.
    pub(crate) fn bucket(&self) -> Option<&str> {
        let rest = self.catalog.warehouse.strip_prefix("s3://")?;
        rest.split('/').next().filter(|bucket| !bucket.is_empty())
    }

    /// Prefix of the warehouse within its bucket, without slashes at its ends.
    pub(crate) fn prefix(&self) -> &str {
        let rest = self.catalog.warehouse.strip_prefix("s3://").unwrap_or_default();
        rest.split_once('/').map_or("", |(_, prefix)| prefix.trim_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> LakeConfig {
        LakeConfig {
            namespace: "meterway".into(),
            catalog: CatalogConfig {
                kind: CatalogKind::Sql,
                name: "meterway".into(),
                uri: "postgres://u:hidden@localhost/db".into(),
                warehouse: "s3://lake/warehouse/".into(),
                properties: BTreeMap::new(),
            },
            s3: S3Config {
                endpoint: "http://127.0.0.1:1".into(),
                region: "us-east-1".into(),
                access_key: "key".into(),
                secret_key: "hidden".into(),
                path_style: true,
            },
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let text = format!("{:?} {}", config(), serde_json::to_string(&config()).unwrap());
        assert!(!text.contains("hidden"), "{text}");
        assert!(text.contains("***"));
    }

    #[test]
    fn the_warehouse_is_taken_apart() {
        assert_eq!((config().bucket(), config().prefix()), (Some("lake"), "warehouse"));
        assert!(config().problems().is_empty());
    }

    #[test]
    fn mistakes_are_reported_together() {
        let mut config = config();
        config.catalog.uri = "http://x".into();
        config.catalog.warehouse = "lake".into();
        config.s3.secret_key = "".into();
        let keys: Vec<_> = config.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["catalog.warehouse", "catalog.uri", "s3.secret_key"]);
    }
}
