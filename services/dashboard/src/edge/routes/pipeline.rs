//! Health of each stage of a reading's way.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::api::{Answer, Api, Call};
use super::super::problem::Problem;
use super::super::warehouse::instant;
use crate::core::access::Scope;

const LEDGER: &str = "
    SELECT max(committed_at) AS lake, max(loaded_at) AS warehouse FROM raw.load_ledger WHERE lake_table LIKE '%readings'";
const FACTS: &str = "SELECT max(loaded_at) AS facts FROM marts.fct_consumption_hourly WHERE tenant_id = $1";
const LOADS: &str = "
    SELECT loaded_at AS at, lake_table AS table, snapshot_id::text AS snapshot_id, rows, files,
        CASE WHEN quarantined_files > 0 THEN 'quarantined' ELSE 'loaded' END AS state,
        (extract(epoch FROM loaded_at - started_at) * 1000)::bigint AS duration_ms
    FROM raw.load_ledger ORDER BY loaded_at DESC LIMIT 20";
const REJECTED: &str = "
    SELECT code, count(*) AS count FROM raw.rejected
    WHERE tenant_id = $1 AND loaded_at >= (SELECT max(loaded_at) - interval '7 days' FROM raw.rejected WHERE tenant_id = $1)
    GROUP BY code ORDER BY 2 DESC";
/// Messages with a rejection: each has one dead letter.
const LETTERS: &str = "
    SELECT count(DISTINCT (source_topic, source_partition, source_offset)) AS count FROM raw.rejected
    WHERE tenant_id = $1 AND loaded_at >= (SELECT max(loaded_at) - interval '7 days' FROM raw.rejected WHERE tenant_id = $1)";
const ACCEPTED: &str = "
    SELECT count(*) AS accepted FROM raw.readings
    WHERE tenant_id = $1 AND loaded_at >= (SELECT max(loaded_at) - interval '7 days' FROM raw.rejected WHERE tenant_id = $1)";

/// The stages in the order of the way.
///
/// # Errors
/// When the warehouse gives no answer.
pub(super) async fn stages(api: &Api, scope: &Scope) -> Result<Vec<Value>, Problem> {
    let late_after = i64::try_from(api.config.pipeline.late_after.as_secs()).unwrap_or(i64::MAX);
    let ledger = api.warehouse.rows_of_nobody(LEDGER, &[]).await?;
    let facts = api.warehouse.rows(scope, FACTS, &[&scope.tenant]).await?;
    let time = |rows: &[serde_json::Map<String, Value>], column: &str| {
        rows.first().and_then(|row| row[column].as_str()).and_then(|text| text.parse::<DateTime<Utc>>().ok())
    };
    let seen = api.watch.seen();
    let newest_event = api.hub.newest();
    let stage = |stage: &str,
                 label: &str,
                 newest: Option<DateTime<Utc>>,
                 lag: Option<i64>,
                 rate: Option<f64>,
                 runbook: &str,
                 detail: &str| {
        let age = newest.map(|newest| (Utc::now() - newest).num_seconds().max(0));
        let state = match (seen.reachable, age, lag) {
            (false, None, _) => "down",
            // Behind and not moving is late; having nothing to do is not.
            (_, Some(age), Some(lag)) if age > late_after && lag > 0 => "late",
            (_, Some(age), None) if age > late_after => "idle",
            (_, Some(age), Some(0)) if age > late_after => "idle",
            (_, None, _) => "idle",
            _ => "ok",
        };
        json!({
            "stage": stage, "label": label, "newest_at": newest.map(instant), "freshness_s": age, "lag": lag,
            "rate_per_s": rate.map(|rate| format!("{rate:.1}")), "state": state, "detail": detail,
            "runbook": Some(runbook).filter(|runbook| !runbook.is_empty()).map(|page| format!("docs/runbooks/{page}.md")),
        })
    };
    Ok(vec![
        stage(
            "raw",
            "Raw topic",
            seen.raw_moved,
            None,
            seen.raw_rate,
            "ingest-unavailable",
            "Messages of gateways, as they came",
        ),
        stage(
            "validated",
            "Decisions",
            seen.validated_moved,
            seen.validate_lag,
            seen.validated_rate,
            "consumer-lag",
            "One decision per raw message; behind in messages",
        ),
        stage(
            "lake",
            "Lake",
            time(&ledger, "lake"),
            seen.sink_lag,
            None,
            "lake-late",
            "Newest snapshot that the warehouse knows; behind in decisions",
        ),
        stage("warehouse", "Warehouse", time(&ledger, "warehouse"), None, None, "warehouse-late", "Newest load"),
        stage(
            "facts",
            "Facts",
            time(&facts, "facts"),
            None,
            None,
            "loader-facts",
            "Newest load that the facts include",
        ),
        stage(
            "live",
            "Live events",
            newest_event,
            None,
            None,
            "live-behind",
            "Newest event that this page was told of",
        ),
    ])
}

pub(super) async fn pipeline(call: Call) -> Result<Answer, Problem> {
    let (api, scope) = (&call.api, call.scope()?);
    let stages = stages(api, scope).await?;
    let loads = api.warehouse.rows_of_nobody(LOADS, &[]).await?;
    let rejected = api.warehouse.rows(scope, REJECTED, &[&scope.tenant]).await?;
    let refused: i64 = rejected.iter().filter_map(|row| row["count"].as_i64()).sum();
    let letters = api.warehouse.rows(scope, LETTERS, &[&scope.tenant]).await?;
    let accepted = api.warehouse.rows(scope, ACCEPTED, &[&scope.tenant]).await?;
    let accepted = accepted.first().and_then(|row| row["accepted"].as_i64()).unwrap_or_default();
    let ratio = (refused + accepted > 0).then(|| format!("{:.6}", refused as f64 / (refused + accepted) as f64));
    Ok(Answer::Json(json!({
        "as_of": instant(Utc::now()),
        "stages": stages,
        "missing_partitions": api.watch.seen().missing,
        "loads": loads.into_iter().map(Value::Object).collect::<Vec<_>>(),
        "rejected": rejected.into_iter().map(Value::Object).collect::<Vec<_>>(),
        "reject_ratio": ratio,
        "dead_letters": letters.first().and_then(|row| row["count"].as_i64()),
    })))
}
