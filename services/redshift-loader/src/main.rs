//! Binary of the loader; everything is in the library.

use std::process::ExitCode;

use anyhow::Context;
use redshift_loader::{App, Config};
use service_runtime::{Runtime, ServiceInfo};

fn main() -> ExitCode {
    let info = ServiceInfo {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        defaults: include_str!("../config.default.toml"),
    };
    service_runtime::main::<Config, _>(info, async |config: Config, runtime: Runtime| {
        let app = App::build(config, &runtime).await.context("build redshift-loader")?;
        app.run(runtime.shutdown.clone()).await.context("run redshift-loader")
    })
}
