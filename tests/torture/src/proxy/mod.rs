//! Loopback proxies between a service and what it stands on, which fail on command.
