//! The PostgreSQL wire towards the client: log-in and simple queries. The extended protocol is refused; the loader's
//! `redshift` dialect does not use it.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{Sink, stream};
use pgwire::api::auth::cleartext::CleartextPasswordAuthStartupHandler;
use pgwire::api::auth::{AuthSource, DefaultServerParameterProvider, LoginInfo, Password, StartupHandler};
use pgwire::api::query::SimpleQueryHandler;
use pgwire::api::results::{DataRowEncoder, FieldFormat, FieldInfo, QueryResponse, Response, Tag};
use pgwire::api::store::PortalStore;
use pgwire::api::{ClientInfo, ClientPortalStore, PgWireServerHandlers, Type};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Notify};

use super::server::Shared;
use super::session::{Answer, Session};
use super::upstream::{Failure, Login, Outcome, connect};
use crate::core::error::RedshiftError;

/// Serves a client until it leaves or its connection is cut.
pub(crate) async fn serve(socket: TcpStream, shared: Arc<Shared>) {
    let cut = Arc::new(Notify::new());
    let connection = Arc::new(Connection { shared, cut: Arc::clone(&cut), session: Mutex::new(None) });
    tokio::select! {
        served = pgwire::tokio::process_socket(socket, None, Handlers(connection)) => {
            if let Err(error) = served {
                tracing::debug!(%error, "client connection ended");
            }
        }
        // Dropping the socket is the end of the connection, without an answer.
        () = cut.notified() => {}
    }
}

struct Connection {
    shared: Arc<Shared>,
    cut: Arc<Notify>,
    /// Absent before the log-in.
    session: Mutex<Option<Session>>,
}

impl Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

struct Handlers(Arc<Connection>);

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::new(Queries(Arc::clone(&self.0)))
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        let mut parameters = DefaultServerParameterProvider::default();
        // What Redshift calls itself.
        parameters.server_version = "8.0.2".to_owned();
        Arc::new(CleartextPasswordAuthStartupHandler::new(LogIn(Arc::clone(&self.0)), parameters))
    }
}

/// Logs in to the PostgreSQL behind with what the client gives.
#[derive(Debug)]
struct LogIn(Arc<Connection>);

#[expect(elided_lifetimes_in_paths, reason = "the trait is written so, and a named lifetime does not match it")]
#[async_trait]
impl AuthSource for LogIn {
    async fn get_password(&self, login: &LoginInfo) -> PgWireResult<Password> {
        Err(PgWireError::InvalidPassword(login.user().unwrap_or_default().to_owned()))
    }

    async fn verify_password(&self, login: &LoginInfo, password: &[u8]) -> PgWireResult<Option<()>> {
        let shared = &self.0.shared;
        let user = login.user().unwrap_or_default();
        let given = Login { user, database: login.database().unwrap_or(user), password };
        let upstream = connect(&shared.upstream, &given, shared.isolation).await.map_err(log_in_failed)?;
        let session = Session::new(shared.next_session(), Arc::clone(shared), upstream, Arc::clone(&self.0.cut));
        *self.0.session.lock().await = Some(session);
        Ok(None)
    }
}

fn log_in_failed(error: tokio_postgres::Error) -> PgWireError {
    let (code, message) = match Failure::from(error) {
        Failure::Answer(error) => (error.sqlstate, error.message),
        Failure::Lost(error) => ("08006".to_owned(), format!("redshift-double cannot reach PostgreSQL: {error}")),
    };
    PgWireError::UserError(Box::new(ErrorInfo::new("FATAL".to_owned(), code, message)))
}

struct Queries(Arc<Connection>);

#[async_trait]
impl SimpleQueryHandler for Queries {
    async fn do_query<C>(&self, _client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let mut session = self.0.session.lock().await;
        let session = session.as_mut().ok_or(PgWireError::NotReadyForQuery)?;
        let answers = session.run(query).await.map_err(error_answer)?;
        answers.into_iter().map(response).collect()
    }
}

fn error_answer(error: RedshiftError) -> PgWireError {
    let mut info = ErrorInfo::new("ERROR".to_owned(), error.sqlstate, error.message);
    info.detail = error.detail;
    PgWireError::UserError(Box::new(info))
}

fn response(answer: Answer) -> PgWireResult<Response> {
    Ok(match answer {
        Answer::Begun => Response::TransactionStart(Tag::new("BEGIN")),
        Answer::Ended(how) => Response::TransactionEnd(Tag::new(how)),
        Answer::Outcome(_, Outcome { columns: Some(columns), rows, .. }) => rows_response(&columns, &rows)?,
        Answer::Outcome(verb, Outcome { affected, .. }) => Response::Execution(tag(&verb, affected as usize)),
    })
}

fn tag(verb: &str, affected: usize) -> Tag {
    match verb {
        "INSERT" => Tag::new(verb).with_oid(0).with_rows(affected),
        "UPDATE" | "DELETE" => Tag::new(verb).with_rows(affected),
        other => Tag::new(other),
    }
}

fn rows_response(columns: &[String], rows: &[Vec<Option<String>>]) -> PgWireResult<Response> {
    let field = |name: &String| FieldInfo::new(name.clone(), None, None, Type::VARCHAR, FieldFormat::Text);
    let fields = Arc::new(columns.iter().map(field).collect::<Vec<_>>());
    let mut encoder = DataRowEncoder::new(Arc::clone(&fields));
    let encode = |row: &Vec<Option<String>>| {
        row.iter().try_for_each(|value| encoder.encode_field(value))?;
        Ok(encoder.take_row())
    };
    let encoded: Vec<PgWireResult<_>> = rows.iter().map(encode).collect();
    Ok(Response::Query(QueryResponse::new(fields, stream::iter(encoded))))
}
