//! The `meterway` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    meterway_cli::main()
}
