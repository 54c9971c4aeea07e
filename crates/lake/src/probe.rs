//! Does the store keep its promise? A conditional write that two of sixteen racing writers win is worse than none.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use futures::future::join_all;
use uuid::Uuid;

use crate::config::LakeConfig;
use crate::s3::client;

/// Writers per round. Stores that break the promise did so in most rounds with 16 of them.
const WRITERS: usize = 16;
/// Rounds: one more catches rarer mistakes and costs 20 requests.
const ROUNDS: usize = 4;

/// The store passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeReport {
    /// Races that were run.
    pub rounds: usize,
    /// Writers in each.
    pub writers: usize,
}

/// The store did not pass, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// More or fewer than one writer won a race for one key: the store must not be used.
    #[error(
        "the object store does not keep conditional writes atomic: {winners} of {writers} racing writers created the same \
         object with If-None-Match; use another store, see docs/runbooks/store-not-atomic.md"
    )]
    NotAtomic {
        /// Writers that were told they created the object.
        winners: usize,
        /// Writers in the race.
        writers: usize,
    },
    /// The store answered with something else; it may be unreachable, or the keys may be wrong.
    #[error("probe the object store: {0}")]
    Store(String),
}

impl ProbeError {
    /// Whether the probe can succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}

pub(crate) async fn conditional_writes(config: &LakeConfig) -> Result<ProbeReport, ProbeError> {
    let bucket = config.bucket().ok_or_else(|| ProbeError::Store("the warehouse names no bucket".to_owned()))?;
    let client = client(&config.s3).await;
    for _ in 0..ROUNDS {
        let key = format!("{}/.probe/{}", config.prefix(), Uuid::now_v7());
        let key = key.trim_start_matches('/');
        let race = join_all((0..WRITERS).map(|writer| create(&client, bucket, key, writer))).await;
        // A scratch object left behind by a probe that dies here is harmless; an error of the removal says nothing.
        let _ = client.delete_object().bucket(bucket).key(key).send().await;
        let winners = race.into_iter().collect::<Result<Vec<bool>, _>>()?.into_iter().filter(|won| *won).count();
        if winners != 1 {
            return Err(ProbeError::NotAtomic { winners, writers: WRITERS });
        }
    }
    Ok(ProbeReport { rounds: ROUNDS, writers: WRITERS })
}

/// Whether this writer created the object.
async fn create(client: &Client, bucket: &str, key: &str, writer: usize) -> Result<bool, ProbeError> {
    let body = ByteStream::from(format!("writer {writer}").into_bytes());
    let answer = client.put_object().bucket(bucket).key(key).if_none_match("*").body(body).send().await;
    let Err(error) = answer else { return Ok(true) };
    match error.raw_response().map(|response| response.status().as_u16()) {
        // 412: it exists. 409: another request for the key is under way; AWS asks to try again, we only count.
        Some(409 | 412) => Ok(false),
        Some(status) => Err(ProbeError::Store(format!("status {status}, {}", error.code().unwrap_or("no code")))),
        None => Err(ProbeError::Store(error.to_string())),
    }
}
