//! The public endpoint: everything that is the same for all routes, in one place and one order.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, get, on};
use bytes::Bytes;
use chrono::Utc;
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::api::{Answer, Api, Call, Needs, Route};
use super::problem::Problem;
use super::routes::ROUTES;
use super::store::Entry;
use super::{openapi, web};
use crate::core::access::{Caller, NoScope, Scope};
use crate::core::query::Query;
use crate::metrics;

/// The router over what the routes share.
pub fn router(api: Arc<Api>) -> Router {
    let mut router = Router::new().route("/openapi.json", get(async || axum::Json(openapi::document())));
    for route in ROUTES {
        let handler =
            move |state: State<Arc<Api>>, path: RawPathParams, request: Request| serve(route, state, path, request);
        router = router.route(route.path, on(filter(route.method), handler));
    }
    router
        .fallback(async |State(api): State<Arc<Api>>, method: Method, uri: Uri, headers: HeaderMap| {
            web::serve(&api, &method, &uri, &headers)
        })
        .method_not_allowed_fallback(async |uri: Uri| Problem::method_not_allowed().answer(uri.path(), ""))
        .with_state(api)
}

fn filter(method: &str) -> MethodFilter {
    match method {
        "POST" => MethodFilter::POST,
        "PUT" => MethodFilter::PUT,
        _ => MethodFilter::GET,
    }
}

async fn serve(route: &'static Route, State(api): State<Arc<Api>>, path: RawPathParams, request: Request) -> Response {
    let began = Instant::now();
    let request_id = Uuid::now_v7().to_string();
    let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let target = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let uri_path = request.uri().path().to_owned();
    let condition = request.headers().get(header::IF_NONE_MATCH).cloned();
    let mut who = Who::default();
    let mut response = match work(route, Arc::clone(&api), path, request, &mut who).await {
        Ok(answer) => respond(answer, condition.as_ref()),
        Err(problem) => problem.answer(&uri_path, &request_id),
    };
    if let Some(entry) = who.entry(route, target, response.status())
        && !api.audit.note(entry).await
    {
        // What cannot be recorded is not shown.
        response = Problem::unavailable("The audit log").answer(&uri_path, &request_id);
    }
    let headers = response.headers_mut();
    headers.insert("x-request-id", HeaderValue::from_str(&request_id).unwrap_or(HeaderValue::from_static("-")));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    metrics::answered(route.path, response.status().as_u16(), began.elapsed());
    response
}

/// Who asked, as far as it is known when the answer is there.
#[derive(Default)]
struct Who {
    caller: Option<Caller>,
    scope: Option<Scope>,
}

impl Who {
    /// The entry of the audit log: of every request about somebody's rows by somebody who is known.
    fn entry(self, route: &Route, target: String, status: StatusCode) -> Option<Entry> {
        let caller = self.caller.filter(|_| route.scoped)?;
        let tenant = self.scope.map(|scope| scope.tenant).or(caller.tenant).unwrap_or_default();
        Some(Entry {
            at: Utc::now(),
            tenant,
            subject: caller.subject,
            name: caller.name,
            role: caller.role.as_str(),
            action: format!("{} {}", route.method, route.path),
            target,
            status: i32::from(status.as_u16()),
        })
    }
}

async fn work(
    route: &'static Route,
    api: Arc<Api>,
    path: Vec<(String, String)>,
    request: Request,
    who: &mut Who,
) -> Result<Answer, Problem> {
    let _slot = api.slots.try_acquire().map_err(|_| Problem::unavailable("The dashboard"))?;
    let limit = api.config.http.request_timeout;
    let work = async {
        let (parts, body) = request.into_parts();
        if route.needs != Needs::Nothing {
            let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            who.caller = Some(api.auth.caller(header).await?);
        }
        let query = query(&parts.uri)?;
        if let (Needs::Right(right), Some(caller)) = (route.needs, &who.caller)
            && !caller.role.may(right)
        {
            let name = serde_json::to_value(right).ok().and_then(|name| name.as_str().map(str::to_owned));
            return Err(Problem::forbidden(&name.unwrap_or_default()));
        }
        if let (true, Some(caller)) = (route.scoped, &who.caller) {
            who.scope = Some(caller.scope(query.text("tenant_id")).map_err(|none| match none {
                NoScope::Unnamed => Problem::wrong(("tenant_id", "must name the utility that this is about".into())),
                NoScope::Foreign => Problem::not_found(),
            })?);
        }
        let body =
            if route.takes.is_some() { read(body, api.config.http.max_body.as_u64()).await? } else { Bytes::new() };
        let (caller, scope) = (who.caller.clone(), who.scope.clone());
        let call = Call { api: Arc::clone(&api), caller, scope, path, query, headers: parts.headers, body };
        (route.run)(call).await
    };
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(Problem::unavailable("The dashboard")))
}

async fn read(body: Body, most: u64) -> Result<Bytes, Problem> {
    let limited = Limited::new(body, usize::try_from(most).unwrap_or(usize::MAX));
    Ok(limited.collect().await.map_err(|_| Problem::too_large())?.to_bytes())
}

fn query(uri: &Uri) -> Result<Query, Problem> {
    let parsed = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
    let pairs = parsed.map_err(|_| Problem::bad("The parameters in the address cannot be read."))?.0;
    // PostgreSQL's texts cannot hold it.
    if pairs.iter().any(|(_, value)| value.contains('\0')) {
        return Err(Problem::bad("The parameters in the address hold a null character."));
    }
    Ok(Query::new(pairs))
}

fn respond(answer: Answer, condition: Option<&HeaderValue>) -> Response {
    match answer {
        Answer::Json(document) => tagged(&document, condition),
        Answer::Created(document) => (StatusCode::CREATED, axum::Json(document)).into_response(),
        Answer::File { content_type, name, body } => {
            let disposition = format!("attachment; filename=\"{name}\"");
            let disposition = HeaderValue::from_str(&disposition).unwrap_or(HeaderValue::from_static("attachment"));
            let mut response = Response::new(body);
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
            response
        }
        Answer::Events(body) => {
            let mut response = Response::new(body);
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            // nginx would hold events back otherwise.
            response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
            response
        }
    }
}

/// A document with its tag, or 304 when the client has it already.
fn tagged(document: &Value, condition: Option<&HeaderValue>) -> Response {
    let body = document.to_string();
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(body.as_bytes())[..16]));
    let known = condition.and_then(|value| value.to_str().ok());
    let known = known.is_some_and(|value| value.split(',').any(|held| held.trim().trim_start_matches("W/") == tag));
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { Response::new(Body::from(body)) };
    let headers = response.headers_mut();
    if !known {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert(header::ETAG, HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\"")));
    response
}
