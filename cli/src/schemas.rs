//! `meterway schemas`: the contracts of this program against what the registry holds.

use crate::connection::RegistryArgs;
use crate::exit::{BadConfig, Exit};
use crate::out::{Mood, Out};
use crate::topics::{Overrides, read};
use anyhow::Context;
use clap::{Args, Subcommand};
use kafka_pipeline::{Registry, RegistryError};
use meterway_schemas::Contract;
use serde::Serialize;
use std::path::PathBuf;

/// Commands about schemas.
#[derive(Debug, Subcommand)]
pub(crate) enum SchemasCommand {
    /// Compare each contract with the registry; register nothing
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
}

const CHECK_HELP: &str = "\
States: unchanged (registered already), compatible (may be registered), new (the subject has no schema yet),
incompatible (with the registry's reasons).

Exit codes: 0 every contract may be used; 1 one is incompatible, or a subject's compatibility level is weaker.";

/// Options of `schemas check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Declarative file of topics; the one that comes with the program when not given
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// How a contract stands to its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Registered already.
    Unchanged,
    /// Could be registered as a further version.
    Compatible,
    /// The subject has no schema yet.
    New,
    /// The registry would refuse it.
    Incompatible,
}

/// What the registry says of a subject.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SubjectState {
    /// Subject.
    pub subject: String,
    /// Name of the contract.
    pub contract: &'static str,
    /// How they stand to each other.
    pub state: State,
    /// Newest version registered.
    pub version: Option<u32>,
    /// Compatibility level set for the subject.
    pub level: Option<String>,
    /// The registry's reasons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<String>,
}

/// Asks the registry about a subject.
///
/// # Errors
/// When the registry gives no answer.
pub(crate) async fn state_of(registry: &Registry, subject: &str, contract: &Contract) -> anyhow::Result<SubjectState> {
    let ask = || format!("ask the registry about {subject}");
    let versions = or_none(registry.versions(subject).await).with_context(ask)?.unwrap_or_default();
    let version = versions.last().copied();
    let level = if version.is_some() { registry.compatibility(subject).await.with_context(ask)? } else { None };
    let (state, messages) = if version.is_none() {
        (State::New, Vec::new())
    } else if registry.lookup(subject, contract.avsc).await.with_context(ask)?.is_some() {
        (State::Unchanged, Vec::new())
    } else {
        match registry.compatible(subject, contract.avsc).await.with_context(ask)? {
            Ok(()) => (State::Compatible, Vec::new()),
            Err(messages) => (State::Incompatible, messages),
        }
    };
    Ok(SubjectState { subject: subject.to_owned(), contract: contract.name, state, version, level, messages })
}

fn or_none<T>(answer: Result<T, RegistryError>) -> Result<Option<T>, RegistryError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(RegistryError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Runs a command about schemas.
pub(crate) async fn run(command: SchemasCommand, out: &Out) -> anyhow::Result<Exit> {
    let SchemasCommand::Check(args) = command;
    let declared = read(args.file.as_deref(), Overrides::default())?;
    let level = declared.compatibility.as_str();
    let registry = Registry::new(&args.registry.config()?).map_err(BadConfig::new)?;
    let mut states = Vec::new();
    for topic in &declared.topics {
        if let Some(contract) = &topic.contract {
            states.push(state_of(&registry, &topic.subject(), contract).await?);
        }
    }
    out.report(&states, &["subject", "contract", "state", "version", "compatibility", "messages"], |states, rows| {
        for state in states {
            let good = is_good(state, level);
            let mood = if good { Mood::Good } else { Mood::Bad };
            rows.push(mood, cells(state));
        }
    })?;
    Ok(Exit::ok_if(states.iter().all(|state| is_good(state, level))))
}

fn is_good(state: &SubjectState, level: &str) -> bool {
    match state.state {
        State::Incompatible => false,
        State::New => true,
        State::Unchanged | State::Compatible => state.level.as_deref() == Some(level),
    }
}

fn cells(state: &SubjectState) -> [String; 6] {
    let name = match state.state {
        State::Unchanged => "unchanged",
        State::Compatible => "compatible",
        State::New => "new",
        State::Incompatible => "incompatible",
    };
    [
        state.subject.clone(),
        state.contract.to_owned(),
        name.to_owned(),
        state.version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
        state.level.clone().unwrap_or_else(|| "-".to_owned()),
        state.messages.join("; "),
    ]
}
