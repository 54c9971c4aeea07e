//! TLS for the whole process: one provider, and the configuration of clients.

use std::path::Path;

use anyhow::{Context, ensure};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Makes aws-lc-rs the process-wide TLS provider.
///
/// The dependency tree holds two providers, and rustls refuses to guess between them: without this call the first
/// client that asks for the default panics. Calling it again, or after somebody else chose, changes nothing.
pub fn install_crypto_provider() {
    // Err means that a provider is installed already, which is all that is wanted here.
    let _already_installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A client that verifies certificates, host name included, against the authorities of a PEM file, or against the
/// machine's when there is no file (as `sslrootcert` does for PostgreSQL's own clients).
///
/// # Errors
/// When the file cannot be read or holds no certificate.
pub fn tls_client(ca_file: Option<&Path>) -> anyhow::Result<ClientConfig> {
    install_crypto_provider();
    let roots = match ca_file {
        Some(path) => authorities(path)?,
        None => {
            let mut roots = RootCertStore::empty();
            // A root that cannot be read is no root; a machine without any can still do without TLS.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        }
    };
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

fn authorities(path: &Path) -> anyhow::Result<RootCertStore> {
    let read = || format!("read certificates of {}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).with_context(read)? {
        roots.add(certificate.with_context(read)?).with_context(read)?;
    }
    ensure!(!roots.is_empty(), "{} holds no certificate", path.display());
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_without_a_certificate_is_refused_by_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = tls_client(Some(file.path())).unwrap_err().to_string();
        assert!(error.contains(file.path().to_str().unwrap()), "{error}");
        assert!(tls_client(Some(Path::new("/nowhere/ca.pem"))).is_err());
        assert!(tls_client(None).is_ok());
    }
}
