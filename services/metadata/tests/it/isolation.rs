//! Tenants don't see each other: proved on every table of the catalogue, as the role that the service runs as.

use std::collections::BTreeSet;

use metadata::edge::database::{Database, Scope};
use meter_model::TenantId;
use meterway_proto::metadata::v1;
use meterway_proto::metadata::v1::alert_settings_service_client::AlertSettingsServiceClient;
use meterway_proto::metadata::v1::api_key_service_client::ApiKeyServiceClient;
use meterway_proto::metadata::v1::customer_service_client::CustomerServiceClient;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tonic::Code;

use crate::support::{World, postgres, register};

/// Not of a tenant; may be read and not written.
const HISTORY: &str = "refinery_schema_history";

/// Puts a row of the tenant into every table. A table that is forgotten here fails the test below.
async fn fill(world: &World, tenant: &str) {
    let (id, channel) = (tenant.to_owned(), world.channel.clone());
    let device_id = format!("{tenant}-meter");
    register(&channel, tenant, &device_id).await.unwrap();
    let customer = v1::Customer { customer_id: "c1".into(), ..v1::Customer::default() };
    let request = v1::CreateCustomerRequest { tenant_id: id.clone(), customer: Some(customer) };
    CustomerServiceClient::new(channel.clone()).create_customer(request).await.unwrap();
    let exchange = v1::MeterExchange {
        channel: "water.dial".into(),
        closing_value: "1".into(),
        opening_value: "0".into(),
        at: None,
    };
    let request = v1::ExchangeMeterRequest {
        tenant_id: id.clone(),
        device_id: device_id.clone(),
        at: Some(prost_types::Timestamp::default()),
        exchanges: vec![exchange],
    };
    world.devices().exchange_meter(request).await.unwrap();
    let request = v1::CreateApiKeyRequest {
        tenant_id: id.clone(),
        name: "gateway".into(),
        scopes: vec![v1::ApiKeyScope::Read as i32],
        lifetime: None,
    };
    ApiKeyServiceClient::new(channel.clone()).create_api_key(request).await.unwrap();
    let kind = v1::AlertKind::Outage as i32;
    let mut alerts = AlertSettingsServiceClient::new(channel);
    let rule = v1::AlertRule { kind, enabled: true, ..v1::AlertRule::default() };
    alerts.put_alert_rule(v1::PutAlertRuleRequest { tenant_id: id.clone(), rule: Some(rule) }).await.unwrap();
    let exception = v1::AlertException { device_id, kind, ..v1::AlertException::default() };
    let request = v1::PutAlertExceptionRequest { tenant_id: id, exception: Some(exception) };
    alerts.put_alert_exception(request).await.unwrap();
}

async fn tables(client: &Client) -> Vec<String> {
    const SQL: &str = "SELECT relname::text FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1";
    client.query(SQL, &[]).await.unwrap().iter().map(|row| row.get(0)).filter(|name: &String| name != HISTORY).collect()
}

/// Begins a transaction with the given settings; the caller rolls it back.
async fn begin(client: &Client, tenant: &str, scope: &str) {
    client.batch_execute("BEGIN").await.unwrap();
    const SQL: &str = "SELECT set_config('app.tenant', $1, true), set_config('app.scope', $2, true)";
    client.query_one(SQL, &[&tenant, &scope]).await.unwrap();
}

