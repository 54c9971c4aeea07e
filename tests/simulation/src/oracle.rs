//! The promise, checked when everything has come to rest. What must hold at every step is checked where it happens: see
//! [`crate::world::log::FirstDecisions`], [`crate::world::catalogue::Table`] and [`crate::world::warehouse::Warehouse`].

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::world::{Route, Row, World};

/// Checks a world at rest.
///
/// # Errors
/// What is broken.
pub fn check(world: &World) -> Result<(), String> {
    check_door(world)?;
    check_decisions(world)?;
    for table in 0..world.tables.len() {
        check_table(world, table)?;
    }
    (0..world.warehouse.len()).try_for_each(|table| check_warehouse(world, table))
}

fn check_door(world: &World) -> Result<(), String> {
    if let Some(id) = world.acknowledged.difference(&world.stored).next() {
        return Err(format!("delivery {id} was acknowledged and is not in the raw topic"));
    }
    match world.posts.front() {
        Some(post) => Err(format!("delivery {} has no answer", post.id)),
        None => Ok(()),
    }
}

/// Every raw offset has a first decision, except those that retention took and that were reported.
fn check_decisions(world: &World) -> Result<(), String> {
    for (partition, first) in world.first.iter().enumerate() {
        let raw = &world.raw[partition];
        let reported = world.refused_partitions.contains(&partition);
        if let Some(offset) = first.left_out.iter().find(|offset| !reported || **offset >= raw.low()) {
            return Err(format!("raw[{partition}]@{offset} has no decision"));
        }
        if first.next() < raw.high() && !reported {
            return Err(format!("raw[{partition}] is decided up to {} of {}", first.next(), raw.high()));
        }
    }
    Ok(())
}

/// The rows of a table are exactly those below its heads; and the heads are at the end, unless the route was refused.
fn check_table(world: &World, number: usize) -> Result<(), String> {
    let table = &world.tables[number];
    let refused = world.refused_tables.contains(&number);
    let mut expected = BTreeSet::new();
    for partition in 0..world.partitions {
        let next = table.head(partition).map_or(0, |head| head.next);
        let end = end_of_source(world, table.route, partition);
        if next != end && !refused {
            return Err(format!(
                "table {number}: the head of partition {partition} is {next}, its topic ends at {end}"
            ));
        }
        rows_below(world, table.route, partition, next, &mut expected);
    }
    differences("table", number, &expected, &table.rows)
}

fn end_of_source(world: &World, route: Route, partition: usize) -> i64 {
    match (route, &world.former_decisions) {
        (Route::Landing, _) => world.raw[partition].high(),
        (_, Some(former)) => former[partition].high(),
        (_, None) => world.decisions[partition].high(),
    }
}

/// What a table must hold that has taken in a partition of its topic up to `next`.
fn rows_below(world: &World, route: Route, partition: usize, next: i64, rows: &mut BTreeSet<Row>) {
    if route == Route::Landing {
        rows.extend((0..next).map(|offset| Row { partition: partition as u8, offset, index: 0 }));
        return;
    }
    let log = world.former_decisions.as_ref().unwrap_or(&world.decisions)[partition].all();
    let mut highest = -1;
    for (offset, decision) in (0..next).zip(log) {
        if !decision.counts_at(offset) || decision.source_offset <= highest {
            continue;
        }
        highest = decision.source_offset;
        let row = |index: i32| Row { partition: partition as u8, offset: decision.source_offset, index };
        match route {
            Route::Readings => rows.extend(decision.accepted.iter().map(|reading| row(reading.index))),
            _ => rows.extend(decision.rejected.iter().map(|index| row(*index))),
        }
    }
}

/// The warehouse is the lake, and the ledger its history.
fn check_warehouse(world: &World, number: usize) -> Result<(), String> {
    let (lake, warehouse) = (&world.tables[number], &world.warehouse[number]);
    let mut history: Vec<i64> = lake.history().map(|snapshot| snapshot.id).collect();
    history.reverse();
    if warehouse.ledger != history {
        return Err(format!(
            "warehouse {number}: the ledger is {:?}, the lake's history {history:?}",
            warehouse.ledger
        ));
    }
    differences("warehouse", number, &lake.rows, &warehouse.rows)
}

fn differences(what: &str, number: usize, expected: &BTreeSet<Row>, found: &BTreeSet<Row>) -> Result<(), String> {
    match (expected.difference(found).next(), found.difference(expected).next()) {
        (Some(missing), _) => Err(format!("{what} {number} lacks {missing:?}")),
        (None, Some(surplus)) => Err(format!("{what} {number} has {surplus:?}, which nothing says it should")),
        (None, None) => Ok(()),
    }
}

/// A number that two equal worlds share.
pub fn digest(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    for table in &world.tables {
        for snapshot in table.history() {
            (snapshot.id, &snapshot.heads, &snapshot.files).hash(&mut hasher);
        }
        for Row { partition, offset, index } in &table.rows {
            (partition, offset, index).hash(&mut hasher);
        }
    }
    for warehouse in &world.warehouse {
        warehouse.ledger.hash(&mut hasher);
    }
    for log in &world.decisions {
        let decisions = log.all().iter();
        decisions.for_each(|one| (one.source_offset, one.accepted.len(), &one.rejected).hash(&mut hasher));
    }
    hasher.finish()
}
