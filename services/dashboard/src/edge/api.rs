//! What the routes share, and what a route is given and gives back.

use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderMap;
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::audit::Audit;
use super::auth::Auth;
use super::live::Live;
use super::problem::Problem;
use super::register::Register;
use super::store::Store;
use super::stream::Hub;
use super::warehouse::Warehouse;
use super::watch::Watch;
use super::web::Assets;
use crate::config::Config;
use crate::core::access::{Caller, Permission, Scope};
use crate::core::query::Query;

/// What the routes share.
#[derive(Debug)]
pub struct Api {
    /// Settings.
    pub config: Config,
    /// Users of a demonstration, for the sign-in page.
    pub demo_users: Value,
    /// Checks tokens.
    pub auth: Auth,
    /// Loaded rows and facts.
    pub warehouse: Warehouse,
    /// What is the dashboard's own.
    pub store: Store,
    /// Live status and alerts.
    pub live: Live,
    /// The register of devices.
    pub register: Register,
    /// The audit log.
    pub audit: Audit,
    /// Live events.
    pub hub: Arc<Hub>,
    /// Topics and groups, looked at from time to time.
    pub watch: Arc<Watch>,
    /// The web page.
    pub assets: Assets,
    /// Requests that may be worked on.
    pub slots: Semaphore,
    /// When streams are to end.
    pub shutdown: CancellationToken,
}

/// A request, after everything that is checked alike for all routes.
#[derive(Debug)]
pub struct Call {
    /// What the routes share.
    pub api: Arc<Api>,
    /// Who asks; `None` on routes that need no token.
    pub(super) caller: Option<Caller>,
    /// Whose rows it is about; `None` on routes about nobody's.
    pub(super) scope: Option<Scope>,
    /// Parts of the path, by name.
    pub(super) path: Vec<(String, String)>,
    /// Parameters.
    pub query: Query,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// What a route answers.
#[derive(Debug)]
pub enum Answer {
    /// 200 with a document.
    Json(Value),
    /// 201 with a document.
    Created(Value),
    /// A file to take away.
    File {
        /// Its type.
        content_type: &'static str,
        /// Name it is saved under.
        name: String,
        /// Its bytes, as they come.
        body: Body,
    },
    /// Events for as long as somebody listens.
    Events(Body),
}

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: open to everybody.
    Nothing,
    /// To be signed in.
    SignIn,
    /// A right.
    Right(Permission),
}

/// A parameter in the address.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Name.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
}

/// What a route does.
pub type Run = fn(Call) -> BoxFuture<'static, Result<Answer, Problem>>;

/// A route: all there is to say of it, for the router, the permissions and the documentation alike.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Method.
    pub method: &'static str,
    /// Path, with names in braces.
    pub path: &'static str,
    /// What it is for.
    pub summary: &'static str,
    /// What it asks of its caller.
    pub needs: Needs,
    /// Whether it is about one tenant's rows.
    pub scoped: bool,
    /// Parameters in the address.
    pub query: &'static [Param],
    /// Type of its body, if it takes one.
    pub takes: Option<&'static str>,
    /// Type of its answer.
    pub gives: &'static str,
    /// What it does.
    pub run: Run,
}

impl Call {
    /// Who asks.
    ///
    /// # Errors
    /// 401 on a route that is open and should not be: a defect that lets nobody in.
    pub fn caller(&self) -> Result<&Caller, Problem> {
        self.caller.as_ref().ok_or_else(Problem::unauthenticated)
    }

    /// Whose rows it is about.
    ///
    /// # Errors
    /// 404 on a route that is not scoped and should be: a defect that shows nobody's rows.
    pub fn scope(&self) -> Result<&Scope, Problem> {
        self.scope.as_ref().ok_or_else(Problem::not_found)
    }

    /// A part of the path.
    pub fn path(&self, name: &str) -> &str {
        self.path.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// 400 that says where it stops making sense.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body).map_err(|error| Problem::bad(format!("The body cannot be read: {error}.")))
    }
}
