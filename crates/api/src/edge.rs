//! The edge towards the network beyond the address: TLS, the names of the server, the proxies in
//! front of it, and the listener for whoever runs it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Request, Uri, Version, header};

use crate::problem::Problem;
use crate::spans::Traces;
use crate::tls::TlsFiles;

/// Where proxies say for whom they ask.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// How the server meets the network. The default is plain HTTP under any name, without proxies and
/// without a listener for whoever runs it.
#[derive(Clone, Default)]
pub struct Edge {
    /// Where health and metrics are shown.
    pub admin: Option<SocketAddr>,
    /// The certificate under which it speaks TLS.
    pub tls: Option<TlsFiles>,
    /// The names under which it is asked; any, if there are none.
    pub hosts: Vec<HostName>,
    /// The proxies whose word about the caller's address is taken.
    pub trusted_proxies: Vec<Network>,
    /// Who exports spans. The proxies' word about the trace of a request is taken.
    pub traces: Option<Arc<dyn Traces>>,
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an edge with names {:?} and proxies {:?}", self.hosts, self.trusted_proxies)
    }
}

/// A name of the server, as it stands in `Host`, without the port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

/// Addresses that begin with the same bits: `10.0.0.0/8`, `2001:db8::/32`, or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// What is wrong with a name or network that was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EdgeMalformed(&'static str);

impl HostName {
    fn of(host: &str) -> Self {
        Self(host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase())
    }
}

impl FromStr for HostName {
    type Err = EdgeMalformed;

    fn from_str(text: &str) -> Result<Self, EdgeMalformed> {
        let wrong = EdgeMalformed("a host is a name or address without scheme, port and path");
        let authority: Authority = text.parse().map_err(|_| wrong)?;
        if authority.host() == text { Ok(Self::of(text)) } else { Err(wrong) }
    }
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        let shifted = |one: u128, other: u128, width: u32| {
            let below = width - self.bits;
            below >= width || (one ^ other) >> below == 0
        };
        match (self.address, address) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                shifted(one.to_bits().into(), other.to_bits().into(), 32)
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => shifted(one.to_bits(), other.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = EdgeMalformed;

    fn from_str(text: &str) -> Result<Self, EdgeMalformed> {
        let wrong = EdgeMalformed("a network is an address, or an address with `/` and its bits");
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().map_err(|_| wrong)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => width,
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse().map_err(|_| wrong)?
            }
            Some(_) => return Err(wrong),
        };
        if bits <= width { Ok(Self { address, bits }) } else { Err(wrong) }
    }
}

/// Whether a request asks for one of these names. One that asks for two asks for none.
pub(crate) fn is_for(hosts: &[HostName], uri: &Uri, headers: &HeaderMap) -> bool {
    if hosts.is_empty() {
        return true;
    }
    let mut named = Vec::with_capacity(2);
    named.extend(uri.authority().map(|authority| HostName::of(authority.host())));
    for value in headers.get_all(header::HOST) {
        let text = value.to_str().ok().filter(|text| !text.contains('@'));
        let authority = text.and_then(|text| text.parse::<Authority>().ok());
        let Some(authority) = authority else { return false };
        named.push(HostName::of(authority.host()));
    }
    let Some((first, others)) = named.split_first() else { return false };
    others.iter().all(|other| other == first) && hosts.contains(first)
}

