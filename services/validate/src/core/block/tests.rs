//! Blocks through the real codecs: what is written is read back by apache-avro's rules through arrow-avro.

use super::*;
use crate::core::decide::Settings;
use crate::core::testing::{NOW, batch, day, electricity_meter, interval, table};
use kafka_pipeline::{BatchDecoder, RecordBlockBuilder, Registry, RegistryConfig};
use meterway_schemas::encode::{self, ReadingBatch};
use meterway_schemas::{READING_BATCH, VALIDATED_BATCH};

const RAW_ID: u32 = 7;
const DECISION_ID: u32 = 8;

/// A decoder that never needs the registry: the schemas are taught.
fn decoder(id: u32, schema: &str) -> BatchDecoder {
    let registry = Registry::new(&RegistryConfig { url: "http://127.0.0.1:9".into() }).unwrap();
    let mut decoder = BatchDecoder::new(registry, schema).unwrap();
    decoder.learn(id, schema);
    decoder
}

fn framed(batch: &ReadingBatch<'_>) -> Vec<u8> {
    let (mut datum, mut out) = (Vec::new(), Vec::new());
    encode::reading_batch(batch, &mut datum);
    frame(RAW_ID, &datum, &mut out);
    out
}

/// Key and payload.
type Raw<'a> = (Option<&'a [u8]>, Option<Vec<u8>>);

