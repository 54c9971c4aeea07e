//! `dlq show`: letters in full.

use super::args::ShowArgs;
use super::counts::{Known, Newest};
use super::read::{Found, Letters};
use super::scan::Survey;
use super::show::{Coordinates, LetterView};
use crate::exit::{BadConfig, Exit};
use crate::out::Out;
use anyhow::Context;
use chrono::Utc;

/// Shows one letter, or the newest that fit.
pub(crate) async fn run(args: ShowArgs, out: &Out) -> anyhow::Result<Exit> {
    let mut decoder = args.place.decoder()?;
    let wanted = wanted(&args, out).await?;
    let mut views = Vec::new();
    for known in wanted {
        let (partition, offset) = (known.letter.partition, known.letter.offset);
        let kafka = args.place.kafka.config()?;
        let letters = Letters { kafka: &kafka, topic: &args.place.topic };
        let Found::Record(block) = letters.at(partition, offset).await? else { continue };
        let record = block.get(0);
        let content = decoder.decode(record.payload).await?;
        views.push(LetterView::new(&args.place.topic, known, &record, content));
    }
    match (&views[..], &args.selection.letters[..]) {
        ([], _) => return Ok(Exit::Differences),
        // A single letter that was asked for is itself, several are a list.
        ([view], [_]) if !out.is_table() => out.json(view)?,
        (views, _) if !out.is_table() => out.json(&views)?,
        (views, _) => {
            let texts: Vec<String> = views.iter().map(|view| view.text(args.bytes)).collect();
            out.text(&texts.join("\n"))?;
        }
    }
    match (&args.save, &views[..]) {
        (None, _) => {}
        (Some(path), [view]) => {
            save(path, view.payload().unwrap_or_default())?;
            out.note(&format!("wrote {} bytes to {}", view.payload().map_or(0, <[u8]>::len), path.display()));
        }
        (Some(_), _) => return Err(BadConfig::new("--save takes the bytes of a single letter").into()),
    }
    Ok(Exit::Ok)
}

/// The letters to show. Why there is none is said.
async fn wanted(args: &ShowArgs, out: &Out) -> anyhow::Result<Vec<Known>> {
    for Coordinates { partition, offset } in &args.selection.letters {
        let kafka = args.place.kafka.config()?;
        let letters = Letters { kafka: &kafka, topic: &args.place.topic };
        if let Found::Nothing(why) = letters.at(*partition, *offset).await? {
            out.note(&format!("there is no letter {partition}:{offset}: {why}"));
            return Ok(Vec::new());
        }
    }
    let mut survey = Survey::of(&args.place, &args.selection, Utc::now()).await?;
    let mut newest = Newest::new(args.limit as usize);
    for (partition, _) in survey.partitions.clone() {
        let take = async |letter, standing, _: &kafka_pipeline::RecordRef<'_>| {
            newest.push(Known { letter, standing });
            anyhow::Ok(())
        };
        survey.letters(&args.place, &args.selection, partition, take).await?;
    }
    if newest.matching == 0 {
        out.note("there is no such letter");
    }
    Ok(newest.into_letters())
}

fn save(path: &std::path::Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write;
    let named = || format!("write {}", path.display());
    let mut file = std::fs::File::create_new(path).map_err(BadConfig::new).with_context(named)?;
    file.write_all(bytes).with_context(named)
}
