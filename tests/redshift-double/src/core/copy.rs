//! `COPY … FROM 's3://…' IAM_ROLE '…' FORMAT AS PARQUET MANIFEST`, and nothing else that COPY can do.

use super::error::RedshiftError;
use super::lexer::{Kind, Token, join, unquote};

/// A COPY of a manifest's Parquet files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyStatement {
    /// The table as the statement names it.
    pub table: String,
    /// `s3://bucket/key` of the manifest.
    pub manifest: String,
    /// What the cluster reads S3 as. The double requires it and does not use it.
    pub role: String,
}

/// Options that a columnar COPY takes. The double knows those that our loader uses.
const KNOWN: [&str; 5] = ["format", "as", "parquet", "manifest", "statupdate"];

/// Reads a COPY.
///
/// # Errors
/// When it is not of that form; MAXERROR and its kin are refused as Redshift refuses them for columnar files.
pub fn parse(tokens: &[Token]) -> Result<CopyStatement, RedshiftError> {
    let from =
        tokens.iter().position(|token| token.is("from")).ok_or_else(|| RedshiftError::syntax("COPY without FROM"))?;
    let table = join(&tokens[1..from]);
    let source = tokens.get(from + 1).filter(|token| token.kind == Kind::Literal);
    let manifest = source.map(|token| unquote(&token.text)).filter(|url| url.starts_with("s3://"));
    let manifest = manifest.ok_or_else(|| RedshiftError::unsupported("COPY from anything but s3://"))?;
    let mut role = None;
    let mut options = tokens[from + 2..].iter();
    let mut seen = Vec::new();
    while let Some(option) = options.next() {
        if option.is("iam_role") {
            role = options.next().filter(|token| token.kind == Kind::Literal).map(|token| unquote(&token.text));
        } else if let Some(known) = KNOWN.iter().find(|known| option.is(known)) {
            seen.push(*known);
        } else {
            return Err(RedshiftError::unsupported(&format!("{} argument for PARQUET based COPY", option.text)));
        }
    }
    let role = role.filter(|role| !role.is_empty());
    let role = role
        .ok_or_else(|| RedshiftError::new("0A000", "COPY from this file format only accepts IAM_ROLE credentials"))?;
    if !seen.contains(&"parquet") || !seen.contains(&"manifest") {
        return Err(RedshiftError::unsupported("COPY without FORMAT AS PARQUET MANIFEST"));
    }
    Ok(CopyStatement { table, manifest, role })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::lexer::lex;

    fn parsed(sql: &str) -> Result<CopyStatement, RedshiftError> {
        parse(&lex(sql).unwrap())
    }

    #[test]
    fn the_loaders_copy_is_understood() {
        let copy =
            parsed("COPY staged_readings FROM 's3://lake/77.manifest' IAM_ROLE 'arn:x' FORMAT AS PARQUET MANIFEST")
                .unwrap();
        assert_eq!((copy.table.as_str(), copy.manifest.as_str()), ("staged_readings", "s3://lake/77.manifest"));
        assert_eq!(copy.role, "arn:x");
    }

    #[test]
    fn what_a_columnar_copy_does_not_take_is_refused() {
        let refused =
            |options: &str| parsed(&format!("COPY t FROM 's3://a/b' IAM_ROLE 'r' {options}")).unwrap_err().message;
        assert_eq!(
            refused("FORMAT AS PARQUET MANIFEST MAXERROR 5"),
            "MAXERROR argument for PARQUET based COPY is not supported"
        );
        assert!(refused("FORMAT AS PARQUET").contains("MANIFEST"));
        assert!(parsed("COPY t FROM STDIN").is_err());
        assert!(parsed("COPY t FROM 's3://a/b' FORMAT AS PARQUET MANIFEST").unwrap_err().message.contains("IAM_ROLE"));
    }
}