async fn count(client: &Client, table: &str, condition: &str) -> i64 {
    client.query_one(&format!("SELECT count(*) FROM {table} WHERE {condition}"), &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn no_table_shows_or_takes_a_row_of_another_tenant() {
    let world = World::with_tenants(&["acme", "rival"]).await;
    fill(&world, "acme").await;
    fill(&world, "rival").await;
    let superuser = world.database.as_superuser().await;
    let app = world.database.as_app().await;
    let tables = tables(&superuser).await;
    assert!(tables.len() >= 9, "{tables:?}");
    for table in &tables {
        for tenant in ["acme", "rival"] {
            let rows = count(&superuser, table, &format!("tenant_id = '{tenant}'")).await;
            assert!(rows > 0, "the test puts no row of {tenant} into {table}, so it would prove nothing about it");
        }
        assert_eq!(count(&app, table, "true").await, 0, "{table} shows rows without a tenant");

        begin(&app, "acme", "").await;
        assert!(count(&app, table, "tenant_id = 'acme'").await > 0, "{table} hides the tenant's own rows");
        assert_eq!(count(&app, table, "tenant_id <> 'acme'").await, 0, "{table} shows rows of another tenant");
        app.batch_execute("ROLLBACK").await.unwrap();

        for statement in [
            format!("UPDATE {table} SET tenant_id = tenant_id WHERE tenant_id = 'rival'"),
            format!("DELETE FROM {table} WHERE tenant_id = 'rival'"),
        ] {
            begin(&app, "acme", "").await;
            match app.execute(&statement, &[]).await {
                Ok(touched) => assert_eq!(touched, 0, "{statement}"),
                Err(error) => assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{statement}: {error}"),
            }
            app.batch_execute("ROLLBACK").await.unwrap();
        }
        refuses_foreign_insert(&superuser, &app, table).await;
    }
    world.stop().await;
}

async fn refuses_foreign_insert(superuser: &Client, app: &Client, table: &str) {
    let row = format!("SELECT to_jsonb(t)::text FROM {table} t WHERE tenant_id = 'rival' LIMIT 1");
    let row: String = superuser.query_one(&row, &[]).await.unwrap().get(0);
    begin(app, "acme", "").await;
    let insert = format!("INSERT INTO {table} SELECT * FROM jsonb_populate_record(NULL::{table}, $1::text::jsonb)");
    let error = app.execute(&insert, &[&row]).await.expect_err("a foreign row was inserted");
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{table}: {error}");
    app.batch_execute("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn a_scope_opens_its_tables_only() {
    let world = World::with_tenants(&["acme"]).await;
    fill(&world, "acme").await;
    let app = world.database.as_app().await;
    let tables = tables(&app).await;
    for (scope, open) in [
        ("operator", vec!["tenant"]),
        ("key_check", vec!["api_key", "tenant"]),
        ("settings", vec!["alert_exception", "alert_rule"]),
        ("relay", vec!["device", "meter_exchange", "outbox", "site"]),
        ("anything else", vec![]),
    ] {
        begin(&app, "", scope).await;
        let mut seen = BTreeSet::new();
        for table in &tables {
            if count(&app, table, "true").await > 0 {
                seen.insert(table.as_str());
            }
        }
        app.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(seen, BTreeSet::from_iter(open), "scope {scope}");
    }
    for statement in [format!("DELETE FROM {HISTORY}"), format!("UPDATE {HISTORY} SET name = 'x'")] {
        let error = app.execute(&statement, &[]).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
    }
    world.stop().await;
}

#[tokio::test]
async fn the_service_refuses_a_database_that_would_not_keep_tenants_apart() {
    let world = World::start().await;
    let database = Database::new(&postgres(&world.database, 2)).unwrap();
    database.verify_isolation().await.unwrap();

    let owner = world.database.as_owner().await;
    for (open, close) in [
        ("CREATE TABLE forgotten (tenant_id text)", "DROP TABLE forgotten"),
        ("ALTER TABLE device NO FORCE ROW LEVEL SECURITY", "ALTER TABLE device FORCE ROW LEVEL SECURITY"),
        ("DROP POLICY settings ON alert_rule; DROP POLICY own_rows ON alert_rule", "SELECT 1"),
    ] {
        owner.batch_execute(open).await.unwrap();
        let refused = database.verify_isolation().await.unwrap_err().to_string();
        assert!(refused.contains("lacks forced row-level security"), "{open}: {refused}");
        owner.batch_execute(close).await.unwrap();
    }
    let mut as_owner = postgres(&world.database, 2);
    as_owner.url = service_runtime::Secret::new(world.database.owner_url.clone());
    let refused = Database::new(&as_owner).unwrap().verify_isolation().await.unwrap_err().to_string();
    assert!(refused.contains("owns tables"), "{refused}");
    world.stop().await;
}

/// The connection with the given session id must be one and the same for this test to prove anything.
async fn seen(tx: &metadata::edge::database::Tx<'_>) -> (i32, Vec<String>) {
    let rows = tx.rows("SELECT pg_backend_pid(), device_id FROM device ORDER BY device_id", &[]).await.unwrap();
    (rows[0].get(0), rows.iter().map(|row| row.get(1)).collect())
}

#[tokio::test]
async fn tenants_that_take_turns_on_one_connection_leave_nothing_behind() {
    let world = World::with_tenants(&["acme", "rival"]).await;
    register(&world.channel, "acme", "acme-1").await.unwrap();
    register(&world.channel, "rival", "rival-1").await.unwrap();
    let (acme, rival) = (TenantId::parse("acme").unwrap(), TenantId::parse("rival").unwrap());
    let database = Database::new(&postgres(&world.database, 1)).unwrap();
    let mut sessions = BTreeSet::new();
    for turn in 0..30 {
        let (tenant, expected) = if turn % 2 == 0 { (&acme, "acme-1") } else { (&rival, "rival-1") };
        let mut connection = database.connection().await.unwrap();
        let tx = connection.tenant(tenant).await.unwrap();
        let (session, devices) = seen(&tx).await;
        assert_eq!(devices, [expected]);
        sessions.insert(session);
        match turn % 3 {
            0 => tx.commit().await.unwrap(),
            1 => drop(tx),
            _ => {
                // An error leaves the transaction broken; the next user must not notice.
                tx.execute("SELECT 1 / 0", &[]).await.unwrap_err();
                drop(tx);
            }
        }
        drop(connection);
        // A task that is cancelled in the middle of a statement of a transaction.
        let (pool, tenant) = (database.clone(), tenant.clone());
        let cancelled = tokio::spawn(async move {
            let mut connection = pool.connection().await.unwrap();
            let tx = connection.tenant(&tenant).await.unwrap();
            tx.execute("SELECT pg_sleep(0.02)", &[]).await.unwrap();
        });
        tokio::time::sleep(std::time::Duration::from_millis(4)).await;
        cancelled.abort();
        let _cancelled = cancelled.await;

        let mut connection = database.connection().await.unwrap();
        let tx = connection.scope(Scope::Settings).await.unwrap();
        let left = tx.rows("SELECT device_id FROM device", &[]).await.unwrap();
        assert!(left.is_empty(), "a transaction without a tenant sees devices after turn {turn}");
        tx.commit().await.unwrap();
    }
    assert_eq!(sessions.len(), 1, "the turns were not on one connection");
    world.stop().await;
}

#[tokio::test]
async fn a_foreign_id_is_not_found_and_a_taken_one_does_not_say_by_whom() {
    let world = World::with_tenants(&["acme", "rival"]).await;
    register(&world.channel, "rival", "meter-1").await.unwrap();
    let mut devices = world.devices();
    let get = v1::GetDeviceRequest { tenant_id: "acme".into(), device_id: "meter-1".into() };
    assert_eq!(devices.get_device(get).await.unwrap_err().code(), Code::NotFound);
    let update = v1::UpdateDeviceRequest {
        tenant_id: "acme".into(),
        device: Some(crate::support::device("meter-1")),
        expected_version: 0,
    };
    assert_eq!(devices.update_device(update).await.unwrap_err().code(), Code::NotFound);
    let taken = register(&world.channel, "acme", "meter-1").await.unwrap_err();
    assert_eq!((taken.code(), taken.message()), (Code::AlreadyExists, "device.device_id is taken"));
    world.stop().await;
}
