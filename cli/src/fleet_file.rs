//! The file of devices that `simulate fleet` writes and `onboard` reads: one device per line, with its tenant, customer
//! and site, as NDJSON or CSV.

use serde::{Deserialize, Serialize};

/// A device with everything that must exist for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceLine {
    /// Tenant.
    pub tenant_id: String,
    /// Name of the tenant, used when it is created; its identifier when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    /// Customer supplied through the device; absent while vacant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<String>,
    /// Name of the customer, used when it is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_name: Option<String>,
    /// Site.
    pub site_id: String,
    /// IANA zone of the site.
    pub zone: String,
    /// Address of the site, used when it is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Device.
    pub device_id: String,
    /// Gateway expected to deliver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_id: Option<String>,
    /// ACTIVE, INACTIVE or RETIRED.
    #[serde(default = "active")]
    pub status: String,
    /// ELECTRICITY, GAS, WATER, HEAT or SENSOR.
    pub commodity: String,
    /// RESIDENTIAL, MULTI_FAMILY, COMMERCIAL or INDUSTRIAL.
    #[serde(default = "residential")]
    pub customer_class: String,
    /// Channels.
    pub channels: Vec<ChannelLine>,
    /// Meter exchanges, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<ExchangeLine>,
}

/// A channel of a device. Quantities are decimal text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChannelLine {
    /// OBIS code or plain name.
    pub channel: String,
    /// INTERVAL, REGISTER or GAUGE.
    pub kind: String,
    /// Unit symbol.
    pub unit: String,
    /// Length of its intervals in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<u32>,
    /// Factor to the billed quantity; 1 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiplier: Option<String>,
    /// Digits of the dial before the decimal point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register_digits: Option<u32>,
    /// Largest quantity per hour; unknown when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_per_hour: Option<String>,
    /// Whether negative values are legitimate.
    #[serde(default)]
    pub allow_negative: bool,
}

/// A replaced meter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExchangeLine {
    /// When, RFC 3339.
    pub at: String,
    /// Register channel.
    pub channel: String,
    /// Last dial of the old meter.
    pub closing_value: String,
    /// First dial of the new meter.
    pub opening_value: String,
}

fn active() -> String {
    "ACTIVE".to_owned()
}

fn residential() -> String {
    "RESIDENTIAL".to_owned()
}

/// Form of a file of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FileFormat {
    /// One JSON object per line.
    Ndjson,
    /// A header and comma-separated columns; see `meterway onboard --help`.
    Csv,
}

/// A line of the file, by its 1-based number: a device, or what is wrong with it.
pub(crate) type NumberedLine = (u64, Result<DeviceLine, String>);

/// Reads a file; a bad line does not stop the others.
///
/// # Errors
/// When a CSV file has no usable header.
pub(crate) fn parse(text: &str, format: FileFormat) -> Result<Vec<NumberedLine>, String> {
    match format {
        FileFormat::Ndjson => Ok(parse_ndjson(text)),
        FileFormat::Csv => parse_csv(text),
    }
}

fn parse_ndjson(text: &str) -> Vec<NumberedLine> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(at, line)| (at as u64 + 1, serde_json::from_str(line).map_err(|error| error.to_string()))).collect()
}

/// A row of a CSV file: the lists stand in one cell each.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CsvRow {
    tenant_id: String,
    #[serde(default)]
    tenant_name: Option<String>,
    #[serde(default)]
    customer_id: Option<String>,
    #[serde(default)]
    customer_name: Option<String>,
    site_id: String,
    zone: String,
    #[serde(default)]
    address: Option<String>,
    device_id: String,
    #[serde(default)]
    gateway_id: Option<String>,
    #[serde(default)]
    status: Option<String>,
    commodity: String,
    #[serde(default)]
    customer_class: Option<String>,
    channels: String,
    #[serde(default)]
    exchanges: Option<String>,
}

fn parse_csv(text: &str) -> Result<Vec<NumberedLine>, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| error.to_string())?.clone();
    let mut lines = Vec::new();
    for record in reader.records() {
        let (number, row) = match record {
            Ok(record) => {
                let number = record.position().map_or(0, csv::Position::line);
                (number, record.deserialize::<CsvRow>(Some(&headers)).map_err(|error| error.to_string()))
            }
            Err(error) => (error.position().map_or(0, csv::Position::line), Err(error.to_string())),
        };
        lines.push((number, row.and_then(from_row)));
    }
    Ok(lines)
}

