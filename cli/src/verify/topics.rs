//! What the topics hold: raw messages and the decisions about them, decoded with apache-avro.

use super::{
    audit::{Audit, Decision, RawMessage},
    lake::payload_digest,
    sequences::{Numbered, Sequences},
    tally::{Fact, Tally},
};
use anyhow::Context;
use apache_avro::{Schema, reader::datum::GenericDatumReader};
use chrono::{DateTime, Datelike};
use chrono_tz::Tz;
use kafka_pipeline::{KafkaConfig, NextOffset, Registry, StartAt, TopicPartition, read_tail};
use meter_model::{Commodity, Kind, Verdict};
use meterway_schemas::{
    Contract, DEVICE, DEVICE_EVENT, Device, DeviceEventKind, READING_BATCH, Source, VALIDATED_BATCH,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    marker::PhantomData,
};
use xxhash_rust::xxh3::xxh3_64;

#[derive(Debug, Deserialize)]
#[serde(rename = "ReadingBatch")]
struct RawBatch {
    tenant_id: String,
    device_id: String,
    gateway_id: String,
    sequence: i64,
    /// Not used, but apache-avro cannot pass over an enum.
    #[serde(rename = "source")]
    _source: Source,
    readings: Vec<RawReading>,
}

#[derive(Debug, Deserialize)]
#[serde(rename = "DeviceEvent")]
struct RawEvent {
    tenant_id: String,
    device_id: String,
    gateway_id: String,
    sequence: i64,
    #[serde(rename = "source")]
    _source: Source,
    kind: DeviceEventKind,
    at: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename = "Reading")]
struct RawReading {
    channel: String,
    kind: Kind,
    start: i64,
    #[serde(deserialize_with = "unscaled")]
    value: i64,
}

/// A decision as it was written.
#[derive(Debug, Deserialize)]
#[serde(rename = "ValidatedBatch")]
pub(crate) struct DecidedBatch {
    tenant_id: String,
    device_id: String,
    #[serde(rename = "source")]
    _source: Source,
    source_offset: i64,
    readings: Vec<DecidedReading>,
    rejections: Vec<DecidedRejection>,
    /// Number of the replay.
    pub(crate) revision: i64,
    /// Offset of the raw message in the raw topic, on the replay lane.
    pub(crate) origin_offset: Option<i64>,
    decision_offset: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename = "ValidatedReading")]
struct DecidedReading {
    channel: String,
    kind: Kind,
    start: i64,
    #[serde(deserialize_with = "unscaled")]
    value: i64,
    #[serde(rename = "verdict")]
    _verdict: Verdict,
    local_day: i32,
    #[serde(rename = "commodity")]
    _commodity: Commodity,
    unchanged: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename = "Rejection")]
struct DecidedRejection {
    index: i32,
}

/// A decimal as the number of millionths, from its eight bytes.
pub(crate) fn unscaled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    struct Unscaled;
    impl serde::de::Visitor<'_> for Unscaled {
        type Value = i64;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("eight bytes")
        }
        fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<i64, E> {
            bytes.try_into().map(i64::from_be_bytes).map_err(|_| E::invalid_length(bytes.len(), &self))
        }
    }
    deserializer.deserialize_bytes(Unscaled)
}

