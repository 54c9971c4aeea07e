//! The binary: configuration, logs, signals and exit code come from service-runtime.

use std::process::ExitCode;

use alert::{App, Config};
use anyhow::Context;
use service_runtime::ServiceInfo;

fn main() -> ExitCode {
    let info = ServiceInfo {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        defaults: include_str!("../config.default.toml"),
    };
    service_runtime::main::<Config, _>(info, async |config, runtime| {
        let app = App::build(config, &runtime).await.context("build alert")?;
        app.run().await.context("run alert")
    })
}
