//! Promise: each sees their own. Every route of the dashboard, for every role, with own and with foreign identifiers, over what the
//! installation really holds; tokens that nobody should believe; the database's own refusal; and that what is shown is what
//! is stored.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Days, NaiveDate, Utc};
use dashboard::app::App;
use dashboard::config::Config;
use dashboard::core::access::Role;
use dashboard::edge::api::{Needs, Route};
use dashboard::edge::routes::ROUTES;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use service_runtime::{Liveness, MetricsHandle, Readiness, Runtime, ServiceInfo};
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;

use crate::issuer::{Forgery, Issuer, Person};
use crate::world::World;

const OWN: &str = "northgrid";
const FOREIGN: &str = "lakeside";

/// The service in this process, over the installation's stores.
struct Page {
    address: SocketAddr,
    issuer: Issuer,
    client: Client,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<anyhow::Result<()>>,
}

/// Identifiers of both sides, from the stores themselves.
struct Ids {
    /// A customer with devices, and those devices.
    customer: String,
    own_devices: BTreeSet<String>,
    /// A device of another customer of the same tenant.
    neighbour: String,
    /// A device of the other tenant.
    foreign_device: String,
    own_alert: String,
    foreign_alert: String,
    /// The interval channel of the own device, and a day with data.
    device: String,
    channel: String,
    day: NaiveDate,
}

pub(crate) async fn run(world: &mut World) -> anyhow::Result<()> {
    let page = Page::start(world).await?;
    let ids = ids(world, &page).await?;
    documented(&page).await?;
    let asked = every_route(&page, &ids).await?;
    let forged = forgeries(&page, &ids).await?;
    bound_by_the_database(world).await?;
    shows_what_is_stored(world, &page, &ids).await?;
    audited(&page).await?;
    live(world, &page, &ids).await?;
    eprintln!(
        "      {asked} requests of {} routes: 0 leaks; {forged} requests with bad tokens: all refused",
        ROUTES.len()
    );
    page.stop.cancel();
    page.running.await.context("join the dashboard")?.context("end the dashboard")
}

impl Page {
    async fn start(world: &World) -> anyhow::Result<Self> {
        let issuer = Issuer::start().await?;
        let info = ServiceInfo {
            name: "dashboard",
            version: "test",
            defaults: include_str!("../../../../services/dashboard/config.default.toml"),
        };
        let settings = [
            ("HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("KAFKA__BOOTSTRAP_SERVERS", world.setting("KAFKA_BOOTSTRAP")?.to_owned()),
            ("REGISTRY__URL", world.setting("SCHEMA_REGISTRY_URL")?.to_owned()),
            ("WAREHOUSE__URL", world.setting("WAREHOUSE_DASHBOARD_URL")?.to_owned()),
            ("STORE__URL", world.setting("DASHBOARD_STORE_URL")?.to_owned()),
            ("METADATA__URL", world.metadata_url()),
            ("DYNAMODB__ENDPOINT", world.setting("DYNAMODB_ENDPOINT")?.to_owned()),
            ("DYNAMODB__REGION", world.setting("AWS_REGION")?.to_owned()),
            ("DYNAMODB__ACCESS_KEY", world.setting("AWS_ACCESS_KEY_ID")?.to_owned()),
            ("DYNAMODB__SECRET_KEY", world.setting("AWS_SECRET_ACCESS_KEY")?.to_owned()),
            ("OIDC__ISSUER", issuer.url()),
            ("OIDC__JWKS_URL", format!("{}/keys", issuer.url())),
        ];
        let environment = settings.map(|(key, value)| (format!("METER_DASHBOARD__{key}"), value));
        let config = service_runtime::load::<Config>(info, None, environment)?.config;
        let stop = CancellationToken::new();
        let runtime = Runtime {
            shutdown: stop.clone(),
            readiness: Readiness::default(),
            liveness: Liveness::default(),
            metrics: MetricsHandle::install()?,
            admin_address: ([127, 0, 0, 1], 0).into(),
        };
        let app = App::build(config, &runtime).await.context("build the dashboard")?;
        let address = app.address()?;
        let running = tokio::spawn(app.run(stop.clone()));
        let client = Client::builder().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { address, issuer, client, stop, running })
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<(&str, String)>,
    ) -> anyhow::Result<(StatusCode, String)> {
        let mut request =
            self.client.request(Method::from_bytes(method.as_bytes())?, format!("http://{}{path}", self.address));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some((content_type, body)) = body {
            request = request.header("content-type", content_type).body(body);
        }
        let answer = request.send().await.with_context(|| format!("{method} {path}"))?;
        Ok((answer.status(), answer.text().await?))
    }

