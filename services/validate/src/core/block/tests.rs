//! Blocks through the real codecs: what is written is read back by apache-avro's rules through arrow-avro.

use super::*;
use crate::core::decide::Settings;
use crate::core::testing::{NOW, batch, day, electricity_meter, interval, table};
use kafka_pipeline::{BatchDecoder, RecordBlockBuilder, Registry, RegistryConfig};
use meterway_schemas::encode::{self, ReadingBatch};
use meterway_schemas::replay::KnownRow;
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
    BlockDecider::new(Validator::new(Settings::default()), DECISION_ID, 0)
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
    let header = kafka_pipeline::Header { key: redrive::REPLAY_COUNT.into(), value: Some("1".into()) };
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
    let holds = |claim: Claim| {
        let offset = claim.record as i64;
        checkpoint.observe(claim.source_offset, claim.decision_offset, offset).holds()
    };
    let learning = learn(&mut learner, &read_back(&decided), 3, &mut Turns::default(), holds).unwrap();
    assert_eq!(learning, Learning { decisions: 1, repeated: 0, unreadable: 0 });
    assert_eq!(checkpoint.next(), Some(101));

    let mut corrected = day(0);
    corrected[9].value += 1_000;
    corrected.extend([interval(48, 1), interval(60, 2)]);
    let next = block(&[(Some(&b"d"[..]), Some(framed(&batch("d", &corrected))))]);
    let expected = decide(&mut steady, &next);
    let restarted = decide(&mut BlockDecider::new(learner, DECISION_ID, 1), &next);
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
    let learning = learn(&mut learner, &decoded, 3, &mut Turns::default(), |_| false).unwrap();
    assert_eq!(learning, Learning { decisions: 0, repeated: 1, unreadable: 0 });
    let learning = learn(&mut learner, &decoded, 2, &mut Turns::default(), |_| true).unwrap();
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

/// A message of the replay lane about one device's half-hours.
fn replayed(builder: &mut RecordBlockBuilder, offset: i64, note: Option<&ReplayNote>, payload: &[u8]) {
    let header = |note: &ReplayNote| kafka_pipeline::Header {
        key: REPLAY_HEADER.to_owned(),
        value: Some(note.to_bytes().into()),
    };
    builder.push(offset, 0, Some(b"d"), Some(payload), note.map(header).as_slice());
}

#[test]
fn a_message_of_the_lane_is_judged_once_and_the_output_tells_the_next_owner() {
    let note = |revision, origin_offset| ReplayNote {
        revision,
        origin_offset,
        timestamp_ms: NOW / 1_000,
        ..ReplayNote::default()
    };
    let payload = |from: usize| framed(&batch("d", &day(0)[from..from + 2]));
    let mut builder = RecordBlockBuilder::new("replay", 3);
    replayed(&mut builder, 0, Some(&note(7, 50)), &payload(0));
    replayed(&mut builder, 1, Some(&note(7, 50)), &payload(0)); // sent again after a kill
    replayed(&mut builder, 2, Some(&note(7, 51)), &payload(2));
    replayed(&mut builder, 3, Some(&note(6, 99)), &payload(4)); // of a replay that was overtaken
    replayed(&mut builder, 4, None, &payload(4));
    replayed(&mut builder, 5, Some(&note(7, 52)), b"nonsense");
    let mut decider = decider().on_the_replay_lane(None);
    let decided = decide(&mut decider, &builder.build());
    assert_eq!(decided.dead_letters, [], "the bytes are in the landing table");
    assert_eq!((decided.outcomes.new, decided.outcomes.repeated, decided.outcomes.rejected), (4, 2, 1));

    let decoded = read_back(&decided);
    let columns = ValidatedBatchColumns::try_from(&decoded.batches[0].batch).unwrap();
    assert_eq!(columns.source_offset.values(), &[0, 1, 2, 3, 4, 5], "offsets of the lane");
    assert_eq!(
        columns.origin_offset.iter().collect::<Vec<_>>(),
        [Some(50), Some(50), Some(51), Some(99), None, Some(52)]
    );
    assert_eq!(columns.revision.values(), &[7, 7, 7, 6, 0, 7]);
    let codes = (0..arrow::array::Array::len(columns.rejections.code))
        .map(|row| columns.rejections.code.value(row))
        .collect::<Vec<_>>();
    assert_eq!(codes[..3], ["REPEATED", "REPEATED", "NO_ORIGIN"]);

    let mut validator = Validator::new(Settings::default());
    let mut turns = Turns::default();
    let learning = learn(&mut validator, &decoded, 3, &mut turns, |_| true).unwrap();
    assert_eq!((learning.decisions, turns.newest()), (6, Some((7, 52))));
    let mut builder = RecordBlockBuilder::new("replay", 3);
    replayed(&mut builder, 6, Some(&note(7, 52)), &payload(4));
    replayed(&mut builder, 7, Some(&note(7, 53)), &payload(4));
    let mut next = BlockDecider::new(validator, DECISION_ID, 0).on_the_replay_lane(turns.newest());
    let decided = decide(&mut next, &builder.build());
    assert_eq!((decided.outcomes.repeated, decided.outcomes.new), (1, 2));

    // The next replay judges the same messages anew: what the one before taught would make duplicates of them.
    let rows = |index| KnownRow {
        index,
        version: 1,
        failed_rules: vec![],
        local_day: 20_514,
        commodity: "ELECTRICITY".into(),
    };
    let with_rows = ReplayNote { rows: vec![rows(0), rows(1)], ..note(8, 50) };
    let mut builder = RecordBlockBuilder::new("replay", 3);
    replayed(&mut builder, 8, Some(&with_rows), &payload(0));
    let block = builder.build();
    assert_eq!(decide(&mut next, &block).outcomes, Outcomes { unchanged: 2, ..Outcomes::default() });
    let mut validator = Validator::new(Settings::default());
    let both = [decoded, read_back(&decide(&mut decider_behind(7, 52), &block))];
    let mut turns = Turns::default();
    for decoded in &both {
        learn(&mut validator, decoded, 3, &mut turns, |_| true).unwrap();
    }
    assert_eq!(turns.newest(), Some((8, 50)));
    let mut after_a_restart = BlockDecider::new(validator, DECISION_ID, 0).on_the_replay_lane(turns.newest());
    let mut builder = RecordBlockBuilder::new("replay", 3);
    replayed(&mut builder, 9, Some(&ReplayNote { origin_offset: 51, ..with_rows }), &payload(2));
    assert_eq!(decide(&mut after_a_restart, &builder.build()).outcomes.unchanged, 2);
}

fn decider_behind(revision: i64, origin_offset: i64) -> BlockDecider {
    decider().on_the_replay_lane(Some((revision, origin_offset)))
}

#[test]
fn the_header_means_nothing_on_the_live_lane() {
    let mut builder = RecordBlockBuilder::new("raw", 3);
    let note = ReplayNote { revision: 7, timestamp_ms: NOW / 1_000, ..ReplayNote::default() };
    let old = framed(&batch("d", &[interval(-4_000 * 48, 100)]));
    replayed(&mut builder, 0, Some(&note), &old);
    let decided = decide(&mut decider(), &builder.build());
    let decoded = read_back(&decided);
    let columns = ValidatedBatchColumns::try_from(&decoded.batches[0].batch).unwrap();
    assert_eq!((columns.rejections.code.value(0), columns.revision.value(0)), ("TOO_OLD", 0));
    assert_eq!(decided.dead_letters.len(), 1);
}
