//! Redshift's SQL as PostgreSQL's, as far as the loader speaks it.
//!
//! Keys vanish from table definitions, since Redshift does not enforce them; what PostgreSQL knows and Redshift does not is
//! refused, so that a dialect that leans on it fails here and not on a cluster.

use super::error::RedshiftError;
use super::lexer::{Kind, Token, behind_parenthesis, join, split_commas};

/// Sequences of keywords that Redshift does not take, and what they are called in the refusal.
const REFUSED: [(&[&str], &str); 12] = [
    (&["on", "conflict"], "ON CONFLICT"),
    (&["returning"], "RETURNING"),
    (&["savepoint"], "SAVEPOINT"),
    (&["rollback", "to"], "ROLLBACK TO"),
    (&["distinct", "on"], "DISTINCT ON"),
    (&["for", "update"], "SELECT FOR UPDATE"),
    (&["create", "index"], "CREATE INDEX"),
    (&["create", "unique", "index"], "CREATE INDEX"),
    (&["on", "commit", "drop"], "ON COMMIT DROP"),
    (&["create", "extension"], "CREATE EXTENSION"),
    (&["jsonb"], "type jsonb"),
    (&["bytea"], "type bytea"),
];

/// Functions that Redshift does not have.
const REFUSED_FUNCTIONS: [&str; 5] =
    ["pg_advisory_lock", "pg_advisory_xact_lock", "clock_timestamp", "gen_random_uuid", "hashtextextended"];

/// One statement in PostgreSQL's words.
///
/// # Errors
/// When Redshift would not take it.
pub fn translate(statement: &[Token]) -> Result<String, RedshiftError> {
    refuse(statement)?;
    let statement = expressions(statement)?;
    let creates_table = statement.first().is_some_and(|token| token.is("create"))
        && statement.iter().take(3).any(|token| token.is("table"));
    Ok(join(&if creates_table { table_definition(&statement) } else { statement }))
}

fn refuse(statement: &[Token]) -> Result<(), RedshiftError> {
    for position in 0..statement.len() {
        for (words, name) in REFUSED {
            let found = statement[position..].iter().zip(words).filter(|(token, word)| token.is(word)).count();
            if found == words.len() {
                return Err(RedshiftError::unsupported(name));
            }
        }
        if REFUSED_FUNCTIONS.iter().any(|name| statement[position].is(name)) {
            return Err(RedshiftError::new("42883", format!("function {}() does not exist", statement[position].text)));
        }
    }
    Ok(())
}

/// Literals, functions and types.
fn expressions(tokens: &[Token]) -> Result<Vec<Token>, RedshiftError> {
    let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut position = 0;
    while let Some(token) = tokens.get(position) {
        let opens = tokens.get(position + 1).is_some_and(|next| next.is_symbol('('));
        let end = if opens { behind_parenthesis(tokens, position + 1) } else { None };
        let (replacement, next) = match (token.text.to_ascii_lowercase().as_str(), end) {
            _ if token.kind == Kind::Literal && token.text.contains('\\') => (format!("E{}", token.text), position + 1),
            // The time at which the transaction began, without a zone; the session's is UTC.
            ("sysdate", _) if token.kind == Kind::Word => ("LOCALTIMESTAMP".to_owned(), position + 1),
            ("getdate", Some(end)) => ("date_trunc('second', statement_timestamp()::timestamp)".to_owned(), end),
            ("dateadd", Some(end)) => (date_add(&tokens[position + 2..end - 1])?, end),
            ("datediff", Some(end)) => (date_difference(&tokens[position + 2..end - 1])?, end),
            ("varbyte" | "varbinary", Some(end)) => ("bytea".to_owned(), end),
            ("varchar", Some(end)) if tokens[position + 2].is("max") => ("varchar(65535)".to_owned(), end),
            ("super", _) if token.kind == Kind::Word => ("jsonb".to_owned(), position + 1),
            _ => (token.text.clone(), position + 1),
        };
        out.push(Token { text: replacement, ..token.clone() });
        position = next;
    }
    Ok(out)
}

/// `dateadd(unit, n, t)`.
fn date_add(arguments: &[Token]) -> Result<String, RedshiftError> {
    let [unit, amount, time] = three("dateadd", arguments)?;
    let (amount, time) = (join(&expressions(amount)?), join(&expressions(time)?));
    Ok(format!("(({time}) + ({amount}) * interval '1 {}')", join(unit)))
}

/// `datediff(microsecond, a, b)`: Redshift counts the boundaries of the unit between them, which only for the smallest
/// unit is the difference.
fn date_difference(arguments: &[Token]) -> Result<String, RedshiftError> {
    let [unit, from, to] = three("datediff", arguments)?;
    if !unit.first().is_some_and(|unit| unit.is("microsecond") || unit.is("microseconds")) {
        return Err(RedshiftError::unsupported(&format!("by the double: datediff in {}", join(unit))));
    }
    let (from, to) = (join(&expressions(from)?), join(&expressions(to)?));
    Ok(format!("((extract(epoch FROM {to}) - extract(epoch FROM {from})) * 1000000)::bigint"))
}

fn three<'a>(function: &str, arguments: &'a [Token]) -> Result<[&'a [Token]; 3], RedshiftError> {
    split_commas(arguments).try_into().map_err(|_| RedshiftError::syntax(format!("{function} takes three arguments")))
}