/// Decodes framed messages of one contract, whatever version wrote them.
struct Decoder<T> {
    registry: Registry,
    contract: Contract,
    reader: Schema,
    /// Writer schemas by id; `None` for an id that is not of this contract.
    writers: HashMap<u32, Option<Schema>>,
    value: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Decoder<T> {
    fn new(registry: &Registry, contract: Contract) -> Self {
        let writers = HashMap::new();
        Self { registry: registry.clone(), contract, reader: contract.schema(), writers, value: PhantomData }
    }

    /// The value, or `None` when the bytes are not exactly one message of the contract.
    async fn decode(&mut self, payload: Option<&[u8]>) -> anyhow::Result<Option<T>> {
        let Some([0, a, b, c, d, datum @ ..]) = payload else { return Ok(None) };
        let id = u32::from_be_bytes([*a, *b, *c, *d]);
        if !self.writers.contains_key(&id) {
            let writer = self.look_up(id).await?;
            self.writers.insert(id, writer);
        }
        let Some(writer) = &self.writers[&id] else { return Ok(None) };
        Ok(read(writer, &self.reader, datum))
    }

    async fn look_up(&self, id: u32) -> anyhow::Result<Option<Schema>> {
        let Some(text) = super::known_schema(&self.registry, id).await? else { return Ok(None) };
        let schema = Schema::parse_str(&text).with_context(|| format!("parse schema {id}"))?;
        Ok(schema.name().is_some_and(|name| name.to_string() == self.contract.name).then_some(schema))
    }
}

/// Reads one datum and nothing behind it. The two-schema path is taken only where the schemas differ, being slower.
fn read<T: DeserializeOwned>(writer: &Schema, reader: &Schema, datum: &[u8]) -> Option<T> {
    let mut rest = datum;
    let plain = GenericDatumReader::builder(writer).build().ok()?;
    if writer == reader {
        let value = plain.read_deser(&mut rest).ok()?;
        return rest.is_empty().then_some(value);
    }
    plain.read_value(&mut rest).ok()?;
    if rest.is_empty() { meterway_schemas::decode(writer, reader, datum).ok() } else { None }
}

/// Time zones of the devices, by device id.
pub(crate) type Zones = HashMap<String, Tz>;

/// Where the topics are.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    /// Cluster.
    pub(crate) kafka: KafkaConfig,
    /// Schema registry.
    pub(crate) registry: Registry,
}

/// One partition of the raw topic, read from its first offset to its end at the time of reading.
#[derive(Debug)]
pub(crate) struct RawPartition {
    /// Messages by offset.
    pub(crate) messages: BTreeMap<i64, RawMessage>,
    /// Number and checksum of the messages' bytes, for the landing table.
    pub(crate) bytes: Tally,
    /// First offset still there.
    pub(crate) low: i64,
    /// Offset after the last.
    pub(crate) high: i64,
}

impl Topics {
    /// Reads the zone of every device from the compacted topic.
    ///
    /// # Errors
    /// When broker or registry cannot be reached.
    pub(crate) async fn zones(&self, topic: &str, partitions: i32) -> anyhow::Result<Zones> {
        let mut zones = Zones::new();
        let mut decoder = SmallDecoder::new(&self.registry);
        for partition in 0..partitions {
            let mut blocks = self.tail(topic, partition, StartAt::Beginning).await?;
            while let Some(block) = blocks.next().await.context("read devices")? {
                for record in block.iter() {
                    if let Some(device) = decoder.device(record.payload).await? {
                        zones.extend(device.zone.parse().ok().map(|zone| (device.device_id, zone)));
                    }
                }
            }
        }
        Ok(zones)
    }

    /// Reads a partition of the raw topic, and notes the numbers that gateways gave to their deliveries.
    ///
    /// # Errors
    /// When broker or registry cannot be reached.
    pub(crate) async fn raw(
        &self,
        topic: &str,
        partition: i32,
        zones: &Zones,
        sequences: &mut Sequences,
    ) -> anyhow::Result<RawPartition> {
        let mut decoder = Decoder::<RawBatch>::new(&self.registry, READING_BATCH);
        let mut blocks = self.tail(topic, partition, StartAt::Beginning).await?;
        let high = blocks.end().0;
        let mut raw = RawPartition { messages: BTreeMap::new(), bytes: Tally::default(), low: high, high };
        while let Some(block) = blocks.next().await.context("read raw topic")? {
            for record in block.iter().filter(|record| record.offset < high) {
                let message = match decoder.decode(record.payload).await? {
                    Some(batch) => {
                        let readings = readings(&batch, zones);
                        let content = readings.iter().fold(0, |sum, (digest, _)| sum ^ *digest) as u64;
                        let message = numbered(record.timestamp_ms, batch.sequence, &batch.device_id, content);
                        sequences.add(&batch.tenant_id, &batch.gateway_id, message);
                        RawMessage::Readings(readings)
                    }
                    None => RawMessage::Undecodable,
                };
                raw.low = raw.low.min(record.offset);
                raw.bytes.add(payload_digest(record.offset, record.payload));
                raw.messages.insert(record.offset, message);
            }
        }
        Ok(raw)
    }

