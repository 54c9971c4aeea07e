//! `dlq drop`: notes that letters need no replay.

use super::act::{self, Report};
use super::args::DropArgs;
use super::plan::{Planner, Policy, batches};
use super::scan::Survey;
use crate::exit::Exit;
use crate::out::Out;
use crate::simulate::Pace;
use chrono::Utc;
use kafka_pipeline::dead_letter::Deed;

/// Letters marked together, and their bytes.
const BATCH: (usize, usize) = (500, 64 << 20);

/// Drops letters.
pub(crate) async fn run(args: DropArgs, out: &Out) -> anyhow::Result<Exit> {
    act::check(&args.selection, &args.action)?;
    let now = Utc::now();
    let mut survey = Survey::of(&args.place, &args.selection, now).await?;
    let mut planner = Planner::new(Policy {
        again: args.action.again,
        duplicates: true,
        max_replays: None,
        validated_topic: args.place.validated_topic.clone(),
        now,
        claim_timeout: args.action.claim_timeout,
    });
    let mut report = Report::new(args.action.dry_run);
    let from = (&args.place, &args.selection);
    let plan = act::choose(&mut survey, from, args.action.limit, &mut planner, &mut report).await?;
    let all = plan.iter().map(|(_, chosen)| chosen.len()).sum();
    let (producer, topic) = (act::producer(&survey.kafka)?, &args.place.topic);
    let mut pace = Pace::new(args.action.rate);
    for (partition, chosen) in &plan {
        for batch in batches(chosen, BATCH.0, BATCH.1) {
            if !args.action.dry_run {
                pace.pass(batch.len()).await;
                let records = act::fetch(&survey.kafka, topic, *partition, batch).await?;
                let key = |offset: i64| {
                    let record = records.iter().find(|record| record.offset == offset);
                    record.and_then(|record| record.key.map(<[u8]>::to_vec))
                };
                let said = (report.run(), &*args.action.by, &*args.because);
                let marks = batch.iter().map(|one| (act::mark(Deed::Dropped, one, said), key(one.letter.offset)));
                act::write_marks(&producer, topic, *partition, marks.collect()).await?;
            }
            let outcome = if args.action.dry_run { "would be dropped" } else { "dropped" };
            batch.iter().for_each(|one| report.took(one, outcome, None));
            report.tell(out, all);
        }
    }
    report.show(out)
}
