//! Topics that are not what the table was fed from.

use kafka_pipeline::Admin;
use lake::tables;

use crate::world::{World, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_created_again_is_refused() {
    let world = World::new("replaced").await;
    let readings = world.table(&tables::readings()).await;
    let expected = world.decide(0, 0..10, 2).await;
    let sink = world.start(world.config(&["readings"], &[])).await;
    world.expect_rows(&readings, "validated", expected.clone()).await;
    sink.stop().await.unwrap();

    let admin = Admin::connect(&world.kafka).await.unwrap();
    let topic = world.topic("validated");
    admin.delete_topic(&topic).await.unwrap();
    eventually("topic is gone", async || !admin.topics().await.unwrap().contains_key(&topic)).await;
    world.create_topic("validated").await;

    let sink = world.start(world.config(&["readings"], &[])).await;
    let error = format!("{:#}", sink.ended().await.unwrap_err());
    assert!(error.contains("created again"), "{error}");
    let mut found = world.coordinates(&readings).await;
    found.dedup();
    assert_eq!(found.len(), expected.len());
}
