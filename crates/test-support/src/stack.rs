//! The addresses of the local stack, from the environment that `make test` prepares.

/// Where the components of the local stack listen.
///
/// Every value is read when it is asked for: a test names only the parts it needs, and fails only for want of those.
#[derive(Debug, Clone, Copy)]
pub struct Stack(());

/// A variable of the stack is not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{variable} is not set: this test runs against the real components of the local stack. \
     Run it with `make test`, or start the stack with `make dev-up` and source the environment file that it names"
)]
pub struct MissingStack {
    /// The variable that was looked for.
    pub variable: &'static str,
}

macro_rules! addresses {
    ($($(#[$doc:meta])* $name:ident = $variable:literal;)*) => {
        impl Stack {
            $(
                $(#[$doc])*
                ///
                /// # Panics
                /// When the stack's environment is absent; the message says what to run.
                pub fn $name(&self) -> String {
                    required($variable)
                }
            )*
        }
    };
}

addresses! {
    /// Kafka's bootstrap servers, `host:port[,…]`.
    kafka_bootstrap = "KAFKA_BOOTSTRAP";
    /// Base address of the schema registry's Confluent API.
    schema_registry_url = "SCHEMA_REGISTRY_URL";
    /// Address of the S3 API.
    s3_endpoint = "S3_ENDPOINT";
    /// Bucket of the lake.
    s3_bucket = "S3_BUCKET";
    /// Region to sign S3 requests for.
    s3_region = "S3_REGION";
    /// Access key of the S3 API.
    s3_access_key = "S3_ACCESS_KEY";
    /// Secret key of the S3 API.
    s3_secret_key = "S3_SECRET_KEY";
    /// Access key of the S3 API that may read only.
    s3_reader_access_key = "S3_READER_ACCESS_KEY";
    /// Secret key of the S3 API that may read only.
    s3_reader_secret_key = "S3_READER_SECRET_KEY";
    /// Address of the DynamoDB API.
    dynamodb_endpoint = "DYNAMODB_ENDPOINT";
    /// Region for the AWS clients.
    aws_region = "AWS_REGION";
    /// Access key for the AWS clients.
    aws_access_key_id = "AWS_ACCESS_KEY_ID";
    /// Secret key for the AWS clients.
    aws_secret_access_key = "AWS_SECRET_ACCESS_KEY";
    /// Postgres URL of a superuser, for tests that need a database of their own.
    postgres_admin_url = "POSTGRES_ADMIN_URL";
    /// Postgres URL of metadata's database as the owner of its tables.
    metadata_owner_url = "METADATA_OWNER_URL";
    /// Postgres URL of metadata's database as the role the service runs as.
    metadata_app_url = "METADATA_APP_URL";
    /// Postgres URL of the Iceberg SQL catalog.
    iceberg_catalog_url = "ICEBERG_CATALOG_URL";
    /// Postgres URL of the warehouse as the loader.
    warehouse_loader_url = "WAREHOUSE_LOADER_URL";
    /// Postgres URL of the warehouse as dbt.
    warehouse_dbt_url = "WAREHOUSE_DBT_URL";
    /// Postgres URL of the warehouse as a reader.
    warehouse_reader_url = "WAREHOUSE_READER_URL";
}

impl Stack {
    /// The process of a component, such as `kafka`, for tests that stop it for a while. Whoever does keeps the tests apart
    /// that share the stack, and lets it run again whatever happens.
    ///
    /// # Panics
    /// When the stack is not one of this checkout, or the component is not running.
    pub fn component_pid(&self, component: &str) -> u32 {
        let name = required("METERWAY_STACK");
        let checkout = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let file = checkout.join(format!(".local/stacks/{name}/pids/{component}"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("read {}: {error}", file.display()));
        let pid = text.lines().next().and_then(|pid| pid.parse().ok());
        pid.unwrap_or_else(|| panic!("{} holds no pid", file.display()))
    }

    /// Section `[lake]` of a service's configuration: catalog and store of the stack, and a namespace of its own below
    /// `name`. As data, because this crate does not depend on `lake`: read it with `serde_json::from_value`.
    ///
    /// # Panics
    /// When the stack's environment is absent.
    pub fn lake(&self, name: &str) -> serde_json::Value {
        serde_json::json!({
            "namespace": crate::unique(name),
            "catalog": {
                "kind": "sql",
                "name": name,
                "uri": self.iceberg_catalog_url(),
                "warehouse": format!("s3://{}/{name}", self.s3_bucket()),
            },
            "s3": {
                "endpoint": self.s3_endpoint(),
                "region": self.s3_region(),
                "access_key": self.s3_access_key(),
                "secret_key": self.s3_secret_key(),
                "path_style": true,
            },
        })
    }

    /// The stack that the environment describes.
    ///
    /// # Panics
    /// When the environment describes none; the message says what to run.
    pub fn from_env() -> Self {
        Self::try_from_env().unwrap_or_else(|missing| panic!("{missing}"))
    }

    /// As [`Self::from_env`], for callers that must tell "no stack" from a failing test.
    ///
    /// # Errors
    /// [`MissingStack`] when the environment describes no stack.
    pub fn try_from_env() -> Result<Self, MissingStack> {
        // The broker stands for the whole: the stack writes all variables or none.
        read("KAFKA_BOOTSTRAP").map(|_| Self(()))
    }
}

fn required(variable: &'static str) -> String {
    read(variable).unwrap_or_else(|missing| panic!("{missing}"))
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration file: the stack tells its ports this way")]
fn read(variable: &'static str) -> Result<String, MissingStack> {
    std::env::var(variable).ok().filter(|value| !value.is_empty()).ok_or(MissingStack { variable })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_variable_says_what_to_run() {
        let missing = read("METERWAY_NO_SUCH_VARIABLE").unwrap_err().to_string();
        assert!(missing.contains("METERWAY_NO_SUCH_VARIABLE") && missing.contains("make test"), "{missing}");
    }
}
