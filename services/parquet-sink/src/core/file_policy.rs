//! When a part is written as a file, and when files are committed.

use std::collections::BTreeMap;
use std::time::Duration;

use lake::PartitionValue;

use super::rows::Gathered;

/// Bytes in memory per byte in a file, roughly: rows lie in memory as plain columns, in files they are encoded and
/// compressed. Only the size trigger of the commit depends on it.
const MEMORY_PER_FILE_BYTE: u64 = 5;

/// From so many files on, what waits is scattered over more days than a fleet delivers at once: a backfill. Files would be
/// tiny if it were committed as often as live rows.
pub const SCATTERED_FILES: usize = 128;

/// A part below this share of the memory budget is not worth a file of its own while others wait.
const SMALL_PART_SHARE: usize = 64;

/// The triggers of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitTriggers {
    /// Rows.
    pub rows: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// Files, finished and still to be written: bounds what one commit adds, and the memory that finished files take.
    pub files: usize,
    /// Age of the oldest row.
    pub age: Duration,
    /// Age of the oldest row when the rows are scattered over [`SCATTERED_FILES`] files and more.
    pub scattered_age: Duration,
    /// Age of the oldest message when the messages made no row: heads move by themselves so rarely, because every commit
    /// adds a snapshot to the table.
    pub idle_age: Duration,
}

/// What would be committed now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uncommitted {
    /// Rows, in files and in memory.
    pub rows: u64,
    /// Finished files, and parts that will be files.
    pub files: usize,
    /// Bytes of finished files.
    pub file_bytes: u64,
    /// Bytes in memory.
    pub memory_bytes: u64,
    /// When the oldest message was taken in, microseconds since 1970-01-01; `None` when none was.
    pub since_micros: Option<i64>,
}

/// Why a commit is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitReason {
    /// Enough rows.
    Rows,
    /// Enough bytes.
    Bytes,
    /// Enough files.
    Files,
    /// Memory is short, and no part is large enough for a file of its own.
    Memory,
    /// The oldest row has waited long enough.
    Age,
    /// No row, but the heads have not moved for long.
    Idle,
    /// Partitions are being given up.
    Revoked,
    /// The process ends.
    Shutdown,
}

impl CommitReason {
    /// The value of a metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Bytes => "bytes",
            Self::Files => "files",
            Self::Memory => "memory",
            Self::Age => "age",
            Self::Idle => "idle",
            Self::Revoked => "revoked",
            Self::Shutdown => "shutdown",
        }
    }
}

impl CommitTriggers {
    /// Whether a commit is due, and why.
    pub fn due(&self, uncommitted: &Uncommitted, now_micros: i64) -> Option<CommitReason> {
        let since = uncommitted.since_micros?;
        let age = Duration::from_micros(u64::try_from(now_micros.saturating_sub(since)).unwrap_or(0));
        let bytes = uncommitted.file_bytes + uncommitted.memory_bytes / MEMORY_PER_FILE_BYTE;
        if uncommitted.rows == 0 {
            (age >= self.idle_age).then_some(CommitReason::Idle)
        } else if uncommitted.rows >= self.rows {
            Some(CommitReason::Rows)
        } else if bytes >= self.bytes {
            Some(CommitReason::Bytes)
        } else if uncommitted.files >= self.files {
            Some(CommitReason::Files)
        } else {
            let scattered = uncommitted.files >= SCATTERED_FILES;
            let allowed = if scattered { self.scattered_age.max(self.age) } else { self.age };
            (age >= allowed).then_some(CommitReason::Age)
        }
    }
}

/// What to do when memory is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relief {
    /// Write this part as a file.
    Close(PartitionValue),
    /// Commit everything: all parts are small, and closing one after the other would make several files of each.
    Commit,
}

/// What to do when memory is short. The largest part is written, of equal ones the oldest. Late rows make small parts, which
/// therefore stay open and do not force anybody else's file to be closed.
pub fn relief(gathered: &BTreeMap<PartitionValue, Gathered>, budget_bytes: usize) -> Option<Relief> {
    let (partition, size) = gathered.iter().max_by_key(|(_, size)| (size.bytes, std::cmp::Reverse(size.order)))?;
    let small = size.bytes < budget_bytes / SMALL_PART_SHARE;
    Some(if small { Relief::Commit } else { Relief::Close(*partition) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIGGERS: CommitTriggers = CommitTriggers {
        rows: 1000,
        bytes: 10_000,
        files: 500,
        age: Duration::from_secs(60),
        scattered_age: Duration::from_secs(300),
        idle_age: Duration::from_secs(600),
    };

    fn uncommitted(rows: u64, file_bytes: u64, memory_bytes: u64) -> Uncommitted {
        Uncommitted { rows, files: 1, file_bytes, memory_bytes, since_micros: Some(0) }
    }

    #[test]
    fn a_backfill_waits_longer_and_has_its_number_of_files() {
        let scattered =
            |files, second: i64| TRIGGERS.due(&Uncommitted { files, ..uncommitted(900, 0, 0) }, second * 1_000_000);
        assert_eq!(scattered(SCATTERED_FILES - 1, 60), Some(CommitReason::Age));
        assert_eq!(scattered(SCATTERED_FILES, 299), None);
        assert_eq!(scattered(SCATTERED_FILES, 300), Some(CommitReason::Age));
        assert_eq!(scattered(500, 0), Some(CommitReason::Files));
    }

    #[test]
    fn each_trigger_fires_by_itself() {
        let second = 1_000_000;
        assert_eq!(TRIGGERS.due(&Uncommitted::default(), i64::MAX), None, "nothing was taken in");
        assert_eq!(TRIGGERS.due(&uncommitted(999, 100, 100), second), None);
        assert_eq!(TRIGGERS.due(&uncommitted(1000, 100, 100), second), Some(CommitReason::Rows));
        assert_eq!(TRIGGERS.due(&uncommitted(10, 10_000, 0), second), Some(CommitReason::Bytes));
        assert_eq!(TRIGGERS.due(&uncommitted(10, 0, 50_000), second), Some(CommitReason::Bytes));
        assert_eq!(TRIGGERS.due(&uncommitted(1, 0, 0), 60 * second), Some(CommitReason::Age));
        assert_eq!(TRIGGERS.due(&uncommitted(0, 0, 0), 599 * second), None);
        assert_eq!(TRIGGERS.due(&uncommitted(0, 0, 0), 600 * second), Some(CommitReason::Idle));
    }

    #[test]
    fn a_clock_that_steps_back_triggers_nothing() {
        assert_eq!(TRIGGERS.due(&uncommitted(1, 0, 0), -5_000_000_000), None);
    }

    #[test]
    fn the_largest_part_goes_first_and_late_rows_stay() {
        let size = |bytes, order| Gathered { rows: 1, bytes, order };
        let gathered = BTreeMap::from([
            (PartitionValue::Day(1), size(10, 9)),
            (PartitionValue::Day(2), size(500, 2)),
            (PartitionValue::Day(3), size(500, 1)),
        ]);
        assert_eq!(relief(&gathered, 64 * 500), Some(Relief::Close(PartitionValue::Day(3))));
        assert_eq!(relief(&gathered, 64 * 501), Some(Relief::Commit), "no part is worth a file");
        assert_eq!(relief(&BTreeMap::new(), 1), None);
    }
}