    async fn get(&self, path: &str, person: &Person) -> anyhow::Result<Value> {
        let (status, body) = self.send("GET", path, Some(&self.issuer.token(person)), None).await?;
        ensure!(status == StatusCode::OK, "GET {path} answered {status}: {body}");
        serde_json::from_str(&body).with_context(|| format!("parse the answer of {path}"))
    }
}

async fn ids(world: &World, page: &Page) -> anyhow::Result<Ids> {
    let warehouse = world.warehouse().await?;
    let row = warehouse
        .query_one(
            "SELECT f.customer_id, f.device_id, f.channel, f.local_day FROM marts.fct_consumption_daily f \
             JOIN raw.device_channels c ON c.device_id = f.device_id AND c.channel = f.channel AND c.interval_s IS NOT NULL \
             WHERE f.tenant_id = $1 AND f.customer_id IS NOT NULL AND f.unit = 'kWh' AND f.completeness = 1 \
             ORDER BY f.device_id, f.local_day DESC LIMIT 1",
            &[&OWN],
        )
        .await
        .context("find a customer with data")?;
    let customer: String = row.get(0);
    let devices = warehouse
        .query("SELECT device_id FROM raw.devices WHERE tenant_id = $1 AND customer_id = $2", &[&OWN, &customer])
        .await?;
    let one = async |sql: &str, tenant: &str| -> anyhow::Result<String> {
        Ok(warehouse.query_one(sql, &[&tenant, &customer]).await?.get(0))
    };
    let other =
        "SELECT device_id FROM raw.devices WHERE tenant_id = $1 AND customer_id <> $2 ORDER BY device_id LIMIT 1";
    let alert = async |tenant: &str| -> anyhow::Result<String> {
        let operator = Person::operator();
        let list = page.get(&format!("/v1/alerts?tenant_id={tenant}&limit=1"), &operator).await?;
        Ok(list["items"][0]["alert_id"].as_str().with_context(|| format!("{tenant} has no alert"))?.to_owned())
    };
    Ok(Ids {
        own_devices: devices.iter().map(|row| row.get(0)).collect(),
        neighbour: one(other, OWN).await?,
        foreign_device: one(other, FOREIGN).await?,
        own_alert: alert(OWN).await?,
        foreign_alert: alert(FOREIGN).await?,
        device: row.get(1),
        channel: row.get(2),
        day: row.get(3),
        customer,
    })
}

/// The OpenAPI document names every route, so that clients and this test know of all.
async fn documented(page: &Page) -> anyhow::Result<()> {
    let (status, body) = page.send("GET", "/openapi.json", None, None).await?;
    ensure!(status == StatusCode::OK, "the document was answered {status}");
    let document: Value = serde_json::from_str(&body)?;
    for route in ROUTES {
        let operation = &document["paths"][route.path][route.method.to_lowercase()];
        ensure!(operation.is_object(), "{} {} is not in the document", route.method, route.path);
    }
    Ok(())
}

