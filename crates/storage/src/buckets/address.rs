//! Where a bucket is: the text that names it, without any secret.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path as FilePath, PathBuf};

use object_store::path::Path;
use reqwest::Url;

/// What such an address begins with.
const SCHEME: &str = "s3://";
/// The region of servers that have none.
const NO_REGION: &str = "us-east-1";
/// Shortest and longest name of a bucket, in characters.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
const BUCKET_LENGTH: std::ops::RangeInclusive<usize> = 3..=63;

/// `s3://BUCKET/PREFIX?endpoint=…&region=…&credentials_file=…&ca_file=…`. Without an endpoint it is a
/// bucket of AWS, and has a region. An endpoint speaks TLS, unless it is on this machine.
#[derive(Clone, PartialEq, Eq)]
pub struct BucketAddress {
    shown: String,
    bucket: String,
    prefix: Path,
    endpoint: Option<String>,
    region: String,
    credentials: Option<PathBuf>,
    authorities: Option<PathBuf>,
}

impl BucketAddress {
    /// Whether this text is meant as one.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, without its text: somebody may have written a secret there.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = text.strip_prefix(SCHEME).ok_or("write `s3://BUCKET/PREFIX`")?;
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if place.contains('@') {
            return Err("credentials stand in a file: `credentials_file=FILE`");
        }
        let of_bucket =
            |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b".-".contains(&it);
        if !bucket.bytes().all(of_bucket) || !BUCKET_LENGTH.contains(&bucket.len()) {
            return Err("a bucket's name has 3 to 63 small letters, digits, `.` and `-`");
        }
        let mut address = Self {
            shown: text.to_owned(),
            bucket: bucket.to_owned(),
            prefix: Path::parse(prefix).map_err(|_| "the path below the bucket is none")?,
            endpoint: None,
            region: String::new(),
            credentials: None,
            authorities: None,
        };
        // As in any query, except that a `+` is one.
        let escaped = options.replace('+', "%2B");
        let query = Url::parse(&format!("s3://b/?{escaped}"))
            .map_err(|_| "the options are not well encoded")?;
        for (name, value) in query.query_pairs() {
            match &*name {
                "endpoint" => address.endpoint = Some(endpoint(&value)?),
                "region" => address.region = region(&value)?,
                "credentials_file" => address.credentials = Some(PathBuf::from(&*value)),
                "ca_file" => address.authorities = Some(PathBuf::from(&*value)),
                _ => {
                    return Err("an option is not known; there are `endpoint`, `region`, \
                                `credentials_file` and `ca_file`");
                }
            }
        }
        match (&address.endpoint, address.region.is_empty()) {
            (None, true) => Err("it names neither `endpoint=…` nor `region=…`"),
            (Some(_), true) => Ok(Self { region: NO_REGION.to_owned(), ..address }),
            (_, false) => Ok(address),
        }
    }

    /// The last name of the path below the bucket, and the address of what lies above it.
    pub fn split_last(&self) -> Option<(Self, String)> {
        let last = self.prefix.filename()?.to_owned();
        let parts: Vec<_> = self.prefix.parts().collect();
        let (_, above) = parts.split_last()?;
        Some((Self { prefix: above.iter().cloned().collect(), ..self.clone() }, last))
    }

    /// The file that holds the credentials, if they do not stand in the environment.
    pub fn credentials_file(&self) -> Option<&FilePath> {
        self.credentials.as_deref()
    }

    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    pub(super) fn prefix(&self) -> &Path {
        &self.prefix
    }

    pub(super) fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// The file with the certificates of those who may vouch for the server, if not the system's.
    pub(super) fn authorities(&self) -> Option<&FilePath> {
        self.authorities.as_deref()
    }

    /// Whether it is asked by TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        self.endpoint.as_deref().is_none_or(|endpoint| endpoint.starts_with("https://"))
    }
}

fn endpoint(text: &str) -> Result<String, &'static str> {
    const WRONG: &str =
        "an endpoint is `https://HOST` or `https://HOST:PORT`, and nothing behind it";
    let url = Url::parse(text).map_err(|_| WRONG)?;
    let is_bare = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    let host = url.host_str().filter(|_| is_bare).ok_or(WRONG)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_here =
        host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if url.scheme() == "http" && !is_here {
        return Err(
            "without TLS an endpoint is on this machine: whoever listens on the way could \
                    exchange what is kept there; say `https://`",
        );
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn region(text: &str) -> Result<String, &'static str> {
    let is_word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_word && !text.is_empty() {
        Ok(text.to_owned())
    } else {
        Err("a region has letters, digits and `-`")
    }
}

impl fmt::Display for BucketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for BucketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_bucket_prefix_and_server() {
        let address = BucketAddress::parse(
            "s3://clinic-backups/a/b?endpoint=http://127.0.0.1:9000&credentials_file=/run/c+d%20e",
        )
        .unwrap();
        assert_eq!((address.bucket(), address.prefix().as_ref()), ("clinic-backups", "a/b"));
        assert_eq!(address.endpoint(), Some("http://127.0.0.1:9000"));
        assert_eq!(address.region(), NO_REGION);
        assert_eq!(address.credentials_file(), Some(FilePath::new("/run/c+d e")));
        assert!(!address.is_encrypted());
        let (above, last) = address.split_last().unwrap();
        assert_eq!((above.prefix().as_ref(), last.as_str()), ("a", "b"));
        let of_aws = BucketAddress::parse("s3://vault?region=eu-central-1").unwrap();
        assert!(of_aws.is_encrypted() && of_aws.endpoint().is_none());
        assert!(of_aws.split_last().is_none());
    }

    #[test]
    fn an_address_that_is_none_or_holds_a_secret_is_refused_without_its_text() {
        for text in [
            "s3:/bucket",
            "s3://",
            "s3://bucket",
            "s3://Bucket?region=x",
            "s3://ab?region=x",
            "s3://bucket/a//x?region=x",
            "s3://bucket/../x?region=x",
            "s3://AKIA:hidden-4711@bucket?region=x",
            "s3://bucket/hidden-4711@x?region=x",
            "s3://bucket?secret=hidden-4711",
            "s3://bucket?region=hidden-4711/",
            "s3://bucket?endpoint=http://example.org",
            "s3://bucket?endpoint=http://10.0.0.1:9000",
            "s3://bucket?endpoint=http://localhost.example.org",
            "s3://bucket?endpoint=https://a:hidden-4711@example.org",
            "s3://bucket?endpoint=https://example.org/path",
            "s3://bucket?endpoint=ftp://127.0.0.1",
        ] {
            let why = BucketAddress::parse(text).err();
            assert!(why.is_some_and(|why| !why.contains("hidden")), "{text}: {why:?}");
        }
    }
}
