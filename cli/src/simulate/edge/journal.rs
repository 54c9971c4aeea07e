//! The producer's side of the account: what was about to be sent, and what was acknowledged. README.md has the format.
//!
//! Every line is one write to the end of the file, the attempt before the message leaves, the acknowledgement after it
//! came: a simulator that is killed leaves no acknowledged message behind of which the file knows nothing.

use anyhow::Context;
use kafka_pipeline::Delivered;
use meterway_schemas::DeviceEventKind;
use meterway_schemas::encode::Reading;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

/// What was acknowledged of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Acknowledged {
    /// The partition.
    pub partition: i32,
    /// Messages.
    pub messages: u64,
    /// Readings in them.
    pub readings: u64,
    /// Lowest offset.
    pub first_offset: i64,
    /// Highest offset.
    pub last_offset: i64,
}

/// The first line of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RunLine {
    /// Version of the format.
    pub version: u32,
    /// Names the run: a file may hold several.
    pub run: Uuid,
    /// The scenario's seed.
    pub seed: u64,
    /// Its devices.
    pub devices: usize,
    /// Its days.
    pub days: usize,
    /// The first day behind them.
    pub until: String,
}

/// Number of an attempt within its run, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct AttemptId(u64);

/// A message that is about to be sent. Fields without content are left out.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Attempt<'a> {
    /// Topic it is for.
    pub topic: &'a str,
    /// `kafka` or `http`.
    pub way: &'static str,
    /// Tenant it claims.
    pub tenant: &'a str,
    /// Device it claims.
    pub device: &'a str,
    /// Key, where it is not the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<&'a str>,
    /// Hash of the payload, and its length.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
    /// The fault that the device carries on this day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
    /// How the bytes are broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<&'static str>,
    /// The readings in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<Series<'a>>,
    /// The event, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventNote>,
}

/// What bytes were sent.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Payload {
    payload_xxh3: String,
    payload_bytes: usize,
}

impl Payload {
    /// Of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { payload_xxh3: format!("{:016x}", xxh3_64(bytes)), payload_bytes: bytes.len() }
    }
}

/// A device event.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct EventNote {
    /// What happened.
    pub kind: DeviceEventKind,
    /// When; UTC microseconds.
    pub at: i64,
}

/// Readings of one channel at equal distances: the i-th starts at `start + i * step`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Series<'a> {
    channel: &'a str,
    kind: &'static str,
    start: i64,
    step: i64,
    values: Vec<i64>,
}

impl<'a> Series<'a> {
    /// Puts readings together as far as they follow each other, and keeps their order.
    pub(crate) fn of(readings: &[Reading<'a>]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for reading in readings {
            if !all.last_mut().is_some_and(|last| last.take_in(reading)) {
                all.push(Self {
                    channel: reading.channel,
                    kind: reading.kind.as_str(),
                    start: reading.start,
                    step: 0,
                    values: vec![reading.value],
                });
            }
        }
        all
    }

    /// Takes the reading in if it is the next one; the second decides about the distance.
    fn take_in(&mut self, reading: &Reading<'_>) -> bool {
        if (self.channel, self.kind) != (reading.channel, reading.kind.as_str()) {
            return false;
        }
        if self.values.len() == 1 {
            self.step = reading.start - self.start;
        }
        let follows = reading.start == self.start + self.step * self.values.len() as i64;
        if follows {
            self.values.push(reading.value);
        }
        follows
    }
}

/// Counts acknowledgements by partition, and writes attempts and acknowledgements to a file if wanted.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    partitions: BTreeMap<i32, Acknowledged>,
    file: Option<File>,
    line: Vec<u8>,
    attempts: u64,
    acked: u64,
}

impl Journal {
    /// A journal, at the end of a file if a path is given.
    pub(crate) fn open(path: Option<&Path>, run: &RunLine) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let open = || -> std::io::Result<File> {
            let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
            if torn(&mut file)? {
                file.write_all(b"\n")?;
            }
            Ok(file)
        };
        let file = open().with_context(|| format!("open journal {}", path.display()))?;
        let mut journal = Self { file: Some(file), ..Self::default() };
        journal.write(&serde_json::json!({ "journal": run }))?;
        Ok(journal)
    }

    /// Whether attempts are written; if not, making them is wasted.
    pub(crate) fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// Notes that a message is about to be sent.
    pub(crate) fn attempt<'a>(&mut self, attempt: impl FnOnce() -> Attempt<'a>) -> anyhow::Result<AttemptId> {
        #[derive(Serialize)]
        struct Line<'a> {
            attempt: AttemptId,
            #[serde(flatten)]
            of: Attempt<'a>,
        }
        self.attempts += 1;
        let id = AttemptId(self.attempts);
        if self.is_kept() {
            self.write(&Line { attempt: id, of: attempt() })?;
        }
        Ok(id)
    }

    /// Notes that the broker has a message of the topic of readings.
    pub(crate) fn stored(&mut self, id: AttemptId, at: Delivered, readings: u32) -> anyhow::Result<()> {
        let Delivered { partition, offset } = at;
        // The offset is -1 when a repeated request has left it unknown.
        let first_offset = if offset < 0 { i64::MAX } else { offset };
        let empty = Acknowledged { partition, messages: 0, readings: 0, first_offset, last_offset: offset };
        let entry = self.partitions.entry(partition).or_insert(empty);
        entry.messages += 1;
        entry.readings += u64::from(readings);
        entry.first_offset = entry.first_offset.min(first_offset);
        entry.last_offset = entry.last_offset.max(offset);
        self.event_stored(id, at)
    }

    /// Notes that the broker has an event.
    pub(crate) fn event_stored(&mut self, id: AttemptId, at: Delivered) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Line {
            ack: AttemptId,
            partition: i32,
            offset: i64,
        }
        self.acked += 1;
        self.write(&Line { ack: id, partition: at.partition, offset: at.offset })
    }

    /// Notes that the HTTP door has answered for these.
    pub(crate) fn answered(&mut self, ids: &[AttemptId], status: u16) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Line {
            ack: AttemptId,
            status: u16,
        }
        self.acked += ids.len() as u64;
        ids.iter().try_for_each(|id| self.write(&Line { ack: *id, status }))
    }

    /// Notes that the run has ended in good order.
    pub(crate) fn end(&mut self) -> anyhow::Result<()> {
        let (attempts, acked) = (self.attempts, self.acked);
        self.write(&serde_json::json!({ "end": { "attempts": attempts, "acked": acked } }))
    }

    /// The account by partition.
    pub(crate) fn partitions(&self) -> Vec<Acknowledged> {
        self.partitions.values().copied().collect()
    }

    /// A line in one write, so that nothing stands between it and the file when the process dies.
    fn write(&mut self, line: &impl Serialize) -> anyhow::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        self.line.clear();
        serde_json::to_writer(&mut self.line, line).context("write journal")?;
        self.line.push(b'\n');
        file.write_all(&self.line).context("write journal")
    }
}

/// Whether the file ends within a line: its writer was killed in the middle of one.
fn torn(file: &mut File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != [b'\n'])
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
