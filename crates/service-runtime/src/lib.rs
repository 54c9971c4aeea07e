//! What every Meterway service has in common, and nothing that knows of meters.
//!
//! Guarantees:
//! - a process starts only with a complete, valid configuration; otherwise it names **every** mistake and ends with
//!   exit code 64 before anything is bound or connected;
//! - SIGTERM and SIGINT cancel [`Runtime::shutdown`]; a process that has not ended when the grace period is over is
//!   ended with a non-zero code, so a hanging drain can't look like a clean one;
//! - secrets reach neither logs nor the printed configuration.
//!
//! Does not do: business rules, SQL, topic names. The environment and the system clock are read here only.
//!
//! ```ignore
//! fn main() -> ExitCode {
//!     let info = ServiceInfo {
//!         name: env!("CARGO_PKG_NAME"),
//!         version: env!("CARGO_PKG_VERSION"),
//!         defaults: include_str!("../config.default.toml"),
//!     };
//!     service_runtime::main::<Config, _>(info, async |config, runtime| {
//!         let app = App::build(config, &runtime).await.context("build ingest")?;
//!         app.run(runtime.shutdown.clone()).await.context("run ingest")
//!     })
//! }
//! ```

mod admin;
pub mod backoff;
pub mod clock;
mod config;
mod fail_point;
mod health;
mod lifecycle;
mod log;
mod memory;
mod metrics;
mod secret;
#[cfg(debug_assertions)]
mod skew;
mod time;
mod tls;

pub use admin::{AdminConfig, AdminServer};
pub use backoff::{Backoff, retry};
pub use clock::{Clock, SystemClock};
pub use config::{ConfigError, LoadedConfig, Problem, Problems, ServiceConfig, Sources, load};
pub use fail_point::fail_point;
pub use health::{Beat, Liveness, Readiness};
pub use lifecycle::{Runtime, ServiceInfo, main, main_from};
pub use log::{LogConfig, LogFormat};
pub use memory::use_small_pages;
pub use metrics::MetricsHandle;
pub use secret::Secret;
pub use time::{sleep, sleep_or_shutdown};
pub use tls::{install_crypto_provider, tls_client};

/// The configuration is invalid; nothing was started (BSD `EX_USAGE`).
pub const EXIT_CONFIG: u8 = 64;

/// The service ended with an error, which was logged.
pub const EXIT_FAILURE: u8 = 1;

/// The service did not end within its grace period, or was signalled a second time (BSD `EX_TEMPFAIL`).
pub const EXIT_FORCED: u8 = 75;
