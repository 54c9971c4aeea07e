//! The table: a route that is not here does not exist, and one that is here is authorised, audited, documented and tested.

use super::super::api::{Needs, Param, Route};
use super::super::stream;
use super::{alerts, completeness, consumption, devices, exports, me, onboarding, overview, pipeline, readings};
use crate::core::access::Permission::{
    AlertsRead, AlertsWrite, AuditRead, CompletenessRead, DevicesRead, DevicesWrite, ExportsCreate, PipelineRead,
    TenantsRead,
};

const fn param(name: &'static str, doc: &'static str) -> Param {
    Param { name, doc }
}

const LIMIT: Param = param("limit", "Items of the page, 1 to 500; 50 when not given.");
const CURSOR: Param = param("cursor", "next_cursor of the page before.");
const FROM_DAY: Param = param("from", "First local day.");
const TO_DAY: Param = param("to", "Local day after the last.");
const FROM: Param = param("from", "First instant, RFC 3339.");
const TO: Param = param("to", "Instant after the last.");
const CHANNEL: Param = param("channel", "OBIS code or plain name.");
const DEVICE: Param = param("device_id", "Only this device.");

const JSON: &str = "application/json";

macro_rules! route {
    ($method:literal $path:literal, $needs:expr, $scoped:literal, $summary:literal, [$($query:expr),*], $takes:expr, $gives:expr, $run:path) => {
        Route {
            method: $method, path: $path, summary: $summary, needs: $needs, scoped: $scoped, query: &[$($query),*],
            takes: $takes, gives: $gives, run: |call| Box::pin($run(call)),
        }
    };
}

use Needs::{Nothing, Right, SignIn};

/// Every route of the API.
pub const ROUTES: &[Route] = &[
    route!("GET" "/v1/config", Nothing, false, "What the page needs to sign people in", [], None, JSON, me::config),
    route!("GET" "/v1/me", SignIn, false, "Who is signed in, and what they may do", [], None, JSON, me::me),
    route!("GET" "/v1/tenants", Right(TenantsRead), false, "Utilities", [LIMIT, CURSOR], None, JSON, me::tenants),
    route!("GET" "/v1/settings", SignIn, false, "The own settings", [], None, JSON, me::settings),
    route!("PUT" "/v1/settings", SignIn, false, "Replace the own settings", [], Some(JSON), JSON, me::put_settings),
    route!("GET" "/v1/overview", Right(DevicesRead), true, "The fleet at a glance", [], None, JSON, overview::overview),
    route!("GET" "/v1/sites", Right(DevicesRead), true, "Sites with their devices counted", [LIMIT, CURSOR], None, JSON, devices::sites),
    route!("GET" "/v1/devices", Right(DevicesRead), true, "Devices with their live status",
        [param("q", "Part of an identifier."), param("site_id", "Only at this site."), param("customer_id", "Only of this customer."),
         param("commodity", "Only of this commodity."), param("state", "live, silent or power_off."), LIMIT, CURSOR],
        None, JSON, devices::list),
    route!("POST" "/v1/devices", Right(DevicesWrite), true, "Onboard a device", [], Some(JSON), "application/json; created", onboarding::create),
    route!("POST" "/v1/devices/import", Right(DevicesWrite), true, "Onboard devices of a CSV file", [], Some("text/csv"), JSON, onboarding::import),
    route!("GET" "/v1/devices/{device_id}", Right(DevicesRead), true, "A device", [], None, JSON, devices::one),
    route!("GET" "/v1/devices/{device_id}/readings", Right(DevicesRead), true, "Readings with verdicts and versions",
        [CHANNEL, FROM, TO, param("versions", "latest or all."), LIMIT, CURSOR], None, JSON, readings::list),
    route!("GET" "/v1/devices/{device_id}/series", Right(DevicesRead), true, "Newest versions as columns, for charts",
        [CHANNEL, FROM, TO], None, JSON, readings::series),
    route!("GET" "/v1/devices/{device_id}/consumption", Right(DevicesRead), true, "Consumption by hour, local day or month",
        [CHANNEL, param("grain", "hour, day or month."), FROM_DAY, TO_DAY], None, JSON, consumption::of_device),
    route!("GET" "/v1/devices/{device_id}/gaps", Right(DevicesRead), true, "Missing intervals",
        [CHANNEL, FROM, TO], None, JSON, readings::gaps),
    route!("GET" "/v1/devices/{device_id}/green-button.xml", Right(ExportsCreate), true, "Intervals as a Green Button (ESPI) feed",
        [CHANNEL, FROM, TO], None, "application/atom+xml", exports::green_button),
    route!("GET" "/v1/consumption", Right(DevicesRead), true, "Consumption by local day or month, summed by site or commodity",
        [param("grain", "day or month."), FROM_DAY, TO_DAY, param("group_by", "site or commodity."), param("commodity", "Only of this commodity.")],
        None, JSON, consumption::grouped),
    route!("GET" "/v1/alerts", Right(AlertsRead), true, "Alerts, newest first",
        [param("state", "open or closed."), param("kind", "Only of this kind."), DEVICE, param("acknowledged", "true or false."), LIMIT, CURSOR],
        None, JSON, alerts::list),
    route!("GET" "/v1/alerts/{alert_id}", Right(AlertsRead), true, "An alert", [], None, JSON, alerts::one),
    route!("POST" "/v1/alerts/{alert_id}/acknowledge", Right(AlertsWrite), true, "Say that an alert was seen", [], Some(JSON), JSON, alerts::acknowledge),
    route!("POST" "/v1/alerts/{alert_id}/normal", Right(AlertsWrite), true, "Say that what an alert found is normal", [], Some(JSON), JSON, alerts::normal),
    route!("GET" "/v1/completeness", Right(CompletenessRead), true, "Delivered of expected intervals, by local day", [FROM_DAY, TO_DAY], None, JSON, completeness::days),
    route!("GET" "/v1/completeness/{local_day}", Right(CompletenessRead), true, "Devices with holes on a local day, worst first", [LIMIT, CURSOR], None, JSON, completeness::day),
    route!("GET" "/v1/pipeline", Right(PipelineRead), true, "Health of each stage", [], None, JSON, pipeline::pipeline),
    route!("GET" "/v1/exports/readings.csv", Right(ExportsCreate), true, "Readings as CSV", [DEVICE, FROM, TO], None, "text/csv", exports::readings),
    route!("GET" "/v1/exports/consumption.csv", Right(ExportsCreate), true, "Consumption as CSV",
        [param("grain", "hour or day."), FROM_DAY, TO_DAY], None, "text/csv", exports::consumption),
    route!("GET" "/v1/audit", Right(AuditRead), true, "Who looked at what, newest first", [LIMIT, CURSOR], None, JSON, me::audit),
    route!("GET" "/v1/stream", Right(DevicesRead), true, "Live readings and alerts as server-sent events",
        [param("kinds", "alert, reading or both, by comma."), DEVICE], None, "text/event-stream", stream::open),
];
