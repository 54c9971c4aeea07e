use super::*;
use proptest::prelude::*;

fn wish() -> Wish {
    Wish {
        seed: 1,
        window_ms: 240_000,
        kills: 24,
        zombies: 8,
        rebalances: 6,
        broker_kills: 3,
        broker_rolls: 1,
        store_faults: 1,
        postgres_faults: 2,
        unreachable: 2,
        freeze_ms: 8_000,
        brokers: 3,
        kill_points: vec![("parquet-sink".to_owned(), vec!["after-put".to_owned(), "after-commit".to_owned()])],
        freeze_points: vec![("validate".to_owned(), vec!["before-send".to_owned()])],
    }
}

fn count(steps: &[Step], is: impl Fn(&Fault) -> bool) -> usize {
    steps.iter().filter(|step| is(&step.fault)).count()
}

#[test]
fn a_seed_is_a_plan_and_another_seed_is_another() {
    assert_eq!(plan(&wish()), plan(&wish()));
    assert_ne!(plan(&wish()), plan(&Wish { seed: 2, ..wish() }));
}

#[test]
fn every_service_is_killed_and_every_fail_point_has_its_turn() {
    let steps = plan(&wish()).unwrap();
    for (service, _) in REPLICAS {
        let hit = |step: &&Step| matches!(step.lane, Lane::Replica { service: hit, .. } if hit == *service);
        let killed = |step: &&Step| matches!(step.fault, Fault::Kill | Fault::KillAt { .. });
        assert!(steps.iter().filter(hit).any(|step| killed(&step)), "{service} is never killed");
    }
    for point in ["after-put", "after-commit"] {
        assert!(count(&steps, |fault| matches!(fault, Fault::KillAt { point: at } if at == point)) > 0);
    }
    assert!(count(&steps, |fault| matches!(fault, Fault::ZombieAt { point, .. } if point == "before-send")) > 0);
}

#[test]
fn what_does_not_fit_is_refused_with_the_lane_that_is_too_full() {
    let refused = plan(&Wish { broker_kills: 100, ..wish() }).unwrap_err();
    assert_eq!(refused.lane, Lane::Brokers);
    assert!(refused.needed_ms > refused.window_ms);
}

proptest! {
    #[test]
    fn a_plan_has_what_was_wished_within_its_time_and_never_two_faults_of_a_lane_at_once(
        seed in any::<u64>(),
        kills in 0..60u32,
        zombies in 0..40u32,
        rebalances in 0..20u32,
        broker_kills in 0..8u32,
    ) {
        let wish = Wish { seed, kills, zombies, rebalances, broker_kills, ..wish() };
        let Ok(steps) = plan(&wish) else {
            // Only an overfull lane is refused.
            return Ok(());
        };
        prop_assert_eq!(count(&steps, |f| matches!(f, Fault::Kill | Fault::KillAt { .. })), kills as usize);
        prop_assert_eq!(count(&steps, |f| matches!(f, Fault::Zombie { .. } | Fault::ZombieAt { .. })), zombies as usize);
        prop_assert_eq!(count(&steps, |f| matches!(f, Fault::Leave { .. })), rebalances as usize);
        prop_assert_eq!(count(&steps, |f| matches!(f, Fault::BrokerKill { .. })), broker_kills as usize);
        prop_assert!(steps.windows(2).all(|pair| pair[0].at_ms <= pair[1].at_ms));
        let mut free_at: BTreeMap<Lane, u64> = BTreeMap::new();
        for step in &steps {
            prop_assert!(step.at_ms >= free_at.get(&step.lane).copied().unwrap_or(0));
            let ends = step.at_ms + step.fault.budget_ms();
            prop_assert!(ends <= wish.window_ms);
            free_at.insert(step.lane, ends);
        }
        // A zombie must outlast the session, or it is none.
        let short = |fault: &Fault| {
            matches!(fault, Fault::Zombie { hold_ms } | Fault::ZombieAt { hold_ms, .. } if *hold_ms < wish.freeze_ms)
        };
        prop_assert_eq!(count(&steps, short), 0);
    }
}