/// A request about the given identifiers, with parameters that fit every route.
fn request(
    route: &Route,
    ids: &Ids,
    device: &str,
    alert: &str,
    tenant: Option<&str>,
) -> (String, Option<(&'static str, String)>) {
    let day = ids.day.to_string();
    let path = route.path.replace("{device_id}", device).replace("{alert_id}", alert).replace("{local_day}", &day);
    let (from, to) = if route.query.iter().any(|param| param.name == "from" && param.doc.contains("instant")) {
        (format!("{}T00:00:00Z", ids.day - Days::new(3)), format!("{}T00:00:00Z", ids.day + Days::new(1)))
    } else {
        ((ids.day - Days::new(3)).to_string(), (ids.day + Days::new(1)).to_string())
    };
    let mut query = format!("?from={from}&to={to}&limit=500");
    if route.path.contains("{device_id}/") {
        query.push_str(&format!("&channel={}", ids.channel));
    }
    if let Some(tenant) = tenant {
        query.push_str(&format!("&tenant_id={tenant}"));
    }
    let body = route.takes.map(|takes| match (route.path, takes) {
        (_, "text/csv") => (
            takes,
            "device_id,site_id,zone,customer_id,gateway_id,commodity,customer_class,channel,kind,unit,interval_s\n"
                .to_owned(),
        ),
        ("/v1/settings", _) => (takes, json!({"theme": "dark", "cards": ["fleet"]}).to_string()),
        ("/v1/devices", _) => (
            takes,
            json!({
                "device_id": ids.device, "site_id": "s", "zone": "UTC", "commodity": "ELECTRICITY", "channels": [],
            })
            .to_string(),
        ),
        _ => (takes, json!({"note": "seen"}).to_string()),
    });
    (format!("{path}{query}"), body)
}

/// The stream never ends by itself, so only its beginning is looked at.
async fn begins(page: &Page, path: &str, token: &str) -> anyhow::Result<(StatusCode, String)> {
    let answer = page.client.get(format!("http://{}{path}", page.address)).bearer_auth(token).send().await?;
    let status = answer.status();
    if status != StatusCode::OK {
        return Ok((status, answer.text().await?));
    }
    Ok((status, String::new()))
}

async fn every_route(page: &Page, ids: &Ids) -> anyhow::Result<usize> {
    let mut asked = 0;
    let people = [
        Person::operator(),
        Person::of(Role::TenantAdmin, OWN, None),
        Person::of(Role::Analyst, OWN, None),
        Person::of(Role::Customer, OWN, Some(&ids.customer)),
    ];
    for person in &people {
        let token = page.issuer.token(person);
        let operator = person.role == Role::Operator;
        for route in ROUTES {
            // Own identifiers; the tenant is named by operators only.
            let named = (operator && route.scoped).then_some(OWN);
            let cases = [
                ("own", ids.device.as_str(), ids.own_alert.as_str(), named),
                ("of the other tenant", &ids.foreign_device, &ids.foreign_alert, named),
                ("of a neighbour", &ids.neighbour, &ids.own_alert, named),
                ("in the other tenant's name", &ids.foreign_device, &ids.foreign_alert, Some(FOREIGN)),
                ("in no tenant's name", &ids.device, &ids.own_alert, None),
            ];
            for (what, device, alert, tenant) in cases {
                let (path, body) = request(route, ids, device, alert, tenant);
                let (status, answer) = match route.gives {
                    "text/event-stream" => begins(page, &path, &token).await?,
                    _ => page.send(route.method, &path, Some(&token), body).await?,
                };
                asked += 1;
                let expected = expected(route, person, what);
                ensure!(
                    expected.contains(&status.as_u16()),
                    "{:?} {} {path} ({what}) answered {status}, expected {expected:?}: {answer}",
                    person.role,
                    route.method
                );
                // The audit log repeats what was asked, foreign names included: see `audited`.
                if route.path == "/v1/audit" {
                    continue;
                }
                leaks(person, ids, tenant, &answer)
                    .with_context(|| format!("{:?} {} {path} ({what})", person.role, route.method))?;
            }
        }
    }
    Ok(asked)
}

/// What each may be answered. 409 and 400 are those of a request that got through to the work itself.
fn expected(route: &Route, person: &Person, what: &str) -> Vec<u16> {
    if let Needs::Right(right) = route.needs
        && !person.role.may(right)
    {
        return vec![403];
    }
    if !route.scoped {
        return vec![200];
    }
    let operator = person.role == Role::Operator;
    let customer = person.role == Role::Customer;
    let by_device = route.path.contains("{device_id}");
    let by_alert = route.path.contains("{alert_id}");
    let done: Vec<u16> = match route.path {
        // The device is there already.
        "/v1/devices" if route.method == "POST" => vec![409],
        // Not every kind may be called normal.
        "/v1/alerts/{alert_id}/normal" => vec![200, 409],
        _ => vec![200],
    };
    match what {
        "in no tenant's name" if operator => vec![400],
        // The operator may look at any tenant, by its name.
        "in the other tenant's name" if operator => {
            if route.method == "POST" && !by_alert {
                vec![200, 400, 409]
            } else if by_device {
                vec![200, 400]
            } else {
                done
            }
        }
        "in the other tenant's name" => vec![404],
        "of the other tenant" if by_device || by_alert => vec![404],
        "of a neighbour" if by_device && customer => vec![404],
        // Another device may lack the channel.
        "of a neighbour" if by_device => vec![200, 400],
        // Whether the tenant's first alert is this customer's is not known here: then it is as if it did not exist.
        _ if by_alert && customer => vec![200, 404, 409],
        _ => done,
    }
}

/// No answer names what its reader must not see.
fn leaks(person: &Person, ids: &Ids, tenant: Option<&str>, answer: &str) -> anyhow::Result<()> {
    let own_tenant = tenant.filter(|_| person.role == Role::Operator).unwrap_or(OWN);
    let other = if own_tenant == OWN { FOREIGN } else { OWN };
    // An operator's list of tenants names both, and is about neither's rows.
    if answer.contains(&format!("{other}-")) && !(person.role == Role::Operator && tenant.is_none()) {
        // What the request itself named comes back as the instance of a refusal.
        let document: Value = serde_json::from_str(answer).unwrap_or_default();
        ensure!(
            document["status"].as_u64().is_some_and(|status| status >= 400),
            "names something of {other}: {answer}"
        );
    }
    if person.role == Role::Customer && !answer.contains("\"status\":4") {
        for word in answer.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-')) {
            let is_device = word.starts_with(&format!("{OWN}-"))
                && word != ids.customer
                && !word.contains("-s-")
                && !word.contains("-c-")
                && !word.contains("-g");
            ensure!(
                !is_device
                    || ids.own_devices.contains(word)
                    || !word.chars().last().is_some_and(|last| last.is_ascii_digit()),
                "names the device {word}"
            );
        }
    }
    Ok(())
}

