//! A whole installation on one machine: the services as child processes over the local stack. For the demo and for the
//! whole-system tests (`docs/adr/0005-processes-of-the-demo.md`).

mod replica;
mod services;
mod supervisor;

pub use replica::{Life, Replica};
pub use services::{DASHBOARD, NAMES, Ports, StackEnv, names, replica, services, write_settings};
pub use supervisor::{Service, Supervisor};
