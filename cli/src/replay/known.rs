//! What the lake holds of the readings of a message, as the replay lane is told. Pure.

use lake::{PartitionValue, day_of_micros, tables, tenant_bucket};
use meter_model::Kind;
use meterway_schemas::replay::{Around, KnownRow, Owner, ReplayNote, RowAt};
use std::collections::{BTreeSet, HashMap};

/// A raw message, decoded as far as its place among rows needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Partition of the raw topic.
    pub(crate) partition: i32,
    /// Offset in it.
    pub(crate) offset: i64,
    /// Tenant that it claims.
    pub(crate) tenant: String,
    /// Device that it claims.
    pub(crate) device: String,
    /// Its readings in order.
    pub(crate) readings: Vec<Reading>,
}

/// A reading of a raw message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) channel: String,
    pub(crate) kind: Kind,
    pub(crate) start: i64,
    pub(crate) duration_s: i32,
    pub(crate) value: i64,
}

/// A row of the lake's table of readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) start: i64,
    pub(crate) duration_s: i32,
    pub(crate) value: i64,
    pub(crate) version: i32,
    /// Names of the failed rules, comma separated.
    pub(crate) failed_rules: String,
    pub(crate) local_day: i32,
    pub(crate) commodity: String,
    pub(crate) customer: Option<String>,
    pub(crate) site: Option<String>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) revision: i64,
}

impl Row {
    /// What the newest row of a natural key is chosen by.
    fn place(&self) -> (i32, i64, i64) {
        (self.version, self.offset, self.revision)
    }

    fn at(&self) -> RowAt {
        RowAt { start: self.start, duration_s: self.duration_s, value: self.value, version: self.version }
    }
}

impl Delivery {
    /// The partitions of the lake that rows of its readings are in.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = PartitionValue> + use<> {
        let bucket = tenant_bucket(&self.tenant, tables::TENANT_BUCKETS);
        let days: BTreeSet<i32> = self.readings.iter().map(|reading| day_of_micros(reading.start)).collect();
        days.into_iter().map(move |day| PartitionValue::DayBucket { day, bucket })
    }
}

/// Tenant, device, channel and kind.
type Channel = (String, String, String, Kind);

/// Rows of some devices on some days.
#[derive(Debug, Default)]
pub(crate) struct Known {
    rows: HashMap<Channel, Vec<Row>>,
}

impl Known {
    /// Adds a row.
    pub(crate) fn add(&mut self, channel: Channel, row: Row) {
        self.rows.entry(channel).or_default().push(row);
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.values().map(Vec::len).sum()
    }

    /// To be called when all rows are in.
    pub(crate) fn sort(&mut self) {
        self.rows.values_mut().for_each(|rows| rows.sort_by_key(|row| (row.start, row.place())));
    }

    /// Writes what is known of a delivery's readings into its note.
    pub(crate) fn fill(&self, delivery: &Delivery, note: &mut ReplayNote) {
        let mut taken: BTreeSet<(i64, i32, usize)> = BTreeSet::new();
        for (number, reading) in delivery.readings.iter().enumerate() {
            let channel = (delivery.tenant.clone(), delivery.device.clone(), reading.channel.clone(), reading.kind);
            let Some(rows) = self.rows.get(&channel) else { continue };
            let (from, to) = (
                rows.partition_point(|row| row.start < reading.start),
                rows.partition_point(|row| row.start <= reading.start),
            );
            let of_key = &rows[from..to];
            let index = u32::try_from(number).unwrap_or(u32::MAX);
            // The same value may stand twice in one message, with a correction between: the versions tell them apart.
            let mut free = |row: &&Row| {
                row.partition == delivery.partition
                    && row.offset == delivery.offset
                    && (row.value, row.duration_s) == (reading.value, reading.duration_s)
                    && !taken.contains(&(row.start, row.version, from))
            };
            let version = of_key.iter().filter(&mut free).map(|row| row.version).min();
            let own =
                of_key.iter().filter(free).filter(|row| Some(row.version) == version).max_by_key(|row| row.revision);
            match own {
                Some(row) => {
                    taken.insert((row.start, row.version, from));
                    note.rows.push(known_row(index, row));
                    note.owner = Some(Owner { customer: row.customer.clone(), site: row.site.clone() });
                }
                None => note.around.extend(around(index, delivery, reading, rows, from..to)),
            }
        }
    }
}

fn known_row(index: u32, row: &Row) -> KnownRow {
    let failed_rules = row.failed_rules.split(',').filter(|rule| !rule.is_empty()).map(str::to_owned).collect();
    KnownRow { index, version: row.version, failed_rules, local_day: row.local_day, commodity: row.commodity.clone() }
}

