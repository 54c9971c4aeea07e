//! The replay lane: raw messages of the landing table, judged again by today's rules and devices, and put in their place
//! among the rows that exist.
//!
//! Guarantees: a reading that has a row keeps its version, so that the row of a later message stays above it; a reading
//! that has none gets the version behind the live lane's last before it in the raw log; an outcome that the lake holds
//! already is marked and makes no row; a message of a replay that was judged already, or of a replay that a newer one has
//! overtaken, decides nothing.
//!
//! Does not do: take a row away. A reading that was accepted and is refused now is reported, and its row stays.

use crate::core::decide::Message;
use crate::core::decision::{Accepted, Decision, WHOLE_MESSAGE};
use crate::core::devices::Device;
use crate::core::history::{Known, Neighbours};
use crate::core::rules::{RuleId, RuleSet};
use meter_model::RejectCode;
use meterway_schemas::encode::{Reading, ReplayMarks};
use meterway_schemas::replay::{Around, KnownRow, ReplayNote, RowAt};

/// The order of the messages of a lane's partition: by replay, then by raw offset.
pub type Turn = (i64, i64);

/// How a message of the lane stands to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The first of its replay: what was remembered is of the replay before, and would make duplicates of everything.
    FirstOfReplay,
    /// Behind others of its replay.
    Next,
    /// It, or one that comes behind it, was judged.
    Past,
}

/// Which messages of a partition were judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turns {
    newest: Option<Turn>,
}

impl Turns {
    /// Behind a message that was judged last; `None` when none was.
    pub fn behind(newest: Option<Turn>) -> Self {
        Self { newest }
    }

    /// The message that was judged last.
    pub fn newest(&self) -> Option<Turn> {
        self.newest
    }

    /// How a message stands to those before it; takes note of it.
    pub fn take(&mut self, (revision, origin_offset): Turn) -> Standing {
        let turn = (revision, origin_offset);
        let standing = match self.newest {
            Some(newest) if turn <= newest => Standing::Past,
            Some((before, _)) if before == revision => Standing::Next,
            _ => Standing::FirstOfReplay,
        };
        self.newest = self.newest.max(Some(turn));
        standing
    }
}

/// The version of a reading of a replayed message.
pub fn version(note: &ReplayNote, index: usize) -> i32 {
    let behind_live = || note.around(index).map_or(0, |around| around.live_version).saturating_add(1);
    note.row(index).map_or_else(behind_live, |row| row.version)
}

/// What the lake knows around a reading that has no row, added to what the lane knows itself. The lane's own knowledge is
/// that of today's rules; the lake's reaches further back, and holds rows that today's rules would refuse.
pub fn add_neighbours(own: &mut Neighbours, note: &ReplayNote, index: usize) {
    let Some(Around { same, before, after, .. }) = note.around(index) else { return };
    own.same = own.same.or(same.as_ref().map(known));
    let nearer = |known: &Option<Known>| known.map(|known| known.start);
    let (before, after) = (before.as_ref().map(known), after.as_ref().map(known));
    if nearer(&before) > nearer(&own.before) {
        own.before = before;
    }
    if own.after.is_none() || after.is_some_and(|after| own.after.is_some_and(|own| after.start < own.start)) {
        own.after = after.or(own.after);
    }
}

fn known(row: &RowAt) -> Known {
    Known { start: row.start, value: row.value, duration_s: row.duration_s, version: row.version }
}

/// For each reading, whether its message names its natural key more than once. Such a reading gets no first row: which
/// of the readings the row belongs to could not be told by the next replay.
pub fn named_twice(readings: &[Reading<'_>]) -> Vec<bool> {
    let key = |index: &usize| {
        let reading = &readings[*index];
        (reading.start, reading.kind as u8, reading.channel)
    };
    let mut order: Vec<usize> = (0..readings.len()).collect();
    order.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    let mut twice = vec![false; readings.len()];
    for pair in order.windows(2).filter(|pair| key(&pair[0]) == key(&pair[1])) {
        twice[pair[0]] = true;
        twice[pair[1]] = true;
    }
    twice
}

/// Counts of what became of readings on the lane, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Readings whose row says the same.
    pub unchanged: u64,
    /// Readings whose row is replaced by a newer revision.
    pub changed: u64,
    /// Readings that get their first row.
    pub new: u64,
    /// Readings that have a row and are refused now.
    pub refused: u64,
    /// Readings and whole messages that were refused and are so again.
    pub rejected: u64,
    /// Messages before the range.
    pub lead: u64,
    /// Messages that were judged already.
    pub repeated: u64,
}

