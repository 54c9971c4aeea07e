//! A columnar COPY: the manifest's files from S3 into PostgreSQL, all or none.

use std::pin::{Pin, pin};

use arrow::array::RecordBatchReader;
use bytes::{Bytes, BytesMut};
use futures::SinkExt;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use tokio_postgres::{Client, CopyInSink};

use super::store::Store;
use super::upstream::{Failure, run};
use crate::core::copy::CopyStatement;
use crate::core::error::RedshiftError;
use crate::core::manifest;
use crate::core::rows::{self, TableColumn};

/// Bytes sent to PostgreSQL at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Copies; returns how many rows came. One bad file fails all: a columnar COPY knows no MAXERROR.
pub(crate) async fn copy(store: &Store, upstream: &Client, statement: &CopyStatement) -> Result<u64, Failure> {
    let columns = columns(upstream, &statement.table).await?;
    let manifest = store.get(&statement.manifest).await?.ok_or_else(|| {
        let missing = RedshiftError::s3("The specified key does not exist.", 404, "NoSuchKey").message;
        RedshiftError::new("XX000", format!("Problem reading manifest file - {missing}"))
    })?;
    let sink = upstream.copy_in::<_, Bytes>(&format!("COPY {} FROM STDIN", statement.table)).await?;
    let mut sink = pin!(sink);
    for entry in manifest::parse(&manifest)? {
        let file = store.get(&entry.url).await?;
        if !manifest::check(&entry, file.as_ref().map(|file| file.len() as u64))? {
            continue;
        }
        let reader = open(file.unwrap_or_default(), &entry.url)?;
        rows::check_columns(&columns, &reader.schema(), &entry.url)?;
        send(reader, &mut sink, &entry.url, &statement.table).await?;
    }
    sink.finish().await.map_err(|error| refused(error, &statement.table))
}

/// The columns of a table, in order.
async fn columns(upstream: &Client, table: &str) -> Result<Vec<TableColumn>, Failure> {
    let statement = format!(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute \
         WHERE attrelid = '{}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        table.replace('\'', "''")
    );
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let rows = run(upstream, &statement).await?.rows;
    Ok(rows.iter().map(|row| TableColumn { name: text(&row[0]), sql_type: text(&row[1]) }).collect())
}

fn open(file: Bytes, url: &str) -> Result<ParquetRecordBatchReader, RedshiftError> {
    let opened = ParquetRecordBatchReaderBuilder::try_new(file).and_then(ParquetRecordBatchReaderBuilder::build);
    opened.map_err(|error| unreadable(url, error))
}

fn unreadable(url: &str, error: impl std::fmt::Display) -> RedshiftError {
    RedshiftError::spectrum(15001, format!("File '{url}' is not a valid Parquet file. {error}"))
}

async fn send(
    reader: ParquetRecordBatchReader,
    sink: &mut Pin<&mut CopyInSink<Bytes>>,
    url: &str,
    table: &str,
) -> Result<(), Failure> {
    let mut chunk = BytesMut::new();
    for batch in reader {
        let batch = batch.map_err(|error| unreadable(url, error))?;
        rows::encode(&batch, &mut chunk).map_err(|error| unreadable(url, error))?;
        if chunk.len() >= CHUNK_BYTES {
            sink.send(chunk.split().freeze()).await.map_err(|error| refused(error, table))?;
        }
    }
    sink.send(chunk.freeze()).await.map_err(|error| refused(error, table))
}

/// What PostgreSQL says about a value (classes 22 and 23) becomes a load error; the rest stays.
fn refused(error: tokio_postgres::Error, table: &str) -> Failure {
    match Failure::from(error) {
        Failure::Answer(error) if error.sqlstate.starts_with("22") || error.sqlstate.starts_with("23") => {
            Failure::Answer(RedshiftError::load(table, &error.message))
        }
        other => other,
    }
}
