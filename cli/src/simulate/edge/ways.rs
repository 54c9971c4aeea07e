//! Which gateway speaks what.

use super::http::HttpWay;
use super::journal::Journal;
use super::kafka::{KafkaWay, Note, Raw};
use crate::simulate::core::fleet::HTTP_GATEWAY;
use crate::simulate::core::truth::Outcome;
use meterway_schemas::encode::ReadingBatch;
use meterway_schemas::{DeviceEvent, Source};

/// Ways into the raw topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Via {
    /// All gateways produce to Kafka.
    Kafka,
    /// All gateways deliver over HTTP.
    Http,
    /// One gateway in four delivers over HTTP.
    Mixed,
}

/// The ways that are open.
#[derive(Debug)]
pub(crate) struct Ways {
    via: Via,
    /// Open unless everything goes over HTTP.
    pub kafka: Option<KafkaWay>,
    /// Open unless everything goes to Kafka.
    pub http: Option<HttpWay>,
    /// What was sent and acknowledged.
    pub journal: Journal,
}

impl Ways {
    /// The ways for a choice.
    pub(crate) fn new(via: Via, kafka: Option<KafkaWay>, http: Option<HttpWay>, journal: Journal) -> Self {
        Self { via, kafka, http, journal }
    }

    /// How deliveries of a gateway (1-based) get in.
    pub(crate) fn source(&self, gateway: usize) -> Source {
        match self.via {
            Via::Kafka => Source::Kafka,
            Via::Http => Source::Http,
            Via::Mixed if gateway == HTTP_GATEWAY => Source::Http,
            Via::Mixed => Source::Kafka,
        }
    }

    /// Sends a delivery of a gateway.
    pub(crate) async fn deliver(&mut self, gateway: usize, batch: &ReadingBatch<'_>, note: Note) -> anyhow::Result<()> {
        match (batch.source, &mut self.kafka, &mut self.http) {
            (Source::Http, _, Some(http)) => http.deliver(&mut self.journal, gateway, batch, note).await,
            (_, Some(kafka), _) => kafka.deliver(&mut self.journal, batch, note).await,
            _ => anyhow::bail!("the way of gateway {gateway} is not open"),
        }
    }

    /// Sends an event.
    pub(crate) async fn event(&mut self, event: &DeviceEvent) -> anyhow::Result<()> {
        match (event.source, &mut self.kafka, &mut self.http) {
            (Source::Http, _, Some(http)) => http.event(&mut self.journal, event).await,
            (_, Some(kafka), _) => kafka.event(&mut self.journal, event).await,
            _ => anyhow::bail!("the way of {} is not open", event.gateway_id),
        }
    }

    /// Sends bytes that are no delivery; false when the way for them is not open.
    pub(crate) async fn raw(&mut self, raw: Raw<'_>, note: Note) -> anyhow::Result<bool> {
        match &mut self.kafka {
            Some(kafka) => kafka.raw(&mut self.journal, raw, note).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Sends what waits for a fuller request: gateways deliver daily, and one that lags days behind the others would look
    /// as if its meters were silent.
    pub(crate) async fn end_day(&mut self) -> anyhow::Result<()> {
        match &mut self.http {
            Some(http) => http.flush(&mut self.journal).await,
            None => Ok(()),
        }
    }

    /// Waits until everything sent is acknowledged.
    pub(crate) async fn settle(&mut self) -> anyhow::Result<()> {
        if let Some(http) = &mut self.http {
            http.flush(&mut self.journal).await?;
        }
        match &mut self.kafka {
            Some(kafka) => kafka.settle(&mut self.journal, 0).await,
            None => Ok(()),
        }
    }

    /// Outcomes whose messages were acknowledged since the last call.
    pub(crate) fn take_settled(&mut self) -> Vec<(usize, Outcome)> {
        let mut settled = self.kafka.as_mut().map(KafkaWay::take_settled).unwrap_or_default();
        settled.extend(self.http.as_mut().map(HttpWay::take_settled).unwrap_or_default());
        settled
    }
}
