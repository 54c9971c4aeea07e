//! Taking connections, and everything that can be done to a connection without knowing what it carries.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::counts::Counter;

/// Time between two portions of a connection that is slowed down.
const PORTIONS_PER_SECOND: u64 = 10;
/// Most that is read at once.
pub(super) const PORTION_BYTES: usize = 64 * 1024;

/// How a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// In good order.
    Close,
    /// With a reset in both directions.
    Reset,
}

/// What is spoken over the connections.
pub(super) trait Conversation: Send + Sync + 'static {
    /// Serves one connection until one of the sides has enough of it.
    fn serve(
        &self,
        wire: &Wire,
        client: &mut TcpStream,
        server: &mut TcpStream,
    ) -> impl Future<Output = io::Result<End>> + Send;
}

/// What all connections of a proxy share.
#[derive(Debug)]
pub(super) struct Wire {
    upstream: SocketAddr,
    stalled: watch::Sender<bool>,
    bytes_per_second: AtomicU64,
    open: Mutex<HashMap<u64, CancellationToken>>,
    pub(super) counter: Counter,
}

impl Wire {
    fn open(&self) -> MutexGuard<'_, HashMap<u64, CancellationToken>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Most bytes to read before the next [`Self::pass`].
    pub(super) fn portion(&self) -> usize {
        match self.bytes_per_second.load(Ordering::Relaxed) {
            0 => PORTION_BYTES,
            rate => usize::try_from(rate / PORTIONS_PER_SECOND).unwrap_or(PORTION_BYTES).clamp(1, PORTION_BYTES),
        }
    }

    /// Waits until so many bytes may be handed on.
    pub(super) async fn pass(&self, bytes: usize) {
        let rate = self.bytes_per_second.load(Ordering::Relaxed);
        if rate > 0 {
            tokio::time::sleep(Duration::from_secs_f64(bytes as f64 / rate as f64)).await;
        }
        let mut stalled = self.stalled.subscribe();
        // The sender lives as long as this; an error cannot come.
        drop(stalled.wait_for(|stalled| !stalled).await);
    }
}

/// A listening proxy; ends with everything it serves when dropped.
#[derive(Debug)]
pub(super) struct Gate<C> {
    address: SocketAddr,
    wire: Arc<Wire>,
    conversation: Arc<C>,
    accepting: tokio::sync::Mutex<Option<Accepting>>,
    end: CancellationToken,
}

#[derive(Debug)]
struct Accepting {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl<C: Conversation> Gate<C> {
    /// Listens on the address, or on a free port of the loopback address when there is none.
    pub(super) async fn open(listen: Option<SocketAddr>, upstream: SocketAddr, conversation: C) -> io::Result<Self> {
        let listen = listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let listener = TcpListener::bind(listen).await?;
        let gate = Self {
            address: listener.local_addr()?,
            wire: Arc::new(Wire {
                upstream,
                stalled: watch::Sender::new(false),
                bytes_per_second: AtomicU64::new(0),
                open: Mutex::default(),
                counter: Counter::default(),
            }),
            conversation: Arc::new(conversation),
            accepting: tokio::sync::Mutex::default(),
            end: CancellationToken::new(),
        };
        *gate.accepting.lock().await = Some(gate.accept(listener));
        Ok(gate)
    }

    fn accept(&self, listener: TcpListener) -> Accepting {
        let stop = self.end.child_token();
        let (wire, conversation, end) = (Arc::clone(&self.wire), Arc::clone(&self.conversation), self.end.clone());
        let until = stop.clone();
        let task = tokio::spawn(async move {
            let mut number = 0;
            loop {
                let accepted = tokio::select! {
                    biased;
                    () = until.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                // Out of descriptors, or gone before it was taken: the next one may do better.
                let Ok((client, _)) = accepted else {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                number += 1;
                let cut = end.child_token();
                wire.open().insert(number, cut.clone());
                let (wire, conversation) = (Arc::clone(&wire), Arc::clone(&conversation));
                tokio::spawn(async move {
                    connection(&wire, conversation.as_ref(), client, &cut).await;
                    wire.open().remove(&number);
                });
            }
        });
        Accepting { stop, task }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    pub(super) fn conversation(&self) -> &C {
        &self.conversation
    }

    /// Resets all connections; how many there were.
    pub(super) fn cut(&self) -> usize {
        let cut: Vec<CancellationToken> = self.wire.open().drain().map(|(_, token)| token).collect();
        cut.iter().for_each(|token| {
            self.wire.counter.injected("cut");
            token.cancel();
        });
        cut.len()
    }

    /// Stops or starts listening.
    pub(super) async fn refuse(&self, refuse: bool) -> io::Result<()> {
        let mut accepting = self.accepting.lock().await;
        match (accepting.take(), refuse) {
            (Some(running), true) => {
                running.stop.cancel();
                // Only when the task has ended is the port free.
                let _ended = running.task.await;
                self.wire.counter.injected("refuse");
            }
            (None, false) => *accepting = Some(self.accept(TcpListener::bind(self.address).await?)),
            (unchanged, _) => *accepting = unchanged,
        }
        Ok(())
    }

    pub(super) fn stall(&self, stall: bool) {
        if self.wire.stalled.send_replace(stall) != stall && stall {
            self.wire.counter.injected("stall");
        }
    }

    pub(super) fn slow(&self, bytes_per_second: Option<u64>) {
        let rate = bytes_per_second.map_or(0, |rate| rate.max(1));
        if self.wire.bytes_per_second.swap(rate, Ordering::Relaxed) != rate && rate > 0 {
            self.wire.counter.injected("slow");
        }
    }
}

impl<C> Drop for Gate<C> {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

async fn connection<C: Conversation>(wire: &Wire, conversation: &C, mut client: TcpStream, cut: &CancellationToken) {
    wire.counter.connection();
    let connected = tokio::select! {
        biased;
        () = cut.cancelled() => return reset(&client),
        connected = TcpStream::connect(wire.upstream) => connected,
    };
    // An upstream that is not there looks like one that has just gone.
    let Ok(mut server) = connected else { return reset(&client) };
    let _latency = (client.set_nodelay(true), server.set_nodelay(true));
    let end = tokio::select! {
        biased;
        () = cut.cancelled() => End::Reset,
        // One side is gone in the middle of something; the other must not take it for a good end.
        end = conversation.serve(wire, &mut client, &mut server) => end.unwrap_or(End::Reset),
    };
    if end == End::Reset {
        reset(&client);
        reset(&server);
    }
}

/// Makes the close that follows a reset; of a connection that is gone there is nothing to reset.
fn reset(stream: &TcpStream) {
    let _gone = stream.set_zero_linger();
}
