//! What a bounded run found, for people and for programs. Pure.

use super::core::ledger::{Figures, Stage};
use crate::out::{Mood, Rows};
use serde::Serialize;
use std::collections::BTreeMap;

/// A stage's line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct StageReport {
    stage: Stage,
    #[serde(flatten)]
    figures: Figures,
    /// Why the stage could not be looked at, if it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    away: Option<String>,
}

impl StageReport {
    fn is_good(&self, sent: u64) -> bool {
        let Figures { seen, missing, duplicates, corrupted, .. } = self.figures;
        self.away.is_none() && seen == sent && missing == 0 && duplicates == 0 && corrupted == 0
    }
}

/// What a bounded run found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    /// Whether every reading was confirmed and seen once, unchanged and in time, everywhere.
    pub(crate) good: bool,
    tenant: String,
    sent: u64,
    /// Readings whose store was not confirmed.
    unconfirmed: u64,
    stages: Vec<StageReport>,
}

impl Report {
    /// From what was counted.
    pub(crate) fn new(
        tenant: &str,
        sent: u64,
        unconfirmed: u64,
        figures: Vec<(Stage, Figures)>,
        mut away: BTreeMap<Stage, String>,
    ) -> Self {
        let stage = |(stage, figures): (Stage, Figures)| StageReport { stage, figures, away: away.remove(&stage) };
        let stages: Vec<_> = figures.into_iter().map(stage).collect();
        let good = sent > 0 && unconfirmed == 0 && stages.iter().all(|stage| stage.is_good(sent));
        Self { good, tenant: tenant.to_owned(), sent, unconfirmed, stages }
    }

    /// Column heads of the table.
    pub(crate) const HEADS: [&'static str; 9] =
        ["stage", "sent", "seen", "missing", "late", "duplicates", "corrupted", "slowest", "detail"];

    /// The table's rows.
    pub(crate) fn fill(&self, rows: &mut Rows) {
        for stage in &self.stages {
            let Figures { seen, missing, late, duplicates, corrupted, slowest } = stage.figures;
            let mood = if stage.is_good(self.sent) { Mood::Good } else { Mood::Bad };
            let counts = [self.sent, seen, missing, late, duplicates, corrupted].map(|count| count.to_string());
            let slowest = format!("{:.1} s", slowest as f64 / 1e6);
            let detail = stage.away.as_ref().map_or(String::new(), |why| format!("cannot be looked at: {why}"));
            rows.push(mood, std::iter::once(stage.stage.name().to_owned()).chain(counts).chain([slowest, detail]));
        }
    }

    /// One sentence.
    pub(crate) fn conclusion(&self) -> String {
        let bad = self.stages.iter().filter(|stage| !stage.is_good(self.sent)).map(|stage| stage.stage.name());
        match (self.good, bad.collect::<Vec<_>>().join(", ")) {
            (true, _) => format!("{} readings arrived everywhere, once and unchanged", self.sent),
            (false, _) if self.unconfirmed > 0 || self.sent == 0 => {
                format!("{} readings were not confirmed, {} were", self.unconfirmed, self.sent)
            }
            (false, stages) => format!("not every reading is as it should be: {stages}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(figures: Figures, unconfirmed: u64, away: bool) -> Report {
        let away = if away { BTreeMap::from([(Stage::Lake, "refused".to_owned())]) } else { BTreeMap::new() };
        Report::new("canary", 2, unconfirmed, vec![(Stage::Lake, figures)], away)
    }

    #[test]
    fn good_is_everything_once_unchanged_and_in_time() {
        let all = Figures { seen: 2, ..Figures::default() };
        assert!(report(all, 0, false).good);
        for bad in [
            Figures { seen: 1, ..all },
            Figures { missing: 1, late: 1, ..all },
            Figures { duplicates: 1, ..all },
            Figures { corrupted: 1, ..all },
        ] {
            assert!(!report(bad, 0, false).good, "{bad:?}");
        }
        assert!(!report(all, 1, false).good && !report(all, 0, true).good);
        assert!(!Report::new("canary", 0, 0, vec![(Stage::Lake, Figures::default())], BTreeMap::new()).good);
    }
}
