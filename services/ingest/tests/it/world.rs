//! Topics and a table of one test's own, replicas of the door as processes, and a register that knows two keys.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kafka_pipeline::{
    Admin, KafkaConfig, Producer, ProducerConfig, ProducerRecord, Registry, RegistryConfig, StartAt, TopicPartition,
    TopicSpec, read_tail,
};
use meterway_proto::metadata::v1::api_key_service_server::{ApiKeyService, ApiKeyServiceServer};
use meterway_proto::metadata::v1::{
    ApiKey, ApiKeyScope, ApiKeyVerdict, CheckApiKeyRequest, CheckApiKeyResponse, CreateApiKeyRequest,
    CreateApiKeyResponse, Limits, ListApiKeysRequest, ListApiKeysResponse, RevokeApiKeyRequest, RotateApiKeyRequest,
};
use meterway_schemas::{DEVICE_EVENT, READING_BATCH};
use reqwest::{Client, RequestBuilder, StatusCode};
use test_support::{Stack, free_port, unique};
use tonic::{Request, Response, Status};

pub(crate) const PARTITIONS: i32 = 3;
/// Generous: the machine may be busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// Held by tests that need the broker, and alone by the one that stops it.
pub(crate) static BROKER: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

pub(crate) struct World {
    pub(crate) name: String,
    pub(crate) stack: Stack,
    pub(crate) kafka: KafkaConfig,
    register: SocketAddr,
    pub(crate) client: Client,
}

/// A replica of the door.
pub(crate) struct Door {
    process: Child,
    pub(crate) url: String,
    pub(crate) admin: String,
    client: Client,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Door {
    pub(crate) fn kill(&mut self) {
        // Ended before is as good.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A request with an API key; add the rest.
    pub(crate) fn post(&self, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth("first");
        request.header("content-type", kind).body(body)
    }

    /// The value of a metric, summed over the samples whose line contains the text.
    pub(crate) async fn metric(&self, text: &str) -> f64 {
        let page = self.client.get(format!("{}/metrics", self.admin)).send().await.unwrap().text().await.unwrap();
        let samples = page.lines().filter(|line| !line.starts_with('#') && line.contains(text));
        samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }
}

/// What a request was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: String,
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.timeout(PATIENCE).send().await.unwrap();
    let status = response.status();
    let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
    Answer { status, retry_after, body: response.text().await.unwrap() }
}

/// Sends a request again and again, as a client does, until it is answered something else than "later".
pub(crate) async fn insist(request: impl Fn() -> RequestBuilder) -> (Answer, Vec<StatusCode>) {
    let (deadline, mut before) = (Instant::now() + PATIENCE, Vec::new());
    loop {
        let last = answer(request()).await;
        let later = [StatusCode::CONFLICT, StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS];
        if !later.contains(&last.status) {
            return (last, before);
        }
        assert!(last.retry_after.is_some_and(|seconds| seconds > 0), "no Retry-After: {last:?}");
        assert!(Instant::now() < deadline, "no answer in time, last {last:?}");
        before.push(last.status);
        service_runtime::sleep(Duration::from_millis(500)).await;
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        service_runtime::install_crypto_provider();
        let stack = Stack::from_env();
        let name = unique("ingest_it");
        let kafka = KafkaConfig::new(stack.kafka_bootstrap(), "ingest-it");
        let admin = Admin::connect(&kafka).await.unwrap();
        for topic in ["readings", "events"] {
            let name = format!("{name}.{topic}");
            let spec = TopicSpec { name, partitions: PARTITIONS, replication: 1, configs: BTreeMap::new() };
            admin.create_topic(&spec).await.unwrap();
        }
        let registry = Registry::new(&RegistryConfig { url: stack.schema_registry_url() }).unwrap();
        registry.register(&format!("{name}.readings-value"), READING_BATCH.avsc).await.unwrap();
        registry.register(&format!("{name}.events-value"), DEVICE_EVENT.avsc).await.unwrap();
        let client = Client::builder().build().unwrap();
        Self { register: serve_register().await, name, stack, kafka, client }
    }

    pub(crate) fn topic(&self, topic: &str) -> String {
        format!("{}.{topic}", self.name)
    }

    pub(crate) fn table(&self) -> String {
        self.topic("requests")
    }

    /// Starts a replica and waits until it is ready.
    pub(crate) async fn start(&self, settings: &[(&str, &str)]) -> Door {
        let (http, admin) = (free_port(), free_port());
        let address = |port: u16| format!("127.0.0.1:{port}");
        let own = [
            ("KAFKA__BOOTSTRAP_SERVERS", self.stack.kafka_bootstrap()),
            ("REGISTRY__URL", self.stack.schema_registry_url()),
            ("HTTP__LISTEN", address(http)),
            ("ADMIN__LISTEN", address(admin)),
            ("LOG__LEVEL", "warn".to_owned()),
            ("METADATA__URL", format!("http://{}", self.register)),
            ("TOPICS__READINGS", self.topic("readings")),
            ("TOPICS__EVENTS", self.topic("events")),
            ("IDEMPOTENCY__TABLE", self.table()),
            ("IDEMPOTENCY__CREATE_TABLE", "true".to_owned()),
            ("IDEMPOTENCY__REGION", self.stack.aws_region()),
            ("IDEMPOTENCY__ENDPOINT", self.stack.dynamodb_endpoint()),
            ("IDEMPOTENCY__ACCESS_KEY", self.stack.aws_access_key_id()),
            ("IDEMPOTENCY__SECRET_KEY", self.stack.aws_secret_access_key()),
            ("IDEMPOTENCY__LEASE", "5s".to_owned()),
        ];
        let process = Command::new(env!("CARGO_BIN_EXE_ingest"))
            .envs(own.into_iter().map(|(key, value)| (format!("METER_INGEST__{key}"), value)))
            .envs(settings.iter().map(|(key, value)| (format!("METER_INGEST__{key}"), *value)))
            .stdout(Stdio::inherit())
            .spawn()
            .unwrap();
        let (url, admin) = (format!("http://{}", address(http)), format!("http://{}", address(admin)));
        let mut door = Door { process, url, admin, client: self.client.clone() };
        let deadline = Instant::now() + PATIENCE;
        let ready = format!("{}/ready", door.admin);
        while !self.client.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success()) {
            assert!(door.process.try_wait().unwrap().is_none(), "the door ended by itself");
            assert!(Instant::now() < deadline, "the door is not ready in time");
            service_runtime::sleep(Duration::from_millis(100)).await;
        }
        door
    }