/// What is known around a reading without a row; `None` when nothing is.
fn around(
    index: u32,
    delivery: &Delivery,
    reading: &Reading,
    rows: &[Row],
    of_key: std::ops::Range<usize>,
) -> Option<Around> {
    // A row from another partition is of a time when the topic had fewer: before.
    let earlier = |row: &&Row| row.partition != delivery.partition || row.offset < delivery.offset;
    let before_it = || rows[of_key.clone()].iter().filter(earlier);
    let is_interval = reading.kind == Kind::Interval;
    let around = Around {
        index,
        same: before_it().max_by_key(|row| row.place()).map(Row::at),
        live_version: before_it().filter(|row| row.revision == 0).map(|row| row.version).max().unwrap_or(0),
        before: rows[..of_key.start].last().filter(|_| is_interval).map(Row::at),
        after: rows.get(of_key.end).filter(|_| is_interval).map(Row::at),
    };
    let something = around.same.is_some() || around.before.is_some() || around.after.is_some();
    something.then_some(around)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(slot: i64, value: i64) -> Reading {
        Reading { channel: "c".into(), kind: Kind::Interval, start: slot * 1_800_000_000, duration_s: 1_800, value }
    }

    fn delivery(offset: i64, readings: Vec<Reading>) -> Delivery {
        Delivery { partition: 0, offset, tenant: "t".into(), device: "d".into(), readings }
    }

    fn row(slot: i64, offset: i64, version: i32, revision: i64, value: i64) -> Row {
        Row {
            start: slot * 1_800_000_000,
            duration_s: 1_800,
            value,
            version,
            failed_rules: if revision == 0 { String::new() } else { "gap,spike".into() },
            local_day: 0,
            commodity: "GAS".into(),
            customer: None,
            site: Some(format!("s{revision}")),
            partition: 0,
            offset,
            revision,
        }
    }

    fn note(delivery: &Delivery, rows: Vec<Row>) -> ReplayNote {
        let mut known = Known::default();
        for row in rows {
            known.add(("t".into(), "d".into(), "c".into(), Kind::Interval), row);
        }
        known.sort();
        let mut note = ReplayNote::default();
        known.fill(delivery, &mut note);
        note
    }

    #[test]
    fn the_newest_revision_of_its_own_row_is_told() {
        let rows = vec![row(0, 7, 2, 0, 5), row(0, 7, 2, 9, 5), row(0, 3, 1, 0, 4), row(0, 8, 3, 0, 6)];
        let note = note(&delivery(7, vec![reading(0, 5), reading(1, 5)]), rows);
        assert_eq!(
            (note.rows.len(), note.rows[0].version, note.rows[0].failed_rules.join(" ")),
            (1, 2, "gap spike".into())
        );
        assert_eq!(note.owner.unwrap().site.as_deref(), Some("s9"));
        assert_eq!(note.around.iter().map(|around| around.index).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_reading_without_a_row_is_told_what_came_before_it_and_what_lies_beside_it() {
        let rows = vec![
            row(1, 3, 1, 0, 4),
            row(1, 4, 2, 0, 5),
            row(1, 5, 2, 6, 8),
            row(1, 99, 3, 0, 9),
            row(0, 99, 1, 0, 1),
            row(2, 1, 1, 0, 1),
        ];
        let note = note(&delivery(7, vec![reading(1, 6)]), rows);
        let around = &note.around[0];
        assert_eq!((around.same.unwrap().value, around.live_version), (8, 2));
        assert_eq!((around.before.unwrap().start, around.after.unwrap().start), (0, 2 * 1_800_000_000));
        assert!(note.rows.is_empty() && note.owner.is_none());
    }

    #[test]
    fn a_value_that_comes_back_within_a_message_has_a_row_for_each_time() {
        let rows = vec![row(0, 7, 1, 0, 5), row(0, 7, 2, 0, 6), row(0, 7, 3, 0, 5)];
        let note = note(&delivery(7, vec![reading(0, 5), reading(0, 6), reading(0, 5)]), rows);
        assert_eq!(note.rows.iter().map(|row| row.version).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_delivery_asks_for_the_days_of_its_readings_only() {
        let days: Vec<_> = delivery(0, vec![reading(0, 1), reading(47, 1), reading(48, 1)]).partitions().collect();
        assert_eq!(days.iter().map(|partition| partition.day()).collect::<Vec<_>>(), [0, 1]);
    }
}
