//! Values of metering, shared by every part of Meterway.
//!
//! Guarantees: a value of a type in this crate satisfies the rule that its constructor states, so code that receives one
//! need not check again. Nothing in here performs IO, reads a clock, or depends on a wire format.
//!
//! Does not do: validation rules of readings (they live in the `validate` service), wire formats (`meterway-schemas`).

mod code;
mod id;
mod local_day;
mod quantity;
mod reading;
mod unit;

pub use code::{RejectCode, UnknownRejectCode};
pub use id::{Channel, DeviceId, InvalidId, TenantId};
pub use local_day::{LocalDay, LocalDays, UnknownZone};
pub use quantity::{InvalidQuantity, Quantity};
pub use reading::{Commodity, Kind, UnknownName, Verdict};
pub use unit::{Dimension, Unit};