/// The block as a consumer would hand it over, with holes in the offsets.
fn block(messages: &[Raw<'_>]) -> RecordBlock {
    let mut builder = RecordBlockBuilder::new("raw", 3);
    for (index, (key, payload)) in messages.iter().enumerate() {
        builder.push(100 + 2 * index as i64, 0, *key, payload.as_deref(), &[]);
    }
    builder.build()
}

fn decide(decider: &mut BlockDecider, block: &RecordBlock) -> DecidedBlock {
    let decoded = decoder(RAW_ID, READING_BATCH.avsc).decode_prepared(block);
    let devices = table([electricity_meter("d")]);
    let mut decided = DecidedBlock::default();
    decider.decide(&devices, NOW, (block, &decoded), &mut decided).unwrap();
    decided
}

/// The decisions as consumers of the validated topic read them.
fn read_back(decided: &DecidedBlock) -> Decoded {
    let mut builder = RecordBlockBuilder::new("validated", 3);
    for (offset, (_, bytes)) in decided.decisions().enumerate() {
        builder.push(offset as i64, 0, None, Some(bytes), &[]);
    }
    decoder(DECISION_ID, VALIDATED_BATCH.avsc).decode_prepared(&builder.build())
}

fn decider() -> BlockDecider {
    BlockDecider::new(Validator::new(Settings::default()), DECISION_ID)
}

#[test]
fn poison_costs_no_neighbour_and_every_offset_gets_its_decision_in_order() {
    let readings = day(0);
    let good = framed(&batch("d", &readings[..24]));
    let truncated = good[..good.len() - 3].to_vec();
    let rest = framed(&batch("d", &readings[24..]));
    let messages = [
        (Some(&b"d"[..]), Some(good)),
        (Some(&b"d"[..]), Some(truncated)),
        (None, None),
        (Some(&b"\xff"[..]), Some(vec![9, 9])),
        (Some(&b"d"[..]), Some(rest)),
    ];
    let decided = decide(&mut decider(), &block(&messages));
    let codes: Vec<_> = decided.dead_letters.iter().map(|letter| (letter.record, letter.code)).collect();
    assert_eq!(codes, [(1, RejectCode::Truncated), (2, RejectCode::NullPayload), (3, RejectCode::TooShort)]);

    let decoded = read_back(&decided);
    assert!(decoded.poison.is_empty() && decoded.batches.len() == 1);
    let columns = ValidatedBatchColumns::try_from(&decoded.batches[0].batch).unwrap();
    let rows = 0..decided.decisions().len();
    assert_eq!(rows.clone().map(|row| columns.source_offset.value(row)).collect::<Vec<_>>(), [100, 102, 104, 106, 108]);
    assert_eq!(rows.clone().map(|row| columns.device_id.value(row)).collect::<Vec<_>>(), ["d", "d", "", "", "d"]);
    let accepted: Vec<_> = rows.map(|row| meterway_schemas::columns::range(columns.lists, row).len()).collect();
    assert_eq!(accepted, [24, 0, 0, 0, 24]);
    let first = &columns.rejections;
    assert_eq!((first.index.value(0), first.code.value(0)), (WHOLE_MESSAGE, "TRUNCATED"));
    assert_eq!(columns.customer_id.value(0), "c-1");
    assert_eq!(columns.rules.value(4).collect::<Vec<_>>().len(), crate::core::rules::RuleId::ALL.len());
}

#[test]
fn the_letter_names_what_is_worth_a_look_and_a_replay_is_told_by_its_header() {
    let mut decider = decider();
    decide(&mut decider, &block(&[(Some(&b"d"[..]), Some(framed(&batch("d", &day(0)[..2]))))]));
    let mut readings = day(0)[..3].to_vec();
    readings[2].value = -1;
    let partly = framed(&batch("d", &readings));
    let all_known = framed(&batch("d", &day(0)[..2]));
    let again = block(&[(Some(&b"d"[..]), Some(partly)), (Some(&b"d"[..]), Some(all_known))]);
    let decided = decide(&mut decider, &again);
    let letters: Vec<_> = decided.dead_letters.iter().map(|letter| (letter.code, letter.message.as_str())).collect();
    assert_eq!(letters[0], (RejectCode::Negative, "3 of 3 readings rejected, first reading 2: below zero"));
    assert_eq!(letters[1].0, RejectCode::Duplicate, "everything in it is stored");

    let old = [interval(-400 * 48, 1)];
    let mut builder = RecordBlockBuilder::new("raw", 3);
    let payload = framed(&batch("d", &old));
    let header = kafka_pipeline::Header { key: replay::REPLAY_COUNT.into(), value: Some("1".into()) };
    builder.push(1, 0, Some(b"d"), Some(&payload), &[]).push(2, 0, Some(b"d"), Some(&payload), &[header]);
    let decided = decide(&mut decider, &builder.build());
    let decoded = read_back(&decided);
    let columns = ValidatedBatchColumns::try_from(&decoded.batches[0].batch).unwrap();
    assert_eq!(columns.rejections.code.value(0), "TOO_OLD");
    assert_eq!(meterway_schemas::columns::range(columns.lists, 1).len(), 1, "somebody asked for it");
    assert_eq!((columns.source.value(0), columns.source.value(1)), ("KAFKA", "REPLAY"));
}

#[test]
fn decisions_read_back_from_the_topic_restore_the_state() {
    let first = block(&[(Some(&b"d"[..]), Some(framed(&batch("d", &day(0)))))]);
    let mut steady = decider();
    let decided = decide(&mut steady, &first);

    let mut learner = Validator::new(Settings::default());
    let mut checkpoint = crate::core::checkpoint::Checkpoint::default();
    let is_first = |offset| checkpoint.observe(offset) != crate::core::checkpoint::Place::Repeated;
    let learning = learn(&mut learner, &read_back(&decided), 3, is_first).unwrap();
    assert_eq!(learning, Learning { decisions: 1, repeated: 0, unreadable: 0 });
    assert_eq!(checkpoint.next(), Some(101));

    let mut corrected = day(0);
    corrected[9].value += 1_000;
    corrected.extend([interval(48, 1), interval(60, 2)]);
    let next = block(&[(Some(&b"d"[..]), Some(framed(&batch("d", &corrected))))]);
    let expected = decide(&mut steady, &next);
    let restarted = decide(&mut BlockDecider::new(learner, DECISION_ID), &next);
    assert_eq!(restarted.decisions().collect::<Vec<_>>(), expected.decisions().collect::<Vec<_>>());
    assert_eq!(expected.tally.accepted, 3);
    assert_eq!(
        expected.dead_letters[0].message,
        "47 of 50 readings rejected, first reading 0: same key and value as an accepted reading"
    );
}

#[test]
fn repeated_and_foreign_decisions_teach_nothing() {
    let decided = decide(&mut decider(), &block(&[(Some(&b"d"[..]), Some(framed(&batch("d", &day(0)))))]));
    let decoded = read_back(&decided);
    let mut learner = Validator::new(Settings::default());
    let learning = learn(&mut learner, &decoded, 3, |_| false).unwrap();
    assert_eq!(learning, Learning { decisions: 0, repeated: 1, unreadable: 0 });
    let learning = learn(&mut learner, &decoded, 2, |_| true).unwrap();
    assert_eq!(learning, Learning { decisions: 0, repeated: 0, unreadable: 1 });
    assert_eq!(learner.history().devices(), 0);
}

#[test]
fn unknown_device_is_seen_before_the_block_is_decided() {
    let known = block(&[(None, Some(framed(&batch("d", &day(0))))), (None, None)]);
    let unknown = block(&[(None, Some(framed(&batch("d", &day(0))))), (None, Some(framed(&batch("e", &day(0)))))]);
    let devices = table([electricity_meter("d")]);
    let ask =
        |block| has_unknown_device(&decoder(RAW_ID, READING_BATCH.avsc).decode_prepared(block), &devices).unwrap();
    assert!(!ask(&known) && ask(&unknown));
}
