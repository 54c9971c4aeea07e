use super::super::finding::Verdict;
use super::*;
use crate::topics::{BUILT_IN, Overrides, parse};
use kafka_pipeline::Broker;

fn declared() -> Declared {
    parse(BUILT_IN, Overrides::default()).unwrap()
}

/// The topics as declared, with a change.
fn actual(change: impl Fn(&str, &mut TopicInfo)) -> BTreeMap<String, TopicInfo> {
    let info = |topic: &Topic| {
        let mut info = TopicInfo {
            id: "id".into(),
            partitions: topic.partitions,
            replication: topic.replication_factor,
            configs: topic.configs.clone(),
        };
        change(&topic.name, &mut info);
        (topic.name.clone(), info)
    };
    declared().topics.iter().map(info).collect()
}

/// Verdict and check of what is not as it should be.
fn wrong(actual: &BTreeMap<String, TopicInfo>, brokers: usize, exact: bool) -> Vec<(Verdict, String)> {
    let findings = judge(&declared(), actual, brokers, exact).into_iter();
    findings.filter(|finding| finding.verdict != Verdict::Ok).map(|finding| (finding.verdict, finding.check)).collect()
}

fn set(topic: &'static str, key: &'static str, value: &'static str) -> BTreeMap<String, TopicInfo> {
    actual(|name, info| {
        if name == topic {
            info.configs.insert(key.to_owned(), value.to_owned());
        }
    })
}

#[test]
fn topics_as_declared_are_one_good_finding() {
    let findings = judge(&declared(), &actual(|_, _| {}), 1, true);
    assert_eq!(findings, [Finding::ok("kafka", "topics", "10 as declared")]);
}

#[test]
fn a_missing_topic_fails() {
    let mut actual = actual(|_, _| {});
    actual.remove("meter.devices.v1");
    assert_eq!(wrong(&actual, 1, false), [(Verdict::Fail, "topic meter.devices.v1".to_owned())]);
}

#[test]
fn another_number_of_partitions_is_a_choice_unless_it_was_given() {
    let all_twelve = actual(|_, info| info.partitions = if info.partitions == 1 { 1 } else { 12 });
    assert!(wrong(&all_twelve, 1, false).iter().all(|(verdict, _)| *verdict == Verdict::Warn));
    assert!(wrong(&all_twelve, 1, true).iter().all(|(verdict, _)| *verdict == Verdict::Fail));
}

#[test]
fn topics_that_must_be_alike_and_are_not_fail() {
    let actual = actual(|name, info| {
        if name == "meter.events.raw.v1" {
            info.partitions = 3;
        }
    });
    let checks = wrong(&actual, 1, false);
    assert!(checks.contains(&(Verdict::Fail, "partitions alike".to_owned())), "{checks:?}");
}

#[test]
fn a_log_that_needs_one_order_has_one_partition() {
    let actual = actual(|name, info| {
        if name == "lake.commits.v1" {
            info.partitions = 2;
        }
    });
    assert_eq!(wrong(&actual, 1, false), [(Verdict::Fail, "topic lake.commits.v1".to_owned())]);
}

#[test]
fn settings_that_lose_or_refuse_messages_are_found() {
    let verdicts = |actual: &BTreeMap<_, _>| wrong(actual, 1, true).into_iter().map(|(v, _)| v).collect::<Vec<_>>();
    assert_eq!(verdicts(&set("meter.devices.v1", "cleanup.policy", "delete")), [Verdict::Fail]);
    assert_eq!(verdicts(&set("meter.readings.validated.v1", "max.message.bytes", "1048588")), [Verdict::Fail]);
    assert_eq!(verdicts(&set("meter.readings.raw.v1", "retention.ms", "3600000")), [Verdict::Warn]);
    assert_eq!(verdicts(&set("meter.readings.raw.v1", "retention.ms", "-1")), []);
    assert_eq!(verdicts(&set("meter.readings.raw.v1", "max.message.bytes", "9000000")), []);
}

#[test]
fn copies_must_outlive_a_broker() {
    let with = |copies: i32, in_sync: &str, brokers: usize| {
        let actual = actual(|_, info| {
            info.replication = copies;
            info.configs.insert("min.insync.replicas".to_owned(), in_sync.to_owned());
        });
        wrong(&actual, brokers, true).len()
    };
    assert_eq!(with(1, "1", 1), 0, "one broker can have no more");
    assert_eq!(with(1, "1", 3), 10);
    assert_eq!(with(3, "1", 3), 10);
    assert_eq!(with(3, "3", 3), 10);
    assert_eq!(with(3, "2", 3), 0);
}

#[test]
fn brokers_tell_what_is_wrong_with_them() {
    let broker = |id| Broker { id, address: format!("b{id}:9092") };
    let partition = |number| TopicPartition::new("raw", number);
    let cluster = Cluster {
        id: Some("c".into()),
        brokers: vec![broker(1), broker(2)],
        under_replicated: (0..7).map(partition).collect(),
        leaderless: vec![partition(3)],
    };
    let findings: Vec<_> = judge_cluster(&cluster).iter().map(|finding| finding.cells().join(" | ")).collect();
    insta::assert_snapshot!(findings.join("\n"), @r"
    ok | kafka | reachable | cluster c, brokers: 1 at b1:9092, 2 at b2:9092
    FAIL | kafka | leaders | raw[3]
    warn | kafka | copies in sync | raw[0], raw[1], raw[2], raw[3], raw[4] and 2 more
    ");
    let careless = BTreeMap::from([("auto.create.topics.enable".to_owned(), "true".to_owned())]);
    assert_eq!(judge_broker(&careless).len(), 1);
    assert!(judge_broker(&BTreeMap::from([("auto.create.topics.enable".into(), "false".into())])).is_empty());
}
