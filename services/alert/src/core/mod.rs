//! The decisions of the service: what is known of a device, and which alerts follow. Nothing in here performs IO or reads
//! a clock; time is the event time of readings and events, so the same input always makes the same alerts.

pub mod admission;
pub mod alert_id;
pub mod bits;
pub mod device;
pub mod episode;
pub mod flow;
pub mod input;
pub mod intern;
pub mod outbox;
pub mod partition;
pub mod register;
pub mod rules;
pub mod status;
pub mod text;
pub mod thresholds;
pub mod timers;
pub mod usage;

#[cfg(test)]
mod tests;

/// Microseconds of a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds of an hour.
pub const HOUR: i64 = 3_600 * SECOND;
/// Microseconds of 24 hours.
pub const DAY: i64 = 24 * HOUR;
