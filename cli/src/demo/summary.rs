//! The one table that the demo ends with, and where to look next.

use super::{
    DemoArgs,
    facts::{Facts, Live},
    steps::VerifyReport,
};
use crate::local::{NAMES, Ports, StackEnv, Supervisor};
use std::{fmt::Write, time::Duration};

/// What the demo found.
#[derive(Debug)]
pub(crate) struct Summary<'a> {
    report: &'a VerifyReport,
    facts: &'a Facts,
    live: &'a Live,
    took: Duration,
}

impl<'a> Summary<'a> {
    /// From the counts.
    pub(crate) fn new(report: &'a VerifyReport, facts: &'a Facts, live: &'a Live, took: Duration) -> Self {
        Self { report, facts, live, took }
    }

    /// Whether everything adds up: verification is clean and the facts cover every interval.
    pub(crate) fn adds_up(&self) -> bool {
        self.report.clean && self.facts.intervals == self.facts.raw_intervals
    }

    /// The text for people.
    pub(crate) fn render(&self, args: &DemoArgs, stack: &StackEnv, ports: Ports, supervisor: &Supervisor) -> String {
        let mut text = self.table();
        text.push_str(&sign_in(stack, ports));
        text.push_str(&places(args, ports, supervisor));
        text.push_str(QUERIES);
        text
    }

    fn table(&self) -> String {
        let (t, f, l) = (&self.report.totals, self.facts, self.live);
        let rows: [(&str, u64, String); 9] = [
            (
                "produced",
                t.raw_readings,
                format!("readings in {} messages, real series with injected faults", t.raw_messages),
            ),
            ("landing", t.landing, "raw messages kept for ever, byte for byte".to_owned()),
            ("accepted", t.accepted, "readings validated, with verdict, customer and local day".to_owned()),
            (
                "rejected",
                t.rejected,
                format!("readings, and {} whole messages, each with its reason", t.rejected_messages),
            ),
            ("lake", t.lake, "readings in the Iceberg table on S3".to_owned()),
            (
                "warehouse",
                t.warehouse,
                "readings in raw.readings (PostgreSQL, where production has Redshift)".to_owned(),
            ),
            ("facts", count(f.intervals), format!("intervals in {} hourly and {} daily facts", f.hourly, f.daily)),
            ("live devices", count(l.devices), "in device_status (DynamoDB Local, an emulator)".to_owned()),
            ("alerts", count(l.alerts), format!("of which {} are open", l.open_alerts)),
        ];
        let mut text = String::from("\n");
        for (stage, number, what) in rows {
            let _ = writeln!(text, "  {stage:<13}{:>11}  {what}", grouped(number));
        }
        let verdict = if self.adds_up() {
            "every raw message has one decision; raw = accepted + rejected; lake = accepted; warehouse = lake"
                .to_owned()
        } else {
            let (differences, findings) = (self.report.differences.len(), self.report.findings.len());
            format!("IT DOES NOT ADD UP: {differences} differences, {findings} wrong decisions; run `meterway verify`")
        };
        let _ = writeln!(text, "\n  verify       {verdict} (by count and checksum)");
        let _ = writeln!(text, "  took         {} s\n", self.took.as_secs());
        text
    }
}

const QUERIES: &str = "
Three queries to try (psql \"$WAREHOUSE_READER_URL\"):
  SELECT local_day, count(*) AS meters, round(avg(completeness), 3) AS completeness
    FROM marts.fct_consumption_daily GROUP BY local_day ORDER BY local_day;
  SELECT code, count(*) FROM raw.rejected GROUP BY code ORDER BY 2 DESC;
  SELECT kind, state, count(*) FROM marts.fct_alerts GROUP BY kind, state ORDER BY 1, 2;
";

/// Where to sign in, and as whom.
fn sign_in(stack: &StackEnv, ports: Ports) -> String {
    let Ok(file) = stack.get("OIDC_DEMO_USERS") else { return String::new() };
    let users = std::fs::read(file).ok().and_then(|text| serde_json::from_slice::<Vec<DemoUser>>(&text).ok());
    let mut text = format!(
        "Sign in at http://{}  (Keycloak; the users of the demonstration are on the page):\n",
        ports.dashboard()
    );
    for DemoUser { username, password, role } in users.unwrap_or_default() {
        let _ = writeln!(text, "  {username:<20} {password:<8} {role}");
    }
    text.push('\n');
    text
}

/// A user of the demonstration.
#[derive(Debug, serde::Deserialize)]
struct DemoUser {
    username: String,
    password: String,
    role: String,
}

fn places(args: &DemoArgs, ports: Ports, supervisor: &Supervisor) -> String {
    let mut text = String::from("Where to look:\n");
    let env = args.demo_env.display();
    let _ = writeln!(text, "  every address and credential   {env}   (set -a; . {env})");
    let _ = writeln!(text, "  deliver by HTTP                http://{}/openapi.json", ports.ingest());
    let _ = writeln!(text, "  register of devices            gRPC with reflection on {}", ports.metadata());
    let metrics = NAMES.iter().map(|name| format!("{name} {}", ports.admin(name).port())).collect::<Vec<_>>();
    let _ = writeln!(text, "  /live /ready /metrics          127.0.0.1: {}", metrics.join(", "));
    let _ = writeln!(text, "  logs                           {}", supervisor.log_path("*").display());
    let _ = writeln!(text, "  injected faults, with truth    {}", args.state.join("truth.ndjson").display());
    let _ = writeln!(
        text,
        "  more                           meterway --env-file {env} status | verify | dlq list --summary"
    );
    text
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Thousands apart, as people read them.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap_or_default()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
