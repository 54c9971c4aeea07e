//! Onboarding: the register decides, line by line.

use std::collections::BTreeMap;

use meterway_proto::metadata::v1 as proto;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::api::{Answer, Call};
use super::super::problem::Problem;

/// Lines of a file at most.
const MOST_LINES: usize = 50_000;
/// Errors of a report at most.
const MOST_ERRORS: usize = 1_000;

/// A device to be onboarded.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDevice {
    device_id: String,
    site_id: String,
    zone: String,
    address: Option<String>,
    customer_id: Option<String>,
    customer_name: Option<String>,
    gateway_id: Option<String>,
    commodity: String,
    customer_class: Option<String>,
    channels: Vec<NewChannel>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewChannel {
    channel: String,
    kind: String,
    unit: String,
    interval_s: Option<u32>,
    multiplier: Option<String>,
    register_digits: Option<u32>,
}

/// A line of a file: a channel of a device.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CsvLine {
    device_id: String,
    site_id: String,
    zone: String,
    customer_id: Option<String>,
    gateway_id: Option<String>,
    commodity: String,
    customer_class: Option<String>,
    channel: String,
    kind: String,
    unit: String,
    interval_s: Option<u32>,
}

type Wrongs = Vec<(String, String)>;

/// The value of an enum by its name; what is not there is left to the register to complain about.
fn named<T>(field: &str, prefix: &str, name: &str, of: fn(&str) -> Option<T>, wrong: &mut Wrongs) -> Option<T> {
    let found = of(&format!("{prefix}_{name}"));
    if found.is_none() {
        wrong.push((field.to_owned(), format!("is {name:?}, which is not known")));
    }
    found
}

