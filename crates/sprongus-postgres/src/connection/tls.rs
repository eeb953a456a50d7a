//! TLS to the server, as the URL's `sslmode` asks for it. `require` trusts no server but one whose certificate for this very host was
//! signed by an authority of the system (`SSL_CERT_FILE` names others). `prefer`, which is what a URL means that says nothing,
//! encrypts where the server can and asks nobody who it is, as everywhere in Postgres.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sprongus_core::Error;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

/// What makes a connection's TLS.
pub type Connector = MakeRustlsConnect;

/// The connector for a URL.
///
/// # Errors
/// `internal` when the TLS of this build offers no version that is considered safe.
pub fn connector(config: &Config) -> sprongus_core::Result<Connector> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal("cannot set up TLS").with_source(error))?;
    let config = match config.get_ssl_mode() {
        SslMode::Require => builder.with_root_certificates(authorities()).with_no_client_auth(),
        // Without TLS nothing of it is used.
        SslMode::Prefer | SslMode::Disable | _ => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
            .with_no_client_auth(),
    };
    Ok(MakeRustlsConnect::new(config))
}

/// The system's; one that cannot be read is left out, and trusts nobody.
fn authorities() -> RootCertStore {
    let mut store = RootCertStore::empty();
    let _ = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    store
}

/// Believes any certificate, and holds the server to the key in it.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
