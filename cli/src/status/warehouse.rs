//! Rows of the warehouse, and what the loader's ledger says of them.

use super::lake::Summaries;
use super::report::{Line, State, grouped};
use crate::stores::WarehouseArgs;
use anyhow::Context;
use chrono::{DateTime, Utc};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

const WAREHOUSE: &str = "warehouse";
const TABLES: [&str; 3] = ["readings", "rejected", "alerts"];
/// Longest count of a table; beyond, the ledger's sum stands for it. A glance must not load a warehouse of years.
const LONGEST_COUNT_MS: u32 = 4_000;

/// What the ledger says of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ledger {
    snapshot_id: i64,
    loaded_at: DateTime<Utc>,
    rows: i64,
    quarantined: i64,
}

/// A table of schema `raw`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    name: &'static str,
    /// `None` when counting takes too long.
    rows: Option<i64>,
    ledger: Option<Ledger>,
}

/// The tables in order; `None` for one that is not there.
pub(crate) type Tables = Vec<(&'static str, Option<Table>)>;

/// Asks for rows and ledger.
///
/// # Errors
/// When the warehouse does not answer, or refuses.
pub(crate) async fn look(args: &WarehouseArgs) -> anyhow::Result<Tables> {
    let client = args.connect().await?;
    client.batch_execute(&format!("SET statement_timeout = {LONGEST_COUNT_MS}")).await.context("limit statements")?;
    let ledger_exists = exists(&client, "load_ledger").await?;
    let mut tables = Vec::new();
    for name in TABLES {
        if !exists(&client, name).await? {
            tables.push((name, None));
            continue;
        }
        let rows = count(&client, name).await?;
        let ledger = if ledger_exists { ledger(&client, name).await? } else { None };
        tables.push((name, Some(Table { name, rows, ledger })));
    }
    Ok(tables)
}

async fn exists(client: &Client, table: &str) -> anyhow::Result<bool> {
    let query = "SELECT count(*) > 0 FROM information_schema.tables WHERE table_schema = 'raw' AND table_name = $1";
    let row = client.query_one(query, &[&table]).await.with_context(|| format!("look for raw.{table}"))?;
    Ok(row.get(0))
}

async fn count(client: &Client, table: &str) -> anyhow::Result<Option<i64>> {
    match client.query_one(&format!("SELECT count(*) FROM raw.{table}"), &[]).await {
        Ok(row) => Ok(Some(row.get(0))),
        Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("count raw.{table}")),
    }
}

async fn ledger(client: &Client, table: &str) -> anyhow::Result<Option<Ledger>> {
    const QUERY: &str = "SELECT snapshot_id, loaded_at, \
         (SELECT coalesce(sum(rows), 0)::bigint FROM raw.load_ledger WHERE lake_table = $1), \
         (SELECT count(*) FROM raw.load_quarantine WHERE lake_table = $1 AND resolved_at IS NULL) \
         FROM raw.load_ledger AS newest WHERE lake_table = $1 ORDER BY load_number DESC LIMIT 1";
    let row = client.query_opt(QUERY, &[&table]).await.with_context(|| format!("read the ledger of {table}"))?;
    Ok(row.map(|row| Ledger {
        snapshot_id: row.get(0),
        loaded_at: row.get(1),
        rows: row.get(2),
        quarantined: row.get(3),
    }))
}

/// The lines of the tables; beside what the lake holds, with the lag behind it.
pub(crate) fn lines(found: &Tables, lake: Option<&Summaries>) -> Vec<Line> {
    let line = |(name, table): &(&'static str, Option<Table>)| match table {
        None => {
            Line::missing(WAREHOUSE, format!("raw.{name}"), "does not exist; redshift-loader makes it when it starts")
        }
        Some(table) => table_line(table, lake),
    };
    found.iter().map(line).collect()
}

fn table_line(table: &Table, lake: Option<&Summaries>) -> Line {
    let part = format!("raw.{}", table.name);
    let in_lake = lake.and_then(|lake| lake.get(table.name)).and_then(Option::as_ref);
    let by_ledger = table.ledger.as_ref().map(|ledger| ledger.rows);
    let mut line = Line::new(WAREHOUSE, part);
    if let Some(rows) = table.rows.or(by_ledger).and_then(|rows| u64::try_from(rows).ok()) {
        line = line.count(rows, "rows");
        if let Some(target) = in_lake.and_then(|lake| lake.rows) {
            line = line.lag(target.saturating_sub(rows), "rows");
        }
    }
    let Some(ledger) = &table.ledger else {
        return line.state(State::Notice).detail("nothing loaded yet");
    };
    let mut detail = match in_lake.and_then(|lake| lake.snapshot_id) {
        Some(newest) if newest == ledger.snapshot_id => format!("snapshot {newest}, the lake's newest"),
        Some(newest) => format!("snapshot {}, the lake is at {newest}", ledger.snapshot_id),
        None => format!("snapshot {}", ledger.snapshot_id),
    };
    if table.rows.is_none() {
        detail.push_str("; rows by the ledger");
    }
    if ledger.quarantined > 0 {
        line = line.state(State::Notice);
        let files = grouped(u64::try_from(ledger.quarantined).unwrap_or(0));
        detail.push_str(&format!("; {files} files are set aside, see raw.load_quarantine"));
    }
    line.changed(Some(ledger.loaded_at)).detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::iceberg::TableSummary;

    fn table(rows: Option<i64>, quarantined: i64) -> Table {
        let ledger = Ledger { snapshot_id: 5, loaded_at: DateTime::UNIX_EPOCH, rows: 90, quarantined };
        Table { name: "readings", rows, ledger: Some(ledger) }
    }

    fn lake(snapshot_id: i64) -> Summaries {
        let summary = TableSummary { snapshot_id: Some(snapshot_id), rows: Some(100), ..TableSummary::default() };
        Summaries::from([("readings", Some(summary))])
    }

    #[test]
    fn the_lake_is_the_measure() {
        let line = table_line(&table(Some(90), 0), Some(&lake(6)));
        assert_eq!((line.count.unwrap().value, line.lag.unwrap().value), (90, 10));
        assert_eq!((line.state, &*line.detail), (State::Ok, "snapshot 5, the lake is at 6"));
        let line = table_line(&table(Some(100), 0), Some(&lake(5)));
        assert_eq!((line.lag.unwrap().value, &*line.detail), (0, "snapshot 5, the lake's newest"));
        assert_eq!(table_line(&table(Some(100), 0), None).lag, None);
    }

    #[test]
    fn the_ledger_stands_in_for_a_count_that_takes_too_long() {
        let line = table_line(&table(None, 0), None);
        assert_eq!((line.count.unwrap().value, &*line.detail), (90, "snapshot 5; rows by the ledger"));
    }

    #[test]
    fn files_that_are_set_aside_are_noticed() {
        let line = table_line(&table(Some(90), 2), None);
        assert_eq!(line.state, State::Notice);
        assert!(line.detail.ends_with("2 files are set aside, see raw.load_quarantine"), "{}", line.detail);
    }

    #[test]
    fn tables_that_are_not_there_or_never_loaded_say_so() {
        let never = Table { ledger: None, ..table(Some(0), 0) };
        let found = vec![("readings", Some(never)), ("alerts", None)];
        let states: Vec<_> = lines(&found, None).iter().map(|line| line.state).collect();
        assert_eq!(states, [State::Notice, State::Missing]);
    }
}
