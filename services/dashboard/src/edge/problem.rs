//! Refusals as problem documents (RFC 9457).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::core::query::Wrong;

/// Why a request is refused. `detail` is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    retry_after_s: Option<u64>,
    errors: Vec<(String, String)>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), retry_after_s: None, errors: Vec::new() }
    }

    /// 401: no token, or none that is good. Says nothing about why, which is logged.
    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Sign in: the token is missing, has ended or is not valid.")
    }

    /// 403: the role lacks the right.
    pub fn forbidden(needs: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, format!("This takes the right {needs}, which the role does not have."))
    }

    /// 404: there is no such thing, or it is somebody else's.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is no such thing here.")
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "This page has other methods; see /openapi.json.")
    }

    /// 400 with a sentence.
    pub fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 400 for one parameter or field.
    pub fn wrong((field, detail): Wrong) -> Self {
        Self::fields(vec![(field.to_owned(), detail)])
    }

    /// 400 for several fields.
    pub fn fields(errors: Vec<(String, String)>) -> Self {
        let detail = errors.iter().map(|(field, detail)| format!("{field} {detail}")).collect::<Vec<_>>().join("; ");
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, detail) }
    }

    /// 409.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 413.
    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large.")
    }

    /// 503: something behind is away or busy.
    pub fn unavailable(what: &str) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("{what} is busy or away; ask again later."));
        Self { retry_after_s: Some(2), ..problem }
    }

    /// 500: a defect, whose cause is in the log.
    pub fn defect(error: impl std::fmt::Display) -> Self {
        tracing::error!(error = %error, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Something is wrong on our side; it was written down.")
    }

    /// HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer about a request.
    pub fn answer(&self, path: &str, request_id: &str) -> Response {
        let mut document = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "instance": path,
            "request_id": request_id,
        });
        if !self.errors.is_empty() {
            let errors = self.errors.iter().map(|(field, detail)| json!({"field": field, "detail": detail}));
            document["errors"] = errors.collect();
        }
        let mut response = (self.status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Wrong> for Problem {
    fn from(wrong: Wrong) -> Self {
        Self::wrong(wrong)
    }
}
