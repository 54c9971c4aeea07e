//! Loads into the warehouse.

use serde::{Deserialize, Serialize};

/// Value of the warehouse loads topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarehouseLoad {
    /// Warehouse table, schema included; also the message key.
    pub table: String,
    /// Lake table it was loaded from.
    pub lake_table: String,
    /// Iceberg snapshot whose added files were loaded.
    pub snapshot_id: i64,
    /// Rows inserted.
    pub rows: i64,
    /// Files loaded.
    pub files: i32,
    /// Files set aside because the warehouse refused them.
    pub quarantined_files: i32,
    /// When the load began; UTC microseconds.
    pub started_at: i64,
    /// When the load was committed; UTC microseconds.
    pub finished_at: i64,
}
