//! Known readings: a device per partition, and values that follow from device and time, so that whoever sees a reading
//! can tell whether it is right without having been told.

use kafka_pipeline::partition_of;
use xxhash_rust::xxh3::xxh3_64;

/// The channel of every reading.
pub(crate) const CHANNEL: &str = "canary.value";
/// Its unit.
pub(crate) const UNIT: &str = "1";
/// The gateway that the readings claim.
pub(crate) const GATEWAY: &str = "canary";

/// Largest value in millionths: small enough for any column.
const VALUES: u64 = 1_000_000_000;

/// A reading: the number of its device among the canary's, and its start in microseconds since 1970-01-01 UTC. The start is
/// the moment of sending, so that nothing else is needed to tell how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id {
    /// Start; first, so that the oldest come first.
    pub(crate) start: i64,
    /// Device.
    pub(crate) device: usize,
}

/// A device for every partition of the raw topic, in their order. The same names for the same number of partitions.
pub(crate) fn devices(partitions: i32) -> Vec<String> {
    let name = |partition: i32| {
        // Of so many names one goes to the partition, but for a chance beyond belief.
        let names = (0..10_000).map(|number| format!("canary-{partition}-{number}"));
        let here = |name: &String| partition_of(name.as_bytes(), partitions) == partition;
        names.into_iter().find(here).unwrap_or_else(|| format!("canary-{partition}"))
    };
    (0..partitions).map(name).collect()
}

/// The value that the device's reading of this start has, in millionths; never zero.
pub(crate) fn value_of(device: &str, start: i64) -> i64 {
    let mut seed = device.as_bytes().to_vec();
    seed.extend(start.to_le_bytes());
    // Fits: the remainder is below a billion.
    i64::try_from(xxh3_64(&seed) % VALUES + 1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_partition_has_its_device() {
        for partitions in [1, 4, 48] {
            let devices = devices(partitions);
            let places: Vec<i32> = devices.iter().map(|name| partition_of(name.as_bytes(), partitions)).collect();
            assert_eq!(places, (0..partitions).collect::<Vec<_>>());
            assert!(devices.iter().all(|name| meter_model::DeviceId::check(name).is_ok()));
        }
    }

    proptest! {
        #[test]
        fn values_fit_and_tell_readings_apart(start in 0i64..4_000_000_000_000_000) {
            let value = value_of("canary-0-1", start);
            prop_assert!((1..=1_000_000_000).contains(&value));
            prop_assert!(value != value_of("canary-0-2", start) || value != value_of("canary-0-2", start + 1));
        }
    }
}
