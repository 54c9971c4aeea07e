//! What the replay lane is told beside the unchanged bytes of a raw message.
//!
//! `meterway replay` writes a [`ReplayNote`] into the header [`REPLAY_HEADER`] of every message of the replay topic: where
//! the message stood in the raw topic, when it came, and what the lake holds of its readings. With it the lane's validator
//! gives a re-validated reading its place among the rows that exist without asking anybody.

use serde::{Deserialize, Serialize};

/// Header of a message of the replay topic: a [`ReplayNote`] as JSON.
pub const REPLAY_HEADER: &str = "meterway.replay";

/// See the module documentation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReplayNote {
    /// Number of the replay; every replay has a higher one than those before.
    pub revision: i64,
    /// Offset of the raw message in the raw topic, in the same partition.
    pub origin_offset: i64,
    /// Kafka's timestamp of the raw message, milliseconds: the time that the rules judge by.
    pub timestamp_ms: i64,
    /// What was asked for, as text; a replay that was killed is continued by the same request.
    pub plan: String,
    /// Origin offset of the last message of the replay in this partition.
    pub last_offset: i64,
    /// Number of partitions in which the replay has messages.
    pub partitions: u32,
    /// The message lies before the range: it is judged and remembered, and makes no row.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lead: bool,
    /// Customer and site of the rows that the message has made, kept by rows that replace them; `None` when it has made
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The newest row of each reading of the message that has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<KnownRow>,
    /// What is known around each reading of the message that has none, where anything is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub around: Vec<Around>,
}

/// Whom the readings of a message were attributed to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Owner {
    /// Customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
}

/// The row that a reading of the message has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownRow {
    /// Position of the reading in the raw message.
    #[serde(rename = "i")]
    pub index: u32,
    /// Its version, which all its revisions share.
    #[serde(rename = "v")]
    pub version: i32,
    /// Names of the rules it failed.
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    pub failed_rules: Vec<String>,
    /// Its local day, days since 1970-01-01.
    #[serde(rename = "d")]
    pub local_day: i32,
    /// Its commodity.
    #[serde(rename = "c")]
    pub commodity: String,
}

/// Rows around a reading that has none of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Around {
    /// Position of the reading in the raw message.
    #[serde(rename = "i")]
    pub index: u32,
    /// Newest row of the same natural key from an earlier raw message.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub same: Option<RowAt>,
    /// Highest version that the live lane gave the key in earlier raw messages; 0 when it gave none.
    #[serde(rename = "v", default)]
    pub live_version: i32,
    /// Last row of the channel that starts before the reading, from whatever message.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub before: Option<RowAt>,
    /// First row of the channel that starts after the reading, from whatever message.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub after: Option<RowAt>,
}

/// Start, length and value of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowAt {
    /// Start; UTC microseconds.
    #[serde(rename = "t")]
    pub start: i64,
    /// Length in seconds; 0 unless an interval.
    #[serde(rename = "l")]
    pub duration_s: i32,
    /// Unscaled decimal(18,6).
    #[serde(rename = "x")]
    pub value: i64,
    /// Version.
    #[serde(rename = "v")]
    pub version: i32,
}

impl ReplayNote {
    /// Reads the value of the header.
    ///
    /// # Errors
    /// When it is no note.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The value of the header.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and texts always serialise")
    }

    /// The row of a reading of the message.
    pub fn row(&self, index: usize) -> Option<&KnownRow> {
        let index = u32::try_from(index).ok()?;
        self.rows.binary_search_by_key(&index, |row| row.index).ok().map(|found| &self.rows[found])
    }

    /// What is known around a reading of the message.
    pub fn around(&self, index: usize) -> Option<&Around> {
        let index = u32::try_from(index).ok()?;
        self.around.binary_search_by_key(&index, |around| around.index).ok().map(|found| &self.around[found])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_survives_its_header_and_is_looked_up_by_index() {
        let row = |index| KnownRow {
            index,
            version: 2,
            failed_rules: vec!["gap".into()],
            local_day: 20_541,
            commodity: "WATER".into(),
        };
        let at = RowAt { start: 1, duration_s: 1800, value: -5, version: 1 };
        let note = ReplayNote {
            revision: 7,
            origin_offset: 3,
            timestamp_ms: 9,
            plan: "p".into(),
            last_offset: 8,
            partitions: 4,
            lead: true,
            owner: Some(Owner { customer: None, site: Some("s".into()) }),
            rows: vec![row(0), row(4)],
            around: vec![Around { index: 2, same: Some(at), live_version: 1, before: None, after: Some(at) }],
        };
        assert_eq!(ReplayNote::parse(&note.to_bytes()).unwrap(), note);
        assert_eq!((note.row(4), note.row(2)), (Some(&row(4)), None));
        assert_eq!(note.around(2).and_then(|around| around.same), Some(at));
    }

    #[test]
    fn bytes_that_are_no_note_are_an_error() {
        assert!(ReplayNote::parse(b"{\"revision\":1}").is_err());
        assert!(ReplayNote::parse(b"").is_err());
    }
}
