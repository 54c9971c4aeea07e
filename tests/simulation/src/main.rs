//! Runs seeds and prints what they find.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use simulation::bug::Bug;
use simulation::run::{Reached, Report, run_seed};
use simulation::shrink::shrink;

/// Crashes, zombies and lost answers, by seed: every accepted reading once, or a seed that shows otherwise.
#[derive(Debug, Parser)]
#[command(name = "simulation", version)]
struct Arguments {
    /// One seed instead of many.
    #[arg(long)]
    seed: Option<u64>,
    /// Number of seeds.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// First seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Seeds are shared out among so many threads.
    #[arg(long, default_value_t = 1)]
    jobs: u64,
    /// Plant a mistake in the drivers.
    #[arg(long)]
    bug: Option<Bug>,
    /// Print what happens, step by step.
    #[arg(long)]
    trace: bool,
    /// Do not shorten what fails.
    #[arg(long)]
    no_shrink: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout().lock();
    match arguments.seed {
        Some(seed) => one(&mut out, seed, &arguments),
        None => many(&mut out, &arguments),
    }
}

fn one(out: &mut impl Write, seed: u64, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let report = run_seed(seed, arguments.bug, arguments.trace);
    let Some(violation) = &report.violation else {
        report.trace.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        writeln!(out, "seed {seed}: no violation; {:?}; digest {:016x}", report.reached, report.digest)?;
        return Ok(ExitCode::SUCCESS);
    };
    let shown = if arguments.no_shrink { report.clone() } else { shrink(seed, &report, arguments.bug) };
    if arguments.trace {
        shown.trace.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    }
    writeln!(out, "seed {seed}: {}", violation.0)?;
    show_steps(out, &shown, report.steps.len())?;
    Ok(ExitCode::FAILURE)
}

fn many(out: &mut impl Write, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let jobs = arguments.jobs.max(1);
    let shares: Vec<(Vec<Report>, Reached)> = std::thread::scope(|scope| {
        let share = |job| {
            let seeds = (arguments.from + job..arguments.from + arguments.seeds).step_by(jobs as usize);
            scope.spawn(move || run_share(seeds, arguments.bug))
        };
        let running: Vec<_> = (0..jobs).map(share).collect();
        running.into_iter().filter_map(|share| share.join().ok()).collect()
    });
    anyhow::ensure!(shares.len() as u64 == jobs, "a share of the seeds panicked");
    let mut reached = Reached::default();
    shares.iter().for_each(|(_, share)| add(&mut reached, share));
    let failed: Vec<u64> = shares.iter().flat_map(|(failed, _)| failed).map(|report| report.seed).collect();
    let seconds = began.elapsed().as_secs_f64();
    writeln!(out, "{} seeds in {seconds:.1} s, {:.0} a second", arguments.seeds, arguments.seeds as f64 / seconds)?;
    writeln!(out, "{reached:?}")?;
    let Some(seed) = failed.iter().min() else {
        writeln!(out, "no violation")?;
        return Ok(ExitCode::SUCCESS);
    };
    let bug = arguments.bug.map(|bug| format!(" --bug {bug}")).unwrap_or_default();
    writeln!(out, "{} seeds break a promise; the first is {seed}", failed.len())?;
    writeln!(out, "replay: cargo run -p simulation -- --seed {seed} --trace{bug}")?;
    one(out, *seed, arguments)
}

fn run_share(seeds: impl Iterator<Item = u64>, bug: Option<Bug>) -> (Vec<Report>, Reached) {
    let (mut failed, mut reached) = (Vec::new(), Reached::default());
    for seed in seeds {
        let report = run_seed(seed, bug, false);
        add(&mut reached, &report.reached);
        if report.violation.is_some() {
            failed.push(report);
        }
    }
    (failed, reached)
}

fn add(sum: &mut Reached, one: &Reached) {
    sum.messages += one.messages;
    sum.re_emissions += one.re_emissions;
    sum.rows += one.rows;
    sum.snapshots += one.snapshots;
    sum.deaths += one.deaths;
    sum.refusals += one.refusals;
    sum.ended += one.ended;
}

fn show_steps(out: &mut impl Write, report: &Report, of: usize) -> anyhow::Result<()> {
    let shrunk = report.violation.as_ref().map_or("", |violation| violation.0.as_str());
    writeln!(out, "{} of {of} steps are enough ({shrunk}):", report.steps.len())?;
    for step in &report.steps {
        writeln!(out, "  {step:?}")?;
    }
    Ok(())
}
