//! Which gateway speaks what.

use super::http::HttpWay;
use super::kafka::{KafkaWay, Note};
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
}

impl Ways {
    /// The ways for a choice.
    pub(crate) fn new(via: Via, kafka: Option<KafkaWay>, http: Option<HttpWay>) -> Self {
        Self { via, kafka, http }
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
            (Source::Http, _, Some(http)) => http.deliver(gateway, batch, note).await,
            (_, Some(kafka), _) => kafka.deliver(batch, note).await,
            _ => anyhow::bail!("the way of gateway {gateway} is not open"),
        }
    }

    /// Sends an event.
    pub(crate) async fn event(&mut self, event: &DeviceEvent) -> anyhow::Result<()> {
        match (event.source, &mut self.kafka, &mut self.http) {
            (Source::Http, _, Some(http)) => http.event(event).await,
            (_, Some(kafka), _) => kafka.event(event).await,
            _ => anyhow::bail!("the way of {} is not open", event.gateway_id),
        }
    }

    /// Sends what waits for a fuller request: gateways deliver daily, and one that lags days behind the others would look
    /// as if its meters were silent.
    pub(crate) async fn end_day(&mut self) -> anyhow::Result<()> {
        match &mut self.http {
            Some(http) => http.flush().await,
            None => Ok(()),
        }
    }

    /// Waits until everything sent is acknowledged.
    pub(crate) async fn settle(&mut self) -> anyhow::Result<()> {
        if let Some(http) = &mut self.http {
            http.flush().await?;
        }
        match &mut self.kafka {
            Some(kafka) => kafka.settle(0).await,
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
