//! The warehouse: reachable, with schema `raw`, and with roles that may do what they need and no more.

use super::finding::Finding;
use crate::stores::{WarehouseArgs, given, postgres};
use anyhow::Context;
use std::path::Path;
use tokio_postgres::Client;

const WAREHOUSE: &str = "warehouse";
const TABLES: [&str; 5] = ["readings", "rejected", "alerts", "load_ledger", "load_quarantine"];

/// Roles besides the reading one.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Warehouse")]
pub(crate) struct RoleArgs {
    /// Connection URL of the warehouse as the role of redshift-loader
    #[arg(long, env = "WAREHOUSE_LOADER_URL", value_name = "URL", hide_env_values = true)]
    warehouse_loader_url: Option<String>,
    /// Connection URL of the warehouse as the role of dbt
    #[arg(long, env = "WAREHOUSE_DBT_URL", value_name = "URL", hide_env_values = true)]
    warehouse_dbt_url: Option<String>,
}

/// Connects as every role whose URL is given.
///
/// # Errors
/// When the reading role is not let in.
pub(crate) async fn probe(args: &WarehouseArgs, roles: &RoleArgs) -> anyhow::Result<Vec<Finding>> {
    let client = args.connect().await?;
    let row = client.query_one("SELECT current_user::text, version()", &[]).await.context("ask for the version")?;
    let (user, version): (String, String) = (row.get(0), row.get(1));
    let version = version.split_once(" on ").map_or(&*version, |(version, _)| version).to_owned();
    let mut findings = vec![Finding::ok(WAREHOUSE, "reachable", format!("{version}, as {user}"))];
    findings.extend(schema(&client, &user).await?);
    let others = [
        ("loader", "--warehouse-loader-url", &roles.warehouse_loader_url),
        ("dbt", "--warehouse-dbt-url", &roles.warehouse_dbt_url),
    ];
    for (role, option, url) in others {
        if let Some(url) = given(url) {
            findings.push(writer(role, option, url, args.warehouse_ca_file.as_deref()).await);
        }
    }
    Ok(findings)
}

/// A table and what the reading role may do with it.
struct Rights {
    table: &'static str,
    exists: bool,
    read: bool,
    write: bool,
}

async fn schema(client: &Client, user: &str) -> anyhow::Result<Vec<Finding>> {
    const QUERY: &str = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'raw' AND tablename = $1), \
         has_schema_privilege($2, 'USAGE') AND EXISTS (SELECT FROM information_schema.table_privileges \
         WHERE table_schema = 'raw' AND table_name = $1 AND privilege_type = 'SELECT'), \
         EXISTS (SELECT FROM information_schema.table_privileges \
         WHERE table_schema = 'raw' AND table_name = $1 AND privilege_type IN ('INSERT', 'UPDATE', 'DELETE'))";
    let exists: bool = client
        .query_one("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'raw')", &[])
        .await
        .context("look for schema raw")?
        .get(0);
    if !exists {
        return Ok(vec![
            Finding::warn(WAREHOUSE, "schema raw", "does not exist")
                .advise("nothing was ever loaded", "start redshift-loader, which makes it"),
        ]);
    }
    let mut rights = Vec::new();
    for table in TABLES {
        let row = client.query_one(QUERY, &[&table, &"raw"]).await.with_context(|| format!("look at raw.{table}"))?;
        rights.push(Rights { table, exists: row.get(0), read: row.get(1), write: row.get(2) });
    }
    let mut findings = judge(&rights, user);
    if rights.iter().any(|table| table.table == "load_quarantine" && table.exists && table.read) {
        findings.extend(quarantine(client).await?);
    }
    Ok(findings)
}

