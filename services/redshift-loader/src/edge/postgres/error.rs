//! What PostgreSQL's errors mean for a load.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::super::warehouse::WarehouseError;

/// Another transaction was in the way.
fn is_conflict(state: &SqlState) -> bool {
    [&SqlState::T_R_SERIALIZATION_FAILURE, &SqlState::T_R_DEADLOCK_DETECTED, &SqlState::LOCK_NOT_AVAILABLE]
        .contains(&state)
}

/// The data is at fault: class 22 (values) or 23 (constraints). Another attempt meets the same data.
fn is_data(state: &SqlState) -> bool {
    state.code().starts_with("22") || state.code().starts_with("23")
}

/// Sorts an error that left nothing changed.
pub(in crate::edge) fn classify(action: &'static str) -> impl FnOnce(Error) -> WarehouseError {
    move |error| match error.code() {
        Some(state) if is_conflict(state) => WarehouseError::Conflict { action, source: Box::new(error) },
        _ => WarehouseError::Failed { action, source: Box::new(error) },
    }
}

/// Sorts an error of COMMIT. An answer that is an error of the transaction means "rolled back"; silence, or a server that is
/// being ended, means that nobody knows.
pub(in crate::edge) fn classify_commit(error: Error) -> WarehouseError {
    match error.code() {
        Some(state) if is_conflict(state) || is_data(state) => classify("commit a load")(error),
        _ => WarehouseError::OutcomeUnknown(Box::new(error)),
    }
}

/// Why the warehouse refuses the data; `None` when the data is not to blame.
pub(in crate::edge) fn refusal(error: &Error) -> Option<String> {
    let database = error.as_db_error().filter(|database| is_data(database.code()))?;
    let place = database.where_().map_or_else(String::new, |place| format!(" ({place})"));
    Some(format!("{} {}{place}", database.code().code(), database.message()))
}
