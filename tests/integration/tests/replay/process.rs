//! A service, or the command, as a process: started, waited for, killed by its id, and its memory read.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest wait for something that a healthy machine does in seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Settings as environment variables.
pub(crate) type Environment = BTreeMap<String, String>;

/// A running process; killed when dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    port: u16,
    log: PathBuf,
    /// What it can be started with again.
    binary: PathBuf,
    environment: Environment,
}

impl Process {
    /// Starts a service, with its admin endpoint on a free port.
    pub(crate) fn start(binaries: &Path, service: &str, logs: &Path, environment: Environment) -> Self {
        let name = environment.get("NAME").cloned().unwrap_or_else(|| service.to_owned());
        let (binary, log) = (binaries.join(service), logs.join(format!("{name}.log")));
        let mut process = Self { child: idle(), port: 0, name, log, binary, environment };
        process.restart();
        process
    }

    /// Ends it as a crash would, if it runs, and starts it.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.port = test_support::free_port();
        let prefix = self.binary.file_name().unwrap().to_str().unwrap().replace('-', "_").to_uppercase();
        let log = std::fs::File::options().create(true).append(true).open(&self.log).unwrap();
        self.child = Command::new(&self.binary)
            .env_clear()
            .envs(&self.environment)
            .env(format!("METER_{prefix}__ADMIN__LISTEN"), format!("127.0.0.1:{}", self.port))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("start {}: {error}; run `make build`", self.binary.display()));
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        let _ended_before = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.page("/ready").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            self.check();
            assert!(Instant::now() < deadline, "{} is not ready\n{}", self.name, self.tail());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Still runs.
    pub(crate) fn check(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "{} ended by itself ({ended:?})\n{}", self.name, self.tail());
    }

    /// The most memory that it has had since it was started, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        peak_kib(self.child.id()).unwrap_or_else(|| panic!("{} does not run\n{}", self.name, self.tail()))
    }

    /// A counter or gauge, summed over its labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let page = self.page("/metrics").unwrap_or_default();
        let of = |line: &&str| line.split(['{', ' ']).next() == Some(name);
        page.lines().filter(of).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    fn page(&self, path: &str) -> Option<String> {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process that does nothing: what stands in before the first start.
fn idle() -> Child {
    Command::new("true").stdin(Stdio::null()).spawn().unwrap()
}

fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// How a run of the command ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The most memory that it had, as far as it was seen.
    pub(crate) peak_kib: u64,
}

impl Ran {
    /// The document on stdout.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: exit {:?}\n{}\n{}", self.code, self.stdout, self.stderr))
    }
}

/// A run of the command under way; killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Running {
    pub(crate) fn start(program: &Path, environment: &Environment, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self { child, stdout: Some(read(stdout)), stderr: Some(read(stderr)) }
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Ran {
        let (deadline, mut peak) = (Instant::now() + 5 * PATIENCE, 0);
        let status = loop {
            peak = peak_kib(self.child.id()).unwrap_or(0).max(peak);
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the command does not end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let text = |reader: Option<JoinHandle<String>>| reader.unwrap().join().unwrap();
        let (stdout, stderr) = (text(self.stdout.take()), text(self.stderr.take()));
        Ran { code: status.code(), stdout, stderr, peak_kib: peak }
    }

    fn end(&mut self) {
        let _ended_before = self.child.kill();
        self.child.wait().unwrap();
    }
}

/// Reads a pipe to its end, so that the process never waits for us.
fn read(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        text
    })
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
