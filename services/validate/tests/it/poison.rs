use crate::decisions::{all, records};
use crate::fixture::Fixture;
use crate::fleet::{day, delivery, meter};
use kafka_pipeline::{dead_letter, frame};
use meterway_schemas::DEVICE_EVENT;
use meterway_schemas::encode::{Reading, ReadingBatch};

/// One broken message: what is wrong, key, payload, and the code that must be found.
struct Case {
    key: Option<&'static [u8]>,
    payload: Option<Vec<u8>>,
    code: &'static str,
}

fn case(payload: Option<Vec<u8>>, code: &'static str) -> Case {
    Case { key: Some(b"e-1"), payload, code }
}

/// Position behind the three identifiers, the sequence and `received_at`: where the index of `source` stands.
fn source_at(datum: &[u8]) -> usize {
    let mut at = 0;
    for _ in 0..3 {
        at += 1 + usize::from(datum[at] / 2);
    }
    at + 2
}

fn cases(fixture: &Fixture, foreign_schema_id: u32) -> Vec<Case> {
    let good = delivery("e-1", &day(0));
    let edited = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut datum = good.clone();
        edit(&mut datum);
        Some(fixture.framed(&datum))
    };
    let source = source_at(&good);
    let with_id = |id: u32| {
        let mut payload = Vec::new();
        frame(id, &good, &mut payload);
        Some(payload)
    };
    let mut wrong_magic = fixture.framed(&good);
    wrong_magic[0] = 1;
    let readings = day(1);
    let other_tenant = ReadingBatch { tenant_id: "lakeside", ..header(&readings) };
    let no_device = ReadingBatch { device_id: "no device", ..header(&readings) };
    let encoded = |batch: &ReadingBatch<'_>| {
        let mut datum = Vec::new();
        meterway_schemas::encode::reading_batch(batch, &mut datum);
        Some(fixture.framed(&datum))
    };
    vec![
        case(None, "NULL_PAYLOAD"),
        case(Some(vec![]), "TOO_SHORT"),
        case(Some(vec![0, 0, 0]), "TOO_SHORT"),
        case(Some(wrong_magic), "WRONG_MAGIC"),
        case(with_id(987_654_321), "UNKNOWN_SCHEMA_ID"),
        case(with_id(foreign_schema_id), "WRONG_SCHEMA"),
        case(edited(&|datum| datum.truncate(datum.len() - 9)), "TRUNCATED"),
        case(edited(&|datum| datum.truncate(1)), "TRUNCATED"),
        case(edited(&|datum| datum.extend_from_slice(&[0, 0, 0, 0, 1, 9])), "TRAILING_BYTES"),
        case(edited(&|datum| datum[0] = 1), "BAD_LENGTH"),
        case(edited(&|datum| drop(datum.splice(0..1, [0xfe, 0xff, 0xff, 0xff, 0x0f]))), "BAD_LENGTH"),
        case(edited(&|datum| datum[1] = 0xff), "INVALID_UTF8"),
        case(edited(&|datum| datum[source] = 40), "BAD_ENUM"),
        case(edited(&|datum| datum[source - 1] = 40), "BAD_ENUM"),
        Case { key: Some(b"e-2"), payload: Some(fixture.framed(&good)), code: "KEY_MISMATCH" },
        Case { key: None, payload: Some(fixture.framed(&good)), code: "KEY_MISMATCH" },
        Case { key: Some(b"no device"), payload: encoded(&no_device), code: "BAD_IDENTIFIER" },
        Case { key: Some(b"e-9"), payload: Some(fixture.framed(&delivery("e-9", &day(0)))), code: "UNKNOWN_DEVICE" },
        case(encoded(&other_tenant), "TENANT_MISMATCH"),
        case(Some(fixture.framed(&delivery("e-1", &[]))), "EMPTY_BATCH"),
    ]
}

fn header<'a>(readings: &'a [Reading<'a>]) -> ReadingBatch<'a> {
    ReadingBatch {
        tenant_id: "northgrid",
        device_id: "e-1",
        gateway_id: "",
        sequence: 1,
        received_at: None,
        source: meterway_schemas::Source::Http,
        readings,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_of_every_kind_is_kept_unchanged_and_costs_no_neighbour() {
    let fixture = Fixture::new("vd_poison", 1).await;
    fixture.register(&[meter("e-1")]).await;
    let foreign = format!("{}.foreign-value", fixture.name);
    let foreign = fixture.registry.register(&foreign, DEVICE_EVENT.avsc).await.unwrap();
    let cases = cases(&fixture, foreign);
    for (number, case) in cases.iter().enumerate() {
        let good = fixture.framed(&delivery("e-1", &day(number as i64)));
        fixture.send("raw", Some(0), Some(b"e-1"), Some(&good)).await;
        fixture.send("raw", Some(0), case.key, case.payload.as_deref()).await;
    }
    let _process = fixture.start();
    fixture.until_decided(2 * cases.len() as i64).await;

    let decisions = all(&fixture, 0).await;
    for (number, case) in cases.iter().enumerate() {
        let (good, bad) = (&decisions[2 * number], &decisions[2 * number + 1]);
        assert_eq!((good.accepted.len(), good.marks.len(), good.rejected.len()), (48, 0, 0), "beside {}", case.code);
        assert_eq!((bad.source_offset, &bad.accepted[..]), (2 * number as i64 + 1, &[][..]));
        assert_eq!(bad.rejected, [(-1, case.code.to_owned())]);
    }
    let letters = records(&fixture, "rejected", 0).await;
    let letters: Vec<_> = letters.iter().flat_map(|block| block.iter()).collect();
    assert_eq!(letters.len(), cases.len());
    for (number, (letter, case)) in letters.iter().zip(&cases).enumerate() {
        assert_eq!((letter.key, letter.payload), (case.key, case.payload.as_deref()), "{}", case.code);
        assert_eq!(letter.header(dead_letter::ERROR_CODE), Some(case.code.as_bytes()));
        assert_eq!(letter.header(dead_letter::OFFSET), Some((2 * number + 1).to_string().as_bytes()));
        assert_eq!(letter.header(dead_letter::TOPIC), Some(fixture.topic("raw").as_bytes()));
        assert_eq!(letter.header(dead_letter::STAGE), Some(&b"validate"[..]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partly_rejected_message_keeps_its_good_readings_and_one_dead_letter() {
    let fixture = Fixture::new("vd_partly", 1).await;
    fixture.register(&[meter("e-1")]).await;
    let mut readings = day(0);
    readings[3].value = -1;
    readings[7].unit = "Wh";
    readings[9].value = i64::MAX;
    let payload = fixture.framed(&delivery("e-1", &readings));
    fixture.send("raw", Some(0), Some(b"e-1"), Some(&payload)).await;
    let _process = fixture.start();
    fixture.until_decided(1).await;
    let decision = &all(&fixture, 0).await[0];
    let codes = [(3, "NEGATIVE"), (7, "WRONG_UNIT"), (9, "VALUE_OUT_OF_RANGE")];
    assert_eq!(decision.rejected, codes.map(|(index, code)| (index, code.to_owned())));
    assert_eq!((decision.accepted.len(), &decision.marks[..]), (45, &[][..]));
    let letters = records(&fixture, "rejected", 0).await;
    assert_eq!((letters.len(), letters[0].len()), (1, 1));
    let letter = letters[0].get(0);
    assert_eq!(letter.payload, Some(&payload[..]));
    assert_eq!(letter.header(dead_letter::ERROR_CODE), Some(&b"NEGATIVE"[..]));
}
