//! What the device register says, as far as alerts need it.

use std::sync::Arc;

use hashbrown::HashMap;
use meterway_schemas::{CustomerClass, Device, DeviceStatus};

use super::intern::Intern;

/// A registered device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredDevice {
    /// Owner.
    pub tenant_id: Arc<str>,
    /// Class of use.
    pub class: CustomerClass,
    /// Life-cycle state.
    pub status: DeviceStatus,
    /// Customer supplied; `None` while vacant.
    pub customer_id: Option<Box<str>>,
    /// Site installed at.
    pub site_id: Box<str>,
    /// Version of the register's record.
    pub version: i64,
}

impl RegisteredDevice {
    /// Whether its readings and events count.
    pub fn is_active(&self) -> bool {
        self.status == DeviceStatus::Active
    }
}

/// All registered devices by id.
#[derive(Debug, Default)]
pub struct Register {
    devices: HashMap<Box<str>, RegisteredDevice>,
    tenants: Intern,
}

impl Register {
    /// Takes over a record; an older version than the one known is left out. True when it changed something.
    pub fn upsert(&mut self, device: Device) -> bool {
        let known = self.devices.get(device.device_id.as_str());
        if known.is_some_and(|known| known.version > device.version) {
            return false;
        }
        let entry = RegisteredDevice {
            tenant_id: self.tenants.get(&device.tenant_id),
            class: device.customer_class,
            status: device.status,
            customer_id: device.customer_id.map(Into::into),
            site_id: device.site_id.into(),
            version: device.version,
        };
        let changed = known != Some(&entry);
        self.devices.insert(device.device_id.into(), entry);
        changed
    }

    /// Forgets a device whose record was deleted.
    pub fn remove(&mut self, device_id: &str) {
        self.devices.remove(device_id);
    }

    /// The record of a device.
    pub fn get(&self, device_id: &str) -> Option<&RegisteredDevice> {
        self.devices.get(device_id)
    }

    /// Number of devices.
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether no device is registered.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// The tenants that own a device, each once.
    pub fn tenants(&self) -> Vec<Arc<str>> {
        let mut tenants: Vec<_> = self.devices.values().map(|device| Arc::clone(&device.tenant_id)).collect();
        tenants.sort_unstable();
        tenants.dedup();
        tenants
    }
}
