//! Where the server is, parsed once.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

use crate::ClientError;

/// The server's address: scheme, host and port, such as `https://vault.example` or
/// `http://127.0.0.1:7800`.
///
/// Without TLS it is a loopback address, because the token would travel readable for everybody on
/// the way; [`ServerAddress::readable_on_the_way`] is the exception by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress(Url);

impl ServerAddress {
    /// An address of another machine without TLS. Whoever can listen on the way reads the token and
    /// all data: only for networks in which nobody can.
    ///
    /// # Errors
    /// [`ClientError::Address`] if it is no address.
    pub fn readable_on_the_way(text: &str) -> Result<Self, ClientError> {
        parse(text).map(Self)
    }

    /// Whether it is asked by TLS.
    pub fn has_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The URL of a path of the API, with a query.
    pub(crate) fn url(&self, path: &str, query: &[(&str, String)]) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

fn parse(text: &str) -> Result<Url, ClientError> {
    let url = Url::parse(text).map_err(|_| {
        ClientError::Address(
            "a server's address looks like `https://vault.example` or `http://127.0.0.1:7800`",
        )
    })?;
    let bare = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    if bare {
        Ok(url)
    } else {
        Err(ClientError::Address(
            "a server's address is `https://` or `http://`, a host and a port, without user, path or \
             query",
        ))
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl FromStr for ServerAddress {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        let url = parse(text)?;
        if url.scheme() == "https" || is_loopback(&url) {
            Ok(Self(url))
        } else {
            Err(ClientError::Address(
                "without TLS the server's address must be a loopback address: the token would \
                 travel readable for everybody on the way; say `https://`",
            ))
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_spoken_to_without_tls() {
        for good in [
            "http://127.0.0.1:7800",
            "http://localhost:1/",
            "http://[::1]:7800",
            "http://127.9.9.9",
            "https://127.0.0.1",
            "https://vault.example:7800/",
            "https://[2001:db8::1]",
        ] {
            assert!(good.parse::<ServerAddress>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1:7800",
            "http://example.org",
            "http://10.0.0.1:7800",
            "http://localhost.example.org",
            "http://127.0.0.1.example.org",
            "https://",
            "https://user@vault.example",
            "https://vault.example/v1",
            "ftp://127.0.0.1",
            "http://user@127.0.0.1",
            "http://:word@127.0.0.1",
            "http://127.0.0.1/v1",
            "http://127.0.0.1/?a=b",
            "http://127.0.0.1/#a",
        ] {
            assert!(bad.parse::<ServerAddress>().is_err(), "{bad}");
        }
        assert!(ServerAddress::readable_on_the_way("http://10.0.0.1:7800").is_ok());
        assert!(ServerAddress::readable_on_the_way("http://a@10.0.0.1:7800").is_err());
    }

    #[test]
    fn an_address_is_shown_as_it_is_typed() {
        let address: ServerAddress = "http://127.0.0.1:7800/".parse().unwrap();
        assert_eq!(address.to_string(), "http://127.0.0.1:7800");
        let url = address.url("/v1/a", &[("cursor", "a b&c=d/é".to_owned())]);
        assert_eq!(url.as_str(), "http://127.0.0.1:7800/v1/a?cursor=a+b%26c%3Dd%2F%C3%A9");
    }
}