/// Whatever is not a good token is refused on every route that takes one, all the same.
async fn forgeries(page: &Page, ids: &Ids) -> anyhow::Result<usize> {
    let mut asked = 0;
    let person = Person::of(Role::TenantAdmin, OWN, None);
    for forgery in Forgery::ALL {
        let token = page.issuer.forged(&person, forgery);
        for route in ROUTES.iter().filter(|route| route.needs != Needs::Nothing) {
            let (path, body) = request(route, ids, &ids.device, &ids.own_alert, None);
            let (status, answer) = page.send(route.method, &path, token.as_deref(), body).await?;
            asked += 1;
            ensure!(
                status == StatusCode::UNAUTHORIZED,
                "{forgery:?}: {} {path} answered {status}: {answer}",
                route.method
            );
        }
    }
    // Claims that are signed rightly and name nobody.
    for person in [
        Person { role_claim: Some("root"), ..Person::operator() },
        Person { role_claim: None, ..Person::operator() },
        Person { tenant: None, ..Person::of(Role::Analyst, OWN, None) },
        Person::of(Role::Customer, OWN, None),
    ] {
        let (status, _) = page.send("GET", "/v1/me", Some(&page.issuer.token(&person)), None).await?;
        ensure!(status == StatusCode::UNAUTHORIZED, "{person:?} was let in: {status}");
    }
    Ok(asked)
}

/// The role sees nothing unless its transaction says for whom it works, and then only that.
async fn bound_by_the_database(world: &World) -> anyhow::Result<()> {
    let (mut client, connection) = tokio_postgres::connect(world.setting("WAREHOUSE_DASHBOARD_URL")?, NoTls).await?;
    tokio::spawn(connection);
    let tables = client
        .query(
            "SELECT DISTINCT format('%I.%I', c.table_schema, c.table_name) FROM information_schema.columns c \
             WHERE c.table_schema IN ('raw', 'staging', 'marts') AND c.column_name = 'tenant_id' ORDER BY 1",
            &[],
        )
        .await?;
    ensure!(tables.len() >= 10, "only {} tables and views hold tenants' rows", tables.len());
    for table in tables {
        let table: String = table.get(0);
        let unbound: i64 = client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?.get(0);
        ensure!(unbound == 0, "{unbound} rows of {table} without a tenant's name");
        let tx = client.transaction().await?;
        tx.execute("SELECT set_config('meterway.tenant_id', $1, true)", &[&OWN]).await?;
        let row = tx
            .query_one(&format!("SELECT count(*) FILTER (WHERE tenant_id <> $1), count(*) FROM {table}"), &[&OWN])
            .await?;
        let (foreign, own): (i64, i64) = (row.get(0), row.get(1));
        ensure!(foreign == 0, "{foreign} rows of {table} are of another tenant");
        ensure!(own > 0 || table.ends_with("alerts"), "{table} shows a tenant nothing of its own");
        tx.rollback().await?;
    }
    Ok(())
}

