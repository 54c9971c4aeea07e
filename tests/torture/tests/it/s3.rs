//! Conditional writes to a real S3 server whose answers get lost: what a client may conclude from its retries.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{BackoffConfig, Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig};
use test_support::{Stack, unique};
use torture::proxy::{HttpFault, HttpProxy, Rule, Times};

struct Scene {
    proxy: HttpProxy,
    /// Through the proxy; signs the proxy's address.
    through: AmazonS3,
    direct: AmazonS3,
    key: Path,
}

impl Scene {
    async fn new() -> Self {
        service_runtime::install_crypto_provider();
        let stack = Stack::from_env();
        let endpoint = stack.s3_endpoint();
        let upstream = endpoint.trim_start_matches("http://").parse().unwrap();
        let proxy = HttpProxy::start(upstream, 1).await.unwrap();
        Self {
            through: store(&stack, &format!("http://{}", proxy.address())),
            direct: store(&stack, &endpoint),
            key: Path::from(format!("torture/{}", unique("object"))),
            proxy,
        }
    }

    async fn create(&self, bytes: &'static [u8]) -> object_store::Result<()> {
        let options = PutOptions::from(PutMode::Create);
        self.through.put_opts(&self.key, bytes.into(), options).await.map(drop)
    }

    async fn stored(&self) -> Option<Vec<u8>> {
        match self.direct.get(&self.key).await {
            Ok(object) => Some(object.bytes().await.unwrap().to_vec()),
            Err(Error::NotFound { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn put(&self, fault: HttpFault, times: u64) {
        self.proxy.inject(Rule::new(fault).method("PUT").times(Times::Next(times)));
    }
}

fn store(stack: &Stack, endpoint: &str) -> AmazonS3 {
    let backoff = BackoffConfig { init_backoff: Duration::from_millis(5), ..BackoffConfig::default() };
    let retry = RetryConfig { backoff, max_retries: 5, ..RetryConfig::default() };
    let builder = AmazonS3Builder::new().with_endpoint(endpoint).with_allow_http(true).with_retry(retry);
    let builder = builder.with_bucket_name(stack.s3_bucket()).with_region(stack.s3_region());
    let builder = builder.with_access_key_id(stack.s3_access_key()).with_secret_access_key(stack.s3_secret_key());
    builder.with_conditional_put(S3ConditionalPut::ETagMatch).build().unwrap()
}

#[tokio::test]
async fn signed_requests_pass_and_busy_answers_are_tried_again() {
    let scene = Scene::new().await;
    scene.put(HttpFault::SlowDown, 3);
    scene.create(b"first").await.unwrap();
    assert_eq!(scene.stored().await.as_deref(), Some(&b"first"[..]));
    assert_eq!(scene.proxy.counts().of("slow_down"), 3);
    let second = scene.create(b"second").await.unwrap_err();
    assert!(matches!(second, Error::AlreadyExists { .. }), "{second}");
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_stored_although_the_client_fails() {
    let scene = Scene::new().await;
    scene.put(HttpFault::LostAnswer, 1);
    // The client may not repeat it by itself, or finds its own object when it does: an error either way.
    scene.create(b"first").await.unwrap_err();
    assert_eq!(scene.stored().await.as_deref(), Some(&b"first"[..]));
}

#[tokio::test]
async fn of_half_an_upload_nothing_is_stored() {
    let scene = Scene::new().await;
    scene.put(HttpFault::HalfRequest, 6);
    scene.create(&[7; 200_000]).await.unwrap_err();
    assert_eq!(scene.stored().await, None);
    assert!(scene.proxy.counts().of("half_request") >= 1);
    scene.proxy.clear();
    scene.create(b"first").await.unwrap();
}

#[tokio::test]
async fn of_many_creates_in_a_storm_exactly_one_is_stored_and_no_two_believe_they_won() {
    let scene = Arc::new(Scene::new().await);
    for fault in [HttpFault::LostAnswer, HttpFault::HalfAnswer, HttpFault::Conflict, HttpFault::SlowDown] {
        scene.proxy.inject(Rule::new(fault).method("PUT").times(Times::Share(0.2)));
    }
    let writers: [&'static [u8]; 6] = [b"0", b"1", b"2", b"3", b"4", b"5"];
    let races = writers.map(|bytes| {
        let scene = Arc::clone(&scene);
        tokio::spawn(async move { scene.create(bytes).await.is_ok().then_some(bytes) })
    });
    let mut winners = Vec::new();
    for race in races {
        winners.extend(race.await.unwrap());
    }
    assert!(winners.len() <= 1, "{winners:?}");
    let stored = scene.stored().await;
    if let Some(winner) = winners.first() {
        assert_eq!(stored.as_deref(), Some(*winner));
    }
}
