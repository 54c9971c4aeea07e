//! `meterway dlq`: looks into the dead-letter topic, sends letters back, and notes what became of them.
//!
//! It commits no position and changes no record. What was done stands in marks, records beside the letters in the same
//! topic; [`ledger`] says how they are read.

mod act;
mod args;
mod content;
mod counts;
mod drop;
mod dump;
mod filter;
mod ledger;
mod letter;
mod list;
mod one;
mod plan;
mod read;
mod replay;
mod scan;
mod show;
pub(crate) mod when;

use crate::exit::Exit;
use crate::out::Out;
pub(crate) use args::DlqCommand;
use chrono::{DateTime, SecondsFormat, Utc};
use letter::Letter;

/// Runs a command about dead letters.
pub(crate) async fn run(command: DlqCommand, out: &Out) -> anyhow::Result<Exit> {
    match command {
        DlqCommand::List(args) => list::run(*args, out).await,
        DlqCommand::Show(args) => one::run(*args, out).await,
        DlqCommand::Replay(args) => replay::run(*args, out).await,
        DlqCommand::Drop(args) => drop::run(*args, out).await,
    }
}

/// The time of a letter, to the second.
fn time(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// Where a letter came from.
fn source(letter: &Letter) -> String {
    let Some(source) = &letter.source else { return "-".to_owned() };
    format!("{}[{}] offset {}", source.topic, source.partition, source.offset)
}
