//! TLS: the certificate and key that are shown to clients, read anew when their files change.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

/// Most bytes of a certificate's or key's file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Where the certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those between it and its root, as PEM, the server's own first.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
}

/// Why a certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("`{}` cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// A file holds something else.
    #[error("`{}` holds no {what} as PEM", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// They cannot be used, or not together.
    #[error("the certificate and the key cannot be used together")]
    Unusable(#[source] rustls::Error),
}

/// What is shown to clients.
#[derive(Debug)]
pub(crate) struct Tls {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    seen: Mutex<[Stamp; 2]>,
}

/// By what a file is recognised that has changed; nothing for one that is not there.
type Stamp = Option<(i64, i64, u64, u64)>;

/// The certificate in use.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(crate) fn new(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let seen = stamps(&files);
        let shown = Arc::new(Shown(RwLock::new(Arc::new(read(&files, &provider)?))));
        let mut config = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_cert_resolver(shown.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), shown, files, provider, seen: Mutex::new(seen) })
    }

    /// Shakes hands with a client.
    ///
    /// # Errors
    /// Those of the connection, and of a client that wants something else.
    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(self.config.clone()).accept(stream).await
    }

    /// Whether a file has changed since it was last looked at.
    pub(crate) fn has_changed(&self) -> bool {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != stamps(&self.files)
    }

    /// Reads the files anew, for connections that begin from now on.
    ///
    /// # Errors
    /// [`TlsError`]; what was shown before goes on being shown.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamps(&self.files);
        let fresh = Arc::new(read(&self.files, &self.provider)?);
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let malformed = |path: &Path, what| TlsError::Malformed { path: path.to_owned(), what };
    let pem = bytes_of(&files.certificate)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| malformed(&files.certificate, "certificate"))?;
    if chain.is_empty() {
        return Err(malformed(&files.certificate, "certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(&bytes_of(&files.key)?)
        .map_err(|_| malformed(&files.key, "private key"))?;
    CertifiedKey::from_der(chain, key, provider).map_err(TlsError::Unusable)
}

/// What a file holds, in memory that is wiped; the TLS library keeps the key in memory of its own.
fn bytes_of(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let unreadable = |error| TlsError::Unreadable(path.to_owned(), error);
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    if length > FILE_BYTES_MAX {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    let capacity = usize::try_from(length).unwrap_or(0).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn stamps(files: &TlsFiles) -> [Stamp; 2] {
    [&files.certificate, &files.key].map(|path| {
        let facts = fs::metadata(path).ok()?;
        Some((facts.mtime(), facts.mtime_nsec(), facts.ino(), facts.len()))
    })
}
