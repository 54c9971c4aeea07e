//! Statements over the wire, and what their errors mean.

use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryRow};

use crate::core::redshift_blame::{Blame, blame};
use crate::edge::warehouse::WarehouseError;

/// Whose fault an error is; a lost connection is nobody's.
pub(super) fn judge(error: &Error) -> Blame {
    error
        .as_db_error()
        .map_or(Blame::Other, |database| blame(database.code().code(), database.message(), database.detail()))
}

/// Sorts an error that left nothing changed.
pub(super) fn classify(action: &'static str) -> impl FnOnce(Error) -> WarehouseError {
    move |error| match judge(&error) {
        Blame::Conflict => WarehouseError::Conflict { action, source: Box::new(error) },
        Blame::Data(_) | Blame::Other => WarehouseError::Failed { action, source: Box::new(error) },
    }
}

/// Runs a statement; returns the rows it changed.
pub(super) async fn execute(client: &Client, action: &'static str, statement: &str) -> Result<u64, WarehouseError> {
    let messages = client.simple_query(statement).await.map_err(classify(action))?;
    let affected = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
        _ => None,
    });
    Ok(affected.unwrap_or(0))
}

/// Runs a statement that must change so many rows; the transaction is not to be committed otherwise.
pub(super) async fn execute_exactly(
    client: &Client,
    action: &'static str,
    statement: &str,
    rows: u64,
) -> Result<(), WarehouseError> {
    match execute(client, action, statement).await? {
        changed if changed == rows => Ok(()),
        changed => Err(unexpected(action, format!("{changed} rows were written, {rows} were expected"))),
    }
}

/// The rows of a query.
pub(super) async fn rows(
    client: &Client,
    action: &'static str,
    statement: &str,
) -> Result<Vec<SimpleQueryRow>, WarehouseError> {
    let messages = client.simple_query(statement).await.map_err(classify(action))?;
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    };
    Ok(messages.into_iter().filter_map(row).collect())
}

/// The first column of the first row; `None` when there is no row.
pub(super) async fn first_number(
    client: &Client,
    action: &'static str,
    statement: &str,
) -> Result<Option<i64>, WarehouseError> {
    rows(client, action, statement).await?.first().map(|row| number(row, 0)).transpose()
}

/// COMMIT. A conflict is an answer: the transaction was rolled back. After anything else, silence above all, only the
/// ledger knows the outcome.
pub(super) async fn commit(client: &Client, action: &'static str) -> Result<(), WarehouseError> {
    let committed = client.batch_execute("COMMIT").await;
    committed.map_err(|error| match judge(&error) {
        Blame::Conflict => WarehouseError::Conflict { action, source: Box::new(error) },
        Blame::Data(_) | Blame::Other => WarehouseError::OutcomeUnknown(Box::new(error)),
    })
}

/// A column as a number.
pub(super) fn number(row: &SimpleQueryRow, column: usize) -> Result<i64, WarehouseError> {
    let text = row.get(column);
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| unexpected("read a number", format!("{text:?} is none")))
}

/// A column as a text; NULL is none.
pub(super) fn text(row: &SimpleQueryRow, column: usize) -> Result<String, WarehouseError> {
    let text = row.get(column).map(str::to_owned);
    text.ok_or_else(|| unexpected("read a text", "it is NULL".to_owned()))
}

/// The warehouse answered something that cannot be.
pub(super) fn unexpected(action: &'static str, problem: String) -> WarehouseError {
    WarehouseError::Failed { action, source: problem.into() }
}
