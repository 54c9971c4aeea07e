//! A catalog for exactly one commit: it lets the library commit only on the snapshot the heads were read from.
//!
//! `Transaction::commit` of iceberg 0.10 loads the table again before it applies its actions, and when the catalog reports
//! a conflict it does so once more: a stale append is quietly put on top of the newer snapshot. That is right for rows
//! that stand alone and wrong for rows that belong to offsets. This decorator turns both into refusals.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use iceberg::table::Table;
use iceberg::{Catalog, Error, ErrorKind, Namespace, NamespaceIdent, Result, TableCommit, TableCreation, TableIdent};
use service_runtime::fail_point;

use crate::core::commit::Progress;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct HeadChecked {
    inner: Arc<dyn Catalog>,
    expected: Option<i64>,
    progress: Mutex<Progress>,
}

impl HeadChecked {
    /// A catalog that commits only while the current snapshot is `expected`.
    pub(crate) fn new(inner: Arc<dyn Catalog>, expected: Option<i64>) -> Self {
        Self { inner, expected, progress: Mutex::new(Progress::NotSent) }
    }

    /// How far the commit came.
    pub(crate) fn progress(&self) -> Progress {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Catalog for HeadChecked {
    async fn load_table(&self, table: &TableIdent) -> Result<Table> {
        let loaded = self.inner.load_table(table).await?;
        let current = loaded.metadata().current_snapshot_id();
        if current != self.expected {
            *self.lock() = Progress::Refused;
            let message = format!("table stands at snapshot {current:?}, expected {:?}", self.expected);
            return Err(Error::new(ErrorKind::PreconditionFailed, message));
        }
        Ok(loaded)
    }

    async fn update_table(&self, commit: TableCommit) -> Result<Table> {
        fail_point("lake.before_commit").await;
        *self.lock() = Progress::Sent;
        let updated = self.inner.update_table(commit).await;
        fail_point("lake.after_commit").await;
        updated.map_err(|error| {
            if error.kind() == ErrorKind::CatalogCommitConflicts {
                *self.lock() = Progress::Refused;
            }
            // The library must not try again by itself: what a second attempt may do is decided by whoever reads the heads.
            error.with_retryable(false)
        })
    }

    async fn list_namespaces(&self, parent: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        self.inner.list_namespaces(parent).await
    }

    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        self.inner.create_namespace(namespace, properties).await
    }

    async fn get_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace> {
        self.inner.get_namespace(namespace).await
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        self.inner.namespace_exists(namespace).await
    }

    async fn update_namespace(&self, namespace: &NamespaceIdent, properties: HashMap<String, String>) -> Result<()> {
        self.inner.update_namespace(namespace, properties).await
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        self.inner.drop_namespace(namespace).await
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        self.inner.list_tables(namespace).await
    }

    async fn create_table(&self, namespace: &NamespaceIdent, creation: TableCreation) -> Result<Table> {
        self.inner.create_table(namespace, creation).await
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<()> {
        self.inner.drop_table(table).await
    }

    async fn purge_table(&self, table: &TableIdent) -> Result<()> {
        self.inner.purge_table(table).await
    }

    async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        self.inner.table_exists(table).await
    }

    async fn rename_table(&self, src: &TableIdent, dest: &TableIdent) -> Result<()> {
        self.inner.rename_table(src, dest).await
    }

    async fn register_table(&self, table: &TableIdent, metadata_location: String) -> Result<Table> {
        self.inner.register_table(table, metadata_location).await
    }
}
