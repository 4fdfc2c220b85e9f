//! Whom the client believes about who a server is: the system's certificate authorities, and those
//! that are named beside them.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::ClientError;

/// Certificate authorities. The default is the system's alone.
#[derive(Debug, Clone, Default)]
pub struct Authorities {
    named: Vec<CertificateDer<'static>>,
}

impl Authorities {
    /// The system's authorities, and those whose certificates stand here as PEM.
    ///
    /// # Errors
    /// [`ClientError::Authorities`] if there is no certificate in it, or one that is none.
    pub fn and_those_in(pem: &[u8]) -> Result<Self, ClientError> {
        let malformed = ClientError::Authorities("no certificate as PEM is there");
        let named: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|_| ClientError::Authorities("what is there cannot be read as PEM"))?;
        if named.is_empty() { Err(malformed) } else { Ok(Self { named }) }
    }

    /// How the client speaks TLS: 1.2 and 1.3, HTTP/1.1 inside.
    ///
    /// # Errors
    /// [`ClientError::Authorities`] if the system's authorities cannot be read, or a named one is none.
    pub fn tls(&self) -> Result<ClientConfig, ClientError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier::new_with_extra_roots(self.named.iter().cloned(), provider.clone());
        let verifier = verifier.map_err(|error| match error {
            rustls::Error::InvalidCertificate(_) => {
                ClientError::Authorities("what is there is no certificate of an authority")
            }
            _ => ClientError::Authorities("the system's certificate authorities cannot be read"),
        })?;
        // This is how a verifier is handed in that looks into the system's own store; it checks all
        // that the built-in one checks.
        let mut config = builder(provider)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// What a client is made with that will not speak TLS: it believes nobody.
    pub(crate) fn nobody() -> Result<ClientConfig, ClientError> {
        let builder = builder(Arc::new(ring::default_provider()))?;
        Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    }
}

fn builder(
    provider: Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, ClientError> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| ClientError::Header("the HTTP client cannot be built"))
}

/// What webpki calls a certificate of an authority where that of a server should be.
const AUTHORITY_AS_SERVER: &str = "CaUsedAsEndEntity";

/// What is wrong with the TLS of whoever answers, if it is that.
pub(crate) fn distrust(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return reason(error);
        }
        // What an error of input and output wraps is not among its sources.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

fn reason(error: &rustls::Error) -> Option<&'static str> {
    let rustls::Error::InvalidCertificate(flaw) = error else {
        return match error {
            rustls::Error::InvalidMessage(_) => Some("what answers there speaks no TLS"),
            rustls::Error::AlertReceived(_) | rustls::Error::PeerIncompatible(_) => {
                Some("it and this program have no way of TLS in common")
            }
            _ => None,
        };
    };
    Some(match flaw {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate comes from an authority that is not known here"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has ended"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name"
        }
        CertificateError::Revoked => "its certificate was revoked",
        // `openssl req -x509` makes such ones. The library has no other way to tell it than its text.
        CertificateError::Other(other) if other.to_string().contains(AUTHORITY_AS_SERVER) => {
            "its certificate is one of an authority, perhaps signed by itself, and not one that an \
             authority has given to a server"
        }
        _ => "its certificate cannot be used",
    })
}
