//! What the brokers have acknowledged: the other side of the account that `verify` draws up.

use anyhow::Context;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

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

/// Counts acknowledgements by partition, and writes each to a file if wanted: `{"partition":0,"offset":12,"readings":48}`.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    partitions: BTreeMap<i32, Acknowledged>,
    file: Option<BufWriter<File>>,
}

impl Journal {
    /// A journal, with a file if a path is given.
    pub(crate) fn create(path: Option<&Path>) -> anyhow::Result<Self> {
        let create = |path: &Path| File::create(path).with_context(|| format!("create journal {}", path.display()));
        Ok(Self { partitions: BTreeMap::new(), file: path.map(create).transpose()?.map(BufWriter::new) })
    }

    /// Notes an acknowledged message.
    pub(crate) fn note(&mut self, partition: i32, offset: i64, readings: u32) -> anyhow::Result<()> {
        let empty = Acknowledged { partition, messages: 0, readings: 0, first_offset: offset, last_offset: offset };
        let entry = self.partitions.entry(partition).or_insert(empty);
        entry.messages += 1;
        entry.readings += u64::from(readings);
        entry.first_offset = entry.first_offset.min(offset);
        entry.last_offset = entry.last_offset.max(offset);
        if let Some(file) = &mut self.file {
            writeln!(file, "{{\"partition\":{partition},\"offset\":{offset},\"readings\":{readings}}}")
                .context("write journal")?;
        }
        Ok(())
    }

    /// Writes what is buffered.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.flush().context("write journal"))
    }

    /// The account by partition.
    pub(crate) fn partitions(&self) -> Vec<Acknowledged> {
        self.partitions.values().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_acknowledgement_is_a_line_and_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.ndjson");
        let mut journal = Journal::create(Some(&path)).unwrap();
        for (partition, offset, readings) in [(1, 7, 48), (0, 3, 1), (1, 6, 2)] {
            journal.note(partition, offset, readings).unwrap();
        }
        journal.flush().unwrap();
        let lines = std::fs::read_to_string(&path).unwrap();
        assert_eq!(lines.lines().next(), Some(r#"{"partition":1,"offset":7,"readings":48}"#));
        let second = journal.partitions()[1];
        assert_eq!((second.messages, second.readings, second.first_offset, second.last_offset), (2, 50, 6, 7));
    }
}
