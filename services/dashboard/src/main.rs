//! The `dashboard` process.

use anyhow::Context;
use dashboard::{app::App, config::Config};
use service_runtime::ServiceInfo;
use std::process::ExitCode;

fn main() -> ExitCode {
    let info = ServiceInfo {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        defaults: include_str!("../config.default.toml"),
    };
    service_runtime::main::<Config, _>(info, async |config, runtime| {
        let app = App::build(config, &runtime).await.context("build dashboard")?;
        app.run(runtime.shutdown.clone()).await.context("run dashboard")
    })
}
