//! The lake's catalog: reachable, writable, and its tables readable.

use super::finding::Finding;
use crate::required;
use crate::stores::postgres;
use crate::verify::iceberg::{LakeArgs, LakeReader, TableSummary};
use anyhow::Context;
use chrono::{DateTime, SecondsFormat};
use tokio_postgres::Client;

const LAKE: &str = "lake catalog";
const TABLES: [&str; 5] = ["landing", "readings", "rejected", "dead_letters", "alerts"];

/// Asks the catalog, and reads the metadata of the tables.
///
/// # Errors
/// When the catalog does not answer; a table that can't be read is a finding.
pub(crate) async fn probe(args: &LakeArgs) -> anyhow::Result<Vec<Finding>> {
    let url = required(args.catalog_url.as_ref(), "--catalog-url", "ICEBERG_CATALOG_URL")?;
    let client = postgres(url, "--catalog-url", args.catalog_ca_file.as_deref()).await?;
    let mut findings = vec![rights(&client).await?];
    let reader = LakeReader::new(args)?;
    let (mut there, mut newest) = (0, None);
    for table in TABLES {
        match reader.summary(table).await {
            Ok(Some(summary)) => {
                there += 1;
                newest = newest.max(summary.committed_at_ms);
                findings.extend(judge(table, &summary));
            }
            Ok(None) => {}
            Err(error) => findings.push(unreadable(table, &error)),
        }
    }
    findings.push(tables(there, newest));
    Ok(findings)
}

/// The catalog keeps its tables in a table, which its first user makes.
async fn rights(client: &Client) -> anyhow::Result<Finding> {
    const QUERY: &str = "SELECT current_user::text, to_regclass('iceberg_tables') IS NOT NULL, \
         coalesce(has_table_privilege(to_regclass('iceberg_tables'), 'INSERT'), false) \
         AND coalesce(has_table_privilege(to_regclass('iceberg_tables'), 'UPDATE'), false), \
         has_schema_privilege(current_schema(), 'CREATE')";
    let row = client.query_one(QUERY, &[]).await.context("look for the catalog's tables")?;
    let (user, exists, may_write, may_create) =
        (row.get::<_, String>(0), row.get::<_, bool>(1), row.get::<_, bool>(2), row.get::<_, bool>(3));
    Ok(match (exists, may_write, may_create) {
        (true, true, _) => Finding::ok(LAKE, "reachable", format!("{user} may write it")),
        (true, false, _) => Finding::fail(LAKE, "rights", format!("{user} may read it, not write it")).advise(
            "commits of parquet-sink are refused, if it has this URL too",
            "give parquet-sink a role with INSERT and UPDATE on iceberg_tables; for reading alone this is fine",
        ),
        (false, _, true) => Finding::warn(LAKE, "reachable", "empty: there is no iceberg_tables yet")
            .advise("nothing was ever committed", "start parquet-sink, which makes it"),
        (false, _, false) => Finding::fail(LAKE, "rights", format!("empty, and {user} may not create tables"))
            .advise("parquet-sink can't make the catalog", "GRANT CREATE on the schema to this role"),
    })
}

fn judge(table: &str, summary: &TableSummary) -> Option<Finding> {
    let (snapshot, None) = (summary.snapshot_id?, &summary.heads) else { return None };
    let found = format!("snapshot {snapshot} and those before carry no heads");
    Some(Finding::fail(LAKE, format!("table {table}"), found).advise(
        "parquet-sink does not know how far the table has taken in its topics, and refuses it rather than begin at 0",
        "find out which engine expired or replaced the snapshots; see the runbook of parquet-sink",
    ))
}

fn unreadable(table: &str, error: &anyhow::Error) -> Finding {
    Finding::fail(LAKE, format!("table {table}"), format!("{error:#}")).advise(
        "the catalog names metadata that can't be read: nobody can query the table or commit to it",
        "check that catalog and bucket belong together, and that the reading key may read the bucket",
    )
}

fn tables(there: usize, newest: Option<i64>) -> Finding {
    let newest = newest.and_then(DateTime::from_timestamp_millis);
    let newest = newest
        .map_or_else(String::new, |at| format!(", newest commit {}", at.to_rfc3339_opts(SecondsFormat::Secs, true)));
    let found = format!("{there} of {} tables{newest}", TABLES.len());
    if there == TABLES.len() {
        return Finding::ok(LAKE, "tables", found);
    }
    Finding::warn(LAKE, "tables", found).advise(
        "those that are missing, or can't be read, have no rows for anybody",
        "start parquet-sink with all its routes, which makes them",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_table_with_data_and_no_heads_fails() {
        let summary = TableSummary { snapshot_id: Some(5), ..TableSummary::default() };
        assert_eq!(judge("readings", &summary).unwrap().verdict, Verdict::Fail);
        assert_eq!(judge("readings", &TableSummary { heads: Some("{}".into()), ..summary }), None);
        assert_eq!(judge("readings", &TableSummary::default()), None, "an empty table needs none");
    }

    #[test]
    fn tables_that_are_missing_are_said() {
        assert_eq!(tables(5, Some(0)).found, "5 of 5 tables, newest commit 1970-01-01T00:00:00Z");
        assert_eq!(tables(3, None).verdict, Verdict::Warn);
    }
}
