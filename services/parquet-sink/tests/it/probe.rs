//! A store that lets two writers win is refused before anything is written to it.

use test_support::RacyStore;

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sink_does_not_start_on_a_store_that_lets_several_writers_win() {
    let world = World::new("racy").await;
    let store = RacyStore::start().await;
    let settings = [("LAKE__S3__ENDPOINT", store.endpoint()), ("SINK__PROBE_STORE", "true".to_owned())];
    let settings = settings.each_ref().map(|(key, value)| (*key, value.as_str()));
    let error = world.refused_start(world.config(&["landing"], &settings)).await;
    assert!(error.contains("racing writers created the same object"), "{error}");
    assert!(error.contains("docs/runbooks/store-not-atomic.md"), "{error}");
}
