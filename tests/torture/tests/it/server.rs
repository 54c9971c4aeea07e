//! A small store over HTTP, which remembers what reached it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Method, key and `Host` of each request that arrived whole.
    pub(crate) requests: Vec<(String, String, String)>,
    pub(crate) objects: HashMap<String, Bytes>,
}

pub(crate) type Shared = Arc<Mutex<Seen>>;

/// Starts it on a free port.
pub(crate) async fn start() -> (SocketAddr, Shared) {
    let shared = Shared::default();
    let router = axum::Router::new().route("/{key}", any(object)).with_state(Arc::clone(&shared));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, shared)
}

async fn object(
    State(shared): State<Shared>,
    method: Method,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut seen = shared.lock().unwrap();
    let host = headers["host"].to_str().unwrap().to_owned();
    seen.requests.push((method.to_string(), key.clone(), host));
    match (method, seen.objects.get(&key)) {
        (Method::PUT, _) => {
            seen.objects.insert(key, body);
            StatusCode::OK.into_response()
        }
        (_, Some(found)) => found.clone().into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
