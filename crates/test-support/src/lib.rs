//! For tests only: where the real components are, names that don't collide, a clock that stands still, a store that lies.
//!
//! Guarantees: a test that needs the stack fails with a sentence that says what to do when there is none; it never
//! passes without having tested.

mod clock;
mod racy_store;
mod stack;

use std::net::{Ipv4Addr, TcpListener};

pub use clock::FakeClock;
pub use racy_store::RacyStore;
pub use stack::{MissingStack, Stack};

/// A name that no other test uses: the prefix and twelve random characters `[0-9a-f]`. Fit for topics, groups, tables
/// and databases when the prefix is.
pub fn unique(prefix: &str) -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{prefix}_{}", &random[..12])
}

/// A TCP port of the loopback interface that was free a moment ago. Prefer to bind port 0 where the code allows it:
/// another process may take the port first.
///
/// # Panics
/// When the machine has no free port left.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_names_differ_and_keep_their_prefix() {
        let (first, second) = (unique("devices"), unique("devices"));
        assert_ne!(first, second);
        assert!(first.starts_with("devices_") && first.len() == "devices_".len() + 12);
    }

    #[test]
    fn a_free_port_can_be_bound() {
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).is_ok());
    }
}
