//! One by one: create, change, read, list.

use std::process::Command;
use std::time::Duration;

use meterway_proto::metadata::v1;
use meterway_proto::metadata::v1::customer_service_client::CustomerServiceClient;
use meterway_proto::metadata::v1::device_service_client::DeviceServiceClient;
use meterway_proto::metadata::v1::site_service_client::SiteServiceClient;
use meterway_proto::metadata::v1::tenant_service_client::TenantServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Request};

use crate::support::{Service, TestDatabase, World, create_site, create_tenant, device, register};

#[tokio::test]
async fn tenants_customers_and_sites_are_kept_with_versions() {
    let world = World::with_tenants(&["acme"]).await;
    let mut tenants = TenantServiceClient::new(world.channel.clone());
    let got = tenants.get_tenant(v1::GetTenantRequest { tenant_id: "acme".into() }).await.unwrap().into_inner();
    assert_eq!((got.name.as_str(), got.version, got.limits.unwrap().requests_per_second), ("Tenant acme", 1, 50));
    let again = v1::CreateTenantRequest { tenant: Some(got.clone()) };
    assert_eq!(tenants.create_tenant(again).await.unwrap_err().code(), Code::AlreadyExists);
    let stale = v1::UpdateTenantRequest { tenant: Some(got.clone()), expected_version: 9 };
    assert_eq!(tenants.update_tenant(stale).await.unwrap_err().code(), Code::Aborted);
    let changed = v1::Tenant { name: "Acme Water".into(), ..got };
    let updated = tenants.update_tenant(v1::UpdateTenantRequest { tenant: Some(changed), expected_version: 1 }).await;
    assert_eq!(updated.unwrap().into_inner().version, 2);

    let mut customers = CustomerServiceClient::new(world.channel.clone());
    let customer = v1::Customer { customer_id: "c1".into(), name: "A. Customer".into(), ..v1::Customer::default() };
    let create = v1::CreateCustomerRequest { tenant_id: "acme".into(), customer: Some(customer.clone()) };
    assert_eq!(customers.create_customer(create.clone()).await.unwrap().into_inner().version, 1);
    assert_eq!(customers.create_customer(create).await.unwrap_err().code(), Code::AlreadyExists);
    let foreign = v1::CreateCustomerRequest { tenant_id: "nobody".into(), customer: Some(customer) };
    let error = customers.create_customer(foreign).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::NotFound, "there is no such tenant"));
    world.stop().await;
}

#[tokio::test]
async fn a_device_is_registered_changed_and_listed_page_by_page() {
    let world = World::with_tenants(&["acme"]).await;
    let mut devices = world.devices();
    for n in 0..7 {
        let stored = register(&world.channel, "acme", &format!("meter-{n}")).await.unwrap();
        assert_eq!((stored.version, stored.zone.as_str(), stored.tenant_id.as_str()), (1, "Europe/London", "acme"));
    }
    assert_eq!(register(&world.channel, "acme", "meter-3").await.unwrap_err().code(), Code::AlreadyExists);

    let mut update = v1::UpdateDeviceRequest {
        tenant_id: "acme".into(),
        device: Some(v1::Device { status: v1::DeviceStatus::Inactive as i32, ..device("meter-3") }),
        expected_version: 1,
    };
    let updated = devices.update_device(update.clone()).await.unwrap().into_inner();
    assert_eq!((updated.version, updated.status), (2, v1::DeviceStatus::Inactive as i32));
    assert_eq!(devices.update_device(update.clone()).await.unwrap_err().code(), Code::Aborted);
    update.expected_version = 0;
    assert_eq!(devices.update_device(update).await.unwrap().into_inner().version, 2, "nothing changed, no new version");

    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListDevicesRequest {
            tenant_id: "acme".into(),
            page_size: 3,
            page_token: token,
            status: v1::DeviceStatus::Active as i32,
            ..v1::ListDevicesRequest::default()
        };
        let page = devices.list_devices(request).await.unwrap().into_inner();
        seen.extend(page.devices.into_iter().map(|device| device.device_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["meter-0", "meter-1", "meter-2", "meter-4", "meter-5", "meter-6"]);
    world.stop().await;
}

#[tokio::test]
async fn a_bad_request_names_every_field() {
    let world = World::with_tenants(&["acme"]).await;
    let mut wrong = device("meter 1");
    wrong.channels[0].unit = "bushel".into();
    let request = v1::RegisterDeviceRequest { tenant_id: "acme".into(), device: Some(wrong) };
    let error = world.devices().register_device(request).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("device.device_id: "), "{}", error.message());
    assert!(error.message().contains("device.channels[0].unit: "), "{}", error.message());

    let orphan = v1::Device { site_id: "nowhere".into(), ..device("meter-1") };
    let request = v1::RegisterDeviceRequest { tenant_id: "acme".into(), device: Some(orphan) };
    let error = world.devices().register_device(request).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::NotFound, "there is no such site: device.site_id"));
    world.stop().await;
}

#[tokio::test]
async fn an_exchange_is_noted_once() {
    let world = World::with_tenants(&["acme"]).await;
    register(&world.channel, "acme", "meter-1").await.unwrap();
    let mut request = v1::ExchangeMeterRequest {
        tenant_id: "acme".into(),
        device_id: "meter-1".into(),
        at: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 123_456_000 }),
        exchanges: vec![v1::MeterExchange {
            channel: "water.dial".into(),
            closing_value: "912.345".into(),
            opening_value: "0.1".into(),
            at: None,
        }],
    };
    let mut devices = world.devices();
    let exchanged = devices.exchange_meter(request.clone()).await.unwrap().into_inner();
    assert_eq!((exchanged.version, exchanged.exchanges.len()), (2, 1));
    assert_eq!(exchanged.exchanges[0].at, request.at, "to the microsecond");
    assert_eq!(exchanged.exchanges[0].closing_value, "912.345");
    assert_eq!(devices.exchange_meter(request.clone()).await.unwrap().into_inner().version, 2);
    request.exchanges[0].opening_value = "5".into();
    assert_eq!(devices.exchange_meter(request.clone()).await.unwrap_err().code(), Code::AlreadyExists);
    request.exchanges[0].channel = "water.volume".into();
    assert_eq!(devices.exchange_meter(request).await.unwrap_err().code(), Code::InvalidArgument);
    world.stop().await;
}

