//! `dlq list`: the newest letters, or counts of all.

use super::args::ListArgs;
use super::counts::{CodeCount, Counts, Known, Newest};
use super::scan::Survey;
use super::{source, time};
use crate::exit::Exit;
use crate::out::{Mood, Out, Rows};
use chrono::Utc;

/// Lists or counts.
pub(crate) async fn run(args: ListArgs, out: &Out) -> anyhow::Result<Exit> {
    if args.summary {
        let mut counts = Counts::default();
        each(&args, |known| counts.push(&known)).await?;
        return show_counts(&counts.into_counts(), out);
    }
    let mut newest = Newest::new(args.limit as usize);
    each(&args, |known| newest.push(known)).await?;
    show_letters(newest, out)
}

async fn each(args: &ListArgs, mut take: impl FnMut(Known)) -> anyhow::Result<()> {
    let mut survey = Survey::of(&args.place, &args.selection, Utc::now()).await?;
    for (partition, _) in survey.partitions.clone() {
        let take = async |letter, standing, _: &kafka_pipeline::RecordRef<'_>| {
            take(Known { letter, standing });
            anyhow::Ok(())
        };
        survey.letters(&args.place, &args.selection, partition, take).await?;
    }
    Ok(())
}

fn show_letters(newest: Newest, out: &Out) -> anyhow::Result<Exit> {
    let matching = newest.matching;
    let letters = newest.into_letters();
    let header = ["letter", "time", "source", "status", "code", "key", "bytes", "message"];
    out.report(&letters, &header, |letters, rows| {
        for known in letters {
            rows.push(Mood::Plain, cells(known));
        }
    })?;
    if out.is_table() {
        out.note(&format!("{} of {matching} letters", letters.len()));
    }
    Ok(Exit::Ok)
}

fn cells(known: &Known) -> [String; 8] {
    let letter = &known.letter;
    [
        letter.name(),
        time(letter.at),
        source(letter),
        status(known),
        letter.code.clone().unwrap_or_else(|| "-".to_owned()),
        letter.key.clone().unwrap_or_else(|| "-".to_owned()),
        letter.size.map_or_else(|| "null".to_owned(), |size| size.to_string()),
        letter.message.clone(),
    ]
}

/// `open`, `open, replayed 2×`, `replayed, now 1:99`.
fn status(known: &Known) -> String {
    let times = match known.letter.replays {
        0 => String::new(),
        replays => format!(", replayed {replays}×"),
    };
    let became = known.standing.became.as_ref().map_or_else(String::new, |became| format!(", now {became}"));
    format!("{}{times}{became}", known.standing.status.name())
}

fn show_counts(counts: &[CodeCount], out: &Out) -> anyhow::Result<Exit> {
    let fill = |counts: &&[CodeCount], rows: &mut Rows| {
        for count in *counts {
            rows.push(Mood::Plain, count_cells(count));
        }
    };
    out.report(&counts, &["code", "letters", "open", "devices", "bytes", "first", "last"], fill)?;
    if out.is_table() {
        let letters: u64 = counts.iter().map(|count| count.letters).sum();
        out.note(&format!("{letters} letters with {} codes", counts.len()));
    }
    Ok(Exit::Ok)
}

fn count_cells(count: &CodeCount) -> [String; 7] {
    [
        count.code.clone().unwrap_or_else(|| "-".to_owned()),
        count.letters.to_string(),
        count.open.to_string(),
        count.keys.to_string(),
        count.bytes.to_string(),
        time(count.first),
        time(count.last),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Ledger;
    use super::super::letter::Letter;
    use super::super::show::Coordinates;
    use super::*;
    use chrono::DateTime;

    #[test]
    fn a_row_names_the_letter_as_show_takes_it() {
        let letter = Letter {
            at: DateTime::from_timestamp(0, 0),
            partition: 1,
            offset: 42,
            source: None,
            code: Some("TRUNCATED".into()),
            message: "ends inside a value".into(),
            stage: None,
            key: None,
            size: None,
            replays: 2,
            replay_of: None,
        };
        let known = Known { standing: Ledger::default().standing(&letter), letter };
        let row = cells(&known).join(" | ");
        insta::assert_snapshot!(row, @"1:42 | 1970-01-01T00:00:00Z | - | open, replayed 2× | TRUNCATED | - | null | ends inside a value");
        assert!(cells(&known)[0].parse::<Coordinates>().is_ok());
    }
}
