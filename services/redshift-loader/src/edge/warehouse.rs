//! What the loader needs of a warehouse, whichever it is.

use async_trait::async_trait;
use lake::{LakeError, LakeFile, LakeTable};
use meterway_schemas::WarehouseLoad;

use crate::core::devices::DeviceRows;
use crate::core::job::{LoadJob, LoadOutcome};
use crate::core::table::LoadTable;

/// Any error of a client library.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Something did not happen, or nobody knows whether it did.
#[derive(Debug, thiserror::Error)]
pub enum WarehouseError {
    /// The warehouse did not do it: unreachable, overloaded, misconfigured, without permission. Nothing was changed.
    #[error("{action}")]
    Failed {
        /// What was being done.
        action: &'static str,
        /// What the client says.
        #[source]
        source: Cause,
    },
    /// Another transaction was in the way; nothing was changed, the whole transaction can be tried again.
    #[error("{action}: another transaction was in the way")]
    Conflict {
        /// What was being done.
        action: &'static str,
        /// What the client says.
        #[source]
        source: Cause,
    },
    /// The connection ended between COMMIT and its confirmation: only the ledger knows.
    #[error("outcome of the commit is unknown")]
    OutcomeUnknown(#[source] Cause),
    /// The ledger's newest snapshot of the table is not the parent of the one to load. Trying again does not help.
    #[error(
        "snapshot {snapshot_id} of {lake_table} follows {parent:?}, but the newest loaded snapshot is {newest:?}: the table \
         was replaced, or rolled back behind what is loaded"
    )]
    OutOfOrder {
        /// Lake table.
        lake_table: String,
        /// Snapshot to load.
        snapshot_id: i64,
        /// Its parent in the lake.
        parent: Option<i64>,
        /// Newest snapshot in the ledger.
        newest: Option<i64>,
    },
    /// The lake did not deliver a file. Nothing was changed.
    #[error("read {path} from the lake")]
    Lake {
        /// The file.
        path: String,
        /// What the lake says.
        #[source]
        source: LakeError,
    },
}

impl WarehouseError {
    /// A short name for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Failed { .. } => "failed",
            Self::Conflict { .. } => "conflict",
            Self::OutcomeUnknown(_) => "outcome_unknown",
            Self::OutOfOrder { .. } => "out_of_order",
            Self::Lake { .. } => "lake",
        }
    }
}

/// A file in quarantine that somebody asked to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryRequest {
    /// Lake table, namespace included.
    pub lake_table: String,
    /// Snapshot that added the file.
    pub snapshot_id: i64,
    /// The file.
    pub file: LakeFile,
}

/// What became of such a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// Its rows are in now, and this call brought them in.
    Loaded,
    /// It was refused once more; the request is answered.
    Refused,
    /// There was nothing to do: another loader was faster, or the entry is gone.
    Gone,
}

/// A session with a warehouse. Every method connects when there is no connection, and drops it after an error.
#[async_trait]
pub trait Warehouse: Send + Sync + std::fmt::Debug {
    /// Newest loaded snapshot of a lake table; `None` when none was loaded yet.
    async fn newest(&mut self, lake_table: &str) -> Result<Option<i64>, WarehouseError>;

    /// Whether the ledger has a snapshot. Asked behind the table's lock, which a commit that is under way still holds: so the
    /// answer is final, also after a connection that broke.
    async fn is_loaded(&mut self, lake_table: &str, snapshot_id: i64) -> Result<bool, WarehouseError>;

    /// Brings a snapshot in, in one transaction: ledger row, rows, and the files set aside.
    async fn load(&mut self, table: &LoadTable, lake: &LakeTable, job: &LoadJob)
    -> Result<LoadOutcome, WarehouseError>;

    /// Files of a table in quarantine that somebody asked to try again.
    async fn retry_requests(&mut self, lake_table: &str) -> Result<Vec<RetryRequest>, WarehouseError>;

    /// Tries such a file again, once.
    async fn retry(
        &mut self,
        table: &LoadTable,
        lake: &LakeTable,
        request: &RetryRequest,
    ) -> Result<Retried, WarehouseError>;

    /// Number of files of a table in quarantine.
    async fn quarantined(&mut self, lake_table: &str) -> Result<i64, WarehouseError>;

    /// Loads that were not announced yet, oldest first, at most `limit`.
    async fn unannounced(&mut self, limit: i64) -> Result<Vec<WarehouseLoad>, WarehouseError>;

    /// Notes that a load was announced.
    async fn announced(&mut self, load: &WarehouseLoad) -> Result<(), WarehouseError>;

    /// Brings devices up to date; older versions than the warehouse has change nothing. Returns the devices changed.
    async fn upsert_devices(&mut self, rows: &DeviceRows) -> Result<u64, WarehouseError>;
}
