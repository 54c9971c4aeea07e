//! One client's session: its transaction, its faults, and the PostgreSQL session behind it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_postgres::Client;

use super::copy;
use super::server::Shared;
use super::upstream::{self, Failure, Outcome};
use crate::core::error::RedshiftError;
use crate::core::faults::{ConflictAt, CutAt, Fault};
use crate::core::lexer;
use crate::core::statement::Statement;

/// Longest time that a COMMIT is held back for another session to ask.
const PATIENCE: Duration = Duration::from_secs(30);

/// A statement that some session is about to run.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    session: u64,
    sql: Arc<str>,
}

/// What the client is told.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A transaction is open now.
    Begun,
    /// It is not open any more; COMMIT or ROLLBACK.
    Ended(&'static str),
    /// What PostgreSQL brought, and the statement's first word.
    Outcome(String, Outcome),
}

#[derive(Debug, Default)]
struct Transaction {
    open: bool,
    failed: bool,
    copied: bool,
    /// Whether rows were written behind the COPY.
    wrote: bool,
    /// Tables taken by LOCK.
    locked: Vec<String>,
}

/// A session. Dropping it ends the PostgreSQL session, which undoes an open transaction.
#[derive(Debug)]
pub(crate) struct Session {
    id: u64,
    shared: Arc<Shared>,
    /// Absent when a COMMIT under way has taken it along.
    upstream: Option<Client>,
    cut: Arc<Notify>,
    transaction: Transaction,
}

impl Session {
    /// `cut` ends the client's connection.
    pub(crate) fn new(id: u64, shared: Arc<Shared>, upstream: Client, cut: Arc<Notify>) -> Self {
        Self { id, shared, upstream: Some(upstream), cut, transaction: Transaction::default() }
    }

    /// Runs the statements of a query until one fails.
    pub(crate) async fn run(&mut self, query: &str) -> Result<Vec<Answer>, RedshiftError> {
        let mut answers = Vec::new();
        let tokens = lexer::lex(query)?;
        for statement in lexer::statements(&tokens) {
            let answer = match Statement::parse(statement) {
                Ok(statement) => self.execute(statement).await,
                Err(error) => Err(error.into()),
            };
            match answer {
                Ok(answer) => answers.push(answer),
                Err(Failure::Answer(error)) => {
                    self.transaction.failed = self.transaction.open;
                    tracing::debug!(session = self.id, %error, detail = error.detail.as_deref(), "redshift-double answers an error");
                    return Err(error);
                }
                Err(Failure::Lost(error)) => {
                    tracing::warn!(session = self.id, %error, "PostgreSQL behind the redshift-double is gone");
                    match self.end().await {}
                }
            }
        }
        Ok(answers)
    }

    async fn execute(&mut self, statement: Statement) -> Result<Answer, Failure> {
        if self.transaction.failed && !matches!(statement, Statement::Commit | Statement::Rollback) {
            return Err(RedshiftError::aborted().into());
        }
        let writes = statement.writes();
        match statement {
            Statement::Begin => {
                self.forward("BEGIN").await?;
                self.transaction = Transaction { open: true, ..Transaction::default() };
                Ok(Answer::Begun)
            }
            Statement::Commit => self.commit().await,
            Statement::Rollback => self.roll_back().await,
            Statement::Copy(statement) => self.copy(&statement).await,
            Statement::Truncate { sql } => {
                let outcome = self.forward(&sql).await?;
                if self.transaction.open {
                    self.forward("COMMIT").await?;
                    self.transaction = Transaction::default();
                }
                Ok(Answer::Outcome("TRUNCATE TABLE".to_owned(), outcome))
            }
            Statement::Lock { sql, table } => {
                let outcome = self.forward(&sql).await?;
                self.transaction.locked.push(table);
                Ok(Answer::Outcome("LOCK TABLE".to_owned(), outcome))
            }
            Statement::Other { verb, sql } => {
                if writes && self.transaction.copied && !self.transaction.wrote {
                    self.conflict(ConflictAt::Write)?;
                    self.transaction.wrote = true;
                }
                Ok(Answer::Outcome(verb, self.forward(&sql).await?))
            }
        }
    }

