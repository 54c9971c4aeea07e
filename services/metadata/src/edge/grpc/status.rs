//! Errors of the store as statuses.

use tonic::Status;

use crate::edge::StoreError;

/// The status that a caller gets. What the caller can do nothing about is logged here and not told in detail.
pub(super) fn of(method: &'static str, error: &StoreError) -> Status {
    let said = error.to_string();
    match error {
        StoreError::Invalid(_) => Status::invalid_argument(said),
        StoreError::NotFound(_) => Status::not_found(said),
        StoreError::Taken(_) | StoreError::Conflict(_) => Status::already_exists(said),
        StoreError::Precondition(_) => Status::failed_precondition(said),
        StoreError::VersionMismatch { .. } => Status::aborted(said),
        StoreError::Timeout(source) => {
            tracing::warn!(rpc = method, error = %source, "call timed out in the database");
            Status::deadline_exceeded(said)
        }
        StoreError::Unavailable(source) => {
            tracing::warn!(rpc = method, error = %chain(source.as_ref()), "database is not available");
            Status::unavailable(said)
        }
        StoreError::Internal(source) => {
            tracing::error!(rpc = method, error = %chain(source.as_ref()), "call ended with a defect");
            Status::internal("internal error")
        }
    }
}

/// An error with its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
