//! A table of the lake: objects, and a catalogue that compares and sets.

use std::collections::BTreeSet;

use lake::core::history::{Marked, NoHeads, TableHeads, newest_heads};
use lake::{Head, HeadSet};
use uuid::Uuid;

use super::{Route, Row};

/// A snapshot.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Id.
    pub id: i64,
    /// The one before.
    pub parent: Option<i64>,
    /// The writer's commit id.
    pub commit_id: Option<Uuid>,
    /// The summary's text.
    pub heads: Option<String>,
    /// Files it adds.
    pub files: Vec<usize>,
}

/// A commit on its way.
#[derive(Debug, Clone)]
pub struct Request {
    /// The snapshot that must be current.
    pub expected: Option<i64>,
    /// The snapshot to add; its parent is `expected`.
    pub snapshot: Snapshot,
}

/// The table is not where the request expects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict;

/// See the module documentation.
#[derive(Debug)]
pub struct Table {
    /// What it is fed with.
    pub route: Route,
    snapshots: Vec<Snapshot>,
    /// The object store: files and their rows, committed or not.
    files: Vec<Vec<Row>>,
    /// Commits whose caller has stopped waiting.
    pub late: Vec<Request>,
    /// Rows of committed files.
    pub rows: BTreeSet<Row>,
    heads: HeadSet,
}

impl Table {
    /// An empty table.
    pub fn new(route: Route) -> Self {
        Self {
            route,
            snapshots: Vec::new(),
            files: Vec::new(),
            late: Vec::new(),
            rows: BTreeSet::new(),
            heads: HeadSet::default(),
        }
    }

    /// The current snapshot.
    pub fn current(&self) -> Option<i64> {
        self.snapshots.last().map(|snapshot| snapshot.id)
    }

    /// Snapshots, newest first.
    pub fn history(&self) -> impl Iterator<Item = &Snapshot> {
        self.snapshots.iter().rev()
    }

    /// A snapshot.
    pub fn snapshot(&self, id: i64) -> Option<&Snapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.id == id)
    }

    /// What the heads are, by the product's own reading of the history.
    pub fn read_heads(&self) -> Result<TableHeads, NoHeads> {
        let marked = self.history().map(|one| {
            let Snapshot { id, commit_id, heads, .. } = one;
            Marked { id: *id, commit_id: *commit_id, heads: heads.as_deref() }
        });
        newest_heads(marked, !self.rows.is_empty())
    }

    /// The head of a partition, whatever the topic's id.
    pub fn head(&self, partition: usize) -> Option<Head> {
        self.heads.iter().find(|(key, _)| key.partition == partition as i32).map(|(_, head)| *head)
    }

    /// Stores an object; returns its number.
    pub fn put(&mut self, rows: Vec<Row>) -> usize {
        self.files.push(rows);
        self.files.len() - 1
    }

    /// Rows of a file.
    pub fn file(&self, number: usize) -> &[Row] {
        &self.files[number]
    }

    /// Adds a snapshot of another engine.
    pub fn add_foreign(&mut self, id: i64) {
        let parent = self.current();
        self.snapshots.push(Snapshot { id, parent, commit_id: None, heads: None, files: Vec::new() });
    }

    /// Commits, if the table is where the request expects it. The inner error is a broken promise.
    pub fn commit(&mut self, request: Request) -> Result<Result<(), String>, Conflict> {
        if self.current() != request.expected {
            return Err(Conflict);
        }
        let checked = self.take(&request.snapshot);
        self.snapshots.push(request.snapshot);
        Ok(checked)
    }

    /// What must hold whenever a snapshot is added.
    fn take(&mut self, snapshot: &Snapshot) -> Result<(), String> {
        let heads = match &snapshot.heads {
            Some(text) => HeadSet::from_summary(text)?,
            None => HeadSet::default(),
        };
        for (key, before) in self.heads.iter() {
            let after = heads.get(key).map_err(|error| error.to_string())?;
            let back = |after: Head| after.next < before.next || after.watermark < before.watermark;
            if after.is_none_or(back) {
                return Err(format!("the head of {key} goes back from {before:?} to {after:?}"));
            }
        }
        self.heads = heads;
        for file in &snapshot.files {
            for row in &self.files[*file] {
                if !self.rows.insert(*row) {
                    return Err(format!("{row:?} is in the table twice"));
                }
            }
        }
        Ok(())
    }
}