    async fn copy(&mut self, statement: &crate::core::copy::CopyStatement) -> Result<Answer, Failure> {
        self.conflict(ConflictAt::Copy)?;
        let Some(upstream) = &self.upstream else { match self.end().await {} };
        let rows = copy::copy(&self.shared.store, upstream, statement).await?;
        self.transaction.copied = true;
        self.shared.count("copies", 1);
        self.shared.count("rows_copied", rows);
        tracing::info!(session = self.id, rows, manifest = statement.manifest, "redshift-double copied a manifest");
        self.cut_here(CutAt::Copy).await;
        Ok(Answer::Outcome("COPY".to_owned(), Outcome { affected: rows, ..Outcome::default() }))
    }

    async fn commit(&mut self) -> Result<Answer, Failure> {
        if self.transaction.failed {
            return self.roll_back().await;
        }
        let loads = self.transaction.copied;
        if loads {
            if let Err(conflict) = self.conflict(ConflictAt::Commit) {
                self.roll_back().await?;
                return Err(conflict);
            }
            self.cut_here(CutAt::BeforeCommit).await;
            if self.shared.strikes(Fault::Cut(CutAt::DuringCommit)) {
                self.commit_when_asked();
                match self.end().await {}
            }
        }
        self.forward("COMMIT").await?;
        if loads {
            self.shared.count("load_commits", 1);
            self.cut_here(CutAt::AfterCommit).await;
        }
        self.transaction = Transaction::default();
        Ok(Answer::Ended("COMMIT"))
    }

    async fn roll_back(&mut self) -> Result<Answer, Failure> {
        self.forward("ROLLBACK").await?;
        self.transaction = Transaction::default();
        Ok(Answer::Ended("ROLLBACK"))
    }

    /// Leaves the PostgreSQL session to a task that commits as soon as another session asks for a table which this one
    /// has locked. So the other finds the transaction neither done nor undone.
    fn commit_when_asked(&mut self) {
        let Some(upstream) = self.upstream.take() else { return };
        let (id, locked) = (self.id, std::mem::take(&mut self.transaction.locked));
        let (heard, shared) = (self.shared.hear(), Arc::clone(&self.shared));
        tokio::spawn(async move {
            if tokio::time::timeout(PATIENCE, asked(heard, id, &locked)).await.is_err() {
                tracing::warn!(session = id, "nobody asked; redshift-double commits");
            }
            match upstream::run(&upstream, "COMMIT").await {
                Ok(_) => shared.count("load_commits", 1),
                Err(error) => tracing::warn!(session = id, ?error, "the held COMMIT failed"),
            }
        });
    }

    async fn forward(&mut self, sql: &str) -> Result<Outcome, Failure> {
        self.shared.say(Heard { session: self.id, sql: sql.into() });
        let Some(upstream) = &self.upstream else { match self.end().await {} };
        upstream::run(upstream, sql).await
    }

    fn conflict(&self, at: ConflictAt) -> Result<(), Failure> {
        if self.transaction.open && self.shared.strikes(Fault::Conflict(at)) {
            return Err(RedshiftError::conflict(100_167).into());
        }
        Ok(())
    }

    async fn cut_here(&self, at: CutAt) {
        if self.transaction.open && self.shared.strikes(Fault::Cut(at)) {
            tracing::info!(session = self.id, ?at, "redshift-double cuts a connection");
            match self.end().await {}
        }
    }

    /// Ends the client's connection without a word. Never returns: the task that waits here is dropped.
    async fn end(&self) -> Infallible {
        self.cut.notify_one();
        std::future::pending().await
    }
}

/// Returns when another session runs a statement that names one of the tables.
async fn asked(mut heard: Receiver<Heard>, me: u64, locked: &[String]) {
    loop {
        match heard.recv().await {
            Ok(heard) if heard.session != me && locked.iter().any(|table| heard.sql.contains(table)) => return,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
