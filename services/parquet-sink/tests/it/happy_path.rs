//! Four topics' worth of records end in four tables.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use kafka_pipeline::{AvroReader, AvroWriter, Registry, RegistryConfig};
use lake::tables;
use meterway_schemas::{ALERT, Alert, AlertKind, AlertState, LAKE_COMMIT, LakeCommit, Severity};
use test_support::Stack;

use crate::world::{World, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_fills_its_table() {
    let world = World::new("happy").await;
    let mut accepted = world.decide(0, 0..30, 3).await;
    accepted.extend(world.decide(1, 100..120, 48).await);
    let rejected = (0..30).step_by(3).map(|at| (0, at, 5)).chain((102..120).step_by(3).map(|at| (1, at, 5))).collect();
    let raw: Vec<Vec<u8>> = (0..25u8).map(|n| vec![n; usize::from(n)]).collect();
    world.produce("raw", 1, &raw).await;
    let alerts = alerts(&world).await;
    world.produce("alerts", 0, &alerts).await;

    let sink = world.start(world.config(&["readings", "rejected", "landing", "alerts"], &[])).await;
    let readings = world.table(&tables::readings()).await;
    world.expect_rows(&readings, "validated", accepted).await;
    world.expect_rows(&world.table(&tables::rejected()).await, "validated", rejected).await;
    let landing = world.table(&tables::landing()).await;
    world.drained(&landing, "raw").await;
    let mut landed: Vec<(i64, Vec<u8>)> = Vec::new();
    for batch in world.rows(&landing).await {
        let offsets = batch.column_by_name("offset").unwrap().as_primitive::<Int64Type>().values().to_vec();
        let payloads = batch.column_by_name("payload").unwrap().as_binary::<i64>();
        landed.extend(offsets.into_iter().zip(payloads.iter().map(|bytes| bytes.unwrap().to_vec())));
    }
    assert_eq!(landed, (0..).zip(raw).collect::<Vec<_>>(), "bytes and offsets are those of the topic");
    let alert_table = world.table(&tables::alerts()).await;
    world.drained(&alert_table, "alerts").await;
    let stored: usize = world.rows(&alert_table).await.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(stored, alerts.len());

    announced(&world, readings.name()).await;
    sink.stop().await.unwrap();
}

/// The commits of a table, as announced, name all its rows.
async fn announced(world: &World, table: &str) {
    let registry = Registry::new(&RegistryConfig { url: Stack::from_env().schema_registry_url() }).unwrap();
    let reader = AvroReader::<LakeCommit>::new(registry, LAKE_COMMIT.avsc).unwrap();
    eventually("commits are announced", async || {
        let mut rows = 0;
        for partition in 0..crate::world::PARTITIONS {
            for block in world.read("commits", partition).await {
                for record in block.iter() {
                    let commit = reader.read(record.payload.unwrap()).await.unwrap();
                    if commit.table == table {
                        assert!(!commit.offsets.is_empty());
                        assert_eq!(commit.rows, commit.files.iter().map(|file| file.rows).sum::<i64>());
                        rows += commit.rows;
                    }
                }
            }
        }
        rows == 30 * 3 + 20 * 48
    })
    .await;
}

async fn alerts(world: &World) -> Vec<Vec<u8>> {
    let id = world.schema_id_of("alerts", ALERT).await;
    let writer = AvroWriter::<Alert>::with_id(id, ALERT.avsc).unwrap();
    (1..=4)
        .map(|revision| {
            let alert = Alert {
                tenant_id: "northgrid".into(),
                device_id: "device-1".into(),
                customer_id: None,
                site_id: Some("site-1".into()),
                alert_id: "alert-1".into(),
                kind: AlertKind::Tamper,
                severity: Severity::Critical,
                state: if revision == 4 { AlertState::Closed } else { AlertState::Updated },
                revision,
                opened_at: 20_000 * 86_400_000_000,
                updated_at: 20_000 * 86_400_000_000 + i64::from(revision),
                closed_at: (revision == 4).then_some(20_001 * 86_400_000_000),
                detail: "cover opened".into(),
            };
            writer.write(&alert).unwrap()
        })
        .collect()
}