fn judge(rights: &[Rights], user: &str) -> Vec<Finding> {
    let named = |wrong: fn(&Rights) -> bool| {
        let wrong: Vec<_> = rights.iter().filter(|table| wrong(table)).map(|table| table.table).collect();
        (!wrong.is_empty()).then(|| wrong.join(", "))
    };
    let mut findings = Vec::new();
    if let Some(tables) = named(|table| !table.exists) {
        findings.push(Finding::fail(WAREHOUSE, "schema raw", format!("has no table {tables}")).advise(
            "the schema is of an older release, or somebody dropped a table",
            "start redshift-loader of this release, which migrates the schema",
        ));
    }
    if let Some(tables) = named(|table| table.exists && !table.read) {
        findings.push(Finding::fail(WAREHOUSE, "reading role", format!("{user} may not read {tables}")).advise(
            "dashboards, verify and status see nothing",
            "name the role in redshift-loader's warehouse.readers and start it again, or GRANT SELECT",
        ));
    }
    if let Some(tables) = named(|table| table.write) {
        findings.push(Finding::warn(WAREHOUSE, "reading role", format!("{user} may also change {tables}")).advise(
            "whoever gets this role can change loaded rows",
            "give readers a role with SELECT alone, and its URL to this program",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(WAREHOUSE, "schema raw", format!("{} tables; {user} may read them", rights.len())));
    }
    findings
}

async fn quarantine(client: &Client) -> anyhow::Result<Option<Finding>> {
    const QUERY: &str = "SELECT count(*), coalesce(sum(rows), 0)::bigint FROM raw.load_quarantine \
         WHERE resolved_at IS NULL";
    let row = client.query_one(QUERY, &[]).await.context("look at raw.load_quarantine")?;
    let (files, rows): (i64, i64) = (row.get(0), row.get(1));
    Ok((files > 0).then(|| {
        Finding::warn(WAREHOUSE, "files set aside", format!("{files} files with {rows} rows")).advise(
            "the warehouse refused them; their rows are in the lake and not in the warehouse",
            "SELECT path, reason FROM raw.load_quarantine; see the runbook of redshift-loader",
        )
    }))
}

/// A role that has to make tables.
async fn writer(role: &'static str, option: &str, url: &str, ca_file: Option<&Path>) -> Finding {
    let check = format!("role of {role}");
    match may_create(option, url, ca_file).await {
        Ok((user, true)) => Finding::ok(WAREHOUSE, check, format!("{user} may create schemas")),
        Ok((user, false)) => Finding::fail(WAREHOUSE, check, format!("{user} may not create schemas")).advise(
            format!("{role} can't make or migrate its tables"),
            format!("GRANT CREATE ON DATABASE … TO {user}, or make its schemas with it as the owner"),
        ),
        Err(error) => Finding::fail(WAREHOUSE, check, format!("{error:#}"))
            .advise(format!("{role} can't connect"), format!("check the URL of {option}")),
    }
}

async fn may_create(option: &str, url: &str, ca_file: Option<&Path>) -> anyhow::Result<(String, bool)> {
    let client = postgres(url, option, ca_file).await?;
    let query = "SELECT current_user::text, has_database_privilege(current_database(), 'CREATE')";
    let row = client.query_one(query, &[]).await.context("ask for rights")?;
    Ok((row.get(0), row.get(1)))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn verdicts(change: impl Fn(&mut Rights)) -> Vec<Verdict> {
        let right = |table| {
            let mut rights = Rights { table, exists: true, read: true, write: false };
            change(&mut rights);
            rights
        };
        judge(&TABLES.map(right), "reader").iter().map(|finding| finding.verdict).collect()
    }

    #[test]
    fn a_reader_reads_and_does_no_more() {
        assert_eq!(verdicts(|_| {}), [Verdict::Ok]);
        assert_eq!(verdicts(|table| table.write = table.table == "readings"), [Verdict::Warn]);
        assert_eq!(verdicts(|table| table.read = false), [Verdict::Fail]);
    }

    #[test]
    fn a_missing_table_is_named_once() {
        let rights = [Rights { table: "load_ledger", exists: false, read: false, write: false }];
        let findings = judge(&rights, "reader");
        assert_eq!((findings.len(), &*findings[0].found), (1, "has no table load_ledger"));
    }
}
