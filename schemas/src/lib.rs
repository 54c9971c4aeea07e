//! The Avro contracts of Meterway and typed access to them.
//!
//! Guarantees: the seven `.avsc` files under `avro/` are the contract of the topics; every released version of them stays
//! readable (`golden/` holds the bytes of each version, append-only); the encoders here write exactly what the schema
//! says (tests compare them with apache-avro byte for byte).
//!
//! Three ways to use a contract:
//! * hot topics, writing: [`encode`] writes a datum straight into a reused buffer;
//! * hot topics, reading: decode to Arrow and view the columns through [`columns`];
//! * small topics: the serde structs [`Device`], [`DeviceEvent`], [`Alert`], [`LakeCommit`], [`WarehouseLoad`].
//!
//! Framing with the registry's schema id is `kafka-pipeline`'s.

pub mod columns;
pub mod encode;
mod records;
pub mod replay;

pub use records::alert::{Alert, AlertKind, AlertState, Severity};
pub use records::device::{CustomerClass, Device, DeviceChannel, DeviceStatus, MeterExchange};
pub use records::event::{DeviceEvent, DeviceEventKind};
pub use records::lake_commit::{LakeCommit, LakeFile, OffsetRange};
pub use records::warehouse_load::WarehouseLoad;
pub use records::{Source, decode, encode_record};

/// One Avro contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contract {
    /// Full name of the record, as in the schema.
    pub name: &'static str,
    /// The schema as JSON text.
    pub avsc: &'static str,
}

impl Contract {
    /// The parsed schema.
    pub fn schema(&self) -> apache_avro::Schema {
        apache_avro::Schema::parse_str(self.avsc).expect("the schema is part of the program and a test parses it")
    }
}

/// What one device delivered together; value of the raw topic.
pub const READING_BATCH: Contract =
    Contract { name: "meterway.v1.ReadingBatch", avsc: include_str!("../avro/reading_batch.avsc") };
/// The one decision about a raw message; value of the validated topic.
pub const VALIDATED_BATCH: Contract =
    Contract { name: "meterway.v1.ValidatedBatch", avsc: include_str!("../avro/validated_batch.avsc") };
/// What a device reports besides readings; value of the events topic.
pub const DEVICE_EVENT: Contract =
    Contract { name: "meterway.v1.DeviceEvent", avsc: include_str!("../avro/device_event.avsc") };
/// State of a device; value of the devices topic.
pub const DEVICE: Contract = Contract { name: "meterway.v1.Device", avsc: include_str!("../avro/device.avsc") };
/// A change of an alert's state; value of the alerts topic.
pub const ALERT: Contract = Contract { name: "meterway.v1.Alert", avsc: include_str!("../avro/alert.avsc") };
/// A snapshot committed to the lake; value of the lake commits topic.
pub const LAKE_COMMIT: Contract =
    Contract { name: "meterway.v1.LakeCommit", avsc: include_str!("../avro/lake_commit.avsc") };
/// A snapshot loaded into the warehouse; value of the warehouse loads topic.
pub const WAREHOUSE_LOAD: Contract =
    Contract { name: "meterway.v1.WarehouseLoad", avsc: include_str!("../avro/warehouse_load.avsc") };

/// Whether a message of a topic of decisions is one: only at the offset that its writer counted on.
///
/// A writer counts on the offsets behind the last one that it has read. So whatever a writer that was given up, or a
/// successor that had not heard of its last messages, puts between, each decision that counts was made in knowledge of all
/// that count before it. Messages of older writers (negative) always count.
pub const fn counts(decision_offset: i64, offset: i64) -> bool {
    decision_offset < 0 || decision_offset == offset
}

/// Every contract.
pub const CONTRACTS: &[Contract] =
    &[READING_BATCH, VALIDATED_BATCH, DEVICE_EVENT, DEVICE, ALERT, LAKE_COMMIT, WAREHOUSE_LOAD];

#[cfg(test)]
mod tests;
