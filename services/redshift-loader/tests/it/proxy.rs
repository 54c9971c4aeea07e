//! A TCP proxy in front of PostgreSQL that ends connections around a COMMIT, for the `postgres` dialect. The Redshift double
//! does the same for the other.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redshift_double::CutAt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// What the client sends when it commits: a simple query.
const COMMIT: &[u8] = b"COMMIT\0";
/// The end of a COPY: CopyDone and Sync.
const COPY_DONE: &[u8] = b"c\0\0\0\x04S\0\0\0\x04";
/// Whoever asks what the ledger holds waits for the table's lock first.
const LEDGER: &[u8] = b"pg_advisory_xact_lock";
/// Longest time that a COMMIT is held back.
const PATIENCE: Duration = Duration::from_secs(30);

/// A proxy in front of PostgreSQL.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    cuts: Mutex<VecDeque<CutAt>>,
    /// Numbers of connections that asked for the ledger.
    asked: broadcast::Sender<usize>,
}

impl Proxy {
    /// Forwards to `server` and cuts in that order, each cut once.
    pub(crate) async fn start(server: String, cuts: impl IntoIterator<Item = CutAt>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = Mutex::new(cuts.into_iter().collect());
        let shared = Arc::new(Shared { server, cuts, asked: broadcast::channel(64).0 });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            let mut number = 0;
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(serving.server.clone()).await.unwrap();
                tokio::spawn(serve(client, server, Arc::clone(&serving), number));
                number += 1;
            }
        });
        Self { address, shared }
    }

    /// Cuts that have not been made.
    pub(crate) fn pending(&self) -> usize {
        self.shared.cuts.lock().unwrap().len()
    }
}

impl Shared {
    /// The cut that is due at these bytes of the client; it is used up.
    fn due(&self, question: &[u8]) -> Option<CutAt> {
        let mut cuts = self.cuts.lock().unwrap();
        let awaited = match cuts.front()? {
            CutAt::Copy => COPY_DONE,
            _ => COMMIT,
        };
        contains(question, awaited).then(|| cuts.pop_front()).flatten()
    }
}

/// Passes bytes on in both directions until either side ends, or it is time to cut.
async fn serve(mut client: TcpStream, mut server: TcpStream, shared: Arc<Shared>, number: usize) -> Option<()> {
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let question = &asked[..read.ok().filter(|read| *read > 0)?];
                if contains(question, LEDGER) {
                    let _nobody = shared.asked.send(number);
                }
                if let Some(cut) = shared.due(question) {
                    end(client, server, question, (cut, &shared, number)).await;
                    return None;
                }
                server.write_all(question).await.ok()?;
            }
            read = server.read(&mut answered) => {
                let answer = &answered[..read.ok().filter(|read| *read > 0)?];
                client.write_all(answer).await.ok()?;
            }
        }
    }
}

/// Ends both connections; what the client said last reaches the server, or not, as the cut demands.
async fn end(client: TcpStream, mut server: TcpStream, last: &[u8], (cut, shared, number): (CutAt, &Shared, usize)) {
    let mut others = shared.asked.subscribe();
    match cut {
        CutAt::BeforeCommit => return,
        CutAt::DuringCommit => {
            drop(client);
            let asked = async { while others.recv().await.is_ok_and(|other| other == number) {} };
            tokio::time::timeout(PATIENCE, asked).await.expect("another connection asks for the ledger");
        }
        CutAt::Copy | CutAt::AfterCommit => {}
    }
    server.write_all(last).await.unwrap();
    // The server answers when it is done. The answer goes nowhere.
    let answer = server.read(&mut [0; 1024]).await;
    assert!(answer.is_ok_and(|bytes| bytes > 0), "the server answers");
}

fn contains(bytes: &[u8], sought: &[u8]) -> bool {
    bytes.windows(sought.len()).any(|window| window == sought)
}