/// What the page shows is what the stores hold, to the last digit.
async fn shows_what_is_stored(world: &World, page: &Page, ids: &Ids) -> anyhow::Result<()> {
    let warehouse = world.warehouse().await?;
    let admin = Person::of(Role::TenantAdmin, OWN, None);
    let overview = page.get("/v1/overview", &admin).await?;
    let devices: i64 = warehouse
        .query_one("SELECT count(*) FROM marts.dim_device WHERE tenant_id = $1 AND status = 'ACTIVE'", &[&OWN])
        .await?
        .get(0);
    ensure!(
        overview["devices"]["total"] == devices,
        "{} devices, {devices} in the register",
        overview["devices"]["total"]
    );
    let (from, to) = (ids.day, ids.day + Days::new(1));
    let span = format!("channel={}&from={from}&to={to}", ids.channel);
    let path = format!("/v1/devices/{}/consumption?grain=day&{span}", ids.device);
    let day = page.get(&path, &admin).await?;
    let quantity: String = warehouse
        .query_one(
            "SELECT quantity::text FROM marts.fct_consumption_daily WHERE device_id = $1 AND channel = $2 AND local_day = $3",
            &[&ids.device, &ids.channel, &ids.day],
        )
        .await?
        .get(0);
    ensure!(day["buckets"][0]["quantity"] == quantity, "{} shown, {quantity} stored", day["buckets"][0]["quantity"]);
    let hours = page.get(&format!("/v1/devices/{}/consumption?grain=hour&{span}", ids.device), &admin).await?;
    let shown = hours["buckets"].as_array().map_or(0, Vec::len);
    ensure!((23..=25).contains(&shown), "a complete day has {shown} hours");
    let instants = format!("channel={}&from={from}T00:00:00Z&to={to}T00:00:00Z", ids.channel);
    let series = page.get(&format!("/v1/devices/{}/series?{instants}", ids.device), &admin).await?;
    let readings = page.get(&format!("/v1/devices/{}/readings?{instants}&limit=20000", ids.device), &admin).await?;
    let points = series["start"].as_array().map_or(0, Vec::len);
    ensure!(
        points > 0 && readings["items"].as_array().map_or(0, Vec::len) == points,
        "{points} points are drawn of {readings}"
    );
    pages_add_up(page, &admin).await?;
    let token = page.issuer.token(&admin);
    let file = format!("/v1/exports/readings.csv?from={from}T00:00:00Z&to={to}T00:00:00Z");
    let (status, csv) = page.send("GET", &file, Some(&token), None).await?;
    let rows: i64 = warehouse
        .query_one(
            "SELECT count(*) FROM staging.int_latest_version WHERE tenant_id = $1 AND start >= $2::date::timestamp AT TIME ZONE 'UTC' \
             AND start < $3::date::timestamp AT TIME ZONE 'UTC'",
            &[&OWN, &from, &to],
        )
        .await?
        .get(0);
    ensure!(
        status == StatusCode::OK && csv.lines().count() as i64 == rows + 1,
        "{} lines of {rows} readings",
        csv.lines().count()
    );
    let customer = Person::of(Role::Customer, OWN, Some(&ids.customer));
    let (status, csv) = page.send("GET", &file, Some(&page.issuer.token(&customer)), None).await?;
    let foreign =
        csv.lines().skip(1).find(|line| !ids.own_devices.contains(line.split(',').next().unwrap_or_default()));
    ensure!(status == StatusCode::OK && foreign.is_none(), "the customer's file holds {foreign:?}");
    ensure!(csv.lines().count() > 1, "the customer's file is empty");
    let feed = format!("/v1/devices/{}/green-button.xml?{instants}", ids.device);
    let (status, xml) = page.send("GET", &feed, Some(&page.issuer.token(&customer)), None).await?;
    ensure!(
        status == StatusCode::OK && xml.matches("<IntervalReading>").count() == points,
        "the feed holds other intervals: {status}"
    );
    Ok(())
}

