//! The process is killed exactly between the steps of a commit, and started again: every row is there once.
//!
//! `crash_replay` kills with rows in hand; here the files are in the store, the catalog is about to be asked, has said yes,
//! or nobody was told yet.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use lake::tables;
use test_support::free_port;

use crate::world::{World, eventually};

/// The service as a process; killed when dropped.
struct Process(Child);

impl Process {
    fn start(world: &World, fail_points: &str) -> Self {
        let admin = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let settings = [
            ("ADMIN__LISTEN", admin.to_string()),
            ("LOG__LEVEL", "warn".to_owned()),
            // So long the group waits for the dead one before its heir gets the partitions.
            ("KAFKA__PROPERTIES", r#"{ "session.timeout.ms" = "6000" }"#.to_owned()),
        ];
        let settings = settings.each_ref().map(|(key, value)| (*key, value.as_str()));
        let child = Command::new(env!("CARGO_BIN_EXE_parquet-sink"))
            .envs(world.environment(&["readings"], &settings))
            .env("METER_FAIL_POINTS", fail_points)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    async fn killed(&mut self) {
        eventually("the fail point is passed", async || self.0.try_wait().unwrap().is_some()).await;
        assert_eq!(self.0.wait().unwrap().signal(), Some(9), "it ended otherwise than at the fail point");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

async fn killed_at(point: &str) {
    let world = World::new("fail_point").await;
    let readings = world.table(&tables::readings()).await;
    let mut expected = world.decide(0, 0..40, 4).await;
    // The second pass, so that there is a commit before the one that is hit.
    let mut doomed = Process::start(&world, &format!("{point}=kill@2"));
    eventually("the first commit", async || readings.heads().await.unwrap().snapshot_id.is_some()).await;
    expected.extend(world.decide(1, 0..40, 4).await);
    expected.extend(world.decide(0, 40..60, 4).await);
    doomed.killed().await;
    let _heir = Process::start(&world, "");
    world.expect_rows(&readings, "validated", expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_behind_the_files_and_before_the_commit() {
    killed_at("sink.after_put").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_the_catalog_is_asked() {
    killed_at("lake.before_commit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_when_the_catalog_has_said_yes() {
    killed_at("lake.after_commit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_anybody_is_told() {
    killed_at("sink.after_commit").await;
}
