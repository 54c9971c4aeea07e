//! A TCP proxy that breaks a connection at the worst moment: the server has committed, the client never hears of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the client sends when it commits: a simple query.
const COMMIT: &[u8] = b"COMMIT\0";

/// A proxy in front of PostgreSQL.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    /// Connections that were broken behind a COMMIT.
    pub(crate) broken: Arc<AtomicUsize>,
}

impl Proxy {
    /// Forwards to `server`. The first `cuts` connections that commit are broken when the server has answered the COMMIT,
    /// before the answer is passed on.
    pub(crate) async fn start(server: String, cuts: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let broken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&broken);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server.clone()).await.unwrap();
                tokio::spawn(serve(client, server, Arc::clone(&counter), cuts));
            }
        });
        Self { address, broken }
    }
}

/// Passes bytes on in both directions until either side ends, or the client commits and it is time to break.
async fn serve(mut client: TcpStream, mut server: TcpStream, broken: Arc<AtomicUsize>, cuts: usize) -> Option<()> {
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let question = &asked[..read.ok().filter(|read| *read > 0)?];
                let commits = question.windows(COMMIT.len()).any(|window| window == COMMIT);
                server.write_all(question).await.ok()?;
                let take = |done: usize| (done < cuts).then_some(done + 1);
                if commits && broken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
                    // The server answers when it has committed. The answer goes nowhere, and both connections end.
                    let answer = server.read(&mut answered).await;
                    assert!(answer.is_ok_and(|bytes| bytes > 0), "the server answers a commit");
                    return None;
                }
            }
            read = server.read(&mut answered) => {
                let answer = &answered[..read.ok().filter(|read| *read > 0)?];
                client.write_all(answer).await.ok()?;
            }
        }
    }
}
