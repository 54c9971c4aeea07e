//! Topics of one test, and processes of the service on them.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kafka_pipeline::{
    Admin, AvroWriter, KafkaConfig, Producer, ProducerConfig, ProducerRecord, Registry, RegistryConfig, TopicSpec,
    frame,
};
use meterway_schemas::{DEVICE, Device, READING_BATCH};
use test_support::{Stack, free_port, unique};

/// Longest wait for something that a healthy machine does in seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// Topics of their own, and what writes to them.
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) kafka: KafkaConfig,
    pub(crate) registry: Registry,
    pub(crate) admin: Admin,
    pub(crate) raw_schema_id: u32,
    producer: Producer,
    devices: AvroWriter<Device>,
    registry_url: String,
}

impl Fixture {
    pub(crate) async fn new(prefix: &str, partitions: i32) -> Self {
        let stack = Stack::from_env();
        let name = unique(prefix);
        let kafka = KafkaConfig::new(stack.kafka_bootstrap(), &name);
        let registry_url = stack.schema_registry_url();
        let registry = Registry::new(&RegistryConfig { url: registry_url.clone() }).unwrap();
        let admin = Admin::connect(&kafka).await.unwrap();
        for topic in ["raw", "validated", "rejected", "devices"] {
            admin.create_topic(&spec(&name, topic, partitions)).await.unwrap();
        }
        let raw_schema_id = registry.register(&format!("{name}.raw-value"), READING_BATCH.avsc).await.unwrap();
        let devices = AvroWriter::new(&registry, &format!("{name}.devices-value"), DEVICE.avsc).await.unwrap();
        let producer = Producer::new(&kafka, &ProducerConfig::default()).unwrap();
        Self { name, kafka, registry, admin, raw_schema_id, producer, devices, registry_url }
    }

    pub(crate) fn topic(&self, topic: &str) -> String {
        format!("{}.{topic}", self.name)
    }

