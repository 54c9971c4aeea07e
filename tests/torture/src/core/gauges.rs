//! Reading the metrics pages of the services, over the lives of processes that are killed again and again.

use std::collections::BTreeMap;

/// Samples of a page: name with labels, and value.
pub type Page = BTreeMap<String, f64>;

/// Reads a page in Prometheus' text format; lines that are none are left out.
pub fn read_page(text: &str) -> Page {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, v)| Some((name.to_owned(), v.parse().ok()?)))
        .collect()
}

/// Sum of the samples of a metric, whatever its labels.
pub fn sum(page: &Page, metric: &str) -> f64 {
    let named = |name: &str| name.strip_prefix(metric).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'));
    page.iter().filter(|(name, _)| named(name)).map(|(_, value)| value).sum()
}

/// The metric by which a service shows that it has carried something through, and not only that it lives.
pub fn progress_metric(service: &str) -> Option<&'static str> {
    Some(match service {
        "validate" => "validate_messages_decided_total",
        "parquet-sink" => "parquet_sink_commits_total",
        "redshift-loader" => "redshift_loader_last_caught_up_timestamp_seconds",
        "alert" => "alert_decisions_total",
        _ => return None,
    })
}

/// Counters that are worth a line in the report.
const NOTED: &[&str] = &[
    "validate_rebuilt_decisions_total",
    "validate_lost_offsets_total",
    "parquet_sink_commits_total",
    "parquet_sink_commit_conflicts_total",
    "parquet_sink_re_emissions_total",
    "parquet_sink_gaps_total",
    "parquet_sink_missing_decisions_total",
    "parquet_sink_records_dead_lettered_total",
    "parquet_sink_records_read_total",
    "parquet_sink_failed_attempts_total",
    "redshift_loader_snapshots_total",
    "redshift_loader_retries_total",
    "redshift_loader_quarantined_files_total",
    "alert_store_retries_total",
    "ingest_requests_total",
];

/// Counters added up over the lives of all processes. What a process counted after the last look at it died with it, so
/// the sums are lower bounds.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// By process and counter.
    seen: BTreeMap<(u32, String), f64>,
}

impl Counters {
    /// Takes a look at a process.
    pub fn take(&mut self, pid: u32, page: &Page) {
        let noted = |name: &str| NOTED.iter().any(|metric| name.starts_with(metric));
        for (name, value) in page.iter().filter(|(name, _)| noted(name)) {
            self.seen.insert((pid, name.clone()), *value);
        }
    }

    /// The sums by counter.
    pub fn totals(&self) -> BTreeMap<String, f64> {
        let mut totals = BTreeMap::new();
        for ((_, name), value) in &self.seen {
            *totals.entry(name.clone()).or_insert(0.0) += value;
        }
        totals.retain(|_, value| *value != 0.0);
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE a_total counter\nparquet_sink_commits_total{route=\"readings\",reason=\"age\"} 3\n\
        parquet_sink_commits_total{route=\"landing\",reason=\"age\"} 4\nparquet_sink_commits_totally_other 9\nnot a sample\n";

    #[test]
    fn a_metric_is_summed_over_its_labels_and_no_other() {
        assert_eq!(sum(&read_page(PAGE), "parquet_sink_commits_total"), 7.0);
        assert_eq!(sum(&read_page(PAGE), "parquet_sink_commits"), 0.0);
    }

    #[test]
    fn counters_of_dead_processes_still_count_and_a_second_look_replaces_the_first() {
        let mut counters = Counters::default();
        let page = |value: f64| Page::from([("redshift_loader_retries_total{kind=\"lake\"}".to_owned(), value)]);
        counters.take(10, &page(1.0));
        counters.take(10, &page(3.0));
        counters.take(11, &page(2.0));
        assert_eq!(counters.totals().values().copied().collect::<Vec<_>>(), [5.0]);
    }
}
