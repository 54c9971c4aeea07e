//! A table of the warehouse: transactions, a lock for each table, and the ledger.

use std::collections::{BTreeMap, BTreeSet};

use super::{Incarnation, Row};

/// What a transaction will change.
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    /// Ledger row.
    pub ledger: Option<i64>,
    /// Rows.
    pub rows: Vec<Row>,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub struct Warehouse {
    /// Loaded snapshots, oldest first.
    pub ledger: Vec<i64>,
    /// Rows.
    pub rows: BTreeSet<Row>,
    open: BTreeMap<Incarnation, Transaction>,
    lock: Option<Incarnation>,
    /// The committing transaction whose session is cut: it holds the lock until it ends one way or the other.
    pub late: Option<Transaction>,
}

impl Warehouse {
    /// Newest loaded snapshot.
    pub fn newest(&self) -> Option<i64> {
        self.ledger.last().copied()
    }

    /// Begins a transaction behind the table's lock; false while somebody else holds it.
    pub fn begin(&mut self, session: Incarnation) -> bool {
        if self.late.is_some() || self.lock.is_some_and(|holder| holder != session) {
            return false;
        }
        self.lock = Some(session);
        self.open.insert(session, Transaction::default());
        true
    }

    /// The open transaction of a session.
    pub fn transaction(&mut self, session: Incarnation) -> &mut Transaction {
        self.open.entry(session).or_default()
    }

    /// Ends a session's transaction without a change.
    pub fn roll_back(&mut self, session: Incarnation) {
        self.open.remove(&session);
        if self.lock == Some(session) {
            self.lock = None;
        }
    }

    /// Commits a session's transaction. An error is a broken promise.
    pub fn commit(&mut self, session: Incarnation) -> Result<(), String> {
        let transaction = self.open.remove(&session).unwrap_or_default();
        self.roll_back(session);
        self.apply(transaction)
    }

    /// COMMIT was sent, and the session is cut before it ends.
    pub fn cut(&mut self, session: Incarnation) {
        let transaction = self.open.remove(&session);
        self.roll_back(session);
        self.late = transaction;
    }

    /// Makes a transaction's changes.
    pub fn apply(&mut self, transaction: Transaction) -> Result<(), String> {
        if let Some(snapshot) = transaction.ledger {
            if self.ledger.contains(&snapshot) {
                return Err(format!("snapshot {snapshot} is in the ledger twice"));
            }
            self.ledger.push(snapshot);
        }
        for row in transaction.rows {
            if !self.rows.insert(row) {
                return Err(format!("{row:?} is in the warehouse twice"));
            }
        }
        Ok(())
    }
}
