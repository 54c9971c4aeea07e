use std::collections::BTreeMap;
use std::io::Write;

use serde::Deserialize;

use super::*;
use crate::{Secret, backoff::Backoff};

const DEFAULTS: &str = r#"
shutdown_grace = "20s"
[admin]
listen = "127.0.0.1:9100"
[log]
level = "info"
format = "json"
[kafka]
bootstrap_servers = "127.0.0.1:9092"
[kafka.properties]
[store]
rows = 1000
flush_age = "5s"
retry = { min = "100ms", max = "1s", jitter = 0.2 }
tables = ["a"]
"#;

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(with = "humantime_serde")]
    shutdown_grace: Duration,
    admin: AdminConfig,
    log: LogConfig,
    kafka: Kafka,
    store: Store,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Kafka {
    bootstrap_servers: String,
    properties: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Store {
    rows: u32,
    #[serde(with = "humantime_serde")]
    flush_age: Duration,
    retry: Backoff,
    tables: Vec<String>,
    #[serde(default)]
    password: Option<Secret>,
    #[serde(default)]
    url: Option<String>,
}

impl ServiceConfig for Config {
    fn validate(&self, problems: &mut Problems) {
        let fits = self.store.flush_age < self.shutdown_grace;
        problems.require(fits, "store.flush_age", "must be shorter than shutdown_grace");
    }
    fn admin(&self) -> &AdminConfig {
        &self.admin
    }
    fn log(&self) -> &LogConfig {
        &self.log
    }
    fn grace(&self) -> Duration {
        self.shutdown_grace
    }
}

fn info() -> ServiceInfo {
    ServiceInfo { name: "parquet-sink", version: "1.2.3", defaults: DEFAULTS }
}

fn load_with(file: Option<&str>, environment: &[(&str, &str)]) -> Result<LoadedConfig<Config>, ConfigError> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let Some(text) = file else { return load(info(), None, environment) };
    let mut written = tempfile::NamedTempFile::new().unwrap();
    written.write_all(text.as_bytes()).unwrap();
    load(info(), Some(written.path()), environment)
}

#[test]
fn later_layers_win() {
    let own = "METER_PARQUET_SINK__STORE__ROWS";
    let file = Some("[store]\nrows = 2\n[kafka]\nbootstrap_servers = 'file:1'");
    assert_eq!(load_with(None, &[]).unwrap().config.store.rows, 1000);
    assert_eq!(load_with(file, &[]).unwrap().config.store.rows, 2);
    assert_eq!(load_with(file, &[("METER__STORE__ROWS", "3")]).unwrap().config.store.rows, 3);
    let loaded = load_with(file, &[(own, "4"), ("METER__STORE__ROWS", "3")]).unwrap();
    assert_eq!(loaded.config.store.rows, 4);
    assert_eq!(loaded.config.kafka.bootstrap_servers, "file:1");
    assert!(loaded.effective.contains(&format!("store.rows = 4  # environment variable {own}")));
    assert!(loaded.effective.contains("shutdown_grace = \"20s\"  # default"));
}

#[test]
fn a_shared_variable_is_ignored_where_the_service_lacks_the_key() {
    let shared =
        [("METER__LAKE__S3__REGION", "eu-west-1"), ("METER__KAFKA__CLIENT_ID", "x"), ("METER_ALERT__X__Y", "1")];
    assert!(load_with(None, &shared).is_ok());
    let own = load_with(None, &[("METER_PARQUET_SINK__LAKE__REGION", "eu-west-1")]).unwrap_err();
    assert!(own.to_string().contains("lake: is not a known key"), "{own}");
}

#[test]
fn text_in_a_variable_takes_the_type_of_its_key() {
    let loaded = load_with(
        None,
        &[
            ("METER__STORE__PASSWORD", "12345"),
            ("METER__STORE__TABLES", r#"["a", "b"]"#),
            ("METER__KAFKA__PROPERTIES", r#"{ "security.protocol" = "ssl" }"#),
            ("METER__KAFKA__BOOTSTRAP_SERVERS", "true"),
        ],
    )
    .unwrap();
    assert_eq!(loaded.config.store.password.unwrap().expose(), "12345");
    assert_eq!(loaded.config.store.tables, ["a", "b"]);
    assert_eq!(loaded.config.kafka.properties["security.protocol"], "ssl");
    assert_eq!(loaded.config.kafka.bootstrap_servers, "true");
}

#[test]
fn all_mistakes_are_reported_at_once_with_key_and_source() {
    let file = "
        shutdown_grace = '1s'
        [admin]
        listen = 'nowhere'
        [store]
        rows = 'many'
        retry = { min = '2s', max = '1s', jitter = 0.1 }
        rowz = 1
        [strore]
        a = 1
    ";
    let environment = [("METER_PARQUET_SINK__LOG__FORMAT", "xml"), ("METER__STORE__TABLES", "7")];
    let error = load_with(Some(file), &environment).unwrap_err();
    let mut shown: Vec<_> = error
        .problems
        .iter()
        .map(|p| {
            let source = p.source.as_deref().map(|s| if s.starts_with("file") { "file" } else { s });
            format!("{} | {} | {}", p.key, p.message, source.unwrap_or("-"))
        })
        .collect();
    shown.sort();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_missing_key_does_not_hide_the_others() {
    let defaults = DEFAULTS.replace("rows = 1000", "").replace("flush_age = \"5s\"", "");
    let info = ServiceInfo { defaults: defaults.leak(), ..info() };
    let environment = [("METER_PARQUET_SINK__LOG__FORMAT".to_owned(), "xml".to_owned())];
    let error = load::<Config>(info, None, environment).unwrap_err().to_string();
    for expected in ["store.rows: is missing", "store.flush_age: is missing", "log.format: is not one of json, text"] {
        assert!(error.contains(expected), "{expected} not in {error}");
    }
}

#[test]
fn neither_the_effective_configuration_nor_an_error_shows_a_secret() {
    let file = "
        [store]
        password = 'hunter2'
        url = 'postgres://app:hunter2@db:5432/x?a=b'
        [kafka.properties]
        'sasl.password' = 'hunter2'
        'ssl.key.pem' = 'hunter2'
        'sasl.username' = 'app'
    ";
    let loaded = load_with(Some(file), &[]).unwrap();
    for shown in [&loaded.effective, &loaded.effective_json, &format!("{:?}", loaded.config.store.password)] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert!(loaded.effective.contains("postgres://***@db:5432/x?a=b"), "{}", loaded.effective);
    assert!(loaded.effective.contains("kafka.properties.\"sasl.username\" = \"app\""), "{}", loaded.effective);

    let wrong = load_with(Some("[store]\nrows = 'hunter2'\npassword = ['hunter2']"), &[]).unwrap_err().to_string();
    assert!(!wrong.contains("hunter2"), "{wrong}");
    assert!(wrong.contains("store.rows: has the wrong type: expected u32, found string"), "{wrong}");
}

#[test]
fn an_unreadable_file_is_a_mistake_beside_the_others() {
    let environment = [("METER_PARQUET_SINK__STORE__ROWS".to_owned(), "-1".to_owned())];
    let error = load::<Config>(info(), Some(Path::new("/nonexistent/x.toml")), environment).unwrap_err();
    assert_eq!(error.problems.iter().count(), 2, "{error}");
    let broken = load_with(Some("[store"), &[]).unwrap_err().to_string();
    assert!(broken.contains("file "), "{broken}");
}
