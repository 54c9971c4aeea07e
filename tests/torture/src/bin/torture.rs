//! `torture`: attacks a whole installation and says whether it kept its promises. See `tests/torture/README.md`.

use clap::Parser;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use torture::edge::{args::Args, run::run};

fn main() -> ExitCode {
    let args = Args::parse();
    service_runtime::install_crypto_provider();
    let runtime = tokio::runtime::Runtime::new().expect("start tokio");
    let result = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).expect("listen to SIGTERM");
        tokio::select! {
            result = run(args) => result,
            // Dropping the run kills its processes.
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
            _ = terminate.recv() => Err(anyhow::anyhow!("terminated")),
        }
    });
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("the attack could not be carried out: {error:#}");
            ExitCode::from(2)
        }
    }
}