    /// Messages in a topic, counted by key.
    pub(crate) async fn stored(&self, topic: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for partition in 0..PARTITIONS {
            let at = TopicPartition::new(self.topic(topic), partition);
            let mut blocks = read_tail(&self.kafka, &at, StartAt::Beginning).await.unwrap();
            while let Some(block) = blocks.next().await.unwrap() {
                for record in block.iter() {
                    let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                    *counts.entry(key).or_default() += 1;
                }
            }
        }
        counts
    }

    /// Puts a message on the topic of readings, as a door that died since would have.
    pub(crate) async fn produce(&self, key: &str, tag: &str) {
        let producer = Producer::new(&self.kafka, &ProducerConfig::default()).unwrap();
        let (topic, headers) = (self.topic("readings"), [("meterway-request", tag.as_bytes())]);
        let record = ProducerRecord {
            topic: &topic,
            key: Some(key.as_bytes()),
            payload: Some(b"what the other one wrote"),
            headers: &headers,
            ..ProducerRecord::default()
        };
        producer.send_all([record]).await.unwrap();
    }

    /// Removes topics and table. A failed test leaves them behind for a look.
    pub(crate) async fn remove(self) {
        let admin = Admin::connect(&self.kafka).await.unwrap();
        for topic in ["readings", "events"] {
            admin.delete_topic(&self.topic(topic)).await.unwrap();
        }
        // A test without keys has made no table.
        let _table = dynamo(&self.stack).await.delete_table().table_name(self.table()).send().await;
    }
}

pub(crate) async fn dynamo(stack: &Stack) -> aws_sdk_dynamodb::Client {
    use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
    let (access, secret) = (stack.aws_access_key_id(), stack.aws_secret_access_key());
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(stack.aws_region()))
        .endpoint_url(stack.dynamodb_endpoint())
        .credentials_provider(Credentials::new(access, secret, None, None, "test"))
        .load()
        .await;
    aws_sdk_dynamodb::Client::new(&config)
}

pub(crate) fn reading(hour: usize, value: f64) -> String {
    let (day, hour) = (1 + hour / 24, hour % 24);
    format!(
        r#"{{"channel":"1-0:1.29.0","kind":"INTERVAL","start":"2026-03-{day:02}T{hour:02}:00:00Z","duration_s":3600,"value":{value},"unit":"kWh"}}"#
    )
}

pub(crate) fn delivery(device: &str, sequence: i64, readings: usize) -> String {
    let readings: Vec<_> = (0..readings).map(|hour| reading(hour % 600, 0.25)).collect();
    let readings = readings.join(",");
    format!(r#"{{"device_id":"{device}","gateway_id":"gw-1","sequence":{sequence},"readings":[{readings}]}}"#)
}

/// The part of the register that the door asks: any key is good, and its tenant's limits are high.
struct Register;

async fn serve_register() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(async move {
        let server = tonic::transport::Server::builder().add_service(ApiKeyServiceServer::new(Register));
        server.serve_with_incoming(incoming).await.unwrap();
    });
    address
}

#[tonic::async_trait]
impl ApiKeyService for Register {
    async fn check_api_key(
        &self,
        request: Request<CheckApiKeyRequest>,
    ) -> Result<Response<CheckApiKeyResponse>, Status> {
        Ok(Response::new(CheckApiKeyResponse {
            verdict: ApiKeyVerdict::Valid.into(),
            tenant_id: "north".to_owned(),
            key_id: request.into_inner().secret,
            scopes: vec![ApiKeyScope::WriteReadings.into(), ApiKeyScope::WriteEvents.into()],
            limits: Some(Limits { requests_per_second: 10_000, readings_per_second: 100_000_000, ..Limits::default() }),
            cache_ttl: None,
        }))
    }

    async fn create_api_key(&self, _: Request<CreateApiKeyRequest>) -> Result<Response<CreateApiKeyResponse>, Status> {
        Err(Status::unimplemented("not asked by the door"))
    }

    async fn rotate_api_key(&self, _: Request<RotateApiKeyRequest>) -> Result<Response<CreateApiKeyResponse>, Status> {
        Err(Status::unimplemented("not asked by the door"))
    }

    async fn revoke_api_key(&self, _: Request<RevokeApiKeyRequest>) -> Result<Response<ApiKey>, Status> {
        Err(Status::unimplemented("not asked by the door"))
    }

    async fn list_api_keys(&self, _: Request<ListApiKeysRequest>) -> Result<Response<ListApiKeysResponse>, Status> {
        Err(Status::unimplemented("not asked by the door"))
    }
}
