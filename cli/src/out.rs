//! The only module that writes to the terminal: data to stdout, everything else to stderr.

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
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

/// A table in the making.
#[derive(Debug)]
pub(crate) struct Rows {
    table: Table,
    color: bool,
}

impl Rows {
    /// Adds a row of plain cells behind one that has a mood.
    pub(crate) fn push(&mut self, mood: Mood, cells: impl IntoIterator<Item = String>) {
        let mut cells = cells.into_iter();
        let first = Cell::new(cells.next().unwrap_or_default());
        let color = match mood {
            Mood::Good => Some(Color::Green),
            Mood::Notice => Some(Color::Yellow),
            Mood::Bad => Some(Color::Red),
            Mood::Plain => None,
        };
        let first = match color.filter(|_| self.color) {
            Some(color) => first.fg(color),
            None => first,
        };
        self.table.add_row(std::iter::once(first).chain(cells.map(Cell::new)));
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
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(headers);
        let mut rows = Rows { table, color: self.color };
        fill(report, &mut rows);
        if rows.table.row_count() == 0 {
            return Ok(());
        }
        self.text(&rows.table.trim_fmt())
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
