//! Whole-system tests: every service as a real process on real components. One file per promise; they run in order on one
//! installation, because starting it costs more than the tests do.
//!
//! Needs the local stack and the built binaries: run `make test`.

mod bad_input;
mod canary;
mod crashes;
mod dashboard;
mod dead_letters;
mod faults_found;
mod graceful_stop;
mod independent_readers;
mod issuer;
mod world;

use std::{process::ExitCode, time::Instant};
use world::World;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("start tokio");
    runtime.block_on(run())
}

async fn run() -> ExitCode {
    let mut world = match World::start().await {
        Ok(world) => world,
        Err(error) => {
            eprintln!("the installation does not start: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let (mut passed, mut failed) = (0, 0);
    macro_rules! promise {
        ($what:literal, $test:path) => {
            let began = Instant::now();
            eprintln!("\n== promise: {}", $what);
            let result = $test(&mut world).await;
            let result = result.and_then(|()| world.check());
            match result {
                Ok(()) => {
                    passed += 1;
                    eprintln!("ok    {} ({} s)", $what, began.elapsed().as_secs());
                }
                Err(error) => {
                    failed += 1;
                    eprintln!("FAIL  {}: {error:#}", $what);
                }
            }
        };
    }
    promise!("nothing is lost and nothing comes twice when services are killed under load", crashes::run);
    promise!("every injected fault is found where it should be, and nothing else", faults_found::run);
    promise!("bad input is isolated with its bytes and a reason, and nothing restarts", bad_input::run);
    promise!("what was set aside is stored once after the repair, however often it is sent back", dead_letters::run);
    promise!("readers that know nothing of Meterway see the same rows", independent_readers::run);
    promise!("the canary sees its readings arrive everywhere, and says so when they do not", canary::run);
    promise!("each sees their own on the dashboard, as it is stored, and nobody else's", dashboard::run);
    promise!("services end cleanly when they are told to", graceful_stop::run);
    if let Err(error) = world.stop().await {
        failed += 1;
        eprintln!("FAIL  stop: {error:#}");
    }
    #[expect(clippy::print_stdout, reason = "the closing line of a test run")]
    {
        println!("{passed} passed, {failed} failed");
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
