use proptest::prelude::*;

use super::*;

fn bulk_line(number: u64, device: &str, site: &str, zone: Option<&str>) -> v1::BulkLine {
    let channel = v1::Channel {
        channel: "water.volume".into(),
        kind: v1::ChannelKind::Interval as i32,
        unit: "m3".into(),
        ..v1::Channel::default()
    };
    v1::BulkLine {
        line: number,
        device: Some(v1::Device {
            device_id: device.into(),
            site_id: site.into(),
            channels: vec![channel],
            ..v1::Device::default()
        }),
        site: zone.map(|zone| v1::Site { site_id: site.into(), zone: zone.into(), ..v1::Site::default() }),
        customer: None,
    }
}

/// What the register would hold after the plan.
fn apply(plan: &Plan, known: &mut Known) {
    for device in plan.create.iter().chain(&plan.update) {
        known.devices.insert(device.device_id.clone(), device.clone());
    }
}

fn store_sites(lines: &[Line], known: &mut Known) {
    for site in sites(lines) {
        known.zones.entry(site.site_id.clone()).or_insert_with(|| site.zone.clone());
    }
}

proptest! {
    #[test]
    fn the_same_lines_again_change_nothing(devices in proptest::collection::vec(0_u8..20, 0..40)) {
        let lines: Vec<_> = devices
            .iter()
            .enumerate()
            .map(|(n, device)| bulk_line(n as u64, &format!("d{device}"), &format!("s{}", device % 3), Some("UTC")))
            .collect();
        let lines = parse(lines).unwrap();
        let mut known = Known::default();
        store_sites(&lines, &mut known);
        let first = plan(&lines, &known);
        prop_assert_eq!(first.outcomes.len(), lines.len());
        let created = first.outcomes.iter().filter(|o| **o == Outcome::Created).count();
        prop_assert_eq!(created, devices.iter().collect::<BTreeSet<_>>().len());
        apply(&first, &mut known);
        let second = plan(&lines, &known);
        prop_assert!(second.create.is_empty() && second.update.is_empty());
    }
}

#[test]
fn a_bad_line_does_not_stop_the_others() {
    let mut bad = bulk_line(2, "d2", "s1", None);
    bad.device.as_mut().unwrap().channels[0].unit = "bushel".into();
    let lines = parse(vec![bulk_line(1, "d1", "s1", Some("UTC")), bad, bulk_line(3, "d3", "s1", None)]).unwrap();
    let mut known = Known::default();
    store_sites(&lines, &mut known);
    let plan = plan(&lines, &known);
    assert_eq!(plan.create.len(), 2);
    let report = report(&lines[1], plan.outcomes[1].clone());
    assert_eq!((report.line, report.outcome), (2, v1::BulkOutcome::Failed as i32));
    assert_eq!(report.errors[0].field, "device.channels[0].unit");
}

#[test]
fn unknown_sites_other_zones_and_unknown_customers_fail_their_line_only() {
    let mut customer = bulk_line(3, "d3", "s1", None);
    customer.device.as_mut().unwrap().customer_id = "c1".into();
    let lines =
        parse(vec![bulk_line(1, "d1", "s9", None), bulk_line(2, "d2", "s1", Some("Europe/Berlin")), customer]).unwrap();
    let known = Known { zones: HashMap::from([("s1".to_owned(), "UTC".to_owned())]), ..Known::default() };
    let plan = plan(&lines, &known);
    let fields: Vec<_> = plan
        .outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Failed(violations) => violations.0[0].field.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(fields, ["device.site_id", "site.zone", "device.customer_id"]);
}

#[test]
fn a_taken_identifier_fails_its_line_after_the_fact() {
    let lines = parse(vec![bulk_line(1, "d1", "s1", Some("UTC")), bulk_line(2, "d2", "s1", None)]).unwrap();
    let mut known = Known::default();
    store_sites(&lines, &mut known);
    let mut plan = plan(&lines, &known);
    plan.refuse_taken(&lines, &BTreeSet::from(["d1".to_owned()]));
    assert!(matches!(plan.outcomes[0], Outcome::Failed(_)));
    assert_eq!(plan.outcomes[1], Outcome::Created);
}

#[test]
fn a_chunk_has_a_limit() {
    assert!(parse(vec![v1::BulkLine::default(); MAX_LINES + 1]).is_err());
}
