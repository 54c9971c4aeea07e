//! One dead letter in full. Pure.

use super::content::Content;
use super::counts::Known;
use super::dump::{dump, hex};
use super::ledger::Standing;
use super::letter::printable;
use kafka_pipeline::RecordRef;
use serde::Serialize;
use std::fmt::Write;
use std::str::FromStr;

/// `PARTITION:OFFSET` of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coordinates {
    /// Partition of the dead-letter topic.
    pub partition: i32,
    /// Offset in it.
    pub offset: i64,
}

impl FromStr for Coordinates {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "needs the form PARTITION:OFFSET, as dlq list prints it";
        let (partition, offset) = text.split_once(':').ok_or(FORM)?;
        let (partition, offset) =
            (partition.parse::<u16>().map_err(|_| FORM)?, offset.parse::<i64>().map_err(|_| FORM)?);
        if offset < 0 { Err(FORM) } else { Ok(Self { partition: i32::from(partition), offset }) }
    }
}

/// A header as it is, and as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct HeaderView {
    key: String,
    /// `None` is Kafka's null.
    text: Option<String>,
    hex: Option<String>,
}

/// A letter with its bytes and what they say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct LetterView {
    topic: String,
    #[serde(flatten)]
    known: Known,
    headers: Vec<HeaderView>,
    key_hex: Option<String>,
    payload_hex: Option<String>,
    content: Content,
    #[serde(skip)]
    payload: Option<Vec<u8>>,
}

impl LetterView {
    /// From the record and its decoded content.
    pub(crate) fn new(topic: &str, known: Known, record: &RecordRef<'_>, content: Content) -> Self {
        let header = |header: &kafka_pipeline::Header| HeaderView {
            key: printable(header.key.as_bytes()),
            text: header.value.as_deref().map(printable),
            hex: header.value.as_deref().map(hex),
        };
        Self {
            topic: topic.to_owned(),
            known,
            headers: record.headers.iter().map(header).collect(),
            key_hex: record.key.map(hex),
            payload_hex: record.payload.map(hex),
            content,
            payload: record.payload.map(<[u8]>::to_vec),
        }
    }

    /// The bytes; `None` when the message has none.
    pub(crate) fn payload(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }

    /// For people; of the bytes at most `limit`.
    pub(crate) fn text(&self, limit: usize) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = self.write(&mut text, limit);
        text
    }

    fn write(&self, text: &mut String, limit: usize) -> std::fmt::Result {
        let Known { letter, standing } = &self.known;
        let or_dash = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        writeln!(text, "letter    {}[{}] offset {}", self.topic, letter.partition, letter.offset)?;
        writeln!(text, "time      {}", super::time(letter.at))?;
        writeln!(text, "source    {}", super::source(letter))?;
        writeln!(text, "code      {}", or_dash(&letter.code))?;
        writeln!(text, "message   {}", letter.message)?;
        writeln!(text, "stage     {}", or_dash(&letter.stage))?;
        writeln!(text, "key       {}", or_dash(&letter.key))?;
        writeln!(text, "replays   {}", letter.replays)?;
        self.write_standing(text, standing)?;
        writeln!(text, "\nheaders   {}", self.headers.len())?;
        let width = self.headers.iter().map(|header| header.key.chars().count()).max().unwrap_or(0);
        for header in &self.headers {
            writeln!(text, "  {:width$}  {}", header.key, header.text.as_deref().unwrap_or("(null)"))?;
        }
        match &self.payload {
            Some(payload) => writeln!(text, "\nbytes     {}\n{}", payload.len(), dump(payload, limit))?,
            None => writeln!(text, "\nbytes     none: the message has no value\n")?,
        }
        self.write_content(text)
    }

    fn write_standing(&self, text: &mut String, standing: &Standing) -> std::fmt::Result {
        write!(text, "status    {}", standing.status.name())?;
        if let Some(by) = &standing.by {
            write!(text, " by {by} at {}", super::time(standing.since))?;
        }
        if let Some((partition, offset)) = standing.replayed_to {
            write!(text, " to partition {partition} offset {offset}")?;
        }
        if let Some(because) = &standing.because {
            write!(text, ": {because}")?;
        }
        if let Some(became) = &standing.became {
            write!(text, "; it was set aside again as {became}")?;
        }
        writeln!(text)
    }

    fn write_content(&self, text: &mut String) -> std::fmt::Result {
        let (schema_id, name, value, trailing) = match &self.content {
            Content::No { because } => return writeln!(text, "content   {}", printable(because.as_bytes())),
            Content::Yes { schema_id, name, value, trailing_bytes } => (schema_id, name, value, *trailing_bytes),
        };
        let behind = if trailing == 0 { String::new() } else { format!(", and {trailing} bytes behind it") };
        writeln!(text, "content   {name}, schema {schema_id}{behind}")?;
        let Some(fields) = value.as_object() else { return writeln!(text, "  {}", printed(value)) };
        let (lists, plain): (Vec<_>, Vec<_>) = fields.iter().partition(|(_, value)| value.is_array());
        for (field, value) in plain {
            writeln!(text, "  {field}: {}", printed(value))?;
        }
        for (field, list) in lists {
            let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
            writeln!(text, "  {field}: {}", items.len())?;
            for (index, item) in items.iter().enumerate() {
                writeln!(text, "    {index}: {}", printed(item))?;
            }
        }
        Ok(())
    }
}

