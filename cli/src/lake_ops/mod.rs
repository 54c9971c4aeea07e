//! `meterway lake`: what an operator does to the lake's tables by hand.
//!
//! Heads are moved by a commit that is checked against the table's state like every other, and every move leaves a
//! report that `meterway verify` reads. Objects are removed only when no snapshot leads to them.

mod clean;
mod connect;
mod heads;
mod reset;
mod standing;

use crate::exit::Exit;
use crate::out::Out;
use clap::Subcommand;
use lake::{TableSpec, tables};

/// Commands about the lake.
#[derive(Debug, Subcommand)]
pub(crate) enum LakeCommand {
    /// How far each table has taken in its topic, and whether it can go on from there
    #[command(after_help = heads::HELP)]
    Heads(heads::HeadsArgs),
    /// Move heads by hand, with a report of what is lost or read again
    #[command(after_help = reset::HELP)]
    ResetHead(Box<reset::ResetArgs>),
    /// Remove objects that no snapshot leads to
    #[command(after_help = clean::HELP)]
    Clean(clean::CleanArgs),
}

/// Runs the command.
///
/// # Errors
/// [`crate::exit::BadConfig`] when a setting is missing or what is wanted is not allowed; otherwise when Kafka, the
/// catalog or the store does not answer.
pub(crate) async fn run(command: LakeCommand, out: &Out) -> anyhow::Result<Exit> {
    match command {
        LakeCommand::Heads(args) => heads::run(args, out).await,
        LakeCommand::ResetHead(args) => Box::pin(reset::run(*args, out)).await,
        LakeCommand::Clean(args) => clean::run(args, out).await,
    }
}

/// A table of the lake, by its name on the command line.
fn table(name: &str) -> Result<TableSpec, String> {
    let known = || tables::all().map(|spec| spec.name).join(", ");
    tables::all().into_iter().find(|spec| spec.name == name).ok_or_else(|| format!("is none of {}", known()))
}
