//! Buckets of S3-compatible storage: whole objects under names, written and read over the network.
//!
//! An object is durable once it was written, and is replaced as a whole. Everything ends within
//! [`CALL_TIME_MAX`], and what a server answers is read up to a bound and never repeated to anybody.

mod address;
mod credentials;
mod problem;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};

use self::wire::Wire;

pub use address::BucketAddress;
pub use credentials::Credentials;
pub use problem::BucketProblem;

/// How long anything may take that is asked of a bucket, with what is tried again.
pub const CALL_TIME_MAX: Duration = Duration::from_secs(100);
/// A request that has failed is tried again so many times, where the server or the network is at fault.
const RETRIES_MAX: usize = 3;
/// No longer after the first attempt than this is a request tried again.
const RETRY_TIME_MAX: Duration = Duration::from_secs(20);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Most names that are listed at a time; a bucket that holds more below one name is not ours.
const NAMES_MAX: usize = 1_000_000;

/// A bucket, or what lies below a prefix of it.
#[derive(Debug, Clone)]
pub struct Bucket {
    objects: Arc<AmazonS3>,
    prefix: Path,
}

impl Bucket {
    /// The bucket at this address. Nobody is asked yet.
    ///
    /// # Errors
    /// [`BucketProblem::Setup`] if the certificates that are to be believed cannot be read.
    pub fn new(address: &BucketAddress, credentials: Credentials) -> Result<Self, BucketProblem> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(address.bucket())
            .with_region(address.region())
            .with_access_key_id(credentials.key_id)
            .with_secret_access_key(credentials.secret)
            // Buckets whose objects are locked take none without a sum.
            .with_checksum_algorithm(Checksum::SHA256)
            // One request for each object: not every server knows the other one.
            .with_disable_bulk_delete(true)
            .with_client_options(ClientOptions::new().with_allow_http(!address.is_encrypted()))
            .with_retry(RetryConfig {
                backoff: BackoffConfig { max_backoff: PAUSE_MAX, ..BackoffConfig::default() },
                max_retries: RETRIES_MAX,
                retry_timeout: RETRY_TIME_MAX,
            })
            .with_http_connector(Wire::to(address)?);
        if let Some(endpoint) = address.endpoint() {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(token) = credentials.token {
            builder = builder.with_token(token);
        }
        let objects = builder.build().map_err(|error| BucketProblem::Setup(error.to_string()))?;
        Ok(Self { objects: Arc::new(objects), prefix: address.prefix().clone() })
    }

    /// Writes an object, in place of one that has this name.
    ///
    /// # Errors
    /// [`BucketProblem`].
    pub async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), BucketProblem> {
        let path = self.path(name)?;
        let put = async { self.objects.put(&path, Bytes::from(bytes).into()).await };
        within(async { Ok(put.await.map(|_| ())?) }).await
    }

    /// Reads an object of at most so many bytes.
    ///
    /// # Errors
    /// [`BucketProblem`], among them [`BucketProblem::Missing`] and [`BucketProblem::TooLong`].
    pub async fn get(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, BucketProblem> {
        let path = self.path(name)?;
        within(async {
            let found = self.objects.get(&path).await?;
            if found.meta.size > bytes_max {
                return Err(BucketProblem::TooLong);
            }
            let mut stream = found.into_stream();
            let mut bytes = Vec::new();
            while let Some(some) = stream.try_next().await? {
                bytes.extend_from_slice(&some);
                if bytes.len() as u64 > bytes_max {
                    return Err(BucketProblem::TooLong);
                }
            }
            Ok(bytes)
        })
        .await
    }

    /// The names directly below the prefix under which objects lie.
    ///
    /// # Errors
    /// [`BucketProblem`].
    pub async fn folders(&self) -> Result<Vec<String>, BucketProblem> {
        let found =
            within(async { Ok(self.objects.list_with_delimiter(Some(&self.prefix)).await?) })
                .await?;
        let names = found.common_prefixes.iter().filter_map(|path| path.filename());
        Ok(names.map(str::to_owned).collect())
    }

    /// The names of the objects below a name, without that name.
    ///
    /// # Errors
    /// [`BucketProblem`].
    pub async fn names(&self, folder: &str) -> Result<Vec<String>, BucketProblem> {
        let path = self.path(folder)?;
        within(async {
            let mut listed = self.objects.list(Some(&path));
            let mut names = Vec::new();
            while let Some(object) = listed.try_next().await? {
                names.extend(object.location.filename().map(str::to_owned));
                if names.len() > NAMES_MAX {
                    return Err(BucketProblem::TooLong);
                }
            }
            Ok(names)
        })
        .await
    }

    /// Removes an object, if it is there.
    ///
    /// # Errors
    /// [`BucketProblem`].
    pub async fn delete(&self, name: &str) -> Result<(), BucketProblem> {
        let path = self.path(name)?;
        match within(async { Ok(self.objects.delete(&path).await?) }).await {
            Err(BucketProblem::Missing) => Ok(()),
            deleted => deleted,
        }
    }

    fn path(&self, name: &str) -> Result<Path, BucketProblem> {
        let whole = format!("{}/{name}", self.prefix);
        Path::parse(whole.trim_start_matches('/')).map_err(|_| BucketProblem::Missing)
    }
}

