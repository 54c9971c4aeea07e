//! The PostgreSQL behind the double.

use std::sync::Arc;

use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, SimpleQueryRow};

use crate::core::error::RedshiftError;

/// Something did not work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The client gets an error answer.
    Answer(RedshiftError),
    /// PostgreSQL is gone, so the client's connection ends as well.
    Lost(tokio_postgres::Error),
}

impl From<RedshiftError> for Failure {
    fn from(error: RedshiftError) -> Self {
        Self::Answer(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    /// A real conflict of PostgreSQL's becomes the conflict that Redshift reports.
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(database) = error.as_db_error() else { return Self::Lost(error) };
        if database.code().code() == "40001" {
            return Self::Answer(RedshiftError::conflict(0));
        }
        Self::Answer(RedshiftError {
            sqlstate: database.code().code().to_owned(),
            message: database.message().to_owned(),
            detail: database.detail().map(str::to_owned),
        })
    }
}

/// How transactions see each other. Redshift's new clusters and workgroups begin with snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Isolation {
    /// Redshift's SNAPSHOT; PostgreSQL's REPEATABLE READ.
    Snapshot,
    /// SERIALIZABLE in both.
    Serializable,
}

impl Isolation {
    const fn postgres(self) -> &'static str {
        match self {
            Self::Snapshot => "repeatable read",
            Self::Serializable => "serializable",
        }
    }
}

/// Who logs in.
pub(crate) struct Login<'a> {
    pub(crate) user: &'a str,
    pub(crate) database: &'a str,
    pub(crate) password: &'a [u8],
}

/// Connects as the client that logs in. The connection ends when the client handle is dropped.
pub(crate) async fn connect(
    (host, port): &(String, u16),
    login: &Login<'_>,
    isolation: Isolation,
) -> Result<Client, tokio_postgres::Error> {
    let mut config = Config::new();
    config.host(host).port(*port).user(login.user).dbname(login.database).password(login.password);
    config.application_name("redshift-double");
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to PostgreSQL ended");
        }
    });
    let isolation = format!("SET default_transaction_isolation = '{}'", isolation.postgres());
    client.batch_execute(&isolation).await?;
    Ok(client)
}

/// What a statement brought.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Names of the columns, when it has rows.
    pub(crate) columns: Option<Arc<[String]>>,
    /// The rows as texts.
    pub(crate) rows: Vec<Vec<Option<String>>>,
    /// Rows that it read or changed.
    pub(crate) affected: u64,
}

/// Runs one statement.
pub(crate) async fn run(client: &Client, sql: &str) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    for message in client.simple_query(sql).await? {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                outcome.columns = Some(columns.iter().map(|column| column.name().to_owned()).collect());
            }
            SimpleQueryMessage::Row(row) => outcome.rows.push(texts(&row)),
            SimpleQueryMessage::CommandComplete(affected) => outcome.affected = affected,
            _ => {}
        }
    }
    Ok(outcome)
}

fn texts(row: &SimpleQueryRow) -> Vec<Option<String>> {
    (0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect()
}
