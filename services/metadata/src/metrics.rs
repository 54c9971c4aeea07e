//! Every metric of the service; the README's table lists them.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use tonic::Code;

use crate::core::bulk::Outcome;

/// Says what the metrics mean.
pub fn describe() {
    describe_counter!("metadata_calls_total", "gRPC calls by method and status code");
    describe_histogram!("metadata_call_seconds", "Duration of gRPC calls by method");
    describe_counter!("metadata_onboarded_devices_total", "Lines of bulk registrations by outcome");
    describe_counter!("metadata_outbox_published_devices_total", "Devices published and cleared from the outbox");
    describe_gauge!("metadata_outbox_waiting_devices", "Devices with an unpublished change; told by the leading relay");
    describe_gauge!(
        "metadata_outbox_oldest_timestamp_seconds",
        "When the longest waiting change was made, in seconds since 1970; 0 when none waits"
    );
    describe_gauge!(
        "metadata_outbox_refused_devices",
        "Devices passed over because they cannot be published as they are"
    );
    describe_gauge!("metadata_outbox_leads", "1 while this instance's relay publishes");
    describe_counter!("metadata_outbox_failures_total", "Times the relay had to start over");
}

pub(crate) fn called(method: &'static str, code: Code, took: Duration) {
    counter!("metadata_calls_total", "method" => method, "code" => code_name(code)).increment(1);
    histogram!("metadata_call_seconds", "method" => method).record(took);
}

/// Names as the gRPC documentation writes them; those that this service never sends share one.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::Unavailable => "UNAVAILABLE",
        Code::Internal => "INTERNAL",
        _ => "OTHER",
    }
}

pub(crate) fn onboarded(outcomes: &[Outcome]) {
    for outcome in outcomes {
        let outcome = match outcome {
            Outcome::Created => "created",
            Outcome::Updated => "updated",
            Outcome::Unchanged => "unchanged",
            Outcome::Failed(_) => "failed",
        };
        counter!("metadata_onboarded_devices_total", "outcome" => outcome).increment(1);
    }
}

pub(crate) fn published(devices: usize) {
    counter!("metadata_outbox_published_devices_total").increment(devices as u64);
}

pub(crate) fn backlog(waiting: i64, oldest_micros: Option<i64>) {
    gauge!("metadata_outbox_waiting_devices").set(waiting as f64);
    gauge!("metadata_outbox_oldest_timestamp_seconds").set(oldest_micros.unwrap_or(0) as f64 / 1e6);
}

pub(crate) fn refused(devices: usize) {
    gauge!("metadata_outbox_refused_devices").set(devices as f64);
}

pub(crate) fn relay_leads(leads: bool) {
    gauge!("metadata_outbox_leads").set(f64::from(u8::from(leads)));
}

pub(crate) fn relay_failed() {
    counter!("metadata_outbox_failures_total").increment(1);
}

#[cfg(test)]
mod tests {
    use service_runtime::MetricsHandle;

    use super::*;
    use crate::core::fields::Violations;

    /// Dashboards and alerts depend on names and labels.
    #[test]
    fn names_and_labels_stay_and_stand_in_the_readme() {
        let handle = MetricsHandle::install().unwrap();
        describe();
        called("GetDevice", Code::NotFound, Duration::from_millis(3));
        let failed = Outcome::Failed(Violations::one("a", "b"));
        onboarded(&[Outcome::Created, Outcome::Updated, Outcome::Unchanged, failed]);
        published(2);
        backlog(3, Some(1_500_000));
        refused(1);
        relay_leads(true);
        relay_failed();
        let shown = handle.render();
        let mut series: Vec<_> = shown
            .lines()
            .filter(|line| line.starts_with("metadata_") && !line.contains("_bucket"))
            .filter_map(|line| line.rsplit_once(' ').map(|(series, _)| series))
            .collect();
        series.sort_unstable();
        insta::assert_snapshot!(series.join("\n"));
        let readme = include_str!("../README.md");
        for name in shown.lines().filter_map(|line| line.strip_prefix("# HELP metadata_")?.split(' ').next()) {
            assert!(readme.contains(&format!("`metadata_{name}`")), "metadata_{name} is not in the README");
        }
    }
}
