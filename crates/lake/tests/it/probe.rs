//! The store of the local stack keeps its promise; one that cannot be written to is not taken for one that does.

use lake::{Lake, ProbeError};

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
