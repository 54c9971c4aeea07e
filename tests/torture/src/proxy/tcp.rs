//! The proxy for anything over TCP.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::counts::Counts;
use super::gate::{Conversation, End, Gate, Wire};

/// When a connection is cut whose client sent what was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The server never sees it.
    BeforeRequest,
    /// The server sees it and begins to answer; the client never hears.
    BeforeAnswer,
}

/// See the module documentation. Faults are commanded through it; it ends when dropped.
#[derive(Debug)]
pub struct TcpProxy(Gate<Pumps>);

impl TcpProxy {
    /// Listens on a free port of the loopback address.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        Gate::open(None, upstream, Pumps::default()).await.map(Self)
    }

    /// Listens on this address.
    ///
    /// # Errors
    /// When it is taken.
    pub async fn start_at(listen: SocketAddr, upstream: SocketAddr) -> io::Result<Self> {
        Gate::open(Some(listen), upstream, Pumps::default()).await.map(Self)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Resets all connections; how many there were.
    pub fn cut(&self) -> usize {
        self.0.cut()
    }

    /// Refuses new connections, or takes them again.
    ///
    /// # Errors
    /// When the address is taken meanwhile.
    pub async fn refuse(&self, refuse: bool) -> io::Result<()> {
        self.0.refuse(refuse).await
    }

    /// Holds all bytes back, or lets them go on; connections stay.
    pub fn stall(&self, stall: bool) {
        self.0.stall(stall);
    }

    /// Bytes per second for each connection and direction; `None` for as many as there are.
    pub fn slow(&self, bytes_per_second: Option<u64>) {
        self.0.slow(bytes_per_second);
    }

    /// Resets a connection when so many more bytes of the server's answer have reached the client, `times` times: each
    /// time on the connection over which the server speaks next.
    pub fn cut_answer_after(&self, bytes: u64, times: usize) {
        self.0.conversation().plan().answers.extend(std::iter::repeat_n(bytes, times));
    }

    /// Resets a connection whose client sends this, `times` times. What spans two reads of the client's bytes is found as
    /// long as the first read ends within it.
    pub fn cut_at(&self, pattern: &[u8], moment: Moment, times: usize) {
        assert!(!pattern.is_empty(), "a pattern of no bytes is in everything");
        self.0.conversation().plan().patterns.extend(std::iter::repeat_n((pattern.to_owned(), moment), times));
    }

    /// Takes back what `cut_answer_after` and `cut_at` have not done yet.
    pub fn clear(&self) {
        *self.0.conversation().plan() = Plan::default();
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.wire().counter.counts()
    }
}

#[derive(Debug, Default)]
struct Pumps(Mutex<Plan>);

/// Cuts to come.
#[derive(Debug, Default)]
struct Plan {
    answers: VecDeque<u64>,
    patterns: Vec<(Vec<u8>, Moment)>,
}

impl Plan {
    /// Takes the first pattern that is in the bytes.
    fn take_pattern(&mut self, bytes: &[u8]) -> Option<Moment> {
        let holds = |pattern: &[u8]| bytes.windows(pattern.len()).any(|window| window == pattern);
        let at = self.patterns.iter().position(|(pattern, _)| holds(pattern))?;
        Some(self.patterns.remove(at).1)
    }

    fn longest_pattern(&self) -> usize {
        self.patterns.iter().map(|(pattern, _)| pattern.len()).max().unwrap_or(0)
    }
}

impl Pumps {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Client to server, looking for patterns.
    async fn requests(
        &self,
        wire: &Wire,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        doomed: &AtomicBool,
    ) -> io::Result<End> {
        let (mut seen, mut buffer) = (Vec::new(), Vec::new());
        loop {
            buffer.resize(wire.portion(), 0);
            let read = from.read(&mut buffer).await?;
            if read == 0 {
                to.shutdown().await?;
                return Ok(End::Close);
            }
            let portion = &buffer[..read];
            wire.pass(read).await;
            match self.look(&mut seen, portion) {
                Some(Moment::BeforeRequest) => {
                    wire.counter.injected("cut_before_request");
                    return Ok(End::Reset);
                }
                // Noted before the server can answer.
                Some(Moment::BeforeAnswer) => doomed.store(true, Ordering::SeqCst),
                None => {}
            }
            to.write_all(portion).await?;
        }
    }

    /// Looks for a pattern in the bytes, with the end of those before in front.
    fn look(&self, seen: &mut Vec<u8>, portion: &[u8]) -> Option<Moment> {
        let mut plan = self.plan();
        let longest = plan.longest_pattern();
        seen.extend_from_slice(portion);
        let found = plan.take_pattern(seen);
        let keep = if found.is_some() { 0 } else { longest.saturating_sub(1).min(seen.len()) };
        seen.drain(..seen.len() - keep);
        found
    }

    /// Server to client, counting bytes.
    async fn answers(
        &self,
        wire: &Wire,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        doomed: &AtomicBool,
    ) -> io::Result<End> {
        let mut buffer = Vec::new();
        let mut left = None;
        loop {
            buffer.resize(wire.portion(), 0);
            let read = from.read(&mut buffer).await?;
            if read == 0 {
                to.shutdown().await?;
                return Ok(End::Close);
            }
            if doomed.load(Ordering::SeqCst) {
                wire.counter.injected("cut_before_answer");
                return Ok(End::Reset);
            }
            wire.pass(read).await;
            left = left.or_else(|| self.plan().answers.pop_front());
            let portion = left.map_or(read, |left: u64| read.min(usize::try_from(left).unwrap_or(usize::MAX)));
            to.write_all(&buffer[..portion]).await?;
            left = left.map(|left| left - portion as u64);
            if left == Some(0) {
                wire.counter.injected("cut_answer");
                return Ok(End::Reset);
            }
        }
    }
}

impl Conversation for Pumps {
    async fn serve(&self, wire: &Wire, client: &mut TcpStream, server: &mut TcpStream) -> io::Result<End> {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let doomed = AtomicBool::new(false);
        let requests = self.requests(wire, from_client, to_server, &doomed);
        let answers = self.answers(wire, from_server, to_client, &doomed);
        tokio::pin!(requests, answers);
        // A side that has no more to say may still listen: both must have ended, unless one ends badly.
        tokio::select! {
            first = &mut requests => match first? {
                End::Close => answers.await,
                End::Reset => Ok(End::Reset),
            },
            first = &mut answers => match first? {
                End::Close => requests.await,
                End::Reset => Ok(End::Reset),
            },
        }
    }
}
