//! Somebody knocks at the HTTP door all the time, and notes what is answered.
//!
//! Every delivery names a device that nobody registered: poison, which has to end as a dead letter with its bytes. What the
//! door acknowledged stands in a journal for the verifier.

use anyhow::Context;
use meterway_proto::metadata::v1::{ApiKeyScope, CreateApiKeyRequest, api_key_service_client::ApiKeyServiceClient};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

use super::record::Record;

/// Time between two knocks.
const PERIOD: Duration = Duration::from_millis(250);
/// Longest wait for an answer; longer than the door's own limit, so that no answer means that there was none.
const PATIENCE: Duration = Duration::from_secs(20);
/// Knocks without an answer at a time; more are not made.
const AT_ONCE: usize = 64;
const TENANT: &str = "northgrid";
const DEVICE: &str = "door-probe";
const GATEWAY: &str = "door";

#[derive(Debug, Clone, Copy)]
struct Knock {
    at_s: f64,
    status: Option<u16>,
    retry_after: bool,
}

/// What was answered within a time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Knocks {
    /// By status; `none` where there was no answer at all.
    pub(crate) by_status: BTreeMap<String, u64>,
    /// Answers of 429 or 503 that say when to come back.
    pub(crate) told_when: u64,
    /// Those that do not.
    pub(crate) not_told_when: u64,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Door {
    client: reqwest::Client,
    urls: Vec<String>,
    key: String,
    record: Arc<Record>,
    journal: Mutex<File>,
    knocks: Mutex<Vec<Knock>>,
}

impl Door {
    /// Gets a key, and begins a journal.
    ///
    /// # Errors
    /// When metadata gives no key, or the journal cannot be made.
    pub(crate) async fn new(
        metadata: String,
        urls: Vec<String>,
        journal: &Path,
        record: Arc<Record>,
    ) -> anyhow::Result<Arc<Self>> {
        let mut register = ApiKeyServiceClient::connect(metadata).await.context("connect to metadata")?;
        let request = CreateApiKeyRequest {
            tenant_id: TENANT.to_owned(),
            name: "torture door".to_owned(),
            scopes: vec![ApiKeyScope::WriteReadings.into()],
            lifetime: None,
        };
        let key = register.create_api_key(request).await.context("create api key")?.into_inner().secret;
        let client = reqwest::Client::builder().timeout(PATIENCE).build().context("build http client")?;
        let file = File::create(journal).with_context(|| format!("create {}", journal.display()))?;
        Ok(Arc::new(Self { client, urls, key, record, journal: Mutex::new(file), knocks: Mutex::default() }))
    }

    /// Knocks until told to stop, then waits for the last answers.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(PERIOD);
        let mut waiting = tokio::task::JoinSet::new();
        let mut number = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {}
            }
            while waiting.try_join_next().is_some() {}
            if waiting.len() < AT_ONCE {
                number += 1;
                let door = Arc::clone(&self);
                waiting.spawn(async move { door.knock(number).await });
            }
        }
        while let Some(ended) = waiting.join_next().await {
            ended.context("knock")??;
        }
        Ok(())
    }

    async fn knock(&self, number: u64) -> anyhow::Result<()> {
        let at_s = self.record.now_s();
        let url = &self.urls[number as usize % self.urls.len()];
        // A different time for each: the same reading again would be another matter.
        let start = format!("2026-01-01T{:02}:{:02}:{:02}Z", number / 3600 % 24, number / 60 % 60, number % 60);
        let body = serde_json::json!({
            "device_id": DEVICE, "gateway_id": GATEWAY, "sequence": number,
            "readings": [{"channel": "1-0:1.29.0", "kind": "GAUGE", "start": start, "duration_s": 0, "value": "1", "unit": "kWh"}],
        });
        let request = self.client.post(format!("{url}/v1/readings")).bearer_auth(&self.key).json(&body);
        let answer = request.send().await.ok();
        let status = answer.as_ref().map(|answer| answer.status().as_u16());
        let retry_after = answer.is_some_and(|answer| answer.headers().contains_key("retry-after"));
        if status.is_some_and(|status| (200..300).contains(&status)) {
            let line = serde_json::json!({"door": {"device": DEVICE, "gateway": GATEWAY, "sequence": number}});
            let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
            writeln!(journal, "{line}").context("write the door's journal")?;
        }
        self.knocks.lock().unwrap_or_else(PoisonError::into_inner).push(Knock { at_s, status, retry_after });
        Ok(())
    }

    /// What was answered to the knocks of a time, in seconds since the attack began.
    pub(crate) fn knocks(&self, from_s: f64, to_s: f64) -> Knocks {
        let mut counted = Knocks::default();
        for knock in self.knocks.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if knock.at_s < from_s || knock.at_s > to_s {
                continue;
            }
            let status = knock.status.map_or("none".to_owned(), |status| status.to_string());
            *counted.by_status.entry(status).or_default() += 1;
            if matches!(knock.status, Some(429 | 503)) {
                *(if knock.retry_after { &mut counted.told_when } else { &mut counted.not_told_when }) += 1;
            }
        }
        counted
    }
}
