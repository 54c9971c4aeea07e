//! The endpoint for faults: `POST /faults`, `DELETE /faults`, `GET /status`, on loopback.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::server::Shared;
use crate::core::faults::Fault;

/// A fault, so often.
#[derive(Debug, Deserialize)]
struct Plan {
    #[serde(flatten)]
    fault: Fault,
    #[serde(default = "once")]
    count: usize,
}

const fn once() -> usize {
    1
}

/// What happened and what is to come.
#[derive(Debug, Serialize)]
struct Status {
    /// Faults that have not struck.
    pending: usize,
    counts: BTreeMap<&'static str, u64>,
}

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let faults = post(plan).delete(clear);
    Router::new().route("/faults", faults).route("/status", get(status)).with_state(shared)
}

async fn plan(State(shared): State<Arc<Shared>>, Json(plan): Json<Plan>) -> Json<Status> {
    shared.plan(plan.fault, plan.count);
    status(State(shared)).await
}

async fn clear(State(shared): State<Arc<Shared>>) -> Json<Status> {
    shared.clear();
    status(State(shared)).await
}

async fn status(State(shared): State<Arc<Shared>>) -> Json<Status> {
    Json(Status { pending: shared.pending(), counts: shared.counts() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::faults::{ConflictAt, CutAt};

    #[test]
    fn requests_are_read_as_the_readme_writes_them() {
        let plan: Plan = serde_json::from_str(r#"{"fault":"conflict","at":"write","count":3}"#).unwrap();
        assert_eq!((plan.fault, plan.count), (Fault::Conflict(ConflictAt::Write), 3));
        let plan: Plan = serde_json::from_str(r#"{"fault":"cut","at":"during_commit"}"#).unwrap();
        assert_eq!((plan.fault, plan.count), (Fault::Cut(CutAt::DuringCommit), 1));
        assert!(serde_json::from_str::<Plan>(r#"{"fault":"cut","at":"write"}"#).is_err());
    }
}
