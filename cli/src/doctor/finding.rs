//! What a check found, what that means, and what to do about it. Pure.

use crate::out::Mood;
use serde::Serialize;
use std::fmt::Write;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but an operator should know; or was not checked.
    Warn,
    /// Something will not work, or not keep its promise.
    Fail,
}

impl Verdict {
    /// The word in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }

    /// How it is to be seen.
    pub(crate) fn mood(self) -> Mood {
        match self {
            Self::Ok => Mood::Good,
            Self::Warn => Mood::Notice,
            Self::Fail => Mood::Bad,
        }
    }
}

/// What to do, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Advice {
    /// What the finding means for the pipeline.
    pub means: String,
    /// What to do about it.
    #[serde(rename = "do")]
    pub todo: String,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Part of the installation.
    pub part: &'static str,
    /// What was checked.
    pub check: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// Present when there is something to do.
    #[serde(flatten)]
    pub advice: Option<Advice>,
}

impl Finding {
    /// As it should be.
    pub(crate) fn ok(part: &'static str, check: impl Into<String>, found: impl Into<String>) -> Self {
        Self { part, check: check.into(), verdict: Verdict::Ok, found: found.into(), advice: None }
    }

    /// Something to know.
    pub(crate) fn warn(part: &'static str, check: impl Into<String>, found: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, ..Self::ok(part, check, found) }
    }

    /// Something wrong.
    pub(crate) fn fail(part: &'static str, check: impl Into<String>, found: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, ..Self::ok(part, check, found) }
    }

    /// With what it means and what to do.
    pub(crate) fn advise(mut self, means: impl Into<String>, todo: impl Into<String>) -> Self {
        self.advice = Some(Advice { means: means.into(), todo: todo.into() });
        self
    }

    /// The cells of its row.
    pub(crate) fn cells(&self) -> [String; 4] {
        let found = self.found.split_whitespace().collect::<Vec<_>>().join(" ");
        [self.verdict.name().to_owned(), self.part.to_owned(), self.check.clone(), found]
    }
}

/// All findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    /// Checks that ended well.
    pub ok: usize,
    /// Checks with something to know.
    pub warn: usize,
    /// Checks that failed.
    pub fail: usize,
    /// The findings, part by part.
    pub findings: Vec<Finding>,
}

impl Report {
    /// From the findings.
    pub(crate) fn new(findings: Vec<Finding>) -> Self {
        let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
        Self { ok: count(Verdict::Ok), warn: count(Verdict::Warn), fail: count(Verdict::Fail), findings }
    }

    /// What to do; findings with the same advice stand together. Empty when there is nothing to do.
    pub(crate) fn advice(&self) -> String {
        let mut groups: Vec<(&Finding, &Advice, Vec<&str>)> = Vec::new();
        for finding in &self.findings {
            let Some(advice) = &finding.advice else { continue };
            let same = |(first, known, _): &&mut (&Finding, &Advice, Vec<&str>)| {
                (first.part, first.verdict, *known) == (finding.part, finding.verdict, advice)
            };
            match groups.iter_mut().find(same) {
                Some((_, _, checks)) => checks.push(&finding.check),
                None => groups.push((finding, advice, vec![&finding.check])),
            }
        }
        let mut text = String::new();
        for (finding, Advice { means, todo }, checks) in groups {
            let (verdict, part) = (finding.verdict.name(), finding.part);
            // Writing to a String can't fail.
            let _ = writeln!(text, "\n{verdict}  {part}: {}\n  means  {means}\n  do     {todo}", checks.join(", "));
        }
        text
    }

    /// One sentence.
    pub(crate) fn conclusion(&self) -> String {
        let Self { ok, warn, fail, findings } = self;
        format!("{} checks: {ok} ok, {warn} to look at, {fail} failed", findings.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report::new(vec![
            Finding::ok("kafka", "reachable", "1 broker"),
            Finding::warn("kafka", "topic x", "3 partitions,\n  the file says 4").advise("fine if meant", "compare"),
            Finding::warn("kafka", "topic y", "2 partitions").advise("fine if meant", "compare"),
            Finding::fail("warehouse", "reachable", "refused").advise("nothing is loaded", "start it"),
        ])
    }

    #[test]
    fn rows_and_advice_read_well() {
        let rows: Vec<_> = report().findings.iter().map(|finding| finding.cells().join(" | ")).collect();
        insta::assert_snapshot!(format!("{}\n{}", rows.join("\n"), report().advice()), @r"
        ok | kafka | reachable | 1 broker
        warn | kafka | topic x | 3 partitions, the file says 4
        warn | kafka | topic y | 2 partitions
        FAIL | warehouse | reachable | refused

        warn  kafka: topic x, topic y
          means  fine if meant
          do     compare

        FAIL  warehouse: reachable
          means  nothing is loaded
          do     start it
        ");
        assert_eq!(report().conclusion(), "4 checks: 1 ok, 2 to look at, 1 failed");
    }

    #[test]
    fn json_says_what_to_do_only_where_there_is_something() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!((&json["fail"], &json["findings"][3]["do"]), (&1.into(), &"start it".into()));
        assert!(json["findings"][0].get("means").is_none());
    }
}