/// Whether an address is in one of these networks.
pub(crate) fn is_among(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

/// What two readers of a request could read in two ways: for which host it is (RFC 9112, 3.2; RFC
/// 9113, 8.3.1), and where its body ends (RFC 9112, 6.1).
pub(crate) fn ambiguity<B>(request: &Request<B>) -> Option<Problem> {
    let headers = request.headers();
    let mut named = headers.get_all(header::HOST).iter();
    let host = named.next();
    if named.next().is_some() {
        return Some(Problem::invalid_header("Host", "it stands once"));
    }
    let authority = request.uri().authority();
    match (host, authority) {
        (None, None) if request.version() == Version::HTTP_11 => {
            return Some(Problem::invalid_header("Host", "it is missing"));
        }
        (Some(host), Some(authority)) if !is_host_of(host, authority) => {
            return Some(Problem::invalid_header("Host", "it is not the host of the target"));
        }
        (None | Some(_), None | Some(_)) => {}
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let coding = codings.next()?;
    if coding.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none() {
        return None;
    }
    Some(Problem::invalid_header("Transfer-Encoding", "it is `chunked`, and stands once"))
}

/// Whether nothing more is read from a connection after this request: what follows it there may
/// belong to a body that somebody else ends in another place.
pub(crate) fn is_the_last<B>(request: &Request<B>) -> bool {
    request.version() < Version::HTTP_2
        && (request.headers().contains_key(header::TRANSFER_ENCODING)
            || ambiguity(request).is_some())
}

fn is_host_of(value: &HeaderValue, authority: &Authority) -> bool {
    let named = value.to_str().ok().and_then(|text| text.parse::<Authority>().ok());
    named.is_some_and(|named| HostName::of(named.host()) == HostName::of(authority.host()))
}

/// From where a request comes: the address of the connection, or, as far as those are proxies that
/// are trusted, the one that they name. The last that names itself untrusted is believed, and
/// nothing before it: whoever asks may have written that.
pub(crate) fn caller_address(peer: IpAddr, proxies: &[Network], headers: &HeaderMap) -> IpAddr {
    let trusted = |address: IpAddr| is_among(proxies, address);
    let mut address = peer.to_canonical();
    let lines = headers.get_all(FORWARDED_FOR).iter().map(|value| value.to_str().ok());
    let lines: Vec<_> = lines.collect();
    let mut named = lines.iter().rev().flat_map(|line| {
        line.unwrap_or_default().rsplit(',').map(|part| forwarded_address(part.trim()))
    });
    while trusted(address) {
        match named.next() {
            Some(Some(before)) => address = before,
            // What a proxy has not said well ends what is known.
            Some(None) | None => break,
        }
    }
    address
}

/// An address, which some proxies write with a port.
fn forwarded_address(text: &str) -> Option<IpAddr> {
    let plain = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    plain.or_else(with_port).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: &str, proxies: &[&str], lines: &[&'static str]) -> String {
        let proxies: Vec<Network> = proxies.iter().map(|text| text.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(line));
        }
        caller_address(peer.parse().unwrap(), &proxies, &headers).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_as_far_as_it_knows() {
        let proxies = ["10.0.0.0/8", "fd00::/8"];
        for (peer, lines, expected) in [
            ("192.0.2.1", &["203.0.113.9"][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1, 203.0.113.9, 10.2.3.4"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9, nonsense, 10.2.3.4"], "10.2.3.4"),
            ("10.0.0.1", &["nonsense, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["10.0.0.7"], "10.0.0.7"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("fd00::1", &["[2001:db8::9]:4711"], "2001:db8::9"),
            ("fe00::1", &["2001:db8::9"], "fe00::1"),
        ] {
            assert_eq!(address(peer, &proxies, lines), expected, "{peer} {lines:?}");
        }
        assert_eq!(address("127.0.0.1", &[], &["203.0.113.9"]), "127.0.0.1");
    }

    #[test]
    fn a_request_names_one_host_and_ends_in_one_way() {
        for (version, uri, lines, expected) in [
            (Version::HTTP_11, "/", &[("host", "a")][..], None),
            (Version::HTTP_11, "/", &[], Some("Host")),
            (Version::HTTP_10, "/", &[], None),
            (Version::HTTP_11, "/", &[("host", "a"), ("host", "a")], Some("Host")),
            (Version::HTTP_10, "/", &[("host", "a"), ("host", "b")], Some("Host")),
            (Version::HTTP_11, "http://a/", &[("host", "A:80")], None),
            (Version::HTTP_11, "http://a/", &[("host", "b")], Some("Host")),
            (Version::HTTP_2, "http://a/", &[], None),
            (Version::HTTP_2, "http://a/", &[("host", "a")], None),
            (Version::HTTP_2, "http://a/", &[("host", "b")], Some("Host")),
            (Version::HTTP_11, "/", &[("host", "a"), ("transfer-encoding", "Chunked")], None),
            (
                Version::HTTP_11,
                "/",
                &[("host", "a"), ("transfer-encoding", "gzip, chunked")],
                Some("Transfer-Encoding"),
            ),
            (
                Version::HTTP_11,
                "/",
                &[
                    ("host", "a"),
                    ("transfer-encoding", "chunked"),
                    ("transfer-encoding", "chunked"),
                ],
                Some("Transfer-Encoding"),
            ),
        ] {
            let mut request = Request::builder().version(version).uri(uri);
            for (name, value) in lines {
                request = request.header(*name, *value);
            }
            let request = request.body(()).unwrap();
            let found = ambiguity(&request).map(|problem| format!("{problem:?}"));
            let shown = format!("{version:?} {uri} {lines:?}: {found:?}");
            match expected {
                None => assert!(found.is_none(), "{shown}"),
                Some(name) => assert!(found.is_some_and(|text| text.contains(name)), "{shown}"),
            }
        }
    }

    #[test]
    fn a_network_holds_the_addresses_that_begin_with_its_bits() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3/31", "10.1.2.2", true),
            ("10.1.2.3", "10.1.2.2", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/33", "2001:db8:8000::", false),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), expected, "{network} {address}");
        }
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "a/8"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_request_for_another_name_is_not_for_us() {
        let hosts: Vec<HostName> =
            ["vault.example", "[::1]"].iter().map(|text| text.parse().unwrap()).collect();
        for (uri, named, expected) in [
            ("/", &["vault.example"][..], true),
            ("/", &["VAULT.example.:7800"], true),
            ("/", &["[::1]:7800"], true),
            ("/", &["other.example"], false),
            ("/", &["vault.example.other.example"], false),
            ("/", &["other.example@vault.example"], false),
            ("/", &["vault.example@other.example"], false),
            ("/", &[], false),
            ("/", &["vault.example", "other.example"], false),
            ("/", &[""], false),
            ("http://vault.example/", &[], true),
            ("http://other.example/", &["vault.example"], false),
            ("http://vault.example/", &["other.example"], false),
        ] {
            let mut headers = HeaderMap::new();
            for host in named {
                headers.append(header::HOST, HeaderValue::from_static(host));
            }
            assert_eq!(
                is_for(&hosts, &uri.parse().unwrap(), &headers),
                expected,
                "{uri} {named:?}"
            );
            assert!(is_for(&[], &uri.parse().unwrap(), &headers));
        }
        for wrong in ["", "vault.example:7800", "http://vault.example", "a/b", "a@b"] {
            assert!(wrong.parse::<HostName>().is_err(), "{wrong}");
        }
    }
}
