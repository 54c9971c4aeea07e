//! Alerts to a receiver of the operator's choice, signed, as well as it goes.
//!
//! The topic is the record of alerts; the webhook is a convenience. It must never hold up or fail the service: alerts wait
//! in a bounded queue, each is tried a bounded number of times, and what is given up is counted.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use hmac::{Hmac, Mac};
use meterway_schemas::Alert;
use reqwest::{Client, StatusCode, Url, header, redirect};
use service_runtime::{Backoff, Clock, Secret, sleep_or_shutdown};
use sha2::Sha256;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::address_guard::{Forbidden, PublicOnly, is_public};
use crate::config::WebhookConfig;
use crate::core::episode::AlertChange;
use crate::metrics;

/// Header of the signature: `t=<seconds since 1970>,v1=<hex HMAC-SHA256 of "<t>.<body>">`.
const SIGNATURE: &str = "x-meterway-signature";
/// Header that is the same for every attempt at one message, so that a receiver can tell repetitions.
const MESSAGE: &str = "x-meterway-message";
/// How long the last attempt under way may take at the end.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Why a URL can't be a target.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidTarget {
    /// Not a URL.
    #[error("is not a URL: {0}")]
    NotAUrl(String),
    /// Neither https nor, for a private receiver, http.
    #[error("must begin with https://, or http:// with allow_private")]
    Scheme,
    /// Names a user: credentials belong into the secret.
    #[error("must not contain credentials")]
    Credentials,
    /// The address may not be called.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

/// The URL of the configuration, checked as far as it can be without asking for names.
///
/// # Errors
/// [`InvalidTarget`].
pub(crate) fn target(config: &WebhookConfig) -> Result<Url, InvalidTarget> {
    let url = Url::parse(&config.url).map_err(|error| InvalidTarget::NotAUrl(error.to_string()))?;
    let scheme_fits = url.scheme() == "https" || (config.allow_private && url.scheme() == "http");
    if !scheme_fits {
        return Err(InvalidTarget::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidTarget::Credentials);
    }
    // A literal address is never resolved, so the resolver can't refuse it.
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if literal.is_ok_and(|address| !config.allow_private && !is_public(address)) {
        return Err(Forbidden { host: host.to_owned() }.into());
    }
    Ok(url)
}

/// The queue towards the receiver.
#[derive(Debug)]
pub(crate) struct Notifier {
    queue: mpsc::Sender<Alert>,
    delivery: JoinHandle<()>,
}

impl Notifier {
    /// Starts delivering; ends with the token.
    pub(crate) fn start(
        config: &WebhookConfig,
        clock: Arc<dyn Clock>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let mut client = Client::builder().timeout(config.timeout).redirect(redirect::Policy::none()).no_proxy();
        if !config.allow_private {
            client = client.dns_resolver(Arc::new(PublicOnly));
        }
        let delivery = Delivery {
            client: client.build().context("make the webhook's client")?,
            url: target(config)?,
            secret: config.secret.clone(),
            attempts: config.attempts,
            retry: config.retry.clone(),
            clock,
            shutdown,
        };
        let (queue, alerts) = mpsc::channel(config.queue);
        Ok(Self { queue, delivery: tokio::spawn(delivery.run(alerts)) })
    }

    /// Queues alerts; those that find no room are dropped and counted.
    pub(crate) fn offer(&self, changes: &[AlertChange]) {
        let dropped = changes.iter().filter(|change| self.queue.try_send(change.alert.clone()).is_err()).count();
        if dropped > 0 {
            (0..dropped).for_each(|_| metrics::webhook("dropped"));
            tracing::warn!(alerts = dropped, "webhook queue is full");
        }
    }

    /// Waits for the attempt under way.
    pub(crate) async fn close(self) {
        drop(self.queue);
        if tokio::time::timeout(CLOSE_DEADLINE, self.delivery).await.is_err() {
            tracing::warn!("webhook receiver is still busy at the end");
        }
    }
}

struct Delivery {
    client: Client,
    url: Url,
    secret: Secret,
    attempts: u32,
    retry: Backoff,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
}

impl Delivery {
    async fn run(self, mut alerts: mpsc::Receiver<Alert>) {
        loop {
            let alert = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                alert = alerts.recv() => alert,
            };
            let Some(alert) = alert else { return };
            let outcome = self.deliver(&alert).await;
            metrics::webhook(outcome);
            if outcome != "delivered" {
                tracing::warn!(alert.id = alert.alert_id, alert.revision = alert.revision, outcome, "webhook gave up");
            }
        }
    }

    async fn deliver(&self, alert: &Alert) -> &'static str {
        let Ok(body) = serde_json::to_vec(alert) else { return "failed" };
        let body = Bytes::from(body);
        let message = format!("{}-{}", alert.alert_id, alert.revision);
        let mut retry = self.retry.clone();
        for attempt in 1..=self.attempts {
            match self.post(&message, body.clone()).await {
                Ok(status) if status.is_success() => return "delivered",
                Ok(status) if !is_worth_repeating(status) => return "refused",
                Ok(status) => tracing::debug!(status = status.as_u16(), attempt, "webhook receiver asks to come again"),
                Err(error) => tracing::debug!(error = %error, attempt, "webhook receiver was not reached"),
            }
            let delay = retry.next_delay(&mut rand::rng());
            if attempt < self.attempts && !sleep_or_shutdown(delay, &self.shutdown).await {
                break;
            }
        }
        "failed"
    }

    async fn post(&self, message: &str, body: Bytes) -> reqwest::Result<StatusCode> {
        let seconds = self.clock.now_micros() / 1_000_000;
        let request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(MESSAGE, message)
            .header(SIGNATURE, signature(&self.secret, seconds, &body));
        Ok(request.body(body).send().await?.status())
    }
}

/// Too many requests, or the receiver's own trouble.
fn is_worth_repeating(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT
}

/// The time is part of what is signed, so that a receiver can refuse old messages.
fn signature(secret: &Secret, seconds: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
