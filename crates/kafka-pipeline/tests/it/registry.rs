//! The registry of the stack, and values through it.

use kafka_pipeline::{
    AvroReader, AvroWriter, BatchDecoder, CodecError, Compatibility, Poison, RecordBlockBuilder, Registry,
    RegistryConfig, RegistryError, unframe,
};
use serde::{Deserialize, Serialize};
use test_support::{Stack, unique};

const V1: &str = r#"{"type":"record","name":"Thing","fields":[{"name":"id","type":"string"}]}"#;
const V2: &str = r#"{"type":"record","name":"Thing","fields":[{"name":"id","type":"string"},
    {"name":"size","type":["null","long"],"default":null}]}"#;
const BREAKING: &str = r#"{"type":"record","name":"Thing","fields":[{"name":"id","type":"long"}]}"#;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Thing {
    id: String,
    size: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OldThing {
    id: String,
}

fn registry() -> Registry {
    Registry::new(&RegistryConfig { url: Stack::from_env().schema_registry_url() }).unwrap()
}

#[tokio::test]
async fn schemas_are_registered_found_and_guarded() {
    let (registry, subject) = (registry(), format!("{}-value", unique("kp")));
    assert_eq!(registry.versions(&subject).await.unwrap(), [] as [u32; 0]);
    assert_eq!(registry.lookup(&subject, V1).await.unwrap(), None);
    assert_eq!(registry.compatible(&subject, V1).await.unwrap(), Ok(()), "a new subject admits everything");
    let id = registry.register(&subject, V1).await.unwrap();
    assert_eq!(registry.register(&subject, V1).await.unwrap(), id);
    assert_eq!(registry.lookup(&subject, V1).await.unwrap(), Some(id));
    registry.set_compatibility(&subject, Compatibility::FullTransitive).await.unwrap();
    assert_eq!(registry.compatibility(&subject).await.unwrap().as_deref(), Some("FULL_TRANSITIVE"));
    assert_eq!(registry.compatible(&subject, V2).await.unwrap(), Ok(()));
    assert!(registry.compatible(&subject, BREAKING).await.unwrap().is_err());
    assert!(matches!(registry.register(&subject, BREAKING).await, Err(RegistryError::Refused { .. })));
    let second = registry.register(&subject, V2).await.unwrap();
    assert_ne!(second, id);
    assert_eq!(registry.versions(&subject).await.unwrap().len(), 2);
    assert!(registry.subjects().await.unwrap().contains(&subject));
    let same = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(same(&registry.schema_by_id(second).await.unwrap()), same(V2));
    assert_eq!(same(&registry.schema_by_version(&subject, 1).await.unwrap()), same(V1));
    assert!(matches!(registry.schema_by_id(u32::MAX / 2).await, Err(RegistryError::NotFound(_))));
}

#[tokio::test]
async fn values_of_old_and_new_schemas_are_read() {
    let (registry, subject) = (registry(), format!("{}-value", unique("kp")));
    let old = AvroWriter::<OldThing>::new(&registry, &subject, V1).await.unwrap();
    let new = AvroWriter::<Thing>::new(&registry, &subject, V2).await.unwrap();
    let reader = AvroReader::<Thing>::new(registry.clone(), V2).unwrap();
    let thing = Thing { id: "a".into(), size: Some(3) };
    let bytes = new.write(&thing).unwrap();
    assert_eq!(unframe(Some(&bytes)).unwrap().0, new.schema_id());
    assert_eq!(reader.read(&bytes).await.unwrap(), thing);
    let bytes = old.write(&OldThing { id: "b".into() }).unwrap();
    assert_eq!(reader.read(&bytes).await.unwrap(), Thing { id: "b".into(), size: None });
    let old_reader = AvroReader::<OldThing>::new(registry, V1).unwrap();
    assert_eq!(old_reader.read(&new.write(&thing).unwrap()).await.unwrap(), OldThing { id: "a".into() });
    let mut cut = bytes.clone();
    cut.pop();
    assert!(matches!(reader.read(&cut).await, Err(CodecError::Poison(Poison::Truncated(_)))));
    let unknown = [&[0, 0x7f, 0, 0, 0][..], b"\x02a"].concat();
    assert!(matches!(reader.read(&unknown).await, Err(CodecError::Poison(Poison::UnknownSchemaId(0x7f00_0000)))));
}

#[tokio::test]
async fn batch_decoder_asks_the_registry_for_writers() {
    let (registry, subject) = (registry(), format!("{}-value", unique("kp")));
    let old = AvroWriter::<OldThing>::new(&registry, &subject, V1).await.unwrap();
    let new = AvroWriter::<Thing>::new(&registry, &subject, V2).await.unwrap();
    let mut builder = RecordBlockBuilder::new("t", 0);
    builder.push(0, 0, None, Some(&old.write(&OldThing { id: "a".into() }).unwrap()), &[]);
    builder.push(1, 0, None, Some(&[0, 0x7f, 0, 0, 1, 0]), &[]);
    builder.push(2, 0, None, Some(&new.write(&Thing { id: "b".into(), size: None }).unwrap()), &[]);
    let mut decoder = BatchDecoder::new(registry, V2).unwrap();
    let decoded = decoder.decode(&builder.build()).await.unwrap();
    assert_eq!(decoded.poison, [(1, Poison::UnknownSchemaId(0x7f00_0001))]);
    let rows: Vec<_> = decoded.batches.iter().map(|batch| batch.rows.clone()).collect();
    assert_eq!(rows, [[0], [2]]);
}