    /// Notes the numbers that gateways gave to the events of a partition.
    ///
    /// # Errors
    /// When broker or registry cannot be reached.
    pub(crate) async fn events(&self, topic: &str, partition: i32, sequences: &mut Sequences) -> anyhow::Result<()> {
        let mut decoder = Decoder::<RawEvent>::new(&self.registry, DEVICE_EVENT);
        let mut blocks = self.tail(topic, partition, StartAt::Beginning).await?;
        while let Some(block) = blocks.next().await.context("read events")? {
            for record in block.iter() {
                let Some(event) = decoder.decode(record.payload).await? else { continue };
                let content = xxh3_64(format!("{} {:?} {}", event.device_id, event.kind, event.at).as_bytes());
                let message = numbered(record.timestamp_ms, event.sequence, &event.device_id, content);
                sequences.add(&event.tenant_id, &event.gateway_id, message);
            }
        }
        Ok(())
    }

    /// Feeds the decisions of a partition to the audit, from `from` to the topic's end now; returns where to go on.
    ///
    /// # Errors
    /// When broker or registry cannot be reached, or a decision cannot be decoded.
    pub(crate) async fn decisions(
        &self,
        topic: &str,
        partition: i32,
        from: Option<i64>,
        audit: &mut Audit,
    ) -> anyhow::Result<i64> {
        let mut each = |decided| match decided {
            Decided::Batch(batch) => audit.decide(&batch.decision()),
            Decided::Unreadable(offset) => audit.unreadable(offset),
            Decided::Displaced => audit.displaced(),
        };
        self.decided(topic, partition, from, &mut each).await
    }

    /// Hands over every record of a partition of decisions, from `from` to the topic's end now; returns where to go on.
    ///
    /// # Errors
    /// As [`Self::decisions`].
    pub(crate) async fn decided(
        &self,
        topic: &str,
        partition: i32,
        from: Option<i64>,
        each: &mut impl FnMut(Decided),
    ) -> anyhow::Result<i64> {
        let mut decoder = Decoder::<DecidedBatch>::new(&self.registry, VALIDATED_BATCH);
        let start = from.map_or(StartAt::Beginning, |next| StartAt::Offset(NextOffset(next)));
        let mut blocks = self.tail(topic, partition, start).await?;
        let mut next = from.unwrap_or_default();
        while let Some(block) = blocks.next().await.context("read decisions")? {
            for record in block.iter() {
                next = record.offset + 1;
                each(match decoder.decode(record.payload).await? {
                    None => Decided::Unreadable(record.offset),
                    // Not through the services' own judgement of it.
                    Some(batch) if ![-1, record.offset].contains(&batch.decision_offset) => Decided::Displaced,
                    Some(batch) => Decided::Batch(Box::new(batch)),
                });
            }
        }
        Ok(next)
    }

    async fn tail(&self, topic: &str, partition: i32, from: StartAt) -> anyhow::Result<kafka_pipeline::TailBlocks> {
        let at = TopicPartition::new(topic, partition);
        read_tail(&self.kafka, &at, from).await.with_context(|| format!("read {topic}-{partition}"))
    }
}

fn numbered(at_ms: i64, sequence: i64, device_id: &str, content: u64) -> Numbered {
    Numbered { at_ms, sequence, device: xxh3_64(device_id.as_bytes()), content }
}

fn readings(batch: &RawBatch, zones: &Zones) -> Vec<(u128, Option<i32>)> {
    let zone = zones.get(&batch.device_id);
    let one = |reading: &RawReading| {
        let fact = Fact {
            tenant_id: &batch.tenant_id,
            device_id: &batch.device_id,
            channel: &reading.channel,
            kind: reading.kind.as_str(),
            start: reading.start,
            value: reading.value,
        };
        (fact.digest(), zone.and_then(|zone| local_day(reading.start, *zone)))
    };
    batch.readings.iter().map(one).collect()
}

/// A record of a topic of decisions.
pub(crate) enum Decided {
    /// A decision.
    Batch(Box<DecidedBatch>),
    /// None, at this offset.
    Unreadable(i64),
    /// Not where its writer counted on, so no decision.
    Displaced,
}

impl DecidedBatch {
    fn fact<'a>(&'a self, reading: &'a DecidedReading) -> Fact<'a> {
        Fact {
            tenant_id: &self.tenant_id,
            device_id: &self.device_id,
            channel: &reading.channel,
            kind: reading.kind.as_str(),
            start: reading.start,
            value: reading.value,
        }
    }

