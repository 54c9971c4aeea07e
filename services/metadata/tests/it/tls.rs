//! TLS to the database: the real PostgreSQL behind a proxy that ends TLS, with certificates made for the test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use metadata::config::PostgresConfig;
use metadata::edge::database::Database;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use service_runtime::Secret;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::{TestDatabase, World, postgres};

struct Certificate {
    pem: PathBuf,
    key: PathBuf,
}

/// Makes a certificate for the name: an authority's own, or a server's that the authority signs.
fn certificate(folder: &Path, name: &str, authority: Option<&Certificate>) -> Certificate {
    let [config, pem, key] = ["cnf", "pem", "key"].map(|kind| folder.join(format!("{name}.{kind}")));
    let is_authority = if authority.is_none() { "TRUE" } else { "FALSE" };
    let text = format!(
        "[req]\ndistinguished_name = name\nprompt = no\n[name]\nCN = {name}\n\
         [extensions]\nbasicConstraints = critical, CA:{is_authority}\nsubjectAltName = DNS:{name}\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1".split(' '));
    openssl.args(["-extensions", "extensions", "-config"]).arg(&config).arg("-keyout").arg(&key).arg("-out").arg(&pem);
    if let Some(authority) = authority {
        openssl.arg("-CA").arg(&authority.pem).arg("-CAkey").arg(&authority.key);
    }
    let made = openssl.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Certificate { pem, key }
}

/// Ends TLS as PostgreSQL does: the client asks for it in eight bytes and is answered `S`.
async fn serve_tls(certificate: &Certificate, behind: String) -> SocketAddr {
    let chain = vec![CertificateDer::from_pem_file(&certificate.pem).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let mut asked = [0; 8];
                client.read_exact(&mut asked).await?;
                client.write_all(b"S").await?;
                let mut encrypted = acceptor.accept(client).await?;
                let mut server = TcpStream::connect(behind).await?;
                tokio::io::copy_bidirectional(&mut encrypted, &mut server).await
            });
        }
    });
    address
}

/// The database's settings by way of the proxy, under the given name.
fn through(database: &TestDatabase, proxy: SocketAddr, name: &str, ca_file: &Path) -> PostgresConfig {
    let plain = postgres(database, 2);
    let url = plain.url.expose().to_owned();
    let (login, rest) = url.rsplit_once('@').unwrap();
    let (_, path) = rest.split_once('/').unwrap();
    let url = Secret::new(format!("{login}@{name}:{}/{path}?hostaddr=127.0.0.1", proxy.port()));
    PostgresConfig { url, ca_file: Some(ca_file.to_owned()), ..plain }
}

#[tokio::test]
async fn only_a_server_that_a_known_authority_vouches_for_is_talked_to() {
    let world = World::start().await;
    let folder = TempDir::new().unwrap();
    let authority = certificate(folder.path(), "authority.example", None);
    let other = certificate(folder.path(), "other.example", None).pem;
    let server = certificate(folder.path(), "db.example", Some(&authority));
    let good = authority.pem;
    let url = postgres(&world.database, 2).url;
    let behind = url.expose().rsplit_once('@').unwrap().1.split_once('/').unwrap().0.to_owned();
    let proxy = serve_tls(&server, behind).await;

    let trusted = Database::new(&through(&world.database, proxy, "db.example", &good)).unwrap();
    trusted.verify_isolation().await.unwrap();
    for (name, ca_file) in [("db.example", &other), ("elsewhere.example", &good)] {
        let refused = Database::new(&through(&world.database, proxy, name, ca_file)).unwrap().connection().await;
        let refused = anyhow::Error::from(refused.unwrap_err());
        assert!(format!("{refused:#}").contains("certificate"), "{name}: {refused:#}");
    }
    // A server that can't encrypt is not talked to in the clear.
    let mut plain = postgres(&world.database, 2);
    plain.ca_file = Some(good);
    assert!(Database::new(&plain).unwrap().connection().await.is_err());
    plain.ca_file = Some(folder.path().join("missing.pem"));
    assert!(Database::new(&plain).unwrap_err().to_string().contains("postgres.ca_file"));
    world.stop().await;
}
