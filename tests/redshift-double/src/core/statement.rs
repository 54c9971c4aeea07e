//! What a statement does to its session.

use super::copy::{self, CopyStatement};
use super::error::RedshiftError;
use super::lexer::{Kind, Token, join};
use super::translate::translate;

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// Opens a transaction.
    Begin,
    /// Ends it and keeps it.
    Commit,
    /// Ends it and undoes it.
    Rollback,
    /// Reads the files of a manifest.
    Copy(CopyStatement),
    /// Empties a table, and commits: Redshift's TRUNCATE does.
    Truncate {
        /// In PostgreSQL's words.
        sql: String,
    },
    /// Takes a table for this transaction alone.
    Lock {
        /// In PostgreSQL's words.
        sql: String,
        /// Name of the table without schema.
        table: String,
    },
    /// Everything else.
    Other {
        /// The first word, in capitals.
        verb: String,
        /// In PostgreSQL's words.
        sql: String,
    },
}

impl Statement {
    /// Reads a statement; the tokens are not empty.
    ///
    /// # Errors
    /// When Redshift would not take it, or the double does not know it.
    pub fn parse(tokens: &[Token]) -> Result<Self, RedshiftError> {
        let verb = tokens.first().map(|token| token.text.to_ascii_uppercase()).unwrap_or_default();
        Ok(match verb.as_str() {
            "BEGIN" | "START" => Self::Begin,
            "COMMIT" | "END" => Self::Commit,
            "ROLLBACK" | "ABORT" if tokens.len() == 1 => Self::Rollback,
            "COPY" => Self::Copy(copy::parse(tokens)?),
            "TRUNCATE" => Self::Truncate { sql: translate(tokens)? },
            "LOCK" => Self::Lock { sql: translate(tokens)?, table: last_name(tokens) },
            _ => Self::Other { sql: translate(tokens)?, verb },
        })
    }

    /// Whether it writes rows, as far as conflicts are concerned.
    pub fn writes(&self) -> bool {
        matches!(self, Self::Other { verb, .. } if ["INSERT", "UPDATE", "DELETE"].contains(&verb.as_str()))
    }
}

fn last_name(tokens: &[Token]) -> String {
    let names = tokens.iter().skip(1).filter(|token| [Kind::Word, Kind::Quoted].contains(&token.kind));
    names.last().map(|name| join(std::slice::from_ref(name)).trim_matches('"').to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::lexer::lex;

    fn parsed(sql: &str) -> Statement {
        Statement::parse(&lex(sql).unwrap()).unwrap()
    }

    #[test]
    fn statements_are_told_apart() {
        assert_eq!(parsed("begin"), Statement::Begin);
        assert_eq!(parsed("COMMIT"), Statement::Commit);
        assert!(matches!(parsed("LOCK \"raw\".load_ledger"), Statement::Lock { table, .. } if table == "load_ledger"));
        assert!(parsed("INSERT INTO t SELECT 1").writes() && !parsed("SELECT 1").writes());
        assert!(Statement::parse(&lex("ROLLBACK TO a").unwrap()).is_err());
    }
}
