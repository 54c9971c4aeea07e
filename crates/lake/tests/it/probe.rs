//! The store of the local stack keeps its promise; one that cannot be written to is not taken for one that does.

use lake::{Lake, ProbeError};
use test_support::RacyStore;

use crate::common::{config, lake};

#[tokio::test]
async fn the_store_lets_one_writer_win() {
    let report = lake().await.probe_store().await.unwrap();
    assert!(report.rounds >= 1 && report.writers == 16);
}

#[tokio::test]
async fn a_refused_key_is_an_error_and_no_verdict() {
    service_runtime::install_crypto_provider();
    let mut config = config();
    config.s3.secret_key = "wrong".into();
    let error = Lake::connect(&config).await.unwrap().probe_store().await.unwrap_err();
    assert!(matches!(error, ProbeError::Store(_)), "{error:?}");
    assert!(error.is_transient());
}

/// A store that passes every sequential test and lets several writers win a race.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_lets_several_writers_win_is_refused() {
    service_runtime::install_crypto_provider();
    let store = RacyStore::start().await;
    let mut config = config();
    config.s3.endpoint = store.endpoint();
    let error = Lake::connect(&config).await.unwrap().probe_store().await.unwrap_err();
    assert!(matches!(error, ProbeError::NotAtomic { winners: 2.., writers: 16 }), "{error:?}");
    assert!(!error.is_transient(), "trying again makes it no better");
}