    /// Deletes a topic and creates it again.
    pub(crate) async fn replace_topic(&self, topic: &str, partitions: i32) {
        self.admin.delete_topic(&self.topic(topic)).await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.admin.create_topic(&spec(&self.name, topic, partitions)).await {
            assert!(Instant::now() < deadline, "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Registers devices.
    pub(crate) async fn register(&self, devices: &[Device]) {
        for device in devices {
            let state = self.devices.write(device).unwrap();
            self.send("devices", None, Some(device.device_id.as_bytes()), Some(&state)).await;
        }
    }

    /// A delivery in Confluent framing.
    pub(crate) fn framed(&self, datum: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        frame(self.raw_schema_id, datum, &mut payload);
        payload
    }

    /// Writes one record and waits until it is stored; returns its partition and offset.
    pub(crate) async fn send(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
    ) -> (i32, i64) {
        let topic = self.topic(topic);
        let record = ProducerRecord { topic: &topic, partition, key, payload, ..ProducerRecord::default() };
        let stored = self.producer.send(record).await.unwrap().await.unwrap();
        (stored.partition, stored.offset)
    }

    /// Writes deliveries, by device, to their partitions in order.
    pub(crate) async fn deliver(&self, deliveries: &[(&str, Vec<u8>)]) {
        let topic = self.topic("raw");
        let group = self.producer.group();
        for (device, datum) in deliveries {
            let payload = self.framed(datum);
            let key = Some(device.as_bytes());
            let record = ProducerRecord { topic: &topic, key, payload: Some(&payload), ..ProducerRecord::default() };
            group.send(record).await.unwrap();
        }
        group.delivered().await.unwrap();
    }

    /// Starts a process of the service. Each gets a group of its own: where it goes on must not depend on the group.
    pub(crate) fn start(&self) -> Process {
        self.start_with("")
    }

    /// As [`Self::start`], with further settings in TOML.
    pub(crate) fn start_with(&self, settings: &str) -> Process {
        self.start_as(&unique("validate"), "", settings)
    }

    /// As [`Self::start_with`], with fail points.
    pub(crate) fn start_armed(&self, fail_points: &str, settings: &str) -> Process {
        self.start_as(&unique("validate"), fail_points, settings)
    }

    /// As [`Self::start_with`], in a given group.
    pub(crate) fn start_in(&self, consumer_group: &str, settings: &str) -> Process {
        self.start_as(consumer_group, "", settings)
    }

    fn start_as(&self, consumer_group: &str, fail_points: &str, settings: &str) -> Process {
        let port = free_port();
        let Self { name, registry_url, kafka, .. } = self;
        let bootstrap = &kafka.bootstrap_servers;
        let topics = ["raw", "validated", "rejected", "devices"].map(|topic| format!("{topic} = \"{name}.{topic}\"\n"));
        let config = format!(
            "[admin]\nlisten = \"127.0.0.1:{port}\"\n[log]\nformat = \"text\"\nlevel = \"warn,kafka_pipeline=error\"\n\
             [kafka]\nbootstrap_servers = \"{bootstrap}\"\n[registry]\nurl = \"{registry_url}\"\n\
             [topics]\n{}[consumer]\ngroup = \"{}\"\n{settings}",
            topics.concat(),
            consumer_group,
        );
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        std::fs::write(file.path(), config).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_validate"))
            .arg("--config")
            .arg(file.path())
            .env("METER_FAIL_POINTS", fail_points)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Process { child, _config: file, port }
    }

    /// The settings of a service in this process, as environment variables.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let set = |key: &str, value: &str| (format!("METER_VALIDATE__{key}"), value.to_owned());
        let mut variables = vec![
            set("KAFKA__BOOTSTRAP_SERVERS", &self.kafka.bootstrap_servers),
            set("REGISTRY__URL", &self.registry_url),
            set("CONSUMER__GROUP", &unique("validate")),
        ];
        for topic in ["raw", "validated", "rejected", "devices"] {
            variables.push(set(&format!("TOPICS__{}", topic.to_uppercase()), &self.topic(topic)));
        }
        variables
    }

    /// Decisions in the output so far, over all partitions.
    pub(crate) async fn decided(&self) -> i64 {
        let watermarks = self.admin.watermarks(&self.topic("validated")).await.unwrap();
        watermarks.iter().map(|(_, low, high)| high - low).sum()
    }

    /// Waits until the output holds so many records.
    pub(crate) async fn until_decided(&self, count: i64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let decided = self.decided().await;
            if decided >= count {
                return;
            }
            assert!(Instant::now() < deadline, "{decided} of {count} decisions after {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn spec(name: &str, topic: &str, partitions: i32) -> TopicSpec {
    let policy = if topic == "devices" { "compact" } else { "delete" };
    let configs = BTreeMap::from([
        ("cleanup.policy".to_owned(), policy.to_owned()),
        ("max.message.bytes".to_owned(), (8 << 20).to_string()),
    ]);
    TopicSpec { name: format!("{name}.{topic}"), partitions, replication: 1, configs }
}

/// A running process of the service; killed when dropped.
pub(crate) struct Process {
    child: Child,
    _config: tempfile::NamedTempFile,
    pub(crate) port: u16,
}

impl Process {
    /// Ends it as a crash would: nothing is flushed or committed.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until it ends; returns its exit code, `None` when it was killed.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the process did not end within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The body of an admin page, once it is answered with 200.
    pub(crate) async fn page(&self, path: &str) -> String {
        self.until(path, |answer| answer.starts_with("HTTP/1.1 200")).await
    }

    /// Waits until `/ready` refuses with these words.
    pub(crate) async fn refuses(&self, words: &str) {
        self.until("/ready", |answer| answer.starts_with("HTTP/1.1 503") && answer.contains(words)).await;
    }

    /// The body of an admin page, once its answer is as wanted.
    async fn until(&self, path: &str, wanted: impl Fn(&str) -> bool) -> String {
        use std::io::{Read, Write};
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = std::net::TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| {
                stream.set_read_timeout(Some(Duration::from_secs(5)))?;
                write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer)?;
                Ok(answer)
            });
            if let Ok(answer) = &answer
                && wanted(answer)
            {
                return answer.split_once("\r\n\r\n").unwrap().1.to_owned();
            }
            assert!(Instant::now() < deadline, "{path} is not answered so: {answer:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            self.kill();
        }
    }
}
