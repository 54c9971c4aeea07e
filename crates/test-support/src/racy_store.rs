//! An object store that breaks its promise: it keeps conditional writes apart only when they come one after another.
//!
//! Looking whether the object exists and writing it are two steps here, with time in between, as in stores that were found
//! broken. Sequential tests pass on it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How long the two steps of a write are apart. Longer than it takes to open the connections of a race.
const GAP: Duration = Duration::from_millis(300);

type Objects = Arc<Mutex<HashMap<String, Bytes>>>;

/// See the module documentation. It knows how objects are written, read and removed, not how they are listed, and ends when it is dropped.
#[derive(Debug)]
pub struct RacyStore {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl RacyStore {
    /// Starts on a free port of the loopback interface.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let router = Router::new().fallback(answer).with_state(Objects::default());
        let serving = tokio::spawn(async move {
            // It ends with the test that owns it; there is nobody to tell.
            let _ended = axum::serve(listener, router).await;
        });
        Self { address, serving }
    }

    /// Address of its S3 API.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for RacyStore {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(objects): State<Objects>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let key = uri.path().to_owned();
    let look = || objects.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    match method {
        Method::PUT => {
            if headers.contains_key("if-none-match") && look().is_some() {
                return StatusCode::PRECONDITION_FAILED.into_response();
            }
            tokio::time::sleep(GAP).await;
            objects.lock().unwrap_or_else(PoisonError::into_inner).insert(key, body);
            [("etag", "\"racy\"")].into_response()
        }
        Method::DELETE => {
            objects.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            StatusCode::NO_CONTENT.into_response()
        }
        Method::POST if uri.query() == Some("delete") => {
            let wanted = String::from_utf8_lossy(&body);
            let named = wanted.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
            let mut deleted = String::new();
            for (name, _) in named {
                objects.lock().unwrap_or_else(PoisonError::into_inner).remove(&format!("{key}/{name}"));
                deleted += &format!("<Deleted><Key>{name}</Key></Deleted>");
            }
            format!("<DeleteResult>{deleted}</DeleteResult>").into_response()
        }
        Method::GET | Method::HEAD => match look() {
            Some(body) => {
                ([("etag", "\"racy\""), ("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT")], body).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        },
        _ => StatusCode::NOT_IMPLEMENTED.into_response(),
    }
}
