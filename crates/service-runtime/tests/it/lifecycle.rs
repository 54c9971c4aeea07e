//! Exit codes need a process of their own: the test binary starts itself with one ignored test, the child.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use service_runtime::{
    AdminConfig, Clock, EXIT_CONFIG, EXIT_FORCED, LogConfig, Problems, Runtime, ServiceConfig, ServiceInfo,
    SystemClock, fail_point,
};

const DEFAULTS: &str = r#"
behaviour = "drain"
shutdown_grace = "400ms"
[admin]
listen = "127.0.0.1:0"
[log]
level = "info"
format = "json"
"#;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    behaviour: String,
    #[serde(with = "humantime_serde")]
    shutdown_grace: Duration,
    admin: AdminConfig,
    log: LogConfig,
}

impl ServiceConfig for Config {
    fn validate(&self, _: &mut Problems) {}
    fn admin(&self) -> &AdminConfig {
        &self.admin
    }
    fn log(&self) -> &LogConfig {
        &self.log
    }
    fn grace(&self) -> Duration {
        self.shutdown_grace
    }
}

async fn service(config: Config, runtime: Runtime) -> anyhow::Result<()> {
    runtime.readiness.set_ready();
    tracing::info!("child is ready");
    match config.behaviour.as_str() {
        "drain" => runtime.shutdown.cancelled().await,
        // Blocks the thread itself: the worst drain there is.
        "hang" => std::thread::sleep(Duration::from_secs(60)),
        "fail" => anyhow::bail!("store is broken"),
        "put" => {
            for _ in 0..3 {
                fail_point("sink.after_put").await;
            }
            tracing::info!(micros = SystemClock.now_micros(), "child is past the point");
        }
        other => unreachable!("{other}"),
    }
    Ok(())
}

/// Not a test: the process that the tests below start.
#[test]
#[ignore = "started by the other tests as a process of its own"]
fn child() {
    let info = ServiceInfo { name: "tested-child", version: "0", defaults: DEFAULTS };
    let arguments = std::env::vars_os().find(|(name, _)| name == "CHILD_ARGUMENT").map(|(_, value)| value);
    let arguments = [Some(OsString::from("child")), arguments].into_iter().flatten();
    let code = service_runtime::main_from::<Config, _>(info, arguments, std::env::vars_os(), service);
    std::process::exit(if code == ExitCode::SUCCESS {
        0
    } else if code == ExitCode::from(EXIT_CONFIG) {
        i32::from(EXIT_CONFIG)
    } else {
        1
    });
}

pub(crate) fn start(variables: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lifecycle::child", "--ignored", "--nocapture", "--test-threads=1"])
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal_when_ready(child: &mut Child) {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| line.unwrap().contains("child is ready")), "the child never became ready");
    // Keep draining, or the child could block on a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn sigterm_drains_and_ends_with_zero() {
    let mut child = start(&[]);
    signal_when_ready(&mut child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_drain_longer_than_the_grace_period_is_ended_by_force() {
    let mut child = start(&[("METER_TESTED_CHILD__BEHAVIOUR", "hang")]);
    signal_when_ready(&mut child);
    let since = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(i32::from(EXIT_FORCED)));
    assert!(since.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_failing_service_ends_with_one_and_logs_the_chain() {
    let output = start(&[("METER_TESTED_CHILD__BEHAVIOUR", "fail")]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains(r#""error":"store is broken""#), "{log}");
}

#[test]
fn a_bad_configuration_ends_with_64_and_binds_nothing() {
    let output = start(&[("METER_TESTED_CHILD__SHUTDOWN_GRACE", "soon")]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(EXIT_CONFIG)));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("shutdown_grace") && said.contains("METER_TESTED_CHILD__SHUTDOWN_GRACE"), "{said}");
    assert!(!said.contains("listens"), "{said}");
}

#[test]
fn check_config_prints_the_effective_configuration() {
    let mut child = start(&[("CHILD_ARGUMENT", "--check-config"), ("METER__LOG__LEVEL", "debug")]);
    let mut shown = String::new();
    child.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(shown.contains(r#"log.level = "debug"  # environment variable METER__LOG__LEVEL"#), "{shown}");
}
