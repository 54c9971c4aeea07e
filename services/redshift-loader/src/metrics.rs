//! Every metric of the loader. Labels are table names, closed lists of outcomes and nothing else.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Rows added to the warehouse, by `table`.
pub const ROWS: &str = "redshift_loader_rows_total";
/// Files whose rows were added, by `table`.
pub const FILES: &str = "redshift_loader_files_total";
/// Snapshots taken up, by `table` and `outcome`: loaded, already_loaded (ledger hits).
pub const SNAPSHOTS: &str = "redshift_loader_snapshots_total";
/// Time from the begin to the commit of a load, by `table`.
pub const LOAD_SECONDS: &str = "redshift_loader_load_seconds";
/// Files that the warehouse refused, by `table`. Somebody must look at each.
pub const REFUSED_FILES: &str = "redshift_loader_quarantined_files_total";
/// Files in quarantine now, by `table`.
pub const QUARANTINED_FILES: &str = "redshift_loader_quarantined_files";
/// When a load was last committed, by `table`.
pub const LAST_LOAD: &str = "redshift_loader_last_load_timestamp_seconds";
/// When the lake and the ledger were last found to agree, by `table`: fresh even when nothing is to be loaded.
pub const LAST_CAUGHT_UP: &str = "redshift_loader_last_caught_up_timestamp_seconds";
/// Snapshots of the lake that are not loaded yet, by `table`.
pub const LAG_SNAPSHOTS: &str = "redshift_loader_lag_snapshots";
/// Age of the oldest snapshot that is not loaded yet, by `table`; 0 when there is none.
pub const LAG_SECONDS: &str = "redshift_loader_lag_seconds";
/// Attempts that did not succeed and are made again, by `table` (also devices, announcements) and `kind`: failed, conflict,
/// outcome_unknown, out_of_order, lake, kafka.
pub const RETRIES: &str = "redshift_loader_retries_total";
/// Snapshots by which another engine removed or replaced rows, which the warehouse does not follow, by `table`.
pub const FOREIGN_SNAPSHOTS: &str = "redshift_loader_foreign_snapshots_total";
/// Hints that a snapshot was committed.
pub const HINTS: &str = "redshift_loader_hints_total";
/// Loads announced on the loads topic.
pub const ANNOUNCEMENTS: &str = "redshift_loader_announcements_total";
/// Records of the devices topic, by `outcome`: applied, unchanged, poison.
pub const DEVICES: &str = "redshift_loader_devices_total";
/// Builds of the facts, by `outcome`: ok, failed, timeout.
pub const DBT_RUNS: &str = "redshift_loader_dbt_runs_total";
/// Time a build of the facts took.
pub const DBT_SECONDS: &str = "redshift_loader_dbt_seconds";
/// When a build of the facts last succeeded.
pub const DBT_LAST_SUCCESS: &str = "redshift_loader_dbt_last_success_timestamp_seconds";

/// Tells the exporter what the metrics mean.
pub fn describe() {
    describe_counter!(ROWS, "Rows added to the warehouse");
    describe_counter!(FILES, "Files whose rows were added");
    describe_counter!(SNAPSHOTS, "Snapshots taken up, by outcome; already_loaded is a hit in the ledger");
    describe_histogram!(LOAD_SECONDS, Unit::Seconds, "Time from the begin to the commit of a load");
    describe_counter!(REFUSED_FILES, "Files that the warehouse refused; somebody must look at each");
    describe_gauge!(QUARANTINED_FILES, "Files in quarantine now");
    describe_gauge!(LAST_LOAD, Unit::Seconds, "When a load was last committed");
    describe_gauge!(LAST_CAUGHT_UP, Unit::Seconds, "When lake and ledger were last found to agree");
    describe_gauge!(LAG_SNAPSHOTS, "Snapshots of the lake that are not loaded yet");
    describe_gauge!(LAG_SECONDS, Unit::Seconds, "Age of the oldest snapshot that is not loaded yet");
    describe_counter!(RETRIES, "Attempts that did not succeed and are made again, by kind of error");
    describe_counter!(
        FOREIGN_SNAPSHOTS,
        "Snapshots that removed or replaced rows, which the warehouse does not follow"
    );
    describe_counter!(HINTS, "Hints that a snapshot was committed");
    describe_counter!(ANNOUNCEMENTS, "Loads announced");
    describe_counter!(DEVICES, "Records of the devices topic, by outcome");
    describe_counter!(DBT_RUNS, "Builds of the facts, by outcome");
    describe_histogram!(DBT_SECONDS, Unit::Seconds, "Time a build of the facts took");
    describe_gauge!(DBT_LAST_SUCCESS, Unit::Seconds, "When a build of the facts last succeeded");
}
