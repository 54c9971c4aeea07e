//! How far a route has come in the partitions it owns, against what its table says.

use std::collections::{BTreeMap, BTreeSet};

use lake::{Advance, Head, HeadKey, HeadSet, Refusal};

/// A partition that the route owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The partition.
    pub key: HeadKey,
    /// Where the table's head stands; `None` when it has none.
    pub committed: Option<i64>,
    /// Where reading began: the head, or the oldest record.
    pub began: i64,
    /// What has been taken in since.
    pub head: Head,
}

impl Progress {
    fn has_advanced(&self) -> bool {
        self.head.next > self.committed.unwrap_or(self.began)
    }
}

/// The partitions of a topic that a route owns: those that the group gave it, and how far each has come.
///
/// A partition without progress waits to be begun, or is refused. The two are kept apart because a restart takes time and
/// may be cut short: the progress is void at once, the ownership is not.
#[derive(Debug, Clone, Default)]
pub struct Owned {
    assigned: BTreeSet<i32>,
    progress: BTreeMap<i32, Progress>,
}

/// What new partitions ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    /// Partitions to begin at the heads.
    pub begin: Vec<i32>,
    /// Whether what was gathered belongs to a state of the table that is gone, and has to be dropped.
    pub void: bool,
}

/// What a block is to a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Of a partition that is not owned, or not begun.
    NotOurs,
    /// It was taken in before, and nothing was begun anew since: a defect.
    Again,
    /// To be taken in behind this head.
    Take(Head),
}

/// What a refused commit asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterRefusal {
    /// Only partitions of others moved: the same files and moves are still right on top of the new state.
    Rebase,
    /// Somebody else took in some of the same records: what was gathered must be dropped.
    Restart,
}

/// What a commit asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AfterCommit {
    /// Positions to commit to the group.
    pub positions: Vec<(i32, i64)>,
    /// Whether others have gone on from there with our partitions already, so that all have to be begun anew.
    pub restart: bool,
}

impl Owned {
    /// Takes over new partitions, when the table stands at `heads`.
    pub fn adopt(&mut self, partitions: &[i32], heads: &HeadSet) -> Adoption {
        let again = partitions.iter().any(|partition| self.progress.contains_key(partition));
        let void = again || !self.agrees_with(heads);
        self.assigned.extend(partitions);
        if void {
            self.abandon();
        }
        Adoption { begin: self.waiting(), void }
    }

    /// Begins a partition where the table stands; returns the offset to read from.
    ///
    /// # Errors
    /// [`Refusal`] when the partition does not hold what the table needs next.
    pub fn begin(&mut self, key: HeadKey, heads: &HeadSet, (low, high): (i64, i64)) -> Result<i64, Refusal> {
        let known = heads.standing(&key, (low, high))?;
        let head = known.unwrap_or(Head::starting_at(low));
        let progress = Progress { committed: known.map(|head| head.next), began: head.next, head, key: key.clone() };
        self.assigned.insert(key.partition);
        self.progress.insert(key.partition, progress);
        Ok(head.next)
    }

    /// Gives a partition up.
    pub fn release(&mut self, partition: i32) {
        self.assigned.remove(&partition);
        self.progress.remove(&partition);
    }

    /// Forgets how far the partitions have come; all of them wait to be begun.
    pub fn abandon(&mut self) {
        self.progress.clear();
    }

    /// The partitions that wait to be begun.
    pub fn waiting(&self) -> Vec<i32> {
        self.assigned.iter().filter(|partition| !self.progress.contains_key(partition)).copied().collect()
    }

    /// What a block is that begins at an offset.
    pub fn admit(&self, partition: i32, first_offset: i64) -> Admission {
        match self.progress.get(&partition) {
            None => Admission::NotOurs,
            Some(progress) if first_offset < progress.head.next => Admission::Again,
            Some(progress) => Admission::Take(progress.head),
        }
    }

    /// The progress of a partition, if it is owned and begun.
    pub fn get_mut(&mut self, partition: i32) -> Option<&mut Progress> {
        self.progress.get_mut(&partition)
    }

    /// Whether all begun partitions are of the topic with this id.
    pub fn are_of(&self, topic_id: &str) -> bool {
        self.progress.values().all(|progress| &*progress.key.topic_id == topic_id)
    }

    /// Whether no partition is owned.
    pub fn is_empty(&self) -> bool {
        self.assigned.is_empty()
    }

    /// The moves of heads that a commit has to make.
    pub fn advances(&self) -> Vec<Advance> {
        let advanced = self.progress.values().filter(|progress| progress.has_advanced());
        advanced
            .map(|progress| Advance { key: progress.key.clone(), from: progress.committed, to: progress.head })
            .collect()
    }

    /// Takes note that the advances were committed, and that the table stands at `heads` now.
    pub fn committed(&mut self, heads: &HeadSet) -> AfterCommit {
        let mut positions = Vec::new();
        for (partition, progress) in &mut self.progress {
            if progress.has_advanced() {
                progress.committed = Some(progress.head.next);
                positions.push((*partition, progress.head.next));
            }
        }
        AfterCommit { positions, restart: !self.agrees_with(heads) }
    }

    /// What to do when a commit was refused because the table has moved on to `heads`.
    pub fn after_refusal(&self, heads: &HeadSet) -> AfterRefusal {
        if self.agrees_with(heads) { AfterRefusal::Rebase } else { AfterRefusal::Restart }
    }

    /// Whether the table's heads of all begun partitions stand where this route left them. When they do, whatever else
    /// changed in the table, the rows gathered since are still exactly those that are missing. When one does not,
    /// somebody else took in some of the same records, and everything gathered has to be dropped.
    fn agrees_with(&self, heads: &HeadSet) -> bool {
        self.progress
            .values()
            .all(|progress| heads.get(&progress.key).is_ok_and(|head| head.map(|head| head.next) == progress.committed))
    }
}
