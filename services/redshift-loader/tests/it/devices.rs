//! Devices reach the warehouse, and an older state never replaces a newer one.

use meter_model::{Commodity, Kind, Quantity};
use meterway_schemas::{CustomerClass, Device, DeviceChannel, DeviceStatus};
use redshift_loader::core::devices::{DeviceChange, DeviceRows};

use crate::fixture::{REDSHIFT_DOUBLE, Target, Warehouses};

pub(crate) fn device(device_id: &str, version: i64, zone: &str) -> Device {
    let channel = |name: &str, kind: Kind| DeviceChannel {
        channel: name.into(),
        kind,
        unit: "kWh".into(),
        interval_s: (kind == Kind::Interval).then_some(1800),
        multiplier: Quantity::from_micros(1_500_000).unwrap(),
        register_digits: (kind == Kind::Register).then_some(6),
        capacity_per_hour: Quantity::from_micros(25_000_000),
        allow_negative: false,
    };
    Device {
        tenant_id: "northgrid".into(),
        device_id: device_id.into(),
        customer_id: None,
        site_id: "site".into(),
        gateway_id: Some("gateway".into()),
        status: DeviceStatus::Active,
        commodity: Commodity::Electricity,
        customer_class: CustomerClass::Residential,
        zone: zone.into(),
        channels: vec![channel("1-0:1.29.0", Kind::Interval), channel("1-0:1.8.0", Kind::Register)],
        exchanges: Vec::new(),
        version,
        updated_at: 1_774_742_400_000_000,
    }
}

fn state(device_id: &str, version: i64, zone: &str) -> DeviceChange {
    DeviceChange::State(Box::new(device(device_id, version, zone)))
}

#[tokio::test]
async fn newer_versions_replace_older_ones_and_replays_write_nothing_on_postgres() {
    newer_versions_replace_older_ones_and_replays_write_nothing(Target::Postgres).await;
}

#[tokio::test]
async fn newer_versions_replace_older_ones_and_replays_write_nothing_on_the_redshift_double() {
    newer_versions_replace_older_ones_and_replays_write_nothing(REDSHIFT_DOUBLE).await;
}

async fn newer_versions_replace_older_ones_and_replays_write_nothing(target: Target) {
    let warehouses = Warehouses::create(target).await;
    let mut warehouse = warehouses.session();
    let first = DeviceRows::from_changes([state("a", 1, "Europe/London"), state("b", 4, "Europe/London")]);
    assert_eq!(warehouse.upsert_devices(&first).await.unwrap(), 2);
    let loaded_at = "SELECT (extract(epoch FROM max(loaded_at)) * 1000000)::bigint FROM raw.devices";
    let before = warehouses.value(loaded_at).await;
    assert_eq!(warehouse.upsert_devices(&first).await.unwrap(), 0, "a replay");
    assert_eq!(warehouses.value(loaded_at).await, before);

    let mut smaller = device("a", 2, "America/Chicago");
    smaller.channels.pop();
    let next = DeviceRows::from_changes([DeviceChange::State(Box::new(smaller)), state("b", 3, "America/Chicago")]);
    assert_eq!(warehouse.upsert_devices(&next).await.unwrap(), 1, "b went back in version");
    let client = warehouses.client().await;
    let zones = client.query("SELECT zone FROM raw.devices ORDER BY device_id", &[]).await.unwrap();
    let zones: Vec<&str> = zones.iter().map(|row| row.get(0)).collect();
    assert_eq!(zones, ["America/Chicago", "Europe/London"]);
    assert_eq!(warehouses.value("SELECT count(*) FROM raw.device_channels WHERE device_id = 'a'").await, 1);
    assert!(warehouses.value(loaded_at).await > before, "dbt sees the change");
    let multiplier = client.query_one("SELECT min(multiplier)::text FROM raw.device_channels", &[]).await.unwrap();
    assert_eq!(multiplier.get::<_, &str>(0), "1.500000");

    let erased = DeviceRows::from_changes([DeviceChange::Erased { device_id: "b".into() }]);
    assert_eq!(warehouse.upsert_devices(&erased).await.unwrap(), 1);
    assert_eq!(warehouses.value("SELECT count(*) FROM raw.device_channels").await, 1);
}
