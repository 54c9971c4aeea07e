//! SQL text as tokens, by Redshift's rules: a backslash in a plain literal escapes.

use super::error::RedshiftError;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A keyword or a plain name.
    Word,
    /// A name in double quotes, quotes included.
    Quoted,
    /// A text in single quotes, quotes included.
    Literal,
    /// A number.
    Number,
    /// Anything else, one character at a time.
    Symbol,
}

/// A token and whether blanks or a comment stood before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// As written.
    pub text: String,
    /// Whether something stood between this token and the one before.
    pub spaced: bool,
}

impl Token {
    /// A token that did not come from a text.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), spaced: true }
    }

    /// Whether it is this keyword.
    pub fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    /// Whether it is this character.
    pub fn is_symbol(&self, symbol: char) -> bool {
        self.kind == Kind::Symbol && self.text.starts_with(symbol)
    }
}

/// The tokens of a text.
///
/// # Errors
/// A syntax error when a quotation or comment does not end.
pub fn lex(sql: &str) -> Result<Vec<Token>, RedshiftError> {
    let mut tokens = Vec::new();
    let mut rest = sql;
    let mut spaced = false;
    while let Some(first) = rest.chars().next() {
        let blank = blank_length(rest)?;
        if blank > 0 {
            (rest, spaced) = (&rest[blank..], true);
            continue;
        }
        let (kind, length) = match first {
            '\'' => (Kind::Literal, quoted_length(rest, '\'')?),
            '"' => (Kind::Quoted, quoted_length(rest, '"')?),
            '0'..='9' => (Kind::Number, run(rest, |c| c.is_ascii_digit() || c == '.')),
            c if c.is_alphabetic() || c == '_' => {
                (Kind::Word, run(rest, |c| c.is_alphanumeric() || c == '_' || c == '$'))
            }
            c => (Kind::Symbol, c.len_utf8()),
        };
        tokens.push(Token { kind, text: rest[..length].to_owned(), spaced });
        (rest, spaced) = (&rest[length..], false);
    }
    Ok(tokens)
}

/// The tokens as a text again.
pub fn join(tokens: &[Token]) -> String {
    let mut sql = String::new();
    for token in tokens {
        if token.spaced && !sql.is_empty() {
            sql.push(' ');
        }
        sql.push_str(&token.text);
    }
    sql
}

/// The statements of a query: tokens between semicolons.
pub fn statements(tokens: &[Token]) -> impl Iterator<Item = &[Token]> {
    tokens.split(|token| token.is_symbol(';')).filter(|statement| !statement.is_empty())
}

/// Position behind the parenthesis that closes the one at `open`.
pub fn behind_parenthesis(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0;
    for (position, token) in tokens.iter().enumerate().skip(open) {
        if token.is_symbol('(') {
            depth += 1;
        } else if token.is_symbol(')') {
            depth -= 1;
            if depth == 0 {
                return Some(position + 1);
            }
        }
    }
    None
}

/// The parts between commas that are in no parenthesis.
pub fn split_commas(tokens: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0;
    let outer = |token: &Token| {
        if token.is_symbol('(') {
            depth += 1;
        } else if token.is_symbol(')') {
            depth -= 1;
        }
        depth == 0 && token.is_symbol(',')
    };
    tokens.split(outer).collect()
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

fn blank_length(text: &str) -> Result<usize, RedshiftError> {
    if text.starts_with("--") {
        return Ok(text.find('\n').map_or(text.len(), |end| end + 1));
    }
    if text.starts_with("/*") {
        let end = text.find("*/").ok_or_else(|| RedshiftError::syntax("unterminated comment"))?;
        return Ok(end + 2);
    }
    Ok(run(text, char::is_whitespace))
}

fn quoted_length(text: &str, quote: char) -> Result<usize, RedshiftError> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((position, character)) = characters.next() {
        if character == '\\' && quote == '\'' {
            characters.next();
        } else if character == quote {
            match characters.peek() {
                Some((_, next)) if *next == quote => {
                    characters.next();
                }
                _ => return Ok(position + 1),
            }
        }
    }
    Err(RedshiftError::syntax("unterminated quotation"))
}

/// The text that a literal means.
pub fn unquote(literal: &str) -> String {
    let inner = literal.get(1..literal.len().saturating_sub(1)).unwrap_or_default();
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' | '\'' => text.extend(characters.next()),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_semicolon_in_a_text_ends_nothing() {
        let tokens = lex("SELECT ';', 'it''s', 'a\\'b' ; /* ; */ COMMIT -- ;").unwrap();
        let parts: Vec<_> = statements(&tokens).map(join).collect();
        assert_eq!(parts, ["SELECT ';', 'it''s', 'a\\'b'", "COMMIT"]);
    }

    #[test]
    fn literals_mean_what_redshift_reads() {
        assert_eq!(unquote("'it''s at C:\\\\x'"), "it's at C:\\x");
    }

    #[test]
    fn an_open_quotation_is_refused() {
        assert!(lex("SELECT 'a").is_err() && lex("SELECT \"a").is_err() && lex("/* a").is_err());
    }

    proptest! {
        /// Any text as a literal, written as the loader writes it, is one token and means the text.
        #[test]
        fn a_literal_is_one_token(text in ".{0,40}") {
            let literal = format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
            let tokens = lex(&literal).unwrap();
            prop_assert_eq!(tokens.len(), 1);
            prop_assert_eq!(unquote(&tokens[0].text), text);
        }

        /// Whatever is split is complete: no token is lost or changed.
        #[test]
        fn joining_gives_the_same_tokens(sql in "[a-z0-9_.,()<>=:*' \"]{0,60}") {
            if let Ok(tokens) = lex(&sql) {
                let again = lex(&join(&tokens)).unwrap();
                let texts = |tokens: &[Token]| tokens.iter().map(|token| token.text.clone()).collect::<Vec<_>>();
                prop_assert_eq!(texts(&tokens), texts(&again));
            }
        }
    }
}
