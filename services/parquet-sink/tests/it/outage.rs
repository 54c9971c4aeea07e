//! The store or the catalog goes away in the middle: the sink waits, and goes on when it is back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lake::tables;
use service_runtime::{MetricsHandle, sleep};
use test_support::Stack;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::world::{World, eventually};

/// A TCP proxy that can be cut: connections break, new ones are refused.
pub(crate) struct Cable {
    address: SocketAddr,
    target: String,
    plugged: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Cable {
    pub(crate) async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut cable = Self { address: listener.local_addr().unwrap(), target: target.to_owned(), plugged: None };
        cable.serve(listener);
        cable
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    fn serve(&mut self, listener: TcpListener) {
        let (cut, target): (CancellationToken, Arc<str>) = (CancellationToken::new(), self.target.as_str().into());
        let until = cut.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = until.cancelled() => return,
                    accepted = listener.accept() => accepted.unwrap().0,
                };
                let (until, target) = (until.clone(), Arc::clone(&target));
                tokio::spawn(async move { until.run_until_cancelled(forward(accepted, &target)).await });
            }
        });
        self.plugged = Some((cut, accepting));
    }

    pub(crate) async fn cut(&mut self) {
        let (cut, accepting) = self.plugged.take().unwrap();
        cut.cancel();
        accepting.await.unwrap();
    }

    pub(crate) async fn plug_in(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }
}

async fn forward(mut from: TcpStream, target: &str) {
    if let Ok(mut to) = TcpStream::connect(target).await {
        // An end of either side is nothing the proxy could do anything about.
        let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
    }
}

fn paused(component: &str) -> bool {
    let rendered = MetricsHandle::install().unwrap().render();
    let sample = format!("parquet_sink_paused{{route=\"landing\",component=\"{component}\"}} 1");
    rendered.lines().any(|line| line == sample)
}

async fn survives(name: &str, target: &str, component: &str, setting: impl Fn(SocketAddr) -> (&'static str, String)) {
    let mut cable = Cable::to(target).await;
    let world = World::new(name).await;
    let landing = world.table(&tables::landing()).await;
    let (key, value) = setting(cable.address);
    let backoff = r#"{ min = "100ms", max = "500ms", jitter = 0.1 }"#;
    let config = world.config(&["landing"], &[(key, &value), ("SINK__BACKOFF", backoff)]);
    let sink = world.start(config).await;
    world.produce("raw", 0, &vec![b"before".to_vec(); 20]).await;
    world.drained(&landing, "raw").await;

    cable.cut().await;
    world.produce("raw", 0, &vec![b"during".to_vec(); 20]).await;
    eventually("the outage shows", async || paused(component)).await;
    sleep(Duration::from_secs(2)).await;
    cable.plug_in().await;
    world.produce("raw", 1, &vec![b"after".to_vec(); 20]).await;
    world.drained(&landing, "raw").await;
    let rows: usize = world.rows(&landing).await.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, 60);
    assert!(!paused(component), "the outage is over");
    sink.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_comes_back() {
    let endpoint = Stack::from_env().s3_endpoint();
    let target = endpoint.strip_prefix("http://").unwrap().trim_end_matches('/');
    survives("no_store", target, "store", |proxy| ("LAKE__S3__ENDPOINT", format!("http://{proxy}"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_catalog_comes_back() {
    let url = Stack::from_env().iceberg_catalog_url();
    let (before, rest) = url.rsplit_once('@').unwrap();
    let (target, database) = rest.split_once('/').unwrap();
    let through = |proxy: SocketAddr| ("LAKE__CATALOG__URI", format!("{before}@{proxy}/{database}"));
    survives("no_catalog", target, "catalog", through).await;
}
