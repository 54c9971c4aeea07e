//! The connection to catalog and store, and the way to the tables.

use std::collections::HashMap;
use std::sync::Arc;

use iceberg::table::Table;
use iceberg::transaction::{AddColumn, ApplyTransactionAction, Transaction};
use iceberg::{Catalog, NamespaceIdent, TableCreation, TableIdent};

use crate::catalog;
use crate::config::LakeConfig;
use crate::error::LakeError;
use crate::probe::{self, ProbeError, ProbeReport};
use crate::table::{LakeTable, columns_to_come};
use crate::tables::{Column, TableSpec};

/// A connected lake. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lake {
    catalog: Arc<dyn Catalog>,
    namespace: NamespaceIdent,
    config: Arc<LakeConfig>,
}

impl Lake {
    /// Connects to the catalog. The object store is first asked by [`Self::probe_store`] or by a table.
    ///
    /// # Errors
    /// [`LakeError::Config`] when the configuration cannot work, [`LakeError::Iceberg`] when the catalog does not answer.
    pub async fn connect(config: &LakeConfig) -> Result<Self, LakeError> {
        if let Some((key, problem)) = config.problems().into_iter().next() {
            return Err(LakeError::Config(format!("{key}: {problem}")));
        }
        Ok(Self {
            catalog: catalog::connect(config).await?,
            namespace: NamespaceIdent::new(config.namespace.clone()),
            config: Arc::new(config.clone()),
        })
    }

    /// Lets writers race for one object and refuses a store that lets two of them win.
    ///
    /// # Errors
    /// [`ProbeError::NotAtomic`] when the store must not be used, [`ProbeError::Store`] when it did not answer.
    pub async fn probe_store(&self) -> Result<ProbeReport, ProbeError> {
        probe::conditional_writes(&self.config).await
    }

    /// The table, created on first use. Several processes may do so at once.
    ///
    /// # Errors
    /// [`LakeError::SchemaMismatch`] when a table of that name has other columns or partitions.
    pub async fn open_or_create(&self, spec: &TableSpec) -> Result<LakeTable, LakeError> {
        let ident = self.ident(spec);
        if !self.exists(&ident).await? {
            self.ensure_namespace().await?;
            self.create(spec, &ident).await?;
        }
        let opened = self.open(spec).await?;
        let missing = columns_to_come(spec, opened.opened.metadata()).unwrap_or_default();
        if missing.is_empty() {
            return Ok(opened);
        }
        self.add_columns(&opened, missing).await?;
        self.open(spec).await
    }

    /// Adds columns to a table that an older release made.
    async fn add_columns(&self, table: &LakeTable, missing: &[Column]) -> Result<(), LakeError> {
        let transaction = Transaction::new(&table.opened);
        let action = missing.iter().fold(transaction.update_schema(), |action, column| {
            action.add_column(AddColumn::optional(column.name, column.column_type.iceberg()))
        });
        let changed = action.apply(transaction).map_err(LakeError::iceberg("add columns"))?;
        match changed.commit(self.catalog.as_ref()).await {
            Ok(_) => Ok(()),
            // Another process was faster.
            Err(error) => {
                let now = self.open(&table.spec).await?;
                let missing = columns_to_come(&table.spec, now.opened.metadata()).unwrap_or_default();
                if missing.is_empty() { Ok(()) } else { Err(LakeError::iceberg("add columns")(error)) }
            }
        }
    }

    /// The table, which must exist.
    ///
    /// # Errors
    /// [`LakeError::Iceberg`] when it does not exist or the catalog does not answer, [`LakeError::SchemaMismatch`] when
    /// it has other columns or partitions.
    pub async fn open(&self, spec: &TableSpec) -> Result<LakeTable, LakeError> {
        LakeTable::new(Arc::clone(&self.catalog), *spec, self.load(spec).await?)
    }

    /// Whether the catalog has the table.
    ///
    /// # Errors
    /// [`LakeError::Iceberg`] when the catalog does not answer.
    pub async fn has(&self, spec: &TableSpec) -> Result<bool, LakeError> {
        self.exists(&self.ident(spec)).await
    }

    pub(crate) fn config(&self) -> &LakeConfig {
        &self.config
    }

    pub(crate) async fn load(&self, spec: &TableSpec) -> Result<Table, LakeError> {
        self.catalog.load_table(&self.ident(spec)).await.map_err(LakeError::iceberg("load table"))
    }

    fn ident(&self, spec: &TableSpec) -> TableIdent {
        TableIdent::new(self.namespace.clone(), spec.name.to_owned())
    }

    async fn exists(&self, ident: &TableIdent) -> Result<bool, LakeError> {
        self.catalog.table_exists(ident).await.map_err(LakeError::iceberg("look up table"))
    }

    async fn ensure_namespace(&self) -> Result<(), LakeError> {
        let known = || self.catalog.namespace_exists(&self.namespace);
        if known().await.map_err(LakeError::iceberg("look up namespace"))? {
            return Ok(());
        }
        match self.catalog.create_namespace(&self.namespace, HashMap::new()).await {
            Ok(_) => Ok(()),
            // Another process was faster: with most catalogs the error does not say so.
            Err(_) if known().await.unwrap_or(false) => Ok(()),
            Err(error) => Err(LakeError::iceberg("create namespace")(error)),
        }
    }

    async fn create(&self, spec: &TableSpec, ident: &TableIdent) -> Result<(), LakeError> {
        let creation = TableCreation::builder()
            .name(spec.name.to_owned())
            .schema(spec.iceberg_schema().as_ref().clone())
            .partition_spec(spec.partition_spec())
            .sort_order(spec.sort_order())
            .properties(spec.properties())
            .build();
        match self.catalog.create_table(&self.namespace, creation).await {
            Ok(_) => Ok(()),
            // Another process was faster: with most catalogs the error does not say so.
            Err(_) if self.exists(ident).await.unwrap_or(false) => Ok(()),
            Err(error) => Err(LakeError::iceberg("create table")(error)),
        }
    }
}
