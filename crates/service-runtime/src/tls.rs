//! One TLS provider for the whole process.

/// Makes aws-lc-rs the process-wide TLS provider.
///
/// The dependency tree holds two providers, and rustls refuses to guess between them: without this call the first
/// client that asks for the default panics. Calling it again, or after somebody else chose, changes nothing.
pub fn install_crypto_provider() {
    // Err means that a provider is installed already, which is all that is wanted here.
    let _already_installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
