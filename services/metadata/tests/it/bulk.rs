//! Onboarding in bulk.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use meterway_proto::metadata::v1;
use meterway_proto::metadata::v1::BulkOutcome;
use tonic::Code;

use crate::support::{World, device, register};

fn line(number: u64) -> v1::BulkLine {
    let site = format!("site-{}", number % 50);
    let customer = format!("customer-{}", number % 200);
    v1::BulkLine {
        line: number,
        device: Some(v1::Device {
            site_id: site.clone(),
            customer_id: customer.clone(),
            ..device(&format!("meter-{number:05}"))
        }),
        site: Some(v1::Site { site_id: site, zone: "Europe/London".into(), ..v1::Site::default() }),
        customer: Some(v1::Customer { customer_id: customer, name: "A. Customer".into(), ..v1::Customer::default() }),
    }
}

async fn send(
    world: &World,
    chunks: Vec<Vec<v1::BulkLine>>,
    dry_run: bool,
) -> Result<Vec<v1::LineReport>, tonic::Status> {
    let requests: Vec<_> = chunks
        .into_iter()
        .map(|lines| v1::BulkRegisterDevicesRequest { tenant_id: "acme".into(), lines, dry_run })
        .collect();
    let mut stream = world.devices().bulk_register_devices(futures::stream::iter(requests)).await?.into_inner();
    let mut reports = Vec::new();
    while let Some(response) = stream.message().await? {
        reports.extend(response.reports);
    }
    Ok(reports)
}

fn tally(reports: &[v1::LineReport]) -> BTreeMap<BulkOutcome, usize> {
    let mut tally = BTreeMap::new();
    for report in reports {
        *tally.entry(report.outcome()).or_default() += 1;
    }
    tally
}

fn chunks(lines: u64) -> Vec<Vec<v1::BulkLine>> {
    (0..lines).map(line).collect::<Vec<_>>().chunks(250).map(<[_]>::to_vec).collect()
}

#[tokio::test]
async fn a_thousand_devices_take_less_than_five_seconds_and_again_change_nothing() {
    let world = World::with_tenants(&["acme"]).await;
    let since = Instant::now();
    let reports = send(&world, chunks(1_000), false).await.unwrap();
    let took = since.elapsed();
    println!("1,000 devices in {took:?}");
    assert_eq!(tally(&reports), BTreeMap::from([(BulkOutcome::Created, 1_000)]));
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(reports.iter().enumerate().all(|(index, report)| report.line == index as u64), "in order");

    let superuser = world.database.as_superuser().await;
    let versions = "SELECT count(*), sum(version)::bigint FROM device";
    let before = superuser.query_one(versions, &[]).await.unwrap();
    assert_eq!((before.get::<_, i64>(0), before.get::<_, i64>(1)), (1_000, 1_000));
    superuser.execute("DELETE FROM outbox", &[]).await.unwrap();

    let reports = send(&world, chunks(1_000), false).await.unwrap();
    assert_eq!(tally(&reports), BTreeMap::from([(BulkOutcome::Unchanged, 1_000)]));
    let after = superuser.query_one(versions, &[]).await.unwrap();
    assert_eq!(after.get::<_, i64>(1), 1_000, "no device got a new version");
    let waiting: i64 = superuser.query_one("SELECT count(*) FROM outbox", &[]).await.unwrap().get(0);
    assert_eq!(waiting, 0, "nothing is published again");
    world.stop().await;
}

#[tokio::test]
async fn each_line_gets_its_own_verdict() {
    let world = World::with_tenants(&["acme", "rival"]).await;
    register(&world.channel, "rival", "meter-00003").await.unwrap();
    send(&world, vec![vec![line(1), line(2)]], false).await.unwrap();

    let mut changed = line(2);
    changed.device.as_mut().unwrap().gateway_id = "gateway-1".into();
    let mut wrong = line(4);
    wrong.device.as_mut().unwrap().channels[1].unit = "bushel".into();
    let mut zone = line(5);
    zone.site = Some(v1::Site { site_id: "site-1".into(), zone: "UTC".into(), ..v1::Site::default() });
    zone.device.as_mut().unwrap().site_id = "site-1".into();
    let twice = v1::BulkLine { line: 7, ..line(6) };
    let lines = vec![line(1), changed, line(3), wrong, zone, line(6), twice];
    let reports = send(&world, vec![lines], false).await.unwrap();
    let verdicts: Vec<_> = reports
        .iter()
        .map(|report| (report.line, report.outcome(), report.errors.first().map_or("", |error| error.field.as_str())))
        .collect();
    assert_eq!(
        verdicts,
        [
            (1, BulkOutcome::Unchanged, ""),
            (2, BulkOutcome::Updated, ""),
            (3, BulkOutcome::Failed, "device.device_id"),
            (4, BulkOutcome::Failed, "device.channels[1].unit"),
            (5, BulkOutcome::Failed, "site.zone"),
            (6, BulkOutcome::Created, ""),
            (7, BulkOutcome::Failed, "device.device_id"),
        ]
    );
    let get = v1::GetDeviceRequest { tenant_id: "acme".into(), device_id: "meter-00002".into() };
    let stored = world.devices().get_device(get).await.unwrap().into_inner();
    assert_eq!((stored.version, stored.gateway_id.as_str()), (2, "gateway-1"));
    world.stop().await;
}

#[tokio::test]
async fn a_dry_run_reports_and_stores_nothing() {
    let world = World::with_tenants(&["acme"]).await;
    let reports = send(&world, vec![vec![line(1), line(2)]], true).await.unwrap();
    assert_eq!(tally(&reports), BTreeMap::from([(BulkOutcome::Created, 2)]));
    let list = v1::ListDevicesRequest { tenant_id: "acme".into(), ..Default::default() };
    assert!(world.devices().list_devices(list).await.unwrap().into_inner().devices.is_empty());

    let nobody = v1::BulkRegisterDevicesRequest { tenant_id: "nobody".into(), lines: vec![line(1)], dry_run: false };
    let stream = world.devices().bulk_register_devices(futures::stream::iter([nobody])).await.unwrap();
    assert_eq!(stream.into_inner().message().await.unwrap_err().code(), Code::NotFound);
    world.stop().await;
}
