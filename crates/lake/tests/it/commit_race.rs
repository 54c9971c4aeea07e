//! Eight writers that start from the same snapshot: exactly one may commit.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::join_all;
use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
use iceberg::transaction::{ApplyTransactionAction, Transaction};
use iceberg::{Catalog, CatalogBuilder, NamespaceIdent, TableCreation};
use iceberg_catalog_sql::{SqlBindStyle, SqlCatalogBuilder};
use iceberg_storage_opendal::OpenDalStorageFactory;
use lake::{CommitError, LakeTable, tables};

use crate::common::{config, count_rows, key, lake, request, write_rejected};

const WRITERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exactly_one_of_eight_racing_writers_commits() {
    let table = lake().await.open_or_create(&tables::rejected()).await.unwrap();
    let mut base = table.heads().await.unwrap();
    for round in 1..=3 {
        let mut attempts = Vec::new();
        for _ in 0..WRITERS {
            let files = write_rejected(&table, &[0, 1, 2, 3, 4]).await;
            attempts.push((table.clone(), request(&base, 5, files)));
        }
        let outcomes = join_all(
            attempts.into_iter().map(|(table, request)| tokio::spawn(async move { table.commit(&request).await })),
        )
        .await;
        let mut committed = Vec::new();
        for outcome in outcomes {
            match outcome.unwrap() {
                Ok(done) => committed.push(done),
                Err(CommitError::Stale { .. }) => {}
                Err(error) => panic!("unexpected {error:?}"),
            }
        }
        assert_eq!(committed.len(), 1, "round {round}");
        base = table.heads().await.unwrap();
        assert_eq!(base, committed[0].heads);
        assert_eq!(base.heads.get(&key(0)).unwrap().unwrap().next, 5 * round);
        assert_eq!(count_rows(&table).await, 5 * u64::try_from(round).unwrap());
    }
}

/// A zombie that holds files of an older base never gets them in, however often it tries with the same base.
#[tokio::test]
async fn a_zombie_stays_refused() {
    let table = lake().await.open_or_create(&tables::rejected()).await.unwrap();
    let base = table.heads().await.unwrap();
    let zombie = request(&base, 5, write_rejected(&table, &[0, 1, 2, 3, 4]).await);
    let living = table.commit(&request(&base, 5, write_rejected(&table, &[0, 1, 2, 3, 4]).await)).await.unwrap();
    for _ in 0..3 {
        assert!(matches!(table.commit(&zombie).await, Err(CommitError::Stale { .. })));
    }
    assert_eq!(table.heads().await.unwrap(), living.heads);
    assert_eq!(count_rows(&table).await, 5);
}

/// Why the decorator exists: with the library's own commit several of the eight get in. Should this test ever fail,
/// iceberg refuses stale appends by itself and the decorator can go.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_librarys_own_commit_lets_several_writers_in() {
    let catalog = raw_catalog().await;
    let namespace = NamespaceIdent::new(config().namespace);
    catalog.create_namespace(&namespace, HashMap::new()).await.unwrap();
    let field = NestedField::required(1, "x", Type::Primitive(PrimitiveType::Int));
    let schema = Schema::builder().with_fields([Arc::new(field)]).build().unwrap();
    let creation = TableCreation::builder().name("contrast".to_owned()).schema(schema).build();
    let base = catalog.create_table(&namespace, creation).await.unwrap();
    let outcomes = join_all((0..WRITERS).map(|writer| {
        let (catalog, base) = (Arc::clone(&catalog), base.clone());
        tokio::spawn(async move {
            let transaction = Transaction::new(&base);
            let properties = HashMap::from([("writer".to_owned(), writer.to_string())]);
            let action = transaction.fast_append().set_snapshot_properties(properties);
            action.apply(transaction).unwrap().commit(catalog.as_ref()).await.is_ok()
        })
    }))
    .await;
    let committed = outcomes.into_iter().filter(|outcome| *outcome.as_ref().unwrap()).count();
    assert!(committed > 1, "{committed} of {WRITERS} writers with one base committed");
}

async fn raw_catalog() -> Arc<dyn Catalog> {
    service_runtime::install_crypto_provider();
    let config = config();
    let properties = HashMap::from([
        ("s3.endpoint".to_owned(), config.s3.endpoint.clone()),
        ("s3.region".to_owned(), config.s3.region.clone()),
        ("s3.access-key-id".to_owned(), config.s3.access_key.expose().to_owned()),
        ("s3.secret-access-key".to_owned(), config.s3.secret_key.expose().to_owned()),
        ("s3.path-style-access".to_owned(), "true".to_owned()),
    ]);
    let catalog = SqlCatalogBuilder::default()
        .uri(config.catalog.uri.expose())
        .warehouse_location(&config.catalog.warehouse)
        .sql_bind_style(SqlBindStyle::DollarNumeric)
        .with_storage_factory(Arc::new(OpenDalStorageFactory::S3 { customized_credential_load: None }))
        .load("laketest", properties)
        .await
        .unwrap();
    Arc::new(catalog)
}

#[tokio::test]
async fn partitions_move_independently_over_commits() {
    let table: LakeTable = lake().await.open_or_create(&tables::rejected()).await.unwrap();
    let base = table.heads().await.unwrap();
    let first = table.commit(&request(&base, 5, vec![])).await.unwrap();
    let mut other = request(&first.heads, 7, vec![]);
    other.advances[0].key = key(1);
    other.advances[0].from = None;
    let second = table.commit(&other).await.unwrap();
    assert_eq!(second.heads.heads.get(&key(0)).unwrap().unwrap().next, 5, "the head of partition 0 is carried along");
    assert_eq!(second.heads.heads.get(&key(1)).unwrap().unwrap().next, 12);
}
