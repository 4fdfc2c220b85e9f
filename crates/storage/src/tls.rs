//! TLS to servers that keep data for the store: whose certificates are believed.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

/// Believes the authorities in this file, as PEM, or those of the system if there is none. Certificates
/// and their names are always checked.
pub(crate) fn trusting(authorities: Option<&Path>) -> io::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    if let Some(path) = authorities {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&std::fs::read(path)?) {
            roots.add(certificate.map_err(not_pem)?).map_err(not_pem)?;
        }
        if roots.is_empty() {
            return Err(not_pem("no certificate stands in it"));
        }
        return Ok(builder.with_root_certificates(roots).with_no_client_auth());
    }
    let verifier = Verifier::new(provider).map_err(io::Error::other)?;
    // This is how a verifier is handed in that looks into the system's own store; it checks all that
    // the built-in one checks.
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

fn not_pem(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
