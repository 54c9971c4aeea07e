use super::*;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;

const SCHEMA: &str = r#"{"type":"record","name":"R","namespace":"n","fields":[
  {"name":"a","type":"string"},
  {"name":"b","type":["null","long"]},
  {"name":"c","type":{"type":"enum","name":"E","symbols":["X","Y"]}},
  {"name":"d","type":{"type":"array","items":{"type":"record","name":"I","fields":[
     {"name":"v","type":{"type":"fixed","name":"Q","size":8,"logicalType":"decimal","precision":18,"scale":6}},
     {"name":"e","type":"E"},{"name":"i","type":"int"},{"name":"z","type":"boolean"}]}}},
  {"name":"m","type":{"type":"map","values":"Q"}}]}"#;

fn schema() -> Schema {
    Schema::parse_str(SCHEMA).unwrap()
}

fn program() -> Program {
    Program::compile(&schema()).unwrap()
}

fn item(i: i32) -> Value {
    Value::Record(vec![
        ("v".into(), Value::Fixed(8, vec![1; 8])),
        ("e".into(), Value::Enum(0, "X".into())),
        ("i".into(), Value::Int(i)),
        ("z".into(), Value::Boolean(true)),
    ])
}

fn datum(items: usize) -> Vec<u8> {
    let value = Value::Record(vec![
        ("a".into(), Value::String("zähler".into())),
        ("b".into(), Value::Union(1, Box::new(Value::Long(-5)))),
        ("c".into(), Value::Enum(1, "Y".into())),
        ("d".into(), Value::Array((0..items).map(|i| item(i32::try_from(i).unwrap() - 2)).collect())),
        ("m".into(), Value::Map([("k".to_owned(), Value::Fixed(8, vec![0; 8]))].into())),
    ]);
    let schema = schema();
    GenericDatumWriter::builder(&schema).validate(false).build().unwrap().write_value_to_vec(value).unwrap()
}

#[test]
fn valid_values_pass() {
    for items in [0, 1, 48] {
        assert_eq!(program().check(&datum(items)), Ok(()), "{items} items");
    }
}

#[test]
fn every_truncation_is_found() {
    let whole = datum(2);
    for cut in 0..whole.len() {
        let poison = program().check(&whole[..cut]).unwrap_err();
        let expected = matches!(poison, Poison::Truncated(_) | Poison::BadLength { .. });
        assert!(expected, "cut at {cut}: {poison:?}");
    }
}

#[test]
fn trailing_bytes_are_found_even_when_they_look_like_a_message() {
    let mut two = datum(1);
    two.extend([0, 0, 0, 0, 1]);
    assert_eq!(program().check(&two), Err(Poison::TrailingBytes(5)));
}

#[test]
fn faults_have_their_names() {
    let record = |field: &str| {
        let text = format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{field}}}]}}"#);
        Program::compile(&Schema::parse_str(&text).unwrap()).unwrap()
    };
    let string = record(r#""string""#);
    assert_eq!(string.check(&[4, 0xff, 0xfe]), Err(Poison::InvalidUtf8(0)));
    assert_eq!(string.check(&[1, 0]), Err(Poison::BadLength { at: 0, length: -1 }));
    assert_eq!(string.check(&[6, b'a']), Err(Poison::Truncated(0)));
    let int = record(r#""int""#);
    assert_eq!(int.check(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(()));
    assert_eq!(int.check(&[0xff, 0xff, 0xff, 0xff, 0x1f]), Err(Poison::BadNumber(0)));
    assert_eq!(int.check(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]), Err(Poison::BadNumber(0)));
    let long = record(r#""long""#);
    assert_eq!(long.check(&[0xff; 10]), Err(Poison::BadNumber(0)));
    assert_eq!(long.check(&[0xff; 9]), Err(Poison::Truncated(0)));
    let boolean = record(r#""boolean""#);
    assert_eq!(boolean.check(&[2]), Err(Poison::BadNumber(0)));
    let symbols = record(r#"{"type":"enum","name":"E","symbols":["X","Y"]}"#);
    assert_eq!(symbols.check(&[4]), Err(Poison::BadEnum { at: 0, index: 2 }));
    assert_eq!(symbols.check(&[1]), Err(Poison::BadEnum { at: 0, index: -1 }));
    let union = record(r#"["null","int"]"#);
    assert_eq!(union.check(&[4]), Err(Poison::BadUnion { at: 0, branch: 2 }));
}

#[test]
fn counts_are_bounded_by_the_bytes_that_remain() {
    let schema = Schema::parse_str(r#"{"type":"array","items":"null"}"#).unwrap();
    let nulls = Program::compile(&schema).unwrap();
    let ten_million = [0x80, 0xda, 0xc4, 0x09, 0]; // five bytes that claim 10,000,000 items of no size
    assert!(matches!(nulls.check(&ten_million), Err(Poison::BadLength { length: 10_000_000, .. })));
    let least = [1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0];
    assert!(matches!(nulls.check(&least[1..]), Err(Poison::BadLength { length: i64::MIN, .. } | Poison::Truncated(_))));
}

#[test]
fn sized_blocks_must_have_their_size() {
    let schema = Schema::parse_str(r#"{"type":"array","items":"int"}"#).unwrap();
    let ints = Program::compile(&schema).unwrap();
    assert_eq!(ints.check(&[3, 4, 2, 4, 0]), Ok(()), "two items in two bytes");
    assert!(matches!(ints.check(&[3, 2, 2, 4, 0]), Err(Poison::BadLength { .. })), "the size is a lie");
    assert!(matches!(ints.check(&[3, 80, 2, 4, 0]), Err(Poison::BadLength { .. })));
}

#[test]
fn recursive_and_exploding_schemas_are_refused() {
    let recursive = r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#;
    assert!(Program::compile(&Schema::parse_str(recursive).unwrap()).is_err());
    let mut exploding = r#"{"type":"record","name":"R0","fields":[{"name":"x","type":"int"}]}"#.to_owned();
    for depth in 1..25 {
        let inner = format!("R{}", depth - 1);
        exploding = format!(
            r#"{{"type":"record","name":"R{depth}","fields":[{{"name":"a","type":{exploding}}},{{"name":"b","type":"{inner}"}}]}}"#
        );
    }
    let schema = Schema::parse_str(&exploding).unwrap();
    assert!(Program::compile(&schema).is_err());
}

#[test]
fn fixed_fields_side_by_side_are_one_step() {
    let text = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"double"},
        {"name":"b","type":{"type":"record","name":"S","fields":[{"name":"c","type":"float"}]}}]}"#;
    let program = Program::compile(&Schema::parse_str(text).unwrap()).unwrap();
    assert_eq!(program.root, Node::Sequence(vec![Node::Skip(12)].into()));
}
