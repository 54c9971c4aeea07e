//! The `validate` service.

use std::process::ExitCode;

use anyhow::Context;
use service_runtime::{Runtime, ServiceInfo};
use validate::app::{App, Health};
use validate::config::Config;

fn main() -> ExitCode {
    let info = ServiceInfo {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        defaults: include_str!("../config.default.toml"),
    };
    service_runtime::main::<Config, _>(info, async |config, runtime: Runtime| {
        let health = Health { readiness: runtime.readiness.clone(), liveness: runtime.liveness.clone() };
        let app = App::build(config, health).await.context("build validate")?;
        app.run(runtime.shutdown.clone()).await.context("run validate")
    })
}
