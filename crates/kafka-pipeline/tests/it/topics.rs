//! Administration against the broker of the stack.

use std::collections::BTreeMap;

use kafka_pipeline::{Admin, AdminError, Consumer, NextOffset, TopicSpec, topic_id};
use test_support::unique;

use crate::support::{Topic, assigned, close, fill, group_config, kafka, producer};

fn spec(name: &str) -> TopicSpec {
    let configs = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    TopicSpec { name: name.to_owned(), partitions: 2, replication: 1, configs }
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_id_changes_when_a_topic_is_made_anew() {
    let (admin, name) = (Admin::connect(&kafka()).await.unwrap(), unique("kp-test"));
    assert!(matches!(topic_id(&kafka(), &name).await, Err(AdminError::UnknownTopic(_) | AdminError::Query(_))));
    admin.create_topic(&spec(&name)).await.unwrap();
    let first = topic_id(&kafka(), &name).await.unwrap();
    assert_eq!(first.0.len(), 22);
    assert_eq!(topic_id(&kafka(), &name).await.unwrap(), first, "stable");
    admin.delete_topic(&name).await.unwrap();
    while admin.create_topic(&spec(&name)).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_ne!(topic_id(&kafka(), &name).await.unwrap(), first);
    admin.delete_topic(&name).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_described_and_changed() {
    let (admin, name) = (Admin::connect(&kafka()).await.unwrap(), unique("kp-test"));
    assert!(admin.ensure_topic(&spec(&name)).await.unwrap());
    assert!(!admin.ensure_topic(&spec(&name)).await.unwrap());
    assert!(matches!(admin.create_topic(&spec(&name)).await, Err(AdminError::TopicExists(_))));
    admin.add_partitions(&name, 3).await.unwrap();
    let change = BTreeMap::from([("retention.ms".to_owned(), "60000".to_owned())]);
    admin.set_configs(&name, &change).await.unwrap();
    let info = admin.configs(std::slice::from_ref(&name)).await.unwrap().remove(&name).unwrap();
    assert_eq!(info.get("retention.ms").map(String::as_str), Some("60000"));
    assert_eq!(info.get("cleanup.policy").map(String::as_str), Some("compact"), "the other setting stays");
    assert_eq!(admin.watermarks(&name).await.unwrap(), [(0, 0, 0), (1, 0, 0), (2, 0, 0)]);
    let id = topic_id(&kafka(), &name).await.unwrap();
    // Tests beside this one delete their topics while all are being listed.
    let listed = loop {
        match admin.topics().await {
            Ok(mut topics) => break topics.remove(&name).unwrap(),
            Err(AdminError::UnknownTopic(_)) => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!((listed.id, listed.partitions, listed.replication, listed.configs), (id.0, 3, 1, info));
    admin.delete_topic(&name).await.unwrap();
    assert!(matches!(admin.delete_topic(&name).await, Err(AdminError::UnknownTopic(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn lag_of_a_group_is_counted_from_its_commits() {
    let (topic, group) = (Topic::new(2).await, unique("g"));
    fill(&producer(), &topic.at(1), 0, 10).await;
    let (consumer, mut events) = Consumer::subscribe(&kafka(), group_config(&topic.name, &group)).unwrap();
    assigned(&mut events).await;
    consumer.commit(&[(topic.at(1), NextOffset(4))]);
    close(&consumer).await;
    let lags = Admin::connect(&kafka()).await.unwrap().group_lag(&group).await.unwrap();
    assert_eq!(lags.len(), 1);
    assert_eq!((&lags[0].at, lags[0].committed, lags[0].high, lags[0].records()), (&topic.at(1), 4, 10, 6));
    topic.drop().await;
}
