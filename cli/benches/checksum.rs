//! What `meterway verify` does with each reading: digest the natural key and the value, and add it to a tally.
//! `bare_hash` is the limit: the same bytes, laid out ready for the hash function.
//!
//! `cargo bench -p meterway-cli --bench checksum`

use std::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use meterway_cli::verify::tally::{Fact, Tally};
use xxhash_rust::xxh3::xxh3_128;

const READINGS: usize = 48_000;

fn main() {
    divan::main();
}

fn devices() -> Vec<String> {
    (0..1_000).map(|number| format!("northgrid-e-{number:05}")).collect()
}

fn fact(devices: &[String], number: usize) -> Fact<'_> {
    Fact {
        tenant_id: "northgrid",
        device_id: &devices[number % devices.len()],
        channel: "1-0:1.29.0",
        kind: "INTERVAL",
        start: 1_772_409_600_000_000 + number as i64 * 1_800_000_000,
        value: number as i64 * 1_000,
    }
}

#[divan::bench]
fn checksum(bencher: Bencher<'_, '_>) {
    let devices = devices();
    let facts: Vec<_> = (0..READINGS).map(|number| fact(&devices, number)).collect();
    bencher.counter(ItemsCount::new(READINGS)).bench_local(|| {
        let mut tally = Tally::default();
        facts.iter().for_each(|fact| tally.add(black_box(fact).digest()));
        tally
    });
}

#[divan::bench]
fn bare_hash(bencher: Bencher<'_, '_>) {
    let devices = devices();
    let bytes: Vec<Vec<u8>> = (0..READINGS).map(|number| laid_out(&fact(&devices, number))).collect();
    bencher
        .counter(ItemsCount::new(READINGS))
        .bench_local(|| bytes.iter().fold(0_u128, |sum, bytes| sum.wrapping_add(xxh3_128(black_box(bytes)))));
}

fn laid_out(fact: &Fact<'_>) -> Vec<u8> {
    let texts = [fact.tenant_id, fact.device_id, fact.channel, fact.kind];
    let numbers = [fact.start, fact.value].into_iter().flat_map(i64::to_le_bytes);
    texts.into_iter().flat_map(|text| text.bytes().chain([0xff])).chain(numbers).collect()
}
