//! The command that builds the facts: after loads, one at a time, never for ever.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redshift_loader::core::refresh::RefreshPolicy;
use redshift_loader::edge::refresher::Refresher;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

fn builds(file: &Path) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

async fn until_builds(file: &Path, count: usize) {
    for _ in 0..200 {
        if builds(file) >= count {
            return;
        }
        service_runtime::sleep(Duration::from_millis(25)).await;
    }
    panic!("{count} builds did not begin within 5 s, {} did", builds(file));
}

fn refresher(script: String, timeout: Duration, loaded: &Arc<Notify>) -> Refresher {
    let policy = RefreshPolicy::new(Duration::from_millis(50));
    Refresher::new(vec!["sh".into(), "-c".into(), script], timeout, policy, Arc::clone(loaded))
}

#[tokio::test]
async fn builds_follow_loads_and_failures_are_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (file, flag) = (folder.path().join("builds"), folder.path().join("flag"));
    // Fails until the flag is there; a lot of output must not block it.
    let script = format!("echo x >> {}; seq 1 20000; seq 1 20000 >&2; test -e {}", file.display(), flag.display());
    let (loaded, shutdown) = (Arc::new(Notify::new()), CancellationToken::new());
    let running = tokio::spawn(refresher(script, Duration::from_secs(30), &loaded).run(shutdown.clone()));
    until_builds(&file, 2).await;
    std::fs::write(&flag, "").unwrap();
    service_runtime::sleep(Duration::from_millis(500)).await;
    let settled = builds(&file);
    service_runtime::sleep(Duration::from_millis(300)).await;
    assert_eq!(builds(&file), settled, "nothing was loaded, nothing is built");
    loaded.notify_one();
    until_builds(&file, settled + 1).await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_build_that_hangs_is_ended_and_another_begins() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("builds");
    let script = format!("echo x >> {}; exec sleep 600", file.display());
    let (loaded, shutdown) = (Arc::new(Notify::new()), CancellationToken::new());
    let running = tokio::spawn(refresher(script, Duration::from_millis(100), &loaded).run(shutdown.clone()));
    until_builds(&file, 2).await;
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(5), running).await.expect("shutdown ends a build").unwrap().unwrap();
}

#[tokio::test]
async fn a_command_that_does_not_exist_ends_nothing() {
    let policy = RefreshPolicy::new(Duration::from_millis(10));
    let (loaded, shutdown) = (Arc::new(Notify::new()), CancellationToken::new());
    let command = vec!["/no/such/program".to_owned()];
    let running = tokio::spawn(Refresher::new(command, Duration::from_secs(1), policy, loaded).run(shutdown.clone()));
    service_runtime::sleep(Duration::from_millis(100)).await;
    assert!(!running.is_finished());
    shutdown.cancel();
    running.await.unwrap().unwrap();
}
