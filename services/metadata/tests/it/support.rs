//! A register of one's own: a fresh database, the service in this process, clients.

use std::net::SocketAddr;
use std::time::Duration;

use metadata::app::App;
use metadata::config::{Config, PostgresConfig};
use meterway_proto::metadata::v1;
use meterway_proto::metadata::v1::device_service_client::DeviceServiceClient;
use meterway_proto::metadata::v1::site_service_client::SiteServiceClient;
use meterway_proto::metadata::v1::tenant_service_client::TenantServiceClient;
use service_runtime::{Liveness, MetricsHandle, Readiness, Runtime};
use test_support::{Stack, unique};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// A database that is dropped at the end.
pub(crate) struct TestDatabase {
    name: String,
    admin_url: String,
    pub(crate) owner_url: String,
    pub(crate) app_url: String,
}

impl TestDatabase {
    pub(crate) async fn create() -> Self {
        let stack = Stack::from_env();
        let (name, admin_url) = (unique("metadata_test"), stack.postgres_admin_url());
        let admin = connect(&admin_url).await;
        admin.batch_execute(&format!("CREATE DATABASE {name} OWNER metadata_owner")).await.unwrap();
        let owner_url = on_database(&stack.metadata_owner_url(), &name);
        Self { app_url: on_database(&stack.metadata_app_url(), &name), owner_url, admin_url, name }
    }

    /// Opens the database, or closes it and ends all of its sessions.
    pub(crate) async fn allow_connections(&self, allow: bool) {
        let (admin, name) = (connect(&self.admin_url).await, &self.name);
        admin.batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {allow}")).await.unwrap();
        if !allow {
            const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
            admin.query(END, &[name]).await.unwrap();
        }
    }

    pub(crate) async fn as_superuser(&self) -> Client {
        connect(&on_database(&self.admin_url, &self.name)).await
    }

    pub(crate) async fn as_owner(&self) -> Client {
        connect(&self.owner_url).await
    }

    pub(crate) async fn as_app(&self) -> Client {
        connect(&self.app_url).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (url, statement) = (self.admin_url.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        // Dropping is synchronous, so it gets a thread with a runtime of its own.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { connect(&url).await.batch_execute(&statement).await })
        });
        if !std::thread::panicking() {
            dropped.join().unwrap().unwrap();
        }
    }
}

fn on_database(url: &str, name: &str) -> String {
    let (base, _) = url.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The service, running.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) readiness: Readiness,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

pub(crate) fn config(database: &TestDatabase, extra: &[(&str, &str)]) -> Config {
    let own = [
        ("METER_METADATA__GRPC__LISTEN", "127.0.0.1:0"),
        ("METER_METADATA__POSTGRES__URL", &database.app_url),
        ("METER_METADATA__POSTGRES__OWNER_URL", &database.owner_url),
        // Nobody listens there: what isn't about the outbox must work without broker and registry.
        ("METER_METADATA__KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1"),
        ("METER_METADATA__REGISTRY__URL", "http://127.0.0.1:1"),
    ];
    let own = own.iter().filter(|(name, _)| extra.iter().all(|(other, _)| other != name));
    let variables = own.chain(extra).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    service_runtime::load::<Config>(metadata::INFO, None, variables).unwrap().config
}

pub(crate) fn postgres(database: &TestDatabase, pool_size: usize) -> PostgresConfig {
    PostgresConfig { pool_size, ..config(database, &[]).postgres }
}

impl Service {
    pub(crate) async fn start(database: &TestDatabase, extra: &[(&str, &str)]) -> Self {
        Self::try_start(database, extra).await.unwrap()
    }

    pub(crate) async fn try_start(database: &TestDatabase, extra: &[(&str, &str)]) -> anyhow::Result<Self> {
        service_runtime::install_crypto_provider();
        let runtime = Runtime {
            shutdown: CancellationToken::new(),
            readiness: Readiness::default(),
            liveness: Liveness::default(),
            metrics: MetricsHandle::install().unwrap(),
            admin_address: "127.0.0.1:0".parse().unwrap(),
        };
        let (shutdown, readiness) = (runtime.shutdown.clone(), runtime.readiness.clone());
        let app = App::build(config(database, extra), &runtime).await?;
        let address = app.address();
        let task = tokio::spawn(app.run(shutdown.clone()));
        Ok(Self { address, readiness, shutdown, task })
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// Asks the service to end and waits until it has.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.task).await.unwrap().unwrap().unwrap();
    }
}

/// A register with nothing in it.
pub(crate) struct World {
    // Stopped before the database is dropped, since fields drop in order.
    pub(crate) service: Service,
    pub(crate) channel: Channel,
    pub(crate) database: TestDatabase,
}

impl World {
    pub(crate) async fn start() -> Self {
        let database = TestDatabase::create().await;
        let service = Service::start(&database, &[]).await;
        let channel = service.channel().await;
        Self { service, channel, database }
    }

    /// A register with tenants, each with site `site` in London.
    pub(crate) async fn with_tenants(tenants: &[&str]) -> Self {
        let world = Self::start().await;
        for tenant in tenants {
            create_tenant(&world.channel, tenant).await;
            create_site(&world.channel, tenant, "site").await;
        }
        world
    }

    pub(crate) fn devices(&self) -> DeviceServiceClient<Channel> {
        DeviceServiceClient::new(self.channel.clone())
    }

    pub(crate) async fn stop(self) {
        self.service.stop().await;
    }
}

pub(crate) async fn create_tenant(channel: &Channel, tenant: &str) {
    let message = v1::Tenant {
        tenant_id: tenant.into(),
        name: format!("Tenant {tenant}"),
        limits: Some(v1::Limits { requests_per_second: 50, readings_per_second: 0, max_request_bytes: 1 << 20 }),
        ..v1::Tenant::default()
    };
    let request = v1::CreateTenantRequest { tenant: Some(message) };
    TenantServiceClient::new(channel.clone()).create_tenant(request).await.unwrap();
}

pub(crate) async fn create_site(channel: &Channel, tenant: &str, site: &str) {
    let message = v1::Site { site_id: site.into(), zone: "Europe/London".into(), ..v1::Site::default() };
    let request = v1::CreateSiteRequest { tenant_id: tenant.into(), site: Some(message) };
    SiteServiceClient::new(channel.clone()).create_site(request).await.unwrap();
}

/// A water meter at `site` with an interval and a register channel.
pub(crate) fn device(id: &str) -> v1::Device {
    let channel = |name: &str, kind: v1::ChannelKind| v1::Channel {
        channel: name.into(),
        kind: kind as i32,
        unit: "m3".into(),
        ..v1::Channel::default()
    };
    v1::Device {
        device_id: id.into(),
        site_id: "site".into(),
        commodity: v1::Commodity::Water as i32,
        channels: vec![
            channel("water.volume", v1::ChannelKind::Interval),
            channel("water.dial", v1::ChannelKind::Register),
        ],
        ..v1::Device::default()
    }
}

pub(crate) async fn register(channel: &Channel, tenant: &str, id: &str) -> Result<v1::Device, tonic::Status> {
    let request = v1::RegisterDeviceRequest { tenant_id: tenant.into(), device: Some(device(id)) };
    Ok(DeviceServiceClient::new(channel.clone()).register_device(request).await?.into_inner())
}