fn from_row(row: CsvRow) -> Result<DeviceLine, String> {
    let exchanges = row.exchanges.unwrap_or_default();
    Ok(DeviceLine {
        channels: cells(&row.channels).map(channel).collect::<Result<_, _>>()?,
        exchanges: cells(&exchanges).map(exchange).collect::<Result<_, _>>()?,
        tenant_id: row.tenant_id,
        tenant_name: row.tenant_name,
        customer_id: row.customer_id,
        customer_name: row.customer_name,
        site_id: row.site_id,
        zone: row.zone,
        address: row.address,
        device_id: row.device_id,
        gateway_id: row.gateway_id,
        status: row.status.unwrap_or_else(active),
        commodity: row.commodity,
        customer_class: row.customer_class.unwrap_or_else(residential),
    })
}

fn cells(list: &str) -> impl Iterator<Item = &str> {
    list.split(';').map(str::trim).filter(|cell| !cell.is_empty())
}

/// `channel|kind|unit|interval_s|multiplier|register_digits|capacity_per_hour|allow_negative`; later parts may be left out.
fn channel(cell: &str) -> Result<ChannelLine, String> {
    let parts: Vec<&str> = cell.split('|').map(str::trim).collect();
    let text = |at: usize| parts.get(at).filter(|part| !part.is_empty()).map(|part| (*part).to_owned());
    let number = |at: usize| {
        let parse = |part: String| part.parse::<u32>().map_err(|_| format!("channel {cell:?}: {part:?} is no number"));
        text(at).map(parse).transpose()
    };
    let needed = |at: usize, what: &str| text(at).ok_or_else(|| format!("channel {cell:?} has no {what}"));
    if parts.len() > 8 {
        return Err(format!("channel {cell:?} has more than eight parts"));
    }
    let allow_negative = match parts.get(7).copied().unwrap_or_default() {
        "" | "false" => false,
        "true" => true,
        other => return Err(format!("channel {cell:?}: {other:?} is neither true nor false")),
    };
    Ok(ChannelLine {
        channel: needed(0, "name")?,
        kind: needed(1, "kind")?,
        unit: needed(2, "unit")?,
        interval_s: number(3)?,
        multiplier: text(4),
        register_digits: number(5)?,
        capacity_per_hour: text(6),
        allow_negative,
    })
}

/// `at|channel|closing_value|opening_value`.
fn exchange(cell: &str) -> Result<ExchangeLine, String> {
    let parts: Vec<String> = cell.split('|').map(|part| part.trim().to_owned()).collect();
    let [at, channel, closing_value, opening_value] =
        <[String; 4]>::try_from(parts).map_err(|_| format!("exchange {cell:?} has not four parts"))?;
    Ok(ExchangeLine { at, channel, closing_value, opening_value })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NDJSON: &str = r#"{"tenant_id":"t","site_id":"s","zone":"Europe/London","device_id":"d","commodity":"ELECTRICITY","channels":[{"channel":"1-0:1.8.0","kind":"REGISTER","unit":"kWh","register_digits":6,"capacity_per_hour":"25"}]}"#;
    const CSV: &str = "tenant_id,site_id,zone,device_id,commodity,channels\n\
        t,s,Europe/London,d,ELECTRICITY,1-0:1.8.0|REGISTER|kWh|||6|25\n";

    #[test]
    fn both_forms_say_the_same() {
        let json = parse(NDJSON, FileFormat::Ndjson).unwrap();
        let csv = parse(CSV, FileFormat::Csv).unwrap();
        assert_eq!((json[0].0, csv[0].0), (1, 2));
        assert_eq!(json[0].1, csv[0].1);
        assert_eq!(json[0].1.as_ref().unwrap().status, "ACTIVE");
    }

    #[test]
    fn bad_line_is_numbered_and_does_not_stop_the_others() {
        let lines = parse(&format!("\nnonsense\n{NDJSON}\n{{\"unknown\":1}}\n"), FileFormat::Ndjson).unwrap();
        let bad: Vec<_> = lines.iter().filter(|line| line.1.is_err()).map(|line| line.0).collect();
        assert_eq!((lines.len(), bad), (3, vec![2, 4]));
    }

    #[test]
    fn csv_cells_are_checked() {
        assert!(channel("a|REGISTER").unwrap_err().contains("has no unit"));
        assert!(channel("a|INTERVAL|kWh|soon").unwrap_err().contains("\"soon\" is no number"));
        assert!(exchange("2026-01-01T00:00:00Z|a|1").unwrap_err().contains("has not four parts"));
        let row = CSV.replace("|kWh|", "|");
        assert!(parse(&row, FileFormat::Csv).unwrap()[0].1.is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let _ = parse(&text, FileFormat::Ndjson);
            let _ = parse(&format!("{CSV}{text}\n"), FileFormat::Csv);
            let _ = (channel(&text), exchange(&text));
        }
    }

    #[test]
    fn line_round_trips() {
        let line: DeviceLine = serde_json::from_str(NDJSON).unwrap();
        assert_eq!(serde_json::from_str::<DeviceLine>(&serde_json::to_string(&line).unwrap()).unwrap(), line);
    }
}
