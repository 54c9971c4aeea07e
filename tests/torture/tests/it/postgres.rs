//! The outcome of a COMMIT that is cut off, on a real PostgreSQL.

use std::time::Duration;

use test_support::{Stack, unique};
use tokio_postgres::{Client, Config, NoTls};
use torture::proxy::{Moment, TcpProxy};

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Inserts a row through the proxy, with the COMMIT cut off; how many rows there are then.
async fn rows_after(moment: Moment) -> i64 {
    let config: Config = Stack::from_env().postgres_admin_url().parse().unwrap();
    let port = config.get_ports()[0];
    let proxy = TcpProxy::start(([127, 0, 0, 1], port).into()).await.unwrap();
    let table = unique("cut");
    let direct = connect(&config).await;
    direct.batch_execute(&format!("CREATE TABLE {table} (n int)")).await.unwrap();

    let mut through = Config::new();
    through.host("127.0.0.1").port(proxy.address().port()).connect_timeout(Duration::from_secs(10));
    through.user(config.get_user().unwrap()).password(config.get_password().unwrap());
    through.dbname(config.get_dbname().unwrap());
    let mut client = connect(&through).await;
    let transaction = client.transaction().await.unwrap();
    transaction.execute(&format!("INSERT INTO {table} VALUES (1)"), &[]).await.unwrap();
    proxy.cut_at(b"COMMIT", moment, 1);
    transaction.commit().await.unwrap_err();

    // The server may still be at it; whoever asks for the table's lock waits for it.
    let locked = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; COMMIT");
    direct.batch_execute(&locked).await.unwrap();
    let count = direct.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0);
    direct.batch_execute(&format!("DROP TABLE {table}")).await.unwrap();
    count
}

#[tokio::test]
async fn a_commit_cut_before_the_server_sees_it_did_not_happen() {
    assert_eq!(rows_after(Moment::BeforeRequest).await, 0);
}

#[tokio::test]
async fn a_commit_cut_before_its_answer_happened() {
    assert_eq!(rows_after(Moment::BeforeAnswer).await, 1);
}
