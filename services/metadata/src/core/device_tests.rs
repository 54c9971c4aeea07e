use super::*;

fn message() -> v1::Device {
    v1::Device {
        device_id: "meter-1".into(),
        site_id: "site-1".into(),
        commodity: v1::Commodity::Electricity as i32,
        channels: vec![
            v1::Channel {
                channel: "1-0:1.8.0".into(),
                kind: v1::ChannelKind::Register as i32,
                unit: "kWh".into(),
                register_digits: Some(6),
                ..v1::Channel::default()
            },
            v1::Channel {
                channel: "1-0:1.29.0".into(),
                kind: v1::ChannelKind::Interval as i32,
                unit: "kWh".into(),
                interval_s: Some(1800),
                multiplier: "2.5".into(),
                capacity_per_hour: "23".into(),
                ..v1::Channel::default()
            },
        ],
        ..v1::Device::default()
    }
}

fn state(exchanges: Vec<Exchange>) -> DeviceState {
    DeviceState {
        tenant_id: "acme".into(),
        spec: DeviceSpec::parse(Some(message())).unwrap(),
        zone: "Europe/London".into(),
        exchanges,
        version: 3,
        updated_at: 1_000_000,
    }
}

fn exchange(channel: &str, opening: &str) -> Exchange {
    Exchange {
        at: 7,
        channel: channel.into(),
        closing_value: "99.5".parse().unwrap(),
        opening_value: opening.parse().unwrap(),
    }
}

#[test]
fn what_was_sent_comes_back() {
    let back = v1::Device::from(state(vec![]));
    assert_eq!(back.status, v1::DeviceStatus::Active as i32);
    assert_eq!(back.channels[0].multiplier, "1");
    assert_eq!(back.channels[1].capacity_per_hour, "23");
    assert_eq!(DeviceSpec::parse(Some(back)).unwrap(), state(vec![]).spec);
}

#[test]
fn every_mistake_is_named_with_its_field() {
    let mut wrong = message();
    wrong.device_id = "a b".into();
    wrong.site_id = String::new();
    wrong.status = 77;
    wrong.channels[0].unit = "bushel".into();
    wrong.channels[0].interval_s = Some(5);
    wrong.channels[0].multiplier = "0".into();
    wrong.channels[1].channel = "1-0:1.8.0".into();
    wrong.channels[1].kind = 0;
    wrong.channels[1].capacity_per_hour = "lots".into();
    let violations = DeviceSpec::parse(Some(wrong)).unwrap_err();
    let mut fields: Vec<_> = violations.0.iter().map(|v| v.field.trim_start_matches("device.")).collect();
    fields.sort_unstable();
    fields.dedup();
    assert_eq!(
        fields,
        [
            "channels[0].interval_s",
            "channels[0].multiplier",
            "channels[0].unit",
            "channels[1].capacity_per_hour",
            "channels[1].channel",
            "channels[1].interval_s",
            "channels[1].kind",
            "device_id",
            "site_id",
            "status",
        ]
    );
}

#[test]
fn a_device_has_1_to_64_channels() {
    let mut none = message();
    none.channels.clear();
    assert_eq!(DeviceSpec::parse(Some(none)).unwrap_err().0[0].field, "device.channels");
    let mut many = message();
    many.channels = vec![many.channels[0].clone(); 65];
    assert!(DeviceSpec::parse(Some(many)).unwrap_err().to_string().contains("there are 65, not 1 to 64"));
}

#[test]
fn an_exchange_is_noted_once_and_never_contradicted() {
    let known = exchange("1-0:1.8.0", "0");
    let device = state(vec![known.clone()]);
    assert_eq!(decide_exchange(&device, vec![known.clone()]), Ok(ExchangeDecision::Unchanged));
    let other = decide_exchange(&device, vec![exchange("1-0:1.8.0", "5")]);
    assert_eq!(other, Err(ExchangeRefusal::Conflict { channel: "1-0:1.8.0".into() }));
    let later = Exchange { at: 8, ..known };
    assert_eq!(decide_exchange(&device, vec![later.clone()]), Ok(ExchangeDecision::Add(vec![later])));
}

#[test]
fn only_a_register_channel_can_be_exchanged() {
    let refused = decide_exchange(&state(vec![]), vec![exchange("1-0:1.29.0", "0"), exchange("1-0:1.8.0", "0")]);
    let Err(ExchangeRefusal::Invalid(violations)) = refused else { panic!("{refused:?}") };
    assert_eq!(violations.0[0].field, "exchanges[0].channel");
    assert_eq!(violations.0.len(), 1);
}

#[test]
fn an_exchange_without_instant_or_dial_is_refused() {
    let request = v1::ExchangeMeterRequest {
        tenant_id: "acme".into(),
        device_id: "meter-1".into(),
        at: None,
        exchanges: vec![v1::MeterExchange { channel: "a".into(), opening_value: "-1".into(), ..Default::default() }],
    };
    let fields: Vec<_> = parse_exchanges(&request).unwrap_err().0.into_iter().map(|v| v.field).collect();
    assert_eq!(fields, ["at", "exchanges[0].closing_value", "exchanges[0].opening_value"]);
}

#[test]
fn the_published_value_follows_the_contract() {
    let device = published(&state(vec![exchange("1-0:1.8.0", "0")]));
    let schema = meterway_schemas::DEVICE.schema();
    let datum = meterway_schemas::encode_record(&schema, &device).unwrap();
    let back: meterway_schemas::Device = meterway_schemas::decode(&schema, &schema, &datum).unwrap();
    assert_eq!(back, device);
    assert_eq!((back.version, back.zone.as_str()), (3, "Europe/London"));
}
