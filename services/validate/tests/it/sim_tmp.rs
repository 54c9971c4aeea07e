use crate::decisions;
use crate::fixture::Fixture;
use meterway_schemas::columns::{ValidatedBatchColumns, range};
use meterway_schemas::*;
use serde_json::Value;
use std::io::Write;

fn device(line: &Value) -> Device {
    let s = |v: &Value| v.as_str().map(str::to_owned);
    Device {
        tenant_id: s(&line["tenant_id"]).unwrap(),
        device_id: s(&line["device_id"]).unwrap(),
        customer_id: s(&line["customer_id"]),
        site_id: s(&line["site_id"]).unwrap(),
        gateway_id: s(&line["gateway_id"]),
        status: serde_json::from_value(line["status"].clone()).unwrap_or(DeviceStatus::Active),
        commodity: line["commodity"].as_str().unwrap().parse().unwrap(),
        customer_class: CustomerClass::Residential,
        zone: s(&line["zone"]).unwrap(),
        channels: line["channels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| DeviceChannel {
                channel: s(&c["channel"]).unwrap(),
                kind: c["kind"].as_str().unwrap().parse().unwrap(),
                unit: s(&c["unit"]).unwrap(),
                interval_s: c["interval_s"].as_i64().map(|v| v as i32),
                multiplier: c["multiplier"].as_str().unwrap_or("1").parse().unwrap(),
                register_digits: c["register_digits"].as_i64().map(|v| v as i32),
                capacity_per_hour: c["capacity_per_hour"].as_str().map(|v| v.parse().unwrap()),
                allow_negative: c["allow_negative"].as_bool().unwrap_or(false),
            })
            .collect(),
        exchanges: line["exchanges"]
            .as_array()
            .map(|a| {
                a.iter()
                    .map(|e| MeterExchange {
                        at: e["at"].as_i64().unwrap_or_else(|| {
                            let out = std::process::Command::new("date")
                                .args(["-u", "+%s", "-d", e["at"].as_str().unwrap()])
                                .output()
                                .unwrap();
                            String::from_utf8(out.stdout).unwrap().trim().parse::<i64>().unwrap() * 1_000_000
                        }),
                        channel: s(&e["channel"]).unwrap(),
                        closing_value: e["closing_value"].as_str().unwrap().parse().unwrap(),
                        opening_value: e["opening_value"].as_str().unwrap().parse().unwrap(),
                    })
                    .collect()
            })
            .unwrap_or_default(),
        version: 1,
        updated_at: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated() {
    let dir = std::env::var("SIM_DIR").unwrap();
    let args: Vec<String> = std::env::var("SIM_ARGS").unwrap().split_whitespace().map(str::to_owned).collect();
    let rpm = std::env::var("SIM_RPM").unwrap_or("48".into());
    let fixture = Fixture::new("vd_sim", 4).await;
    let meterway = "/work/tmp/target/debug/meterway";
    let run = |more: &[String]| {
        let out = std::process::Command::new(meterway)
            .current_dir("/work/main")
            .args(["--env-file", "/work/tmp/sim.env"])
            .args(more)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        println!("{}", String::from_utf8_lossy(&out.stdout));
    };
    let fleet = format!("{dir}/fleet.ndjson");
    let mut a: Vec<String> = ["simulate", "fleet"].map(String::from).to_vec();
    a.extend(args.clone());
    a.extend(["--out".into(), fleet.clone()]);
    run(&a);
    let devices: Vec<Device> =
        std::fs::read_to_string(&fleet).unwrap().lines().map(|l| device(&serde_json::from_str(l).unwrap())).collect();
    fixture.register(&devices).await;
    let mut a: Vec<String> = ["simulate", "run"].map(String::from).to_vec();
    a.extend(args);
    a.extend([
        "--truth".into(),
        format!("{dir}/truth.ndjson"),
        "--readings-per-message".into(),
        rpm,
        "--readings-topic".into(),
        fixture.topic("raw"),
        "--events-topic".into(),
        fixture.topic("devices2"),
    ]);
    let spec = kafka_pipeline::TopicSpec {
        name: fixture.topic("devices2"),
        partitions: 4,
        replication: 1,
        configs: Default::default(),
    };
    fixture.admin.create_topic(&spec).await.unwrap();
    fixture.registry.register(&format!("{}-value", fixture.topic("devices2")), DEVICE_EVENT.avsc).await.unwrap();
    run(&a);
    let raw: i64 = fixture.admin.watermarks(&fixture.topic("raw")).await.unwrap().iter().map(|(_, l, h)| h - l).sum();
    let began = std::time::Instant::now();
    let _p = fixture.start();
    fixture.until_decided(raw).await;
    println!("{raw} messages in {:?}", began.elapsed());
    let mut out = std::io::BufWriter::new(std::fs::File::create(format!("{dir}/decisions.ndjson")).unwrap());
    for partition in 0..4 {
        let mut decoder = kafka_pipeline::BatchDecoder::new(fixture.registry.clone(), VALIDATED_BATCH.avsc).unwrap();
        for block in decisions::records(&fixture, "validated", partition).await {
            let decoded = decoder.decode(&block).await.unwrap();
            for b in &decoded.batches {
                let c = ValidatedBatchColumns::try_from(&b.batch).unwrap();
                for row in 0..b.batch.num_rows() {
                    let acc: Vec<Value> = range(c.lists, row)
                        .map(|i| {
                            serde_json::json!([
                                c.readings.reading.channel.value(i),
                                c.readings.reading.start.value(i),
                                c.readings.version.value(i),
                                c.readings.failed_rules.value(i).collect::<Vec<_>>(),
                                c.readings.skipped_rules.value(i).collect::<Vec<_>>()
                            ])
                        })
                        .collect();
                    let rej: Vec<Value> = range(c.rejection_lists, row)
                        .map(|i| {
                            serde_json::json!([
                                c.rejections.index.value(i),
                                c.rejections.code.value(i),
                                c.rejections.detail.value(i)
                            ])
                        })
                        .collect();
                    writeln!(out, "{}", serde_json::json!({"partition": partition, "offset": c.source_offset.value(row), "device": c.device_id.value(row), "accepted": acc, "rejected": rej})).unwrap();
                }
            }
        }
    }
}
