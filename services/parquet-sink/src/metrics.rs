//! Every metric of the sink. Labels: `route` is one of the routes, the others are closed lists.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Says what the metrics mean; called once at start.
pub(crate) fn describe() {
    describe_counter!("parquet_sink_records_read_total", "records taken in, by route");
    describe_counter!("parquet_sink_rows_committed_total", "rows committed to the table, by route");
    describe_counter!("parquet_sink_files_committed_total", "files committed to the table, by route");
    describe_counter!("parquet_sink_committed_bytes_total", "bytes of committed files, by route");
    describe_counter!("parquet_sink_commits_total", "commits, by route and reason");
    describe_counter!(
        "parquet_sink_commit_conflicts_total",
        "refused commits, by route and outcome (rebased, restarted, too_old)"
    );
    describe_counter!("parquet_sink_re_emissions_total", "decisions dropped because an earlier one holds, by route");
    describe_counter!("parquet_sink_gaps_total", "holes in the sequence of source offsets, by route");
    describe_counter!("parquet_sink_missing_decisions_total", "source offsets in those holes, by route");
    describe_counter!("parquet_sink_records_dead_lettered_total", "records set aside, by route and reason");
    describe_counter!(
        "parquet_sink_isolations_total",
        "times that records which cannot be written were looked for, by route"
    );
    describe_counter!("parquet_sink_failed_attempts_total", "attempts that will be repeated, by route and component");
    describe_counter!("parquet_sink_hints_lost_total", "commits that were not announced, by route");
    describe_gauge!("parquet_sink_paused", "1 while a route waits for a component, by route and component");
    describe_gauge!(
        "parquet_sink_refused",
        "partitions that are not read until an operator moves their head, by route and reason (replaced, expired, truncated)"
    );
    describe_gauge!("parquet_sink_memory_bytes", "memory of rows that wait to be written, by route");
    describe_gauge!("parquet_sink_oldest_uncommitted_age_seconds", "age of the oldest uncommitted record, by route");
    describe_gauge!("parquet_sink_last_commit_timestamp_seconds", "time of the last commit, by route");
    describe_histogram!("parquet_sink_commit_seconds", "duration of a commit, by route");
    describe_histogram!(
        "parquet_sink_file_write_seconds",
        "duration of sorting, encoding and storing a file, by route"
    );
    describe_histogram!("parquet_sink_file_bytes", "size of a file, by route");
}

/// The metrics of one route.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouteMetrics(pub(crate) &'static str);

impl RouteMetrics {
    pub(crate) fn read(self, records: u64) {
        counter!("parquet_sink_records_read_total", "route" => self.0).increment(records);
    }

    pub(crate) fn judged(self, re_emitted: u64, gaps: u64, missing: u64) {
        counter!("parquet_sink_re_emissions_total", "route" => self.0).increment(re_emitted);
        counter!("parquet_sink_gaps_total", "route" => self.0).increment(gaps);
        counter!("parquet_sink_missing_decisions_total", "route" => self.0).increment(missing);
    }

    pub(crate) fn dead_lettered(self, reason: &'static str) {
        counter!("parquet_sink_records_dead_lettered_total", "route" => self.0, "reason" => reason).increment(1);
    }

    pub(crate) fn isolation(self) {
        counter!("parquet_sink_isolations_total", "route" => self.0).increment(1);
    }

    pub(crate) fn file_written(self, took: Duration, bytes: u64) {
        histogram!("parquet_sink_file_write_seconds", "route" => self.0).record(took.as_secs_f64());
        histogram!("parquet_sink_file_bytes", "route" => self.0).record(bytes as f64);
    }

    pub(crate) fn committed(self, reason: &'static str, took: Duration, at_micros: i64) {
        counter!("parquet_sink_commits_total", "route" => self.0, "reason" => reason).increment(1);
        histogram!("parquet_sink_commit_seconds", "route" => self.0).record(took.as_secs_f64());
        gauge!("parquet_sink_last_commit_timestamp_seconds", "route" => self.0).set(at_micros as f64 / 1e6);
    }

    pub(crate) fn rows_committed(self, rows: u64, files: u64, bytes: u64) {
        counter!("parquet_sink_rows_committed_total", "route" => self.0).increment(rows);
        counter!("parquet_sink_files_committed_total", "route" => self.0).increment(files);
        counter!("parquet_sink_committed_bytes_total", "route" => self.0).increment(bytes);
    }

    pub(crate) fn conflict(self, outcome: &'static str) {
        counter!("parquet_sink_commit_conflicts_total", "route" => self.0, "outcome" => outcome).increment(1);
    }

    pub(crate) fn hint_lost(self) {
        counter!("parquet_sink_hints_lost_total", "route" => self.0).increment(1);
    }

    pub(crate) fn failed_attempt(self, component: &'static str) {
        counter!("parquet_sink_failed_attempts_total", "route" => self.0, "component" => component).increment(1);
        gauge!("parquet_sink_paused", "route" => self.0, "component" => component).set(1.0);
    }

    pub(crate) fn resumed(self, component: &'static str) {
        gauge!("parquet_sink_paused", "route" => self.0, "component" => component).set(0.0);
    }

    pub(crate) fn refused(self, reason: &'static str, partitions: usize) {
        gauge!("parquet_sink_refused", "route" => self.0, "reason" => reason).set(partitions as f64);
    }

    pub(crate) fn waiting(self, memory_bytes: usize, oldest_age: Duration) {
        gauge!("parquet_sink_memory_bytes", "route" => self.0).set(memory_bytes as f64);
        gauge!("parquet_sink_oldest_uncommitted_age_seconds", "route" => self.0).set(oldest_age.as_secs_f64());
    }
}