/// A table without keys, distribution, sorting and encoding.
fn table_definition(statement: &[Token]) -> Vec<Token> {
    let Some(open) = statement.iter().position(|token| token.is_symbol('(')) else { return statement.to_vec() };
    let Some(end) = behind_parenthesis(statement, open) else { return statement.to_vec() };
    let mut out = statement[..=open].to_vec();
    let columns = split_commas(&statement[open + 1..end - 1]).into_iter().filter(|column| !is_key(column));
    for (number, column) in columns.enumerate() {
        if number > 0 {
            out.push(Token { kind: Kind::Symbol, text: ",".into(), spaced: false });
        }
        out.extend(without(column, &COLUMN_ATTRIBUTES));
    }
    out.push(statement[end - 1].clone());
    out.extend(without(&statement[end..], &TABLE_ATTRIBUTES));
    out
}

/// Whether an entry of a column list is a key of the table.
fn is_key(entry: &[Token]) -> bool {
    let entry =
        if entry.first().is_some_and(|token| token.is("constraint")) { &entry[2.min(entry.len())..] } else { entry };
    entry.first().is_some_and(|token| ["primary", "unique", "foreign"].iter().any(|word| token.is(word)))
}

/// An attribute: its words, whether one more word belongs to it, and whether a parenthesis may follow.
type Attribute = (&'static [&'static str], bool, bool);

const COLUMN_ATTRIBUTES: [Attribute; 6] = [
    (&["primary", "key"], false, false),
    (&["unique"], false, false),
    (&["references"], true, true),
    (&["encode"], true, false),
    (&["distkey"], false, false),
    (&["sortkey"], false, false),
];

const TABLE_ATTRIBUTES: [Attribute; 7] = [
    (&["diststyle"], true, false),
    (&["distkey"], false, true),
    (&["compound", "sortkey"], false, true),
    (&["interleaved", "sortkey"], false, true),
    (&["sortkey"], false, true),
    (&["encode"], true, false),
    (&["backup"], true, false),
];

fn without(tokens: &[Token], attributes: &[Attribute]) -> Vec<Token> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut position = 0;
    while position < tokens.len() {
        let attribute = attributes.iter().find(|(words, ..)| {
            words.iter().enumerate().all(|(at, word)| tokens.get(position + at).is_some_and(|token| token.is(word)))
        });
        let Some((words, takes_word, takes_list)) = attribute else {
            out.push(tokens[position].clone());
            position += 1;
            continue;
        };
        position += words.len() + usize::from(*takes_word);
        // The name behind REFERENCES may have a schema.
        while *takes_word && tokens.get(position).is_some_and(|token| token.is_symbol('.')) {
            position += 2;
        }
        if *takes_list && tokens.get(position).is_some_and(|token| token.is_symbol('(')) {
            position = behind_parenthesis(tokens, position).unwrap_or(tokens.len());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::lexer::lex;

    fn translated(sql: &str) -> String {
        translate(&lex(sql).unwrap()).unwrap()
    }

    #[test]
    fn keys_distribution_and_sorting_vanish() {
        let sql = "CREATE TABLE IF NOT EXISTS \"raw\".t (id bigint PRIMARY KEY ENCODE az64, n varchar(max) UNIQUE NOT NULL, \
            r int REFERENCES \"raw\".o (id), v varbyte(1000000), PRIMARY KEY (id), CONSTRAINT u UNIQUE (n)) DISTSTYLE KEY \
            DISTKEY (id) COMPOUND SORTKEY (id, \"n\")";
        let expected = "CREATE TABLE IF NOT EXISTS \"raw\".t (id bigint, n varchar(65535) NOT NULL, r int, v bytea)";
        assert_eq!(translated(sql), expected);
    }

    #[test]
    fn a_column_may_be_called_like_an_attribute_when_it_is_quoted() {
        assert_eq!(
            translated("CREATE TEMP TABLE t (\"encode\" int, \"unique\" int)"),
            "CREATE TEMP TABLE t (\"encode\" int, \"unique\" int)"
        );
    }

    #[test]
    fn times_are_counted_as_postgres_counts_them() {
        assert_eq!(
            translated("SELECT greatest(sysdate, dateadd(microsecond, 1, max(loaded_at)))"),
            "SELECT greatest(LOCALTIMESTAMP, ((max(loaded_at)) + (1) * interval '1 microsecond'))"
        );
        assert_eq!(
            translated("SELECT datediff(microsecond, TIMESTAMPTZ 'epoch', t)"),
            "SELECT ((extract(epoch FROM t) - extract(epoch FROM TIMESTAMPTZ 'epoch')) * 1000000)::bigint"
        );
    }

    #[test]
    fn a_backslash_escapes() {
        assert_eq!(translated("SELECT 'C:\\\\x', 'it''s'"), "SELECT E'C:\\\\x', 'it''s'");
    }

    #[test]
    fn what_redshift_does_not_know_is_refused() {
        for sql in [
            "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
            "INSERT INTO t VALUES (1) RETURNING id",
            "SAVEPOINT a",
            "CREATE UNIQUE INDEX i ON t (a)",
            "SELECT pg_advisory_xact_lock(1)",
            "SELECT datediff(day, a, b)",
        ] {
            assert!(translate(&lex(sql).unwrap()).is_err(), "{sql}");
        }
    }
}