    /// As the audit takes it.
    pub(crate) fn decision(&self) -> Decision {
        Decision {
            source_offset: self.source_offset,
            accepted: self.readings.iter().map(|reading| (self.fact(reading).digest(), reading.local_day)).collect(),
            rejected: self.rejections.iter().map(|rejection| rejection.index).collect(),
        }
    }

    /// The accepted readings that a row is made of, with their local days.
    pub(crate) fn new_rows(&self) -> impl Iterator<Item = (Fact<'_>, i32)> {
        self.readings.iter().filter(|reading| !reading.unchanged).map(|reading| (self.fact(reading), reading.local_day))
    }
}

/// Calendar day in the zone, straight from the time zone database and not through the services' shortcut.
fn local_day(micros: i64, zone: Tz) -> Option<i32> {
    const DAYS_TO_1970: i32 = 719_163;
    let date = DateTime::from_timestamp_micros(micros)?.with_timezone(&zone).date_naive();
    Some(date.num_days_from_ce() - DAYS_TO_1970)
}

struct SmallDecoder {
    inner: Decoder<serde::de::IgnoredAny>,
}

impl SmallDecoder {
    fn new(registry: &Registry) -> Self {
        Self { inner: Decoder::new(registry, DEVICE) }
    }

    /// The device; `None` for a deletion or bytes that are no device.
    async fn device(&mut self, payload: Option<&[u8]>) -> anyhow::Result<Option<Device>> {
        let Some([0, a, b, c, d, datum @ ..]) = payload else { return Ok(None) };
        let Some(writer) = self.inner.look_up(u32::from_be_bytes([*a, *b, *c, *d])).await? else { return Ok(None) };
        Ok(meterway_schemas::decode(&writer, &self.inner.reader, datum).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meter_model::{LocalDay, RejectCode};
    use meterway_schemas::encode::{self, Reading, Rejection, ValidatedReading};

    const READING: Reading<'static> =
        Reading { channel: "c", kind: Kind::Gauge, start: 5, duration_s: 0, value: -7, unit: "L", flags: &["f"] };

    #[test]
    fn a_raw_message_is_read_and_bytes_behind_it_are_not() {
        let batch = encode::ReadingBatch {
            tenant_id: "t",
            device_id: "d",
            gateway_id: "g",
            sequence: 1,
            received_at: Some(2),
            source: Source::Http,
            readings: &[READING],
        };
        let mut datum = Vec::new();
        encode::reading_batch(&batch, &mut datum);
        let schema = READING_BATCH.schema();
        let raw: RawBatch = read(&schema, &schema, &datum).unwrap();
        assert_eq!((raw.readings[0].value, raw.readings[0].start), (-7, 5));
        datum.push(0);
        assert!(read::<RawBatch>(&schema, &schema, &datum).is_none());
        assert!(read::<RawBatch>(&schema, &schema, &datum[..10]).is_none());
    }

    #[test]
    fn a_decision_is_read() {
        let reading = ValidatedReading {
            reading: READING,
            verdict: Verdict::Suspect,
            failed_rules: &["gap"],
            skipped_rules: &[],
            estimation_method: None,
            version: 1,
            local_day: LocalDay(20),
            commodity: Commodity::Water,
        };
        let batch = encode::ValidatedBatch {
            tenant_id: "t",
            device_id: "d",
            gateway_id: "",
            sequence: 1,
            received_at: None,
            source: Source::Kafka,
            customer_id: Some("c"),
            site_id: None,
            source_partition: 3,
            source_offset: 9,
            decision_offset: -1,
            validated_at: 1,
            rules: &["gap"],
            readings: &[reading],
            rejections: &[Rejection { index: 4, code: RejectCode::Negative, detail: "" }],
        };
        let mut datum = Vec::new();
        encode::validated_batch(&batch, &mut datum);
        let schema = VALIDATED_BATCH.schema();
        let batch: DecidedBatch = read(&schema, &schema, &datum).unwrap();
        assert_eq!((batch.new_rows().count(), batch.revision, batch.origin_offset), (1, 0, None));
        let decided = batch.decision();
        assert_eq!((decided.source_offset, decided.accepted[0].1, decided.rejected), (9, 20, vec![4]));
    }
}
