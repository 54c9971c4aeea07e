//! The fleet at a glance.

use std::collections::{BTreeMap, HashSet};

use chrono::{Days, NaiveDate, Utc};
use serde_json::{Value, json};

use super::super::api::{Answer, Call};
use super::super::problem::Problem;
use super::super::warehouse::instant;
use super::{completeness, devices, pipeline, text};
use crate::core::access::Permission;

/// Local days shown.
const DAYS: u64 = 30;

const FLEET: &str = "
    SELECT commodity, count(*) AS devices FROM raw.devices
    WHERE tenant_id = $1 AND status = 'ACTIVE' GROUP BY commodity ORDER BY commodity";

const NEWEST: &str = "SELECT max(local_day) AS newest FROM marts.fct_consumption_daily WHERE tenant_id = $1";

const CONSUMED: &str = "
    SELECT commodity, unit, local_day, sum(quantity)::text AS quantity FROM marts.fct_consumption_daily
    WHERE tenant_id = $1 AND local_day >= $2 AND local_day < $3 AND channel NOT LIKE '1-0:2.%'
    GROUP BY commodity, unit, local_day ORDER BY commodity, unit, local_day";

pub(super) async fn overview(call: Call) -> Result<Answer, Problem> {
    let (api, scope) = (&call.api, call.scope()?);
    let role = call.caller()?.role;
    let fleet = api.warehouse.rows(scope, FLEET, &[&scope.tenant]).await?;
    let total: i64 = fleet.iter().filter_map(|row| row["devices"].as_i64()).sum();
    let alerts = api.live.alerts(scope).await?;
    let (silent, off) = (devices::with_open(&alerts, "SILENT_METER"), devices::with_open(&alerts, "OUTAGE"));
    let away: HashSet<_> = silent.union(&off).collect();
    let mut open = BTreeMap::<(&str, &str), usize>::new();
    for alert in alerts.iter().filter(|alert| alert.is_open()) {
        *open.entry((&alert.kind, &alert.severity)).or_default() += 1;
    }
    let newest = api.warehouse.rows(scope, NEWEST, &[&scope.tenant]).await?;
    let newest: Option<NaiveDate> = newest.first().and_then(|row| text(row, "newest").parse().ok());
    let (mut days, mut consumption) = (Vec::new(), Vec::new());
    if let Some(newest) = newest {
        let (from, to) = (newest - Days::new(DAYS - 1), newest + Days::new(1));
        if role.may(Permission::CompletenessRead) {
            days = completeness::of_days(api, scope, from, to).await?;
        }
        consumption = api.warehouse.rows(scope, CONSUMED, &[&scope.tenant, &from, &to]).await?;
    }
    let freshness = if role.may(Permission::PipelineRead) { pipeline::stages(api, scope).await? } else { Vec::new() };
    Ok(Answer::Json(json!({
        "as_of": instant(Utc::now()),
        "devices": {
            "total": total, "live": (total - away.len() as i64).max(0), "silent": silent.len(), "power_off": off.len(),
        },
        "by_commodity": fleet.into_iter().map(Value::Object).collect::<Vec<_>>(),
        "open_alerts": open.into_iter().map(|((kind, severity), count)| {
            json!({"kind": kind, "severity": severity, "count": count})
        }).collect::<Vec<_>>(),
        "completeness": days,
        "consumption": consumption.into_iter().map(Value::Object).collect::<Vec<_>>(),
        "freshness": freshness,
    })))
}