/// A list is the same whatever the length of its pages.
async fn pages_add_up(page: &Page, person: &Person) -> anyhow::Result<()> {
    for (list, id) in [("/v1/devices", "device_id"), ("/v1/alerts", "alert_id"), ("/v1/sites", "site_id")] {
        let whole = page.get(&format!("{list}?limit=500"), person).await?;
        let names = |document: &Value| -> Vec<String> {
            let items = document["items"].as_array().cloned().unwrap_or_default();
            items.iter().filter_map(|item| item[id].as_str().map(str::to_owned)).collect()
        };
        let (mut collected, mut cursor) = (Vec::new(), String::new());
        loop {
            let part = page.get(&format!("{list}?limit=7{cursor}"), person).await?;
            collected.extend(names(&part));
            match part["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        ensure!(
            !collected.is_empty() && (collected == names(&whole) || collected.len() > 500),
            "{list}: pages do not add up"
        );
    }
    Ok(())
}

/// Who looked is on record, for those who may see it.
async fn audited(page: &Page) -> anyhow::Result<()> {
    let admin = Person::of(Role::TenantAdmin, OWN, None);
    let began = Instant::now();
    loop {
        let log = page.get("/v1/audit?limit=500", &admin).await?;
        let entries = log["items"].as_array().cloned().unwrap_or_default();
        let looked = entries
            .iter()
            .any(|entry| entry["role"] == "customer" && entry["action"] == "GET /v1/exports/readings.csv");
        if looked {
            let foreign =
                entries.iter().find(|entry| entry["subject"].as_str().is_some_and(|subject| subject.contains(FOREIGN)));
            ensure!(foreign.is_none(), "the log of {OWN} holds {foreign:?}");
            return Ok(());
        }
        ensure!(began.elapsed() < Duration::from_secs(15), "a download is not in the audit log");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A delivery shows on the stream of those who may see it, and of nobody else.
async fn live(world: &World, page: &Page, ids: &Ids) -> anyhow::Result<()> {
    let people = [
        (Person::of(Role::Customer, OWN, Some(&ids.customer)), true),
        (Person::of(Role::Analyst, OWN, None), true),
        (Person::of(Role::Customer, OWN, Some("somebody-else")), false),
        (Person::of(Role::Analyst, FOREIGN, None), false),
    ];
    let mut streams = Vec::new();
    for (person, sees) in &people {
        let answer = page
            .client
            .get(format!("http://{}/v1/stream?kinds=reading", page.address))
            .bearer_auth(page.issuer.token(person))
            .send()
            .await?;
        ensure!(answer.status() == StatusCode::OK, "the stream was answered {}", answer.status());
        streams.push((answer, *sees));
    }
    let sent = deliver(world, page, ids).await?;
    let mut took = Duration::ZERO;
    for (answer, sees) in &mut streams {
        let wait = if *sees { Duration::from_secs(10) } else { Duration::from_secs(1) };
        let found = tokio::time::timeout(wait, async {
            let mut text = String::new();
            while let Some(piece) = answer.chunk().await? {
                text.push_str(&String::from_utf8_lossy(&piece));
                if text.contains("event: reading") && text.contains(&ids.device) {
                    return anyhow::Ok(());
                }
            }
            bail!("the stream ended")
        })
        .await;
        match (found, *sees) {
            (Ok(result), true) => {
                result?;
                took = took.max(sent.elapsed());
            }
            (Err(_), false) => {}
            (Err(_), true) => bail!("the reading did not show within {} s", wait.as_secs()),
            (Ok(_), false) => bail!("somebody saw a reading of another"),
        }
    }
    // A figure for people; what is asserted is that it comes, not how fast this machine is.
    eprintln!("      a reading showed {} ms after it was delivered", took.as_millis());
    Ok(())
}

/// Delivers a reading of the own device through the door; when it was acknowledged.
async fn deliver(world: &World, page: &Page, ids: &Ids) -> anyhow::Result<Instant> {
    let half_hour = Utc::now().timestamp() / 1800 * 1800 - 1800;
    let start = DateTime::from_timestamp(half_hour, 0).context("a time")?.to_rfc3339();
    let delivery = json!({"device_id": ids.device, "readings": [{
        "channel": ids.channel, "kind": "INTERVAL", "start": start, "duration_s": 1800, "value": 0.25, "unit": "kWh",
    }]});
    let request = page.client.post(format!("{}/v1/readings", world.ingest_url())).json(&delivery);
    let answer = request.bearer_auth(crate::bad_input::api_key(world).await?).send().await?;
    let status = answer.status();
    ensure!(status == StatusCode::ACCEPTED, "the delivery was answered {status}: {}", answer.text().await?);
    Ok(Instant::now())
}