#[tokio::test]
async fn a_new_zone_makes_new_versions_of_the_sites_devices() {
    let world = World::with_tenants(&["acme"]).await;
    register(&world.channel, "acme", "meter-1").await.unwrap();
    let site = v1::Site { site_id: "site".into(), zone: "Europe/Berlin".into(), ..v1::Site::default() };
    let request = v1::UpdateSiteRequest { tenant_id: "acme".into(), site: Some(site), expected_version: 0 };
    let mut sites = SiteServiceClient::new(world.channel.clone());
    assert_eq!(sites.update_site(request.clone()).await.unwrap().into_inner().version, 2);
    sites.update_site(request).await.unwrap();
    let get = v1::GetDeviceRequest { tenant_id: "acme".into(), device_id: "meter-1".into() };
    let device = world.devices().get_device(get).await.unwrap().into_inner();
    assert_eq!((device.zone.as_str(), device.version), ("Europe/Berlin", 2));
    world.stop().await;
}

#[tokio::test]
async fn health_and_the_token_are_checked() {
    let database = TestDatabase::create().await;
    let service = Service::start(&database, &[("METER_METADATA__GRPC__TOKEN", "s3cret")]).await;
    let channel = service.channel().await;
    let mut tenants = TenantServiceClient::new(channel.clone());
    let list = || v1::ListTenantsRequest::default();
    assert_eq!(tenants.list_tenants(list()).await.unwrap_err().code(), Code::Unauthenticated);
    let mut request = Request::new(list());
    request.metadata_mut().insert("authorization", "Bearer s3cret".parse().unwrap());
    assert_eq!(tenants.list_tenants(request).await.unwrap().into_inner().tenants.len(), 0);

    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    let mut health = HealthClient::new(channel.clone());
    let answer = health.check(HealthCheckRequest { service: String::new() }).await.unwrap().into_inner();
    assert_eq!(answer.status, 1, "SERVING");
    assert_eq!(service.readiness.unready_reason(), None);
    let services = reflected_services(channel).await;
    for expected in ["meterway.metadata.v1.DeviceService", "grpc.health.v1.Health"] {
        assert!(services.iter().any(|service| service == expected), "{expected} not in {services:?}");
    }
    service.stop().await;
}

async fn reflected_services(channel: Channel) -> Vec<String> {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(futures::stream::iter([request])).await;
    let answer = answers.unwrap().into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else { panic!("{answer:?}") };
    list.service.into_iter().map(|service| service.name).collect()
}

#[tokio::test]
async fn a_run_that_only_migrates_ends_and_the_service_then_needs_no_owner() {
    let database = TestDatabase::create().await;
    let without_owner = [("METER_METADATA__POSTGRES__OWNER_URL", "")];
    let refused = Service::try_start(&database, &without_owner).await.err().unwrap();
    assert!(format!("{refused:#}").contains("has the owner applied the migrations?"), "{refused:#}");
    let migrated = Command::new(env!("CARGO_BIN_EXE_metadata"))
        .env("METER_METADATA__POSTGRES__OWNER_URL", &database.owner_url)
        .env("METER_METADATA__POSTGRES__MIGRATE_ONLY", "true")
        .env("METER_METADATA__ADMIN__LISTEN", "127.0.0.1:0")
        .output()
        .unwrap();
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    Service::start(&database, &without_owner).await.stop().await;
}

#[tokio::test]
async fn a_call_that_waits_for_a_lock_ends_with_its_deadline() {
    let database = TestDatabase::create().await;
    let service = Service::start(&database, &[("METER_METADATA__POSTGRES__STATEMENT_TIMEOUT", "300ms")]).await;
    let channel = service.channel().await;
    create_tenant(&channel, "acme").await;
    create_site(&channel, "acme", "site").await;
    register(&channel, "acme", "meter-1").await.unwrap();
    let holder = database.as_superuser().await;
    holder.batch_execute("BEGIN; SELECT 1 FROM device FOR UPDATE").await.unwrap();
    let changed = v1::Device { gateway_id: "gateway-1".into(), ..device("meter-1") };
    let request = v1::UpdateDeviceRequest { tenant_id: "acme".into(), device: Some(changed), expected_version: 0 };
    let mut devices = DeviceServiceClient::new(channel);
    let refused = devices.update_device(request.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::DeadlineExceeded, "{refused:?}");
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(devices.update_device(request).await.unwrap().into_inner().version, 2);
    service.stop().await;
}

#[tokio::test]
async fn a_database_that_goes_away_and_comes_back_is_survived() {
    let world = World::with_tenants(&["acme"]).await;
    world.database.allow_connections(false).await;
    let refused = register(&world.channel, "acme", "meter-1").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    wait_until(|| world.service.readiness.unready_reason().is_some()).await;
    world.database.allow_connections(true).await;
    wait_until(|| world.service.readiness.unready_reason().is_none()).await;
    assert_eq!(register(&world.channel, "acme", "meter-1").await.unwrap().version, 1);
    world.stop().await;
}

async fn wait_until(condition: impl Fn() -> bool) {
    let reached = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), reached).await.expect("the condition is never met");
}
