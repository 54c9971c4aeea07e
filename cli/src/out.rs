//! The only module that writes to the terminal: data to stdout, everything else to stderr.

use serde::Serialize;
use std::io::{self, IsTerminal, Write};

/// Form of the data on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document, for programs.
    Json,
}

/// Writes a command's results.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    format: Format,
    color: bool,
}

/// How a cell is to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// As it should be.
    Good,
    /// A change, or something to know.
    Notice,
    /// Wrong.
    Bad,
    /// Nothing special.
    Plain,
}

/// A table in the making: columns as wide as their widest cell, two spaces between.
#[derive(Debug)]
pub(crate) struct Rows {
    header: Vec<String>,
    rows: Vec<(Mood, Vec<String>)>,
    color: bool,
}

impl Rows {
    /// Adds a row; the mood is that of its first cell.
    pub(crate) fn push(&mut self, mood: Mood, cells: impl IntoIterator<Item = String>) {
        self.rows.push((mood, cells.into_iter().collect()));
    }

    fn render(&self) -> String {
        let lines = || std::iter::once((Mood::Plain, &self.header)).chain(self.rows.iter().map(|(m, row)| (*m, row)));
        let width =
            |column: usize| lines().filter_map(|(_, row)| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..self.header.len()).map(|column| width(column).unwrap_or(0)).collect();
        lines().map(|(mood, row)| self.line(mood, row, &widths)).collect()
    }

    fn line(&self, mood: Mood, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let cell = format!("{cell:width$}  ");
            match mood.ansi().filter(|_| self.color && column == 0) {
                Some(code) => line += &format!("\x1b[{code}m{cell}\x1b[0m"),
                None => line += &cell,
            }
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

impl Mood {
    /// Parameter of the terminal's colour sequence.
    fn ansi(self) -> Option<u8> {
        match self {
            Self::Good => Some(32),
            Self::Notice => Some(33),
            Self::Bad => Some(31),
            Self::Plain => None,
        }
    }
}

impl Out {
    /// Output in a format; colours only on a terminal, and only if nobody objects.
    pub(crate) fn new(format: Format, no_color: bool) -> Self {
        Self { format, color: !no_color && io::stdout().is_terminal() }
    }

    /// Whether people read it.
    pub(crate) fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// Writes a report: as JSON, or as the table that `fill` makes of it.
    pub(crate) fn report<T: Serialize>(
        &self,
        report: &T,
        headers: &[&str],
        fill: impl FnOnce(&T, &mut Rows),
    ) -> io::Result<()> {
        if !self.is_table() {
            return self.json(report);
        }
        let header = headers.iter().map(|header| (*header).to_owned()).collect();
        let mut rows = Rows { header, rows: Vec::new(), color: self.color };
        fill(report, &mut rows);
        if rows.rows.is_empty() { Ok(()) } else { self.text(&rows.render()) }
    }

    /// Writes a document.
    pub(crate) fn json<T: Serialize>(&self, value: &T) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        self.text(&text)
    }

    /// Writes text and ends the line.
    pub(crate) fn text(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{}", text.trim_end_matches('\n'))?;
        stdout.flush()
    }

    /// Tells people something that is not data.
    pub(crate) fn note(&self, text: &str) {
        complain(text);
    }
}

/// Writes a line to stderr; where that fails there is nobody to tell.
pub(crate) fn complain(text: &str) {
    let _nobody_to_tell = writeln!(io::stderr().lock(), "{text}");
}

/// Whether the reader of our output has gone, as `head` does: no failure of ours.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(broken))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(color: bool) -> Rows {
        let mut rows = Rows { header: vec!["topic".into(), "is".into()], rows: Vec::new(), color };
        rows.push(Mood::Bad, ["a".into(), "größer".into()]);
        rows.push(Mood::Plain, ["longer name".into(), String::new()]);
        rows
    }

    #[test]
    fn columns_are_aligned_without_trailing_blanks() {
        assert_eq!(rows(false).render(), "topic        is\na            größer\nlonger name\n");
    }

    #[test]
    fn colours_are_used_only_when_wanted() {
        assert!(rows(true).render().contains("\x1b[31ma"));
        assert!(!rows(false).render().contains('\x1b'));
    }
}
