//! Errors in the words of Redshift, as far as they are known from public reports.

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sqlstate} {message}")]
pub struct RedshiftError {
    /// Five characters; `XX000` for nearly everything that is Redshift's own.
    pub sqlstate: String,
    /// What `M` says.
    pub message: String,
    /// What `D` says; Redshift puts the interesting part here.
    pub detail: Option<String>,
}

impl RedshiftError {
    /// Any error without a detail.
    pub fn new(sqlstate: &str, message: impl Into<String>) -> Self {
        Self { sqlstate: sqlstate.to_owned(), message: message.into(), detail: None }
    }

    /// Error 1023: the transaction cannot be placed in any serial order and was rolled back.
    pub fn conflict(table: u32) -> Self {
        let detail = format!(
            "Serializable isolation violation on table - {table}, transactions forming the cycle are: 4711, 4712 (pid:1)"
        );
        Self { detail: Some(detail), ..Self::new("XX000", "1023") }
    }

    /// What the columnar reader says. Codes: 15001 the file cannot be read, 15003 the manifest is wrong, 15007 the file's
    /// columns do not fit.
    pub fn spectrum(code: u32, context: impl std::fmt::Display) -> Self {
        let rule = "-----------------------------------------------";
        let detail = format!(
            "\n  {rule}\n  error:  Spectrum Scan Error\n  code:      {code}\n  context:   {context}\n  query:     1\n  {rule}"
        );
        Self { detail: Some(detail), ..Self::new("XX000", "Spectrum Scan Error") }
    }

    /// What S3 says, for objects that COPY looks up itself.
    pub fn s3(message: &str, status: u16, code: &str) -> Self {
        Self::new("XX000", format!("S3ServiceException:{message},Status {status},Error {code}"))
    }

    /// PostgreSQL refused a value that a file holds.
    pub fn load(table: &str, reason: &str) -> Self {
        let message =
            format!("Load into table '{table}' failed.  Check 'sys_load_error_detail' system table for details.");
        Self { detail: Some(reason.to_owned()), ..Self::new("XX000", message) }
    }

    /// PostgreSQL knows it, Redshift does not.
    pub fn unsupported(what: &str) -> Self {
        Self::new("0A000", format!("{what} is not supported"))
    }

    /// The text is no statement.
    pub fn syntax(problem: impl std::fmt::Display) -> Self {
        Self::new("42601", format!("syntax error: {problem}"))
    }

    /// Everything but the end of a transaction is refused behind an error.
    pub fn aborted() -> Self {
        Self::new("25P02", "current transaction is aborted, commands ignored until end of transaction block")
    }
}
