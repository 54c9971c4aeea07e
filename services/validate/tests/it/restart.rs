use std::collections::HashMap;

use crate::decisions::{Seen, all, first};
use crate::fixture::Fixture;
use crate::fleet::{day, delivery, meter};

pub(crate) const DEVICES: [&str; 8] = ["k-1", "k-2", "k-3", "k-4", "k-5", "k-6", "k-7", "k-8"];
pub(crate) const DAYS: i64 = 28;

/// Small blocks, so that there is a middle to be killed in.
pub(crate) const SLOWLY: &str = "block_bytes = \"16KiB\"\n[producer]\nlinger = \"1ms\"\n";

/// Days of a small fleet; every fourth delivery is sent twice.
pub(crate) fn deliveries() -> Vec<(&'static str, Vec<u8>)> {
    let mut deliveries = Vec::new();
    for number in 0..DAYS {
        for (which, device) in DEVICES.iter().enumerate() {
            let datum = delivery(device, &day(number));
            if (number as usize + which).is_multiple_of(4) {
                deliveries.push((*device, datum.clone()));
            }
            deliveries.push((*device, datum));
        }
    }
    deliveries
}

/// What must hold of the first decisions, whatever happened to the processes.
pub(crate) fn assert_whole(decisions: &[Seen], messages: usize) {
    let first = first(decisions);
    let offsets: Vec<i64> = first.iter().map(|decision| decision.source_offset).collect();
    assert_eq!(offsets, (0..messages as i64).collect::<Vec<_>>(), "one first decision per offset, in order");
    let mut accepted: HashMap<(&str, i64), i32> = HashMap::new();
    for decision in &first {
        assert_eq!(decision.marks, [""; 0], "offset {}", decision.source_offset);
        for (start, version, _) in &decision.accepted {
            assert_eq!(*version, 1);
            *accepted.entry((&decision.device, *start)).or_default() += 1;
        }
        assert!(decision.rejected.iter().all(|(_, code)| code == "DUPLICATE"));
        assert_eq!(decision.accepted.len() + decision.rejected.len(), 48);
    }
    assert_eq!(accepted.len(), DEVICES.len() * DAYS as usize * 48, "nothing lost");
    assert!(accepted.values().all(|times| *times == 1), "nothing twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_again_and_again_it_decides_about_every_message_once() {
    let fixture = Fixture::new("vd_kill", 1).await;
    fixture.register(&DEVICES.map(meter)).await;
    let deliveries = deliveries();
    fixture.deliver(&deliveries).await;
    let all_of_them = deliveries.len() as i64;
    let mut kills = 0;
    for reached in [1, 30, 90, 150, 210] {
        let mut process = fixture.start_with(SLOWLY);
        fixture.until_decided(reached).await;
        kills += i32::from(fixture.decided().await < all_of_them);
        process.kill();
    }
    assert!(kills >= 3, "only {kills} processes were killed in the middle");
    let _last = fixture.start_with(SLOWLY);
    fixture.until_decided(all_of_them).await;
    assert_whole(&all(&fixture, 0).await, deliveries.len());
}