async fn within<T>(
    work: impl Future<Output = Result<T, BucketProblem>>,
) -> Result<T, BucketProblem> {
    match tokio::time::timeout(CALL_TIME_MAX, work).await {
        Ok(done) => done,
        Err(_) => Err(BucketProblem::Unreachable("it took too long".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::thread;

    use super::*;

    fn bucket(server: SocketAddr) -> Bucket {
        let text = format!("s3://a-bucket/below?endpoint=http://{server}");
        let credentials = Credentials::new("AK", "hidden-4711", None).unwrap();
        Bucket::new(&BucketAddress::parse(&text).unwrap(), credentials).unwrap()
    }

    /// A server that answers every request so, and closes the connection.
    fn answering(answer: Vec<u8>) -> Bucket {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(&answer);
            }
        });
        bucket(server)
    }

    fn answer(head: &str, body: &str) -> Vec<u8> {
        let date = "Last-Modified: Mon, 23 Nov 2026 10:00:00 GMT\r\nETag: \"a\"";
        let length = body.len();
        format!(
            "HTTP/1.1 {head}\r\n{date}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .into_bytes()
    }

    #[tokio::test]
    async fn an_answer_becomes_what_its_owner_does_about_it() {
        let coded = |head: &str, code: &str| {
            answer(head, &format!("<Error><Code>{code}</Code><Message>hidden</Message></Error>"))
        };
        for (answer, expected) in [
            (coded("404 Not Found", "NoSuchKey"), "Missing"),
            (coded("404 Not Found", "NoSuchBucket"), "NoBucket"),
            (answer("404 Not Found", ""), "Missing"),
            (coded("403 Forbidden", "InvalidAccessKeyId"), "Credentials(\"InvalidAccessKeyId\")"),
            (coded("403 Forbidden", "AccessDenied"), "Forbidden(\"AccessDenied\")"),
            (answer("401 Unauthorized", "hidden"), "Credentials(\"401\")"),
            (coded("400 Bad Request", "EntityTooLarge"), "Refused(\"EntityTooLarge\")"),
            (coded("400 Bad Request", "QuotaExceeded"), "Full(\"QuotaExceeded\")"),
            (answer("301 Moved Permanently", "hidden"), "Refused(\"no code\")"),
            (answer("200 OK", "four"), "Ok([102, 111, 117, 114])"),
            (answer("200 OK", "five!"), "TooLong"),
        ] {
            let got = answering(answer.clone()).get("object", 4).await;
            let shown = match &got {
                Err(problem) => format!("{problem:?}"),
                Ok(_) => format!("{got:?}"),
            };
            assert_eq!(shown, expected, "{}", String::from_utf8_lossy(&answer));
            assert!(got.err().is_none_or(|problem| !problem.to_string().contains("hidden")));
        }
    }

    #[tokio::test]
    async fn of_an_endless_answer_only_so_much_is_read() {
        let endless = |head: &str| {
            let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n");
            [head.into_bytes(), vec![b'a'; 64 * 1024 * 1024]].concat()
        };
        let refused = answering(endless("403 Forbidden")).get("object", 4).await;
        assert!(refused.is_err(), "{refused:?}");
        let listed = answering(endless("200 OK")).folders().await;
        assert!(matches!(listed, Err(BucketProblem::Unreachable(_))), "{listed:?}");
    }

    #[tokio::test]
    async fn over_tls_only_whom_the_named_authority_vouches_for_is_asked() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("authority.pem");
        std::fs::write(&authority, made.cert.pem()).unwrap();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = rustls::ServerConnection::new(config.clone()).unwrap();
                let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
                if stream.read(&mut [0; 4096]).is_ok() {
                    stream.write_all(&answer("200 OK", "four")).unwrap();
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                }
            }
        });
        let at = |more: &str| {
            let text = format!("s3://a-bucket?endpoint=https://localhost:{port}{more}");
            let credentials = Credentials::new("AK", "hidden-4711", None).unwrap();
            Bucket::new(&BucketAddress::parse(&text).unwrap(), credentials)
        };
        let trusting = at(&format!("&ca_file={}", authority.display())).unwrap();
        assert_eq!(trusting.get("object", 4).await.unwrap(), b"four");
        let asked = at("").unwrap().get("object", 4).await;
        assert!(matches!(&asked, Err(BucketProblem::Unreachable(_))), "{asked:?}");
        let other = folder.path().join("nothing.pem");
        std::fs::write(&other, "nothing").unwrap();
        let other = at(&format!("&ca_file={}", other.display()));
        assert!(matches!(other, Err(BucketProblem::Setup(_))), "{other:?}");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_unreachable_soon() {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let asked = bucket(nobody).put("object", vec![1]).await;
        assert!(matches!(asked, Err(BucketProblem::Unreachable(_))), "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_is_given_up() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let bucket = bucket(silent.local_addr().unwrap());
        let begun = tokio::time::Instant::now();
        let asked = bucket.get("object", 4).await;
        assert!(matches!(asked, Err(BucketProblem::Unreachable(_))), "{asked:?}");
        assert!(begun.elapsed() <= CALL_TIME_MAX, "{:?}", begun.elapsed());
    }
}