/// JSON in one line; it escapes the ASCII controls itself, and the rest is escaped here.
fn printed(value: &serde_json::Value) -> String {
    printable(value.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Ledger;
    use super::super::letter::Letter;
    use super::*;
    use bytes::Bytes;
    use kafka_pipeline::{Header, RecordBlock, RecordBlockBuilder};
    use serde_json::json;

    fn block(payload: Option<&[u8]>) -> RecordBlock {
        let header = |key: &str, value: &[u8]| Header { key: key.into(), value: Some(Bytes::copy_from_slice(value)) };
        let headers = [
            header("traceparent", b"00-abc"),
            Header { key: "empty".into(), value: None },
            header("__dlq.errors.topic", b"raw"),
            header("__dlq.errors.partition", b"1"),
            header("__dlq.errors.offset", b"977"),
            header("__dlq.errors.message", b"bytes remain behind the value"),
            header("x-error-code", b"TRAILING_BYTES"),
            header("x-stage", b"validate"),
        ];
        let mut builder = RecordBlockBuilder::new("rejected", 1);
        builder.push(42, 0, Some(b"dev-1"), payload, &headers);
        builder.build()
    }

    fn view(block: &RecordBlock, content: Content) -> LetterView {
        let letter = Letter::of(1, &block.get(0));
        let known = Known { standing: Ledger::default().standing(&letter), letter };
        LetterView::new("rejected", known, &block.get(0), content)
    }

    #[test]
    fn a_letter_is_shown_with_headers_bytes_and_content() {
        let content = Content::Yes {
            schema_id: 7,
            name: "meterway.v1.ReadingBatch".into(),
            value: json!({ "tenant_id": "acme", "readings": [{ "value": "1.5" }, { "value": "2" }] }),
            trailing_bytes: 3,
        };
        let block = block(Some(b"\x00\x00\x00\x00\x07\x08acme"));
        insta::assert_snapshot!(view(&block, content).text(100));
    }

    #[test]
    fn a_letter_without_bytes_is_shown_too() {
        let block = block(None);
        let view = view(&block, Content::No { because: "there is no value".into() });
        let text = view.text(100);
        assert!(text.contains("bytes     none") && text.ends_with("content   there is no value\n"), "{text}");
    }

    #[test]
    fn json_has_the_bytes_unchanged() {
        let block = block(Some(b"\xff\x1b["));
        let view = view(&block, Content::No { because: "x".into() });
        let json = serde_json::to_value(&view).unwrap();
        assert_eq!((&json["payload_hex"], &json["key_hex"]), (&json!("ff1b5b"), &json!("6465762d31")));
        assert_eq!(json["headers"][1], json!({ "key": "empty", "text": null, "hex": null }));
        assert_eq!((&json["code"], &json["source"]["offset"]), (&json!("TRAILING_BYTES"), &json!(977)));
    }

    #[test]
    fn coordinates_are_as_the_list_prints_them() {
        assert_eq!("3:17".parse(), Ok(Coordinates { partition: 3, offset: 17 }));
        for wrong in ["3", "3:", ":17", "-1:0", "0:-1", "a:b", "3:17:1"] {
            assert!(wrong.parse::<Coordinates>().is_err(), "{wrong}");
        }
    }
}
