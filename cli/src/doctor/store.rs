//! The object store: write, read and delete, and whether a conditional write has one winner.
//!
//! The lake's commits rest on conditional writes, and stores have got them wrong in ways that only a race shows.
//! Everything is written below a scratch prefix and removed again.

use super::finding::Finding;
use super::race::{Attempt, Round, judge};
use crate::exit::BadConfig;
use crate::stores::given;
use crate::verify::iceberg::LakeArgs;
use anyhow::{Context, ensure};
use futures::future::join_all;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutPayload, RetryConfig};
use std::time::{Duration, Instant};
use uuid::Uuid;

pub(super) const STORE: &str = "object store";
/// Stores that break the promise did so in most rounds with as many.
const WRITERS: usize = 16;
const SCRATCH: &str = ".meterway-doctor";

/// Credentials of the services that write the lake.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Object store")]
pub(crate) struct StoreArgs {
    /// Access key that may write; leave out to use the role of the machine
    #[arg(long, env = "S3_ACCESS_KEY", value_name = "KEY", hide_env_values = true)]
    s3_writer_access_key: Option<String>,
    /// Its secret key
    #[arg(long, env = "S3_SECRET_KEY", value_name = "KEY", hide_env_values = true)]
    s3_writer_secret_key: Option<String>,
    /// Races for one object; stores that are wrong rarely need more
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=100))]
    rounds: u8,
}

/// Tries the store.
///
/// # Errors
/// [`BadConfig`] when nothing says where it is, or the settings make no store.
pub(crate) async fn probe(args: &StoreArgs, lake: &LakeArgs) -> anyhow::Result<Vec<Finding>> {
    let writer = credentials(&args.s3_writer_access_key, &args.s3_writer_secret_key);
    if lake.s3_endpoint.is_none() && writer.is_none() {
        return Err(BadConfig("neither S3_ENDPOINT nor S3_ACCESS_KEY is set".to_owned()).into());
    }
    let store = open(lake, writer)?;
    let scratch = format!("{SCRATCH}/{}", Uuid::now_v7());
    let at = |name: String| Path::from(format!("{scratch}/{name}"));
    let mut findings = match round_trip(&store, &at("object".to_owned())).await {
        Ok(took) => {
            vec![Finding::ok(STORE, "write, read, delete", format!("{} in {} ms", place(lake), took.as_millis()))]
        }
        Err(error) => return Ok(vec![no_round_trip(&error, lake)]),
    };
    let began = Instant::now();
    let mut rounds = Vec::new();
    for number in 0..args.rounds {
        rounds.push(race(&store, &at(format!("race-{number}"))).await);
    }
    findings.push(judge(&rounds, began.elapsed()));
    if let Some(reader) = credentials(&lake.s3_access_key, &lake.s3_secret_key).filter(|reader| writer != Some(*reader))
    {
        findings.push(try_reader(&open(lake, Some(reader))?, &store, &at("reader".to_owned())).await);
    }
    Ok(findings)
}

fn credentials<'a>(key: &'a Option<String>, secret: &'a Option<String>) -> Option<(&'a str, &'a str)> {
    given(key).zip(given(secret))
}

fn open(lake: &LakeArgs, credentials: Option<(&str, &str)>) -> anyhow::Result<AmazonS3> {
    let builder = lake.store(credentials);
    // A request that is sent again could lose the race against itself.
    let once = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    builder.with_retry(once).build().map_err(BadConfig::new).context("open the object store")
}

fn place(lake: &LakeArgs) -> String {
    format!("bucket {} at {}", lake.s3_bucket, lake.s3_endpoint.as_deref().unwrap_or("AWS"))
}

async fn round_trip(store: &AmazonS3, path: &Path) -> anyhow::Result<Duration> {
    const BYTES: &[u8] = b"meterway doctor was here";
    let began = Instant::now();
    store.put(path, PutPayload::from_static(BYTES)).await.context("write an object")?;
    let read = async { store.get(path).await?.bytes().await }.await.context("read the object");
    let deleted = store.delete(path).await.context("delete the object");
    ensure!(read? == BYTES, "the object reads otherwise than it was written");
    deleted?;
    match store.head(path).await {
        Err(Error::NotFound { .. }) => Ok(began.elapsed()),
        Err(error) => Err(error).context("look for the deleted object"),
        Ok(_) => anyhow::bail!("the object is still there after it was deleted"),
    }
}

fn no_round_trip(error: &anyhow::Error, lake: &LakeArgs) -> Finding {
    let denied = |error: &Error| matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. });
    let todo = if error.chain().any(|cause| cause.downcast_ref::<Error>().is_some_and(denied)) {
        "let the writers' role read, write and delete objects of the bucket (s3:GetObject, PutObject, DeleteObject)"
    } else {
        "check endpoint, region, bucket and keys; the store's log says more"
    };
    Finding::fail(STORE, "write, read, delete", format!("{}: {error:#}", place(lake)))
        .advise("parquet-sink can't write files, or nobody can read them", todo)
}

/// Lets writers race to create one object.
async fn race(store: &AmazonS3, path: &Path) -> Round {
    let attempts = join_all((0..WRITERS).map(|writer| create(store, path, writer))).await;
    let stored = async { store.get(path).await?.bytes().await }.await;
    let stored = stored.ok().and_then(|bytes| std::str::from_utf8(&bytes).ok()?.parse().ok());
    // What stays behind when this fails is empty for a reader and costs nothing; the finding is not about it.
    let _ = store.delete(path).await;
    Round { attempts, stored }
}

async fn create(store: &AmazonS3, path: &Path, writer: usize) -> Attempt {
    match store.put_opts(path, writer.to_string().into_bytes().into(), PutMode::Create.into()).await {
        Ok(_) => Attempt::Won,
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Attempt::Lost,
        Err(error) => Attempt::Unknown(error.to_string()),
    }
}

/// The reading role must be able to read, and should not be able to write.
async fn try_reader(reader: &AmazonS3, writer: &AmazonS3, path: &Path) -> Finding {
    const CHECK: &str = "reading role";
    if let Err(error) = writer.put(path, PutPayload::from_static(b"read me")).await {
        return Finding::warn(STORE, CHECK, format!("could not be tried: {error}"))
            .advise("the object to read could not be written", "run meterway doctor again");
    }
    let read = reader.get(path).await;
    let wrote = reader.put(path, PutPayload::from_static(b"changed")).await;
    let _ = writer.delete(path).await;
    match (read, wrote) {
        (Err(error), _) => Finding::fail(STORE, CHECK, format!("may not read: {error}")).advise(
            "verify, Athena and Trino can't read the lake with this key",
            "let the role read objects of the bucket (s3:GetObject)",
        ),
        (Ok(_), Ok(_)) => Finding::warn(STORE, CHECK, "may read, and may write").advise(
            "whoever gets this key can change or remove the lake",
            "take s3:PutObject and s3:DeleteObject from the reading role",
        ),
        (Ok(_), Err(_)) => Finding::ok(STORE, CHECK, "may read, may not write"),
    }
}
