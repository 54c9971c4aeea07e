//! `meterway dlq`: looks into the dead-letter topic. It reads and changes nothing, and it commits no position.

mod content;
mod dump;
mod letter;
mod read;
mod show;
mod when;

use crate::connection::{KafkaArgs, RegistryArgs};
use crate::exit::{BadConfig, Exit};
use crate::out::{Mood, Out, Rows};
use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use content::Decoder;
use kafka_pipeline::{RecordBlock, Registry};
use letter::{CodeCount, Counts, Filter, Letter, Newest, Sender};
use read::{Found, Letters};
use show::{Coordinates, LetterView};
use std::path::PathBuf;
use when::When;

/// Commands about dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// The letters, or how many of each code
    #[command(after_help = LIST_HELP)]
    List(Box<ListArgs>),
    /// One letter: headers, bytes, and what they say
    #[command(after_help = SHOW_HELP)]
    Show(Box<ShowArgs>),
}

const LIST_HELP: &str = "\
The newest letters that fit all filters, oldest first. --tenant and --device look into the bytes: a letter that cannot
be decoded belongs to no tenant, and to the device of its key.
A raw message may have several letters (validate may repeat them); the decision in the validated topic is what counts.

Examples:
  meterway dlq list --summary
  meterway dlq list --reason UNKNOWN_DEVICE --since 2h --limit 20
  meterway dlq list --tenant north --since 2026-01-31 --until 2026-02-01 --json

Exit codes: 0 also when there are none; 70 broker or registry cannot be reached.";

const SHOW_HELP: &str = "\
Example:
  meterway dlq show 1:42
  meterway dlq show 1:42 --save message.bin      the bytes, unchanged

Exit codes: 0 shown; 1 there is no letter at this offset; 70 broker or registry cannot be reached.";

/// Options of `dlq list`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListArgs {
    /// Only this code, such as TRUNCATED; may be repeated
    #[arg(long = "reason", value_name = "CODE", value_parser = upper_case)]
    reasons: Vec<String>,
    /// Only of this tenant
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
    /// Only of this device
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// Only set aside at this time or later: a time, a day, or a span such as 2h
    #[arg(long, value_name = "WHEN")]
    since: Option<When>,
    /// Only set aside before this time
    #[arg(long, value_name = "WHEN")]
    until: Option<When>,
    /// Letters to show at most, the newest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Count by code instead
    #[arg(long)]
    summary: bool,
    #[command(flatten)]
    place: Place,
}

