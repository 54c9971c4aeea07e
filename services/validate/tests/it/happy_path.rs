use crate::decisions::{all, records};
use crate::fixture::Fixture;
use crate::fleet::{day, delivery, first_day, meter};

#[tokio::test(flavor = "multi_thread")]
async fn every_delivery_gets_one_decision_with_what_the_register_knows() {
    let fixture = Fixture::new("vd_happy", 2).await;
    let devices = ["e-1", "e-2", "e-3", "e-4"];
    fixture.register(&devices.map(meter)).await;
    let deliveries: Vec<_> =
        (0..3).flat_map(|number| devices.map(|device| (device, delivery(device, &day(number))))).collect();
    fixture.deliver(&deliveries).await;
    let mut process = fixture.start();
    fixture.until_decided(12).await;
    process.page("/ready").await;

    // A device that is registered while the service runs is known to the delivery that follows.
    fixture.register(&[meter("e-5")]).await;
    let (partition, offset) =
        fixture.send("raw", None, Some(b"e-5"), Some(&fixture.framed(&delivery("e-5", &day(0))))).await;
    fixture.until_decided(13).await;

    let mut readings = 0;
    for number in 0..2 {
        let decisions = all(&fixture, number).await;
        for (offset, decision) in decisions.iter().enumerate() {
            assert_eq!(decision.source_offset, offset as i64);
            assert_eq!(decision.customer, format!("customer-of-{}", decision.device));
            assert_eq!((&decision.rejected[..], &decision.marks[..]), (&[][..], &[][..]));
            assert!(decision.accepted.iter().all(|(start, version, _)| *start >= first_day() && *version == 1));
            readings += decision.accepted.len();
        }
        assert!(records(&fixture, "rejected", number).await.is_empty());
    }
    assert_eq!(readings, 13 * 48);
    let late = all(&fixture, partition).await.into_iter().find(|decision| decision.source_offset == offset).unwrap();
    assert_eq!(late.device, "e-5");

    let metrics = process.page("/metrics").await;
    assert!(metrics.contains("validate_readings_accepted_total 624"), "{metrics}");
    assert!(metrics.contains("validate_devices 5"), "{metrics}");
    process.signal("TERM");
    assert_eq!(process.ended().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn orderly_restart_goes_on_behind_the_last_decision_and_remembers() {
    let fixture = Fixture::new("vd_order", 1).await;
    fixture.register(&[meter("e-1")]).await;
    fixture.deliver(&[("e-1", delivery("e-1", &day(0)))]).await;
    let mut process = fixture.start();
    fixture.until_decided(1).await;
    process.signal("TERM");
    assert_eq!(process.ended().await, Some(0));

    let mut corrected = day(0);
    corrected[5].value += 7_000;
    fixture.deliver(&[("e-1", delivery("e-1", &corrected)), ("e-1", delivery("e-1", &day(2)))]).await;
    let _second = fixture.start();
    fixture.until_decided(3).await;
    let decisions = all(&fixture, 0).await;
    assert_eq!(decisions.iter().map(|decision| decision.source_offset).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(decisions[1].accepted, [(corrected[5].start, 2, corrected[5].value)]);
    assert_eq!(decisions[1].rejected.len(), 47);
    assert!(decisions[1].rejected.iter().all(|(_, code)| code == "DUPLICATE"));
    assert_eq!(decisions[2].marks, ["gap"], "the missing day is seen from the history of the first process");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_of_different_width_are_refused() {
    let fixture = Fixture::new("vd_width", 1).await;
    fixture.admin.add_partitions(&fixture.topic("validated"), 2).await.unwrap();
    let mut process = fixture.start();
    assert_eq!(process.ended().await, Some(1));
}
