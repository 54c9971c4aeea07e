//! A rule that panics, and a device record that is none: the line goes on.

use crate::decisions::all;
use crate::fixture::Fixture;
use crate::fleet::{day, delivery, meter};
use meter_model::Kind;
use service_runtime::{Liveness, Readiness, ServiceInfo};
use tokio_util::sync::CancellationToken;
use validate::app::{App, Health};
use validate::config::Config;
use validate::core::history::Past;
use validate::core::rules::{Context, Outcome, RULES, Rule, RuleId};

/// A value that the planted rule panics on.
const CURSED: i64 = 666_000;

fn panics(_: &Context<'_>, reading: &meterway_schemas::encode::Reading<'_>, _: &Past<'_>) -> Outcome {
    assert!(reading.value != CURSED, "planted");
    Outcome::Pass
}

/// The rules of the service, and one behind them that panics.
fn planted() -> &'static [Rule] {
    let rule = Rule { id: RuleId::Spike, kinds: &[Kind::Interval], check: panics };
    Box::leak(RULES.iter().copied().chain([rule]).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_panics_costs_the_reading_it_was_asked_about_and_no_neighbour() {
    let fixture = Fixture::new("vd_planted", 1).await;
    fixture.register(&[meter("e-1"), meter("e-2")]).await;
    let mut cursed = day(0);
    cursed[7].value = CURSED;
    fixture
        .deliver(&[
            ("e-2", delivery("e-2", &day(0))),
            ("e-1", delivery("e-1", &cursed)),
            ("e-2", delivery("e-2", &day(1))),
        ])
        .await;
    let info = ServiceInfo { name: "validate", version: "0", defaults: include_str!("../../config.default.toml") };
    let config = service_runtime::load::<Config>(info, None, fixture.variables()).unwrap().config;
    let health = Health { readiness: Readiness::default(), liveness: Liveness::default() };
    let app = App::build(config, health).await.unwrap().with_rules(planted());
    let shutdown = CancellationToken::new();
    let decided = async {
        fixture.until_decided(3).await;
        shutdown.cancel();
    };
    let (ended, ()) = tokio::join!(app.run(shutdown.clone()), decided);
    ended.unwrap();

    let decisions = all(&fixture, 0).await;
    let counts: Vec<_> = decisions.iter().map(|one| (one.accepted.len(), one.rejected.clone())).collect();
    let cursed = vec![(7, "INTERNAL_ERROR".to_owned())];
    assert_eq!(counts, [(48, vec![]), (47, cursed), (48, vec![])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_record_that_cannot_be_decoded_stops_neither_the_table_nor_the_line() {
    let fixture = Fixture::new("vd_device", 1).await;
    fixture.register(&[meter("e-1")]).await;
    for broken in [&b"no device"[..], b"", b"\x00\x3a\xde\x68\xb1\x02"] {
        fixture.send("devices", Some(0), Some(b"e-2"), Some(broken)).await;
    }
    fixture.register(&[meter("e-3")]).await;
    let deliveries = ["e-1", "e-2", "e-3"].map(|device| (device, delivery(device, &day(0))));
    fixture.deliver(&deliveries).await;
    let process = fixture.start();
    fixture.until_decided(3).await;
    let accepted: Vec<_> = all(&fixture, 0).await.iter().map(|decision| decision.accepted.len()).collect();
    assert_eq!(accepted, [48, 0, 48]);
    let metrics = process.page("/metrics").await;
    assert!(metrics.contains("validate_device_defects_total 3"), "{metrics}");
    // Behind the broken states comes a sound one: the device is known then.
    fixture.register(&[meter("e-2")]).await;
    fixture.deliver(&[("e-2", delivery("e-2", &day(0)))]).await;
    fixture.until_decided(4).await;
    assert_eq!(all(&fixture, 0).await[3].accepted.len(), 48);
}
