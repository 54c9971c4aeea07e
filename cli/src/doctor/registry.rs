//! The schema registry: reachable, with the contracts of this program under the declared compatibility.

use super::finding::Finding;
use crate::exit::BadConfig;
use crate::schemas::{State, SubjectState, state_of};
use crate::topics::Declared;
use kafka_pipeline::{Registry, RegistryConfig};

const REGISTRY: &str = "registry";

/// Asks about every contract.
///
/// # Errors
/// [`BadConfig`] when the URL is none; otherwise when the registry does not answer.
pub(crate) async fn probe(config: &RegistryConfig, declared: &Declared) -> anyhow::Result<Vec<Finding>> {
    let registry = Registry::new(config).map_err(BadConfig::new)?;
    let subjects = registry.subjects().await?;
    let mut states = Vec::new();
    for topic in &declared.topics {
        if let Some(contract) = &topic.contract {
            states.push(state_of(&registry, &topic.subject(), contract).await?);
        }
    }
    let mut findings = vec![Finding::ok(REGISTRY, "reachable", format!("{} subjects", subjects.len()))];
    findings.extend(judge(&states, declared.compatibility.as_str()));
    Ok(findings)
}

fn judge(states: &[SubjectState], level: &str) -> Vec<Finding> {
    let mut findings: Vec<_> = states.iter().filter_map(|state| judge_subject(state, level)).collect();
    if findings.is_empty() {
        findings.push(Finding::ok(REGISTRY, "contracts", format!("{} registered, {level}", states.len())));
    }
    findings
}

fn judge_subject(state: &SubjectState, level: &str) -> Option<Finding> {
    let check = || format!("subject {}", state.subject);
    let finding = match state.state {
        State::New => Finding::fail(REGISTRY, check(), format!("{} is not registered", state.contract)).advise(
            "ingest does not start without the raw contract; a service that registers its own when it starts \
                 leaves it without the declared compatibility",
            "meterway topics apply",
        ),
        State::Compatible => {
            let found = format!("version {} is registered, this program has a newer one", state.version.unwrap_or(0));
            Finding::warn(REGISTRY, check(), found).advise(
                "the services of this release register it, or refuse to start where they may not",
                "meterway topics apply, before the services are upgraded",
            )
        }
        State::Incompatible => Finding::fail(REGISTRY, check(), state.messages.join("; ")).advise(
            "the registry holds something that this program's contract may not follow: messages could not be read",
            "find out who registered it; meterway schemas check shows the registry's reasons",
        ),
        State::Unchanged if state.level.as_deref() != Some(level) => {
            let found = format!("compatibility is {}", state.level.as_deref().unwrap_or("the registry's default"));
            Finding::warn(REGISTRY, check(), format!("{found}, declared is {level}"))
                .advise("somebody could register a schema that old or new readers can't read", "meterway topics apply")
        }
        State::Unchanged => return None,
    };
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn state(state: State, level: Option<&str>) -> SubjectState {
        SubjectState {
            subject: "raw-value".into(),
            contract: "meterway.v1.ReadingBatch",
            state,
            version: Some(1),
            level: level.map(str::to_owned),
            messages: vec!["a field was removed".into()],
        }
    }

    #[test]
    fn each_state_has_its_verdict() {
        let full = Some("FULL_TRANSITIVE");
        let verdict = |state: SubjectState| judge_subject(&state, "FULL_TRANSITIVE").map(|finding| finding.verdict);
        assert_eq!(verdict(state(State::Unchanged, full)), None);
        assert_eq!(verdict(state(State::Unchanged, Some("BACKWARD"))), Some(Verdict::Warn));
        assert_eq!(verdict(state(State::Unchanged, None)), Some(Verdict::Warn));
        assert_eq!(verdict(state(State::Compatible, full)), Some(Verdict::Warn));
        assert_eq!(verdict(state(State::New, full)), Some(Verdict::Fail));
        assert_eq!(verdict(state(State::Incompatible, full)), Some(Verdict::Fail));
    }

    #[test]
    fn contracts_as_declared_are_one_good_finding() {
        let good = || state(State::Unchanged, Some("FULL_TRANSITIVE"));
        let findings = judge(&[good(), good()], "FULL_TRANSITIVE");
        assert_eq!(findings, [Finding::ok(REGISTRY, "contracts", "2 registered, FULL_TRANSITIVE")]);
        assert_eq!(judge(&[good(), state(State::New, None)], "FULL_TRANSITIVE").len(), 1);
    }
}