/// The marks of a decision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    revision: i64,
    origin_offset: Option<i64>,
    unchanged: Vec<bool>,
    had_row: Vec<bool>,
}

impl Marks {
    /// Compares a decision with what the lake holds, and counts.
    pub fn of(note: &ReplayNote, decision: &Decision<'_>, outcomes: &mut Outcomes) -> Self {
        let unchanged: Vec<bool> = decision
            .accepted
            .iter()
            .map(|accepted| note.lead || is_unchanged(note, decision.device, accepted))
            .collect();
        let had_row: Vec<bool> = decision
            .rejected
            .iter()
            .map(|rejected| match usize::try_from(rejected.index) {
                Ok(index) => note.row(index).is_some(),
                Err(_) => rejected.index == WHOLE_MESSAGE && !note.rows.is_empty(),
            })
            .collect();
        let repeated = decision.rejected.iter().any(|rejected| rejected.code == RejectCode::Repeated);
        if repeated {
            outcomes.repeated += 1;
        } else if note.lead {
            outcomes.lead += 1;
        } else {
            for (accepted, unchanged) in decision.accepted.iter().zip(&unchanged) {
                match (unchanged, note.row(accepted.index)) {
                    (true, _) => outcomes.unchanged += 1,
                    (false, Some(_)) => outcomes.changed += 1,
                    (false, None) => outcomes.new += 1,
                }
            }
            let refused = had_row.iter().filter(|had_row| **had_row).count() as u64;
            outcomes.refused += refused;
            outcomes.rejected += had_row.len() as u64 - refused;
        }
        let (revision, origin_offset) = (note.revision, Some(note.origin_offset));
        // A message that is out of turn, or before the range, reports nothing.
        let had_row = if repeated || note.lead { Vec::new() } else { had_row };
        Self { revision, origin_offset, unchanged, had_row }
    }

    /// As the encoder takes them.
    pub fn borrow(&self) -> ReplayMarks<'_> {
        ReplayMarks {
            revision: self.revision,
            origin_offset: self.origin_offset,
            unchanged: &self.unchanged,
            had_row: &self.had_row,
        }
    }
}

/// Whether the row of a reading says what a new one would say. What could not be judged, then or now, is no difference:
/// knowing less, or more, of the past is no new outcome.
fn is_unchanged(note: &ReplayNote, device: Option<&Device>, accepted: &Accepted) -> bool {
    let (Some(row), Some(device)) = (note.row(accepted.index), device) else { return false };
    let judged: RuleSet = failed_of(row).iter().filter(|rule| !accepted.skipped.contains(*rule)).collect();
    judged == accepted.failed && row.local_day == accepted.local_day.0 && row.commodity == device.commodity.as_str()
}

fn failed_of(row: &KnownRow) -> RuleSet {
    row.failed_rules.iter().filter_map(|name| RuleId::parse(name)).collect()
}

/// The customer that the rows of a message are attributed to: that of its earlier rows, else today's. The register knows
/// only who lives there now, and a replay must not move last year's consumption to them.
pub fn customer<'a>(note: &'a ReplayNote, device: &'a Device) -> Option<&'a str> {
    note.owner.as_ref().map_or(device.customer.as_deref(), |owner| owner.customer.as_deref())
}

/// The site, likewise.
pub fn site<'a>(note: &'a ReplayNote, device: &'a Device) -> &'a str {
    note.owner.as_ref().and_then(|owner| owner.site.as_deref()).unwrap_or(&device.site)
}

/// The decision about a message of the lane that has no note: nobody can say where it belongs.
pub fn without_origin<'a>(message: &Message<'a>) -> Decision<'a> {
    Decision::whole(&message.batch, RejectCode::NoOrigin, "no readable meterway.replay header")
}

/// The decision about a message that is out of turn.
pub fn out_of_turn<'a>(message: &Message<'a>) -> Decision<'a> {
    Decision::whole(&message.batch, RejectCode::Repeated, "this or a later message of the lane was judged before")
}

#[cfg(test)]
mod tests;