/// Options of `dlq show`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShowArgs {
    /// Which letter, as `dlq list` prints it
    #[arg(value_name = "PARTITION:OFFSET")]
    letter: Coordinates,
    /// Bytes to dump at most
    #[arg(long, value_name = "N", default_value_t = 4096)]
    bytes: usize,
    /// File to write the bytes to, unchanged; must not exist yet
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Clone, Args)]
struct Place {
    /// Topic of dead letters
    #[arg(long, value_name = "TOPIC", default_value = "meter.readings.rejected.v1")]
    topic: String,
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Place {
    fn decoder(&self) -> anyhow::Result<Decoder> {
        Ok(Decoder::new(Registry::new(&self.registry.config()?).map_err(BadConfig::new)?))
    }
}

fn upper_case(text: &str) -> Result<String, std::convert::Infallible> {
    Ok(text.to_ascii_uppercase())
}

/// Runs a command about dead letters.
pub(crate) async fn run(command: DlqCommand, out: &Out) -> anyhow::Result<Exit> {
    match command {
        DlqCommand::List(args) => list(*args, out).await,
        DlqCommand::Show(args) => show(*args, out).await,
    }
}

async fn list(args: ListArgs, out: &Out) -> anyhow::Result<Exit> {
    let now = Utc::now();
    let filter = Filter {
        reasons: args.reasons.clone(),
        device: args.device.clone(),
        tenant: args.tenant.clone(),
        since: args.since.map(|since| since.at(now)),
        until: args.until.map(|until| until.at(now)),
    };
    let decoder = if filter.device.is_some() || filter.tenant.is_some() { Some(args.place.decoder()?) } else { None };
    if args.summary {
        let mut counts = Counts::default();
        scan(&args.place, filter, decoder, |letter| counts.push(&letter)).await?;
        return show_counts(&counts.into_counts(), out);
    }
    let mut newest = Newest::new(args.limit as usize);
    scan(&args.place, filter, decoder, |letter| newest.push(letter)).await?;
    show_letters(newest, out)
}

/// Hands over every letter that the filter admits, partition by partition.
async fn scan(
    place: &Place,
    filter: Filter,
    mut decoder: Option<Decoder>,
    mut each: impl FnMut(Letter),
) -> anyhow::Result<()> {
    let kafka = place.kafka.config()?;
    let letters = Letters { kafka: &kafka, topic: &place.topic };
    for (partition, ..) in letters.partitions().await? {
        let visit = async |block: &RecordBlock| visit(block, &filter, decoder.as_mut(), &mut each).await;
        letters.scan(partition, filter.since, visit).await?;
    }
    Ok(())
}

async fn visit(
    block: &RecordBlock,
    filter: &Filter,
    mut decoder: Option<&mut Decoder>,
    each: &mut impl FnMut(Letter),
) -> anyhow::Result<()> {
    for record in block.iter() {
        let letter = Letter::of(block.partition(), &record);
        if !filter.admits(&letter) {
            continue;
        }
        let sender = match &mut decoder {
            Some(decoder) if filter.needs_content(&letter) => decoder.decode(record.payload).await?.sender(),
            _ => Sender::default(),
        };
        if filter.admits_sender(&letter, &sender) {
            each(letter);
        }
    }
    Ok(())
}

fn show_letters(newest: Newest, out: &Out) -> anyhow::Result<Exit> {
    let matching = newest.matching;
    let letters = newest.into_letters();
    out.report(&letters, &["letter", "time", "source", "code", "key", "bytes", "message"], |letters, rows| {
        for letter in letters {
            rows.push(Mood::Plain, letter_cells(letter));
        }
    })?;
    if out.is_table() {
        out.note(&format!("{} of {matching} letters", letters.len()));
    }
    Ok(Exit::Ok)
}

fn letter_cells(letter: &Letter) -> [String; 7] {
    [
        format!("{}:{}", letter.partition, letter.offset),
        time(letter.at),
        source(letter),
        letter.code.clone().unwrap_or_else(|| "-".to_owned()),
        letter.key.clone().unwrap_or_else(|| "-".to_owned()),
        letter.size.map_or_else(|| "null".to_owned(), |size| size.to_string()),
        letter.message.clone(),
    ]
}

fn show_counts(counts: &[CodeCount], out: &Out) -> anyhow::Result<Exit> {
    let fill = |counts: &&[CodeCount], rows: &mut Rows| {
        for count in *counts {
            rows.push(Mood::Plain, count_cells(count));
        }
    };
    out.report(&counts, &["code", "letters", "devices", "bytes", "first", "last"], fill)?;
    if out.is_table() {
        let letters: u64 = counts.iter().map(|count| count.letters).sum();
        out.note(&format!("{letters} letters with {} codes", counts.len()));
    }
    Ok(Exit::Ok)
}

fn count_cells(count: &CodeCount) -> [String; 6] {
    [
        count.code.clone().unwrap_or_else(|| "-".to_owned()),
        count.letters.to_string(),
        count.keys.to_string(),
        count.bytes.to_string(),
        time(count.first),
        time(count.last),
    ]
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

async fn show(args: ShowArgs, out: &Out) -> anyhow::Result<Exit> {
    let (kafka, mut decoder) = (args.place.kafka.config()?, args.place.decoder()?);
    let letters = Letters { kafka: &kafka, topic: &args.place.topic };
    let Coordinates { partition, offset } = args.letter;
    let block = match letters.at(partition, offset).await? {
        Found::Record(block) => block,
        Found::Nothing(why) => {
            out.note(&format!("there is no letter {partition}:{offset}: {why}"));
            return Ok(Exit::Differences);
        }
    };
    let record = block.get(0);
    let content = decoder.decode(record.payload).await?;
    let view = LetterView::new(&args.place.topic, partition, &record, content);
    if out.is_table() {
        out.text(&view.text(args.bytes))?;
    } else {
        out.json(&view)?;
    }
    if let Some(path) = &args.save {
        save(path, record.payload.unwrap_or_default())?;
        out.note(&format!("wrote {} bytes to {}", record.payload.map_or(0, <[u8]>::len), path.display()));
    }
    Ok(Exit::Ok)
}

fn save(path: &std::path::Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write;
    let named = || format!("write {}", path.display());
    let mut file = std::fs::File::create_new(path).map_err(BadConfig::new).with_context(named)?;
    file.write_all(bytes).with_context(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        command: DlqCommand,
    }

    #[test]
    fn codes_may_be_written_small_and_mistakes_are_refused() {
        let list = |arguments: &[&str]| {
            let parsed = Cli::try_parse_from([&["dlq", "list"], arguments].concat()).ok()?;
            let DlqCommand::List(args) = parsed.command else { return None };
            Some(args)
        };
        assert_eq!(list(&["--reason", "truncated"]).unwrap().reasons, ["TRUNCATED"]);
        for wrong in [["--limit", "0"], ["--since", "yesterday"], ["--until", "5"]] {
            assert!(list(&wrong).is_none(), "{wrong:?}");
        }
    }

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
        };
        let row = letter_cells(&letter).join(" | ");
        insta::assert_snapshot!(row, @"1:42 | 1970-01-01T00:00:00Z | - | TRUNCATED | - | null | ends inside a value");
        assert!(letter_cells(&letter)[0].parse::<Coordinates>().is_ok());
    }
}