impl NewDevice {
    fn line(self, number: u64) -> Result<proto::BulkLine, Wrongs> {
        let mut wrong = Wrongs::new();
        let commodity = named("commodity", "COMMODITY", &self.commodity, proto::Commodity::from_str_name, &mut wrong)
            .unwrap_or_default();
        let class = self.customer_class.filter(|class| !class.is_empty());
        let class = class.and_then(|class| {
            named("customer_class", "CUSTOMER_CLASS", &class, proto::CustomerClass::from_str_name, &mut wrong)
        });
        let mut channels = Vec::new();
        for (at, channel) in self.channels.into_iter().enumerate() {
            let field = format!("channels[{at}].kind");
            let kind = named(&field, "CHANNEL_KIND", &channel.kind, proto::ChannelKind::from_str_name, &mut wrong);
            channels.push(proto::Channel {
                channel: channel.channel,
                kind: kind.unwrap_or_default().into(),
                unit: channel.unit,
                interval_s: channel.interval_s,
                multiplier: channel.multiplier.unwrap_or_default(),
                register_digits: channel.register_digits,
                ..proto::Channel::default()
            });
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let customer_id = self.customer_id.unwrap_or_default();
        let customer = (!customer_id.is_empty()).then(|| proto::Customer {
            customer_id: customer_id.clone(),
            name: self.customer_name.filter(|name| !name.is_empty()).unwrap_or_else(|| customer_id.clone()),
            ..proto::Customer::default()
        });
        let site = proto::Site {
            site_id: self.site_id.clone(),
            zone: self.zone,
            address: self.address.unwrap_or_default(),
            ..proto::Site::default()
        };
        let device = proto::Device {
            device_id: self.device_id,
            site_id: self.site_id,
            customer_id,
            gateway_id: self.gateway_id.unwrap_or_default(),
            commodity: commodity.into(),
            customer_class: class.unwrap_or_default().into(),
            channels,
            ..proto::Device::default()
        };
        Ok(proto::BulkLine { line: number, device: Some(device), site: Some(site), customer })
    }
}

fn errors(report: &proto::LineReport) -> Wrongs {
    report.errors.iter().map(|error| (error.field.clone(), error.message.clone())).collect()
}

pub(super) async fn create(call: Call) -> Result<Answer, Problem> {
    let (api, scope) = (&call.api, call.scope()?);
    let device: NewDevice = call.json()?;
    let id = device.device_id.clone();
    let line = device.line(1).map_err(Problem::fields)?;
    match api.register.device(&scope.tenant, &id).await {
        Ok(_) => return Err(Problem::conflict("There is a device of this identifier already.")),
        Err(problem) if problem.status() == axum::http::StatusCode::NOT_FOUND => {}
        // What is wrong with the identifier is said again, with its field, by the registration.
        Err(problem) if problem.status() == axum::http::StatusCode::BAD_REQUEST => {}
        Err(problem) => return Err(problem),
    }
    let reports = api.register.onboard(&scope.tenant, vec![line]).await?;
    let report = reports.first().ok_or_else(|| Problem::defect("the register answered nothing"))?;
    if !report.errors.is_empty() {
        return Err(Problem::fields(errors(report)));
    }
    Ok(Answer::Created(document(&api.register.device(&scope.tenant, &id).await?)))
}

/// A device of the register as the API writes it.
fn document(device: &proto::Device) -> Value {
    let plain = |name: &str, prefix: &str| name.strip_prefix(prefix).unwrap_or(name).to_owned();
    let optional = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let channels = device.channels.iter().map(|channel| {
        let multiplier = optional(&channel.multiplier).unwrap_or_else(|| "1".to_owned());
        json!({
            "channel": channel.channel, "kind": plain(channel.kind().as_str_name(), "CHANNEL_KIND_"), "unit": channel.unit,
            "interval_s": channel.interval_s, "multiplier": multiplier,
        })
    });
    json!({
        "device_id": device.device_id, "tenant_id": device.tenant_id, "customer_id": optional(&device.customer_id),
        "site_id": device.site_id, "gateway_id": optional(&device.gateway_id),
        "status": plain(device.status().as_str_name(), "DEVICE_STATUS_"),
        "commodity": plain(device.commodity().as_str_name(), "COMMODITY_"),
        "customer_class": plain(device.customer_class().as_str_name(), "CUSTOMER_CLASS_"), "zone": device.zone,
        "version": device.version, "channels": channels.collect::<Vec<_>>(), "live": null, "open_alerts": 0,
    })
}

/// What a file holds: devices by their first line, the number of lines, and what is wrong with some.
type Parsed = (BTreeMap<u64, NewDevice>, usize, Vec<Value>);

/// The devices of a file, each with the number of its first line, and the lines that make none.
fn parse(body: &[u8]) -> Result<Parsed, Problem> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(body);
    let (mut devices, mut first_lines) = (BTreeMap::<u64, NewDevice>::new(), BTreeMap::<String, u64>::new());
    let (mut lines, mut wrong) = (0, Vec::new());
    let headers = reader.headers().map_err(|error| Problem::bad(format!("The file cannot be read: {error}.")))?.clone();
    let mut record = csv::StringRecord::new();
    loop {
        let read = reader.read_record(&mut record);
        let line = record.position().map_or(0, csv::Position::line);
        let given = match read {
            Ok(false) => break,
            Ok(true) => record.deserialize::<CsvLine>(Some(&headers)).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        lines += 1;
        if lines > MOST_LINES {
            return Err(Problem::bad(format!("The file has more than {MOST_LINES} lines; send it in parts.")));
        }
        match given {
            Err(detail) => wrong.push(json!({"line": line, "device_id": null, "detail": detail})),
            Ok(given) => {
                let first = *first_lines.entry(given.device_id.clone()).or_insert(line);
                let device = devices.entry(first).or_insert_with(|| NewDevice {
                    device_id: given.device_id,
                    site_id: given.site_id,
                    zone: given.zone,
                    address: None,
                    customer_id: given.customer_id,
                    customer_name: None,
                    gateway_id: given.gateway_id,
                    commodity: given.commodity,
                    customer_class: given.customer_class,
                    channels: Vec::new(),
                });
                device.channels.push(NewChannel {
                    channel: given.channel,
                    kind: given.kind,
                    unit: given.unit,
                    interval_s: given.interval_s,
                    multiplier: None,
                    register_digits: None,
                });
            }
        }
    }
    Ok((devices, lines, wrong))
}

pub(super) async fn import(call: Call) -> Result<Answer, Problem> {
    let (api, scope) = (&call.api, call.scope()?);
    let (devices, lines, mut wrong) = parse(&call.body)?;
    let mut counts = [0_usize; 4];
    counts[3] = wrong.len();
    let mut good = Vec::new();
    let sentence = |errors: &Wrongs| {
        errors.iter().map(|(field, detail)| format!("{field} {detail}")).collect::<Vec<_>>().join("; ")
    };
    for (line, device) in devices {
        let id = device.device_id.clone();
        match device.line(line) {
            Ok(line) => good.push(line),
            Err(errors) => {
                counts[3] += 1;
                wrong.push(json!({"line": line, "device_id": id, "detail": sentence(&errors)}));
            }
        }
    }
    for report in api.register.onboard(&scope.tenant, good).await? {
        let at = match report.outcome() {
            proto::BulkOutcome::Created => 0,
            proto::BulkOutcome::Updated => 1,
            proto::BulkOutcome::Unchanged => 2,
            proto::BulkOutcome::Failed | proto::BulkOutcome::Unspecified => 3,
        };
        counts[at] += 1;
        if at == 3 {
            wrong.push(
                json!({"line": report.line, "device_id": report.device_id, "detail": sentence(&errors(&report))}),
            );
        }
    }
    wrong.sort_by_key(|error| error["line"].as_u64());
    wrong.truncate(MOST_ERRORS);
    let [created, updated, unchanged, failed] = counts;
    Ok(Answer::Json(json!({
        "lines": lines, "created": created, "updated": updated, "unchanged": unchanged, "failed": failed, "errors": wrong,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "device_id,site_id,zone,customer_id,gateway_id,commodity,customer_class,channel,kind,unit,interval_s\n";

    #[test]
    fn lines_of_one_device_are_its_channels_and_a_bad_line_costs_no_other() {
        let file = format!(
            "{HEADER}d1,s,UTC,c,,ELECTRICITY,RESIDENTIAL,1-0:1.8.0,REGISTER,kWh,\nd2,s,UTC,,,WATER,,flow,INTERVAL,L,x\n\
             d1,s,UTC,c,,ELECTRICITY,RESIDENTIAL,1-0:1.29.0,INTERVAL,kWh,1800\n"
        );
        let (devices, lines, wrong) = parse(file.as_bytes()).unwrap();
        assert_eq!((devices.len(), lines, wrong.len()), (1, 3, 1));
        assert_eq!(wrong[0]["line"], 3);
        let line = devices[&2].clone().line(2).unwrap();
        let device = line.device.unwrap();
        assert_eq!((device.channels.len(), device.channels[1].interval_s), (2, Some(1800)));
        assert_eq!(line.customer.unwrap().name, "c");
    }

    #[test]
    fn unknown_words_are_named() {
        let (devices, ..) = parse(format!("{HEADER}d,s,UTC,,,PLASMA,,flow,SPIN,L,\n").as_bytes()).unwrap();
        let wrong = devices[&2].clone().line(2).unwrap_err();
        assert_eq!(
            wrong.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(),
            ["commodity", "channels[0].kind"]
        );
    }
}
