//! What is remembered of the readings of one partition: enough to tell a duplicate from a correction and a gap from a
//! meter that is silent.
//!
//! Guarantees: the state is a fold over the accepted readings in the order of their decisions, so replaying the validated
//! topic gives the same state; memory has a bound.
//!
//! Memory: a usual channel takes 8 bytes a reading (4 KiB for 512 half-hours), a corrected or irregular one 24, and about
//! 350 bytes for itself and its share of the device. 50,000 devices with one interval channel and one daily register or
//! gauge come to some 240 MiB; [`Limits::bytes`] is what a partition may take at most, its share of the process's budget. When it is reached, the devices
//! that were silent longest are forgotten, and their next readings skip the rules that need a past.

mod channel;
mod window;

use hashbrown::{Equivalent, HashMap};
use meter_model::Kind;

pub use channel::{ChannelState, Past};
pub use window::{Known, Neighbours, end_of};

/// Bounds of what is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Readings of a channel that are remembered by their key: those with the latest starts.
    pub readings_per_channel: usize,
    /// Bytes of a partition.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { readings_per_channel: 512, bytes: 192 << 20 }
    }
}

/// Rough cost of a device beside its windows: key, map slot, channel names and states.
const DEVICE_BYTES: usize = 160;
const CHANNEL_BYTES: usize = size_of::<Channel>() + 32;

/// What is remembered of all devices of a partition.
#[derive(Debug)]
pub struct History {
    limits: Limits,
    /// Devices that delivered lately, and those that did so before. When the young fill half the budget, the old are
    /// forgotten and the young become the old: the order of last use, at the price of one flag's worth of work.
    young: Generation,
    old: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    devices: HashMap<DeviceKey, DeviceHistory, ahash::RandomState>,
    bytes: usize,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DeviceKey {
    tenant: Box<str>,
    device: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct DeviceKeyRef<'a> {
    tenant: &'a str,
    device: &'a str,
}

impl Equivalent<DeviceKey> for DeviceKeyRef<'_> {
    fn equivalent(&self, key: &DeviceKey) -> bool {
        *self.tenant == *key.tenant && *self.device == *key.device
    }
}

/// What is remembered of one device.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct DeviceHistory {
    channels: Vec<Channel>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Channel {
    name: Box<str>,
    kind: Kind,
    state: ChannelState,
}

impl DeviceHistory {
    /// Position of a channel, for [`Self::state`]; a new one starts empty.
    pub fn channel(&mut self, name: &str, kind: Kind) -> usize {
        let known = self.channels.iter().position(|channel| *channel.name == *name && channel.kind == kind);
        known.unwrap_or_else(|| {
            self.channels.push(Channel { name: name.into(), kind, state: ChannelState::new() });
            self.channels.len() - 1
        })
    }

    /// State of the channel at a position that [`Self::channel`] returned.
    pub fn state(&mut self, position: usize) -> &mut ChannelState {
        &mut self.channels[position].state
    }

    fn bytes(&self) -> usize {
        let of = |channel: &Channel| CHANNEL_BYTES + channel.name.len() + channel.state.bytes();
        DEVICE_BYTES + self.channels.iter().map(of).sum::<usize>()
    }
}

impl History {
    /// An empty history.
    pub fn new(limits: Limits) -> Self {
        Self { limits, young: Generation::default(), old: Generation::default() }
    }

    /// Its bounds.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Changes its bound; what is too much goes as the devices that are left are used.
    pub fn limit_memory(&mut self, bytes: usize) {
        self.limits.bytes = bytes;
        if self.old.bytes > bytes / 2 {
            self.old = Generation::default();
        }
    }

    /// Bytes in use, as far as they are counted.
    pub fn bytes(&self) -> usize {
        self.young.bytes + self.old.bytes
    }

    /// Devices remembered.
    pub fn devices(&self) -> usize {
        self.young.devices.len() + self.old.devices.len()
    }

    /// Reads or changes what is remembered of a device.
    pub fn update<R>(&mut self, tenant: &str, device: &str, change: impl FnOnce(&mut DeviceHistory) -> R) -> R {
        let key = DeviceKeyRef { tenant, device };
        self.rejuvenate(key);
        let history = self.young.devices.get_mut(&key).expect("was just made young");
        let before = history.bytes();
        let result = change(history);
        self.young.bytes = (self.young.bytes + history.bytes()).saturating_sub(before);
        if self.young.bytes > self.limits.bytes / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        result
    }

    /// Forgets a device.
    pub fn forget(&mut self, tenant: &str, device: &str) {
        let key = DeviceKeyRef { tenant, device };
        for generation in [&mut self.young, &mut self.old] {
            if let Some(history) = generation.devices.remove(&key) {
                generation.bytes = generation.bytes.saturating_sub(history.bytes());
            }
        }
    }

    fn rejuvenate(&mut self, key: DeviceKeyRef<'_>) {
        if self.young.devices.contains_key(&key) {
            return;
        }
        let history = self.old.devices.remove(&key).unwrap_or_default();
        let bytes = history.bytes();
        self.old.bytes = self.old.bytes.saturating_sub(bytes);
        self.young.bytes += bytes;
        self.young.devices.insert(DeviceKey { tenant: key.tenant.into(), device: key.device.into() }, history);
    }
}

#[cfg(test)]
mod tests;
