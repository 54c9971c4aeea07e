//! From the text of a request to messages for the topics and the receipt that answers it. Both follow from the text alone,
//! so a retry of the same request makes the same of it.

use super::{
    problem::{Code, Problem},
    publish::{Outgoing, Publisher},
};
use crate::core::{
    delivery::{self, Envelope, Invalid},
    document::{Format, Item},
};
use bytes::Bytes;
use serde::Serialize;

/// What a request delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `/v1/readings`.
    Readings,
    /// `/v1/events`.
    Events,
}

impl Kind {
    /// The route.
    pub(crate) const fn route(self) -> &'static str {
        match self {
            Self::Readings => "/v1/readings",
            Self::Events => "/v1/events",
        }
    }

    /// Label in metrics.
    pub(crate) const fn item(self) -> &'static str {
        match self {
            Self::Readings => "reading",
            Self::Events => "event",
        }
    }
}

/// What was taken.
#[derive(Debug, Serialize)]
struct Receipt<'a> {
    /// Deliveries stored.
    deliveries: usize,
    /// Readings, or events, stored.
    items: usize,
    /// Lines that were not taken; only for NDJSON.
    rejected: &'a [RejectedLine],
}

/// A line that was not taken.
#[derive(Debug, Serialize)]
pub(crate) struct RejectedLine {
    line: usize,
    field: String,
    detail: String,
}

/// Most rejected lines that an answer lists, and most bytes of them: an answer must fit the table of keyed requests.
const LISTED_LINES: usize = 1000;
const LISTED_BYTES: usize = 192 << 10;
/// Longest text about one line, in characters: what is wrong may quote what the client wrote.
const DETAIL_CHARS: usize = 256;

#[derive(Debug)]
enum Delivery {
    Readings(delivery::Messages),
    Event(Box<meterway_schemas::DeviceEvent>),
}

/// The deliveries of a request that are taken.
#[derive(Debug)]
pub(crate) struct Batch(Vec<Delivery>);

impl Batch {
    /// Readings, or events.
    pub(crate) fn items(&self) -> usize {
        self.0.iter().map(|d| if let Delivery::Readings(messages) = d { messages.items } else { 1 }).sum()
    }

    /// Deliveries that no gap can tell of, because their gateway does not count.
    pub(crate) fn unsequenced(&self) -> usize {
        let sequenced = |delivery: &&Delivery| match delivery {
            Delivery::Readings(messages) => messages.sequenced,
            Delivery::Event(event) => delivery::is_sequenced(&event.gateway_id, event.sequence),
        };
        self.0.len() - self.0.iter().filter(sequenced).count()
    }

    /// The answer to the request, once its messages are stored.
    ///
    /// # Errors
    /// Never for what this module builds; serialization says so.
    pub(crate) fn receipt(&self, rejected: &[RejectedLine]) -> Result<Bytes, Problem> {
        let receipt = Receipt { deliveries: self.0.len(), items: self.items(), rejected: listed(rejected) };
        serde_json::to_vec(&receipt).map(Bytes::from).map_err(|error| Problem::new(Code::Invalid, error))
    }

    /// The messages in order.
    ///
    /// # Errors
    /// [`Code::Invalid`] when an event does not fit the schema.
    pub(crate) fn into_messages(self, publisher: &Publisher) -> Result<Vec<Outgoing>, Problem> {
        let mut messages = Vec::with_capacity(self.0.len());
        for delivery in self.0 {
            match delivery {
                Delivery::Readings(readings) => messages.extend(publisher.readings(readings)),
                Delivery::Event(event) => messages.push(publisher.event(&event)?),
            }
        }
        Ok(messages)
    }
}

/// The first of them that fit an answer.
fn listed(rejected: &[RejectedLine]) -> &[RejectedLine] {
    let mut bytes = 0;
    let fits = |line: &&RejectedLine| {
        // JSON may write a byte as six.
        bytes += 48 + 6 * line.field.len() + 6 * line.detail.len();
        bytes <= LISTED_BYTES
    };
    &rejected[..rejected.iter().take(LISTED_LINES).take_while(fits).count()]
}

/// JSON is taken as a whole or not at all; of NDJSON, the good lines are taken.
///
/// # Errors
/// [`Code::Invalid`] with the first thing that is wrong.
pub(crate) fn parse(
    items: &[Item<'_>],
    envelope: &Envelope,
    kind: Kind,
    format: Format,
) -> Result<(Batch, Vec<RejectedLine>), Problem> {
    let (mut taken, mut rejected) = (Vec::new(), Vec::new());
    for item in items {
        match parse_one(item, envelope, kind) {
            Ok(delivery) => taken.push(delivery),
            Err(error) if format == Format::Json => {
                return Err(Problem::new(Code::Invalid, format!("delivery {}: {error}", item.number)));
            }
            Err(_) if rejected.len() >= LISTED_LINES => {}
            Err(Invalid { field, what }) => {
                let detail = what.chars().take(DETAIL_CHARS).collect();
                rejected.push(RejectedLine { line: item.number, field, detail });
            }
        }
    }
    if taken.is_empty() {
        let first = rejected.first().map(|r| format!("line {}: {}: {}", r.line, r.field, r.detail));
        return Err(Problem::new(Code::Invalid, first.unwrap_or_else(|| "the body holds no delivery".to_owned())));
    }
    Ok((Batch(taken), rejected))
}

fn parse_one(item: &Item<'_>, envelope: &Envelope, kind: Kind) -> Result<Delivery, Invalid> {
    match kind {
        Kind::Readings => delivery::readings(item.json, envelope).map(Delivery::Readings),
        Kind::Events => delivery::event(item.json, envelope).map(|event| Delivery::Event(Box::new(event))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meter_model::TenantId;

    const GOOD: &str = r#"{"device_id":"d","kind":"TAMPER","at":"2026-01-01T00:00:00Z"}"#;

    fn envelope() -> Envelope {
        Envelope { tenant: TenantId::parse("t").unwrap(), received_at: 0 }
    }

    #[test]
    fn json_is_taken_whole_and_ndjson_line_by_line() {
        let items = [Item { number: 1, json: GOOD }, Item { number: 2, json: "{}" }];
        assert!(parse(&items, &envelope(), Kind::Events, Format::Json).is_err());
        let (batch, rejected) = parse(&items, &envelope(), Kind::Events, Format::Ndjson).unwrap();
        assert_eq!((batch.items(), batch.unsequenced(), rejected.len(), rejected[0].line), (1, 1, 1, 2));
        assert!(parse(&items[1..], &envelope(), Kind::Events, Format::Ndjson).is_err());
    }

    #[test]
    fn an_answer_fits_the_table_whatever_the_client_wrote() {
        let long = format!(r#"{{"{}":1}}"#, "\u{1}é".repeat(300).replace('\u{1}', "\\u0001"));
        let lines: Vec<String> = std::iter::once(GOOD.to_owned()).chain(std::iter::repeat_n(long, 1500)).collect();
        let items: Vec<Item<'_>> = lines.iter().enumerate().map(|(i, json)| Item { number: i + 1, json }).collect();
        let (batch, rejected) = parse(&items, &envelope(), Kind::Events, Format::Ndjson).unwrap();
        assert_eq!(rejected.len(), LISTED_LINES);
        let answer = batch.receipt(&rejected).unwrap();
        assert!((1000..LISTED_BYTES + 1000).contains(&answer.len()), "{} bytes", answer.len());
    }
}
