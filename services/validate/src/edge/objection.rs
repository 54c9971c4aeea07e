//! A partition that is assigned and must not be decided about: loud for as long as it lasts.

use kafka_pipeline::TopicPartition;
use service_runtime::Readiness;

use crate::core::checkpoint::Refused;
use crate::metrics;

/// Keeps the service unready and the metric up until it is dropped.
#[derive(Debug)]
pub(crate) struct Objection {
    readiness: Readiness,
    part: String,
    reason: &'static str,
}

impl Objection {
    pub(crate) fn new(readiness: &Readiness, at: &TopicPartition, refused: &Refused) -> Self {
        let (part, reason) = (at.to_string(), refused.reason());
        tracing::error!(
            kafka.topic = &*at.topic,
            kafka.partition = at.partition,
            reason,
            refusal = %refused,
            "partition is refused until an operator has decided"
        );
        metrics::refused(reason, 1.0);
        readiness.object(part.clone(), refused.to_string());
        Self { readiness: readiness.clone(), part, reason }
    }
}

impl Drop for Objection {
    fn drop(&mut self) {
        metrics::refused(self.reason, -1.0);
        self.readiness.withdraw(&self.part);
    }
}
