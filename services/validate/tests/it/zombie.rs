use crate::decisions::{all, first};
use crate::fixture::Fixture;
use crate::fleet::meter;
use crate::restart::{DEVICES, SLOWLY, assert_whole, deliveries};

#[tokio::test(flavor = "multi_thread")]
async fn frozen_writer_that_wakes_up_changes_no_first_decision_and_ends() {
    let fixture = Fixture::new("vd_zombie", 1).await;
    fixture.register(&DEVICES.map(meter)).await;
    let deliveries = deliveries();
    let (before, after) = deliveries.split_at(deliveries.len() / 2);
    fixture.deliver(before).await;

    let mut zombie = fixture.start_with(SLOWLY);
    fixture.until_decided(20).await;
    zombie.signal("STOP");
    let mut heir = fixture.start_with(SLOWLY);
    fixture.until_decided(before.len() as i64).await;
    zombie.signal("CONT");
    fixture.deliver(after).await;
    // Both write now. Whoever sees the other's decisions between its own gives up; at least one does.
    while zombie.is_running() && heir.is_running() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(fixture.decided().await < 3 * deliveries.len() as i64, "neither noticed the other");
    }
    let (gone, left) = if zombie.is_running() { (&mut heir, &mut zombie) } else { (&mut zombie, &mut heir) };
    assert_eq!(gone.ended().await, Some(1), "an error, so that the orchestrator starts it anew");
    if left.is_running() {
        left.kill();
    }

    let _last = fixture.start_with(SLOWLY);
    fixture.until_decided(deliveries.len() as i64).await;
    let decisions = loop {
        let decisions = all(&fixture, 0).await;
        if first(&decisions).len() == deliveries.len() {
            break decisions;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert!(decisions.len() > deliveries.len(), "the two did not overlap");
    assert_whole(&decisions, deliveries.len());
}
