//! Refusals as problem documents (RFC 9457) with stable codes.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// Why a request is refused. The code is part of the API; `detail` is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    code: Code,
    detail: String,
    retry_after_s: Option<u64>,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $status:ident $title:literal),+ $(,)?) => {
        /// Stable code of a refusal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $variant),+ }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The code as clients see it.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $code),+ } }

            /// HTTP status.
            pub const fn status(self) -> StatusCode { match self { $(Self::$variant => StatusCode::$status),+ } }

            const fn title(self) -> &'static str { match self { $(Self::$variant => $title),+ } }
        }
    };
}

codes! {
    /// No API key, or one that is not good.
    Unauthenticated = "unauthenticated" UNAUTHORIZED "The API key is missing or not valid",
    /// The key is good, but not for this.
    Forbidden = "forbidden" FORBIDDEN "The API key may not be used for this",
    /// Neither JSON nor NDJSON.
    UnsupportedMediaType = "unsupported-media-type" UNSUPPORTED_MEDIA_TYPE "The content type or encoding is not supported",
    /// Too many bytes, as sent or after decompression.
    TooLarge = "too-large" PAYLOAD_TOO_LARGE "The body is too large",
    /// The body cannot be read or decompressed.
    BadBody = "bad-body" BAD_REQUEST "The body cannot be read",
    /// Nothing in it can be taken.
    Invalid = "invalid" UNPROCESSABLE_ENTITY "The delivery cannot be taken",
    /// The `Idempotency-Key` is malformed, or this installation takes none.
    BadKey = "bad-idempotency-key" BAD_REQUEST "The Idempotency-Key cannot be used",
    /// The `Idempotency-Key` was sent with another request.
    KeyReused = "idempotency-key-reused" UNPROCESSABLE_ENTITY "The Idempotency-Key belongs to another request",
    /// The request is being worked on.
    InWork = "in-work" CONFLICT "The same request is being worked on, ask again later",
    /// The tenant delivers too much.
    RateLimited = "rate-limited" TOO_MANY_REQUESTS "The tenant's rate limit is reached",
    /// The door, the broker or the register is busy or away.
    Unavailable = "unavailable" SERVICE_UNAVAILABLE "The service is busy, send the request again later",
    /// There is no such page.
    NotFound = "not-found" NOT_FOUND "There is no such resource",
    /// The page does not know the method.
    MethodNotAllowed = "method-not-allowed" METHOD_NOT_ALLOWED "The method is not allowed",
}

impl Problem {
    /// A refusal with what was found.
    pub fn new(code: Code, detail: impl ToString) -> Self {
        Self { code, detail: detail.to_string(), retry_after_s: None }
    }

    /// A refusal that says when to ask again.
    pub fn retry(code: Code, detail: impl ToString, after_s: u64) -> Self {
        Self { retry_after_s: Some(after_s), ..Self::new(code, detail) }
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'a str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let document = Document {
            r#type: format!("urn:meterway:problem:{}", self.code.as_str()),
            title: self.code.title(),
            status: status.as_u16(),
            code: self.code.as_str(),
            detail: &self.detail,
        };
        let mut response = (status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
