//! The `metadata` service.

use std::process::ExitCode;

use anyhow::Context;
use metadata::app::App;
use metadata::config::Config;
use metadata::edge::migrations;
use service_runtime::Runtime;

fn main() -> ExitCode {
    service_runtime::main::<Config, _>(metadata::INFO, async |config: Config, runtime: Runtime| {
        if config.postgres.migrate_only {
            return migrations::run(&config.postgres).await.context("migrate metadata");
        }
        let app = App::build(config, &runtime).await.context("build metadata")?;
        app.run(runtime.shutdown.clone()).await.context("run metadata")
    })
}
