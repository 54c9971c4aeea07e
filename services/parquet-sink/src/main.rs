//! The `parquet-sink` process.

use std::process::ExitCode;

use anyhow::Context;
use parquet_sink::{App, Config};
use service_runtime::ServiceInfo;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let info = ServiceInfo {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        defaults: include_str!("../config.default.toml"),
    };
    service_runtime::use_small_pages();
    service_runtime::main::<Config, _>(info, async |config, runtime| {
        let app = App::build(config, &runtime).await.context("build parquet-sink")?;
        app.run(runtime.shutdown.clone()).await.context("run parquet-sink")
    })
}
