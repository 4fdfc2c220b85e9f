//! The client: where the server is, who asks, and for which purpose.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use strongroom_model::{NamedUser, Purpose, Rng, TenantId};
use zeroize::Zeroizing;

use crate::{Authorities, ClientError, ServerAddress};

/// A server that does not take a connection within this time cannot be reached.
const CONNECT_SECONDS_MAX: u64 = 5;
/// An answer that has not come within this time does not come. An erasure waits for its batch.
const REQUEST_SECONDS_MAX: u64 = 120;
/// A reason is percent-encoded and has at most so many bytes before that.
const REASON_BYTES_MAX: usize = 512;

/// A client of one server with one credential. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    address: Arc<ServerAddress>,
    headers: HeaderMap,
    rng: Arc<dyn Rng>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a client of {}", self.address)
    }
}

impl Client {
    /// A client of the server at this address, believing the system's certificate authorities.
    ///
    /// # Errors
    /// Those of [`Client::trusting`].
    pub fn new(
        address: ServerAddress,
        token: Option<&str>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, ClientError> {
        Self::trusting(&Authorities::default(), address, token, rng)
    }

    /// A client of the server at this address. Without a token only the public routes answer. With
    /// `https://` the server's certificate must come from one of these authorities. Randomness is for
    /// idempotency keys and for spreading retries.
    ///
    /// The token is kept in a header value that is marked sensitive, so that it is not printed; it
    /// is not wiped.
    ///
    /// # Errors
    /// [`ClientError::Header`] if the token cannot stand in a header; [`ClientError::Authorities`] if
    /// the system's authorities are needed and cannot be read.
    pub fn trusting(
        authorities: &Authorities,
        address: ServerAddress,
        token: Option<&str>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, ClientError> {
        let tls = if address.has_tls() { authorities.tls()? } else { Authorities::nobody()? };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .tls_info(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
            .timeout(Duration::from_secs(REQUEST_SECONDS_MAX))
            .user_agent(concat!("strongroom-client/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| ClientError::Header("the HTTP client cannot be built"))?;
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let bearer = Zeroizing::new(format!("Bearer {token}"));
            let mut value = HeaderValue::from_str(&bearer)
                .map_err(|_| ClientError::Header("the token has characters that no token has"))?;
            value.set_sensitive(true);
            headers.insert("authorization", value);
        }
        Ok(Self { http, address: Arc::new(address), headers, rng })
    }

    /// The same client, stating this purpose with every request.
    pub fn for_purpose(mut self, purpose: &Purpose) -> Self {
        if let Ok(value) = HeaderValue::from_str(purpose.as_str()) {
            self.headers.insert("strongroom-purpose", value);
        }
        self
    }

    /// The same client, making every request for this user: for a backend, and for an API key that acts
    /// for users.
    pub fn acting_for(mut self, user: &NamedUser) -> Self {
        let text = match user {
            NamedUser::Id(id) => id.to_string(),
            NamedUser::External(id) => format!("ext:{}", percent_encoded(id.as_str())),
        };
        // Both are plain ASCII, which can stand in a header.
        if let Ok(mut value) = HeaderValue::from_str(&text) {
            value.set_sensitive(true);
            self.headers.insert("strongroom-user", value);
        }
        self
    }

    /// The same client, giving this reason with every request. The server seals it with the audit
    /// line's personal part.
    ///
    /// # Errors
    /// [`ClientError::Header`] above 512 bytes.
    pub fn because(mut self, reason: &str) -> Result<Self, ClientError> {
        if reason.len() > REASON_BYTES_MAX {
            return Err(ClientError::Header("a reason has at most 512 bytes"));
        }
        let mut value = HeaderValue::from_str(&percent_encoded(reason))
            .map_err(|_| ClientError::Header("the reason cannot stand in a header"))?;
        value.set_sensitive(true);
        self.headers.insert("strongroom-reason", value);
        Ok(self)
    }

    /// The calls of one tenant, or of the provider.
    pub fn at(&self, place: Place) -> Scoped<'_> {
        Scoped { client: self, place }
    }

    /// Where the server is.
    pub fn address(&self) -> &ServerAddress {
        &self.address
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(crate) fn rng(&self) -> &dyn Rng {
        &*self.rng
    }
}

/// Everything but the unreserved characters of RFC 3986 as `%XX`.
pub(crate) fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Whose users, classes and records: those of a tenant, or the provider's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The provider.
    Provider,
    /// A tenant.
    Tenant(TenantId),
}

impl Place {
    /// The place of this tenant's own things.
    pub fn of(tenant: TenantId) -> Self {
        if tenant == TenantId::PROVIDER { Self::Provider } else { Self::Tenant(tenant) }
    }
}

/// The calls of one tenant, or of the provider.
#[derive(Debug, Clone, Copy)]
pub struct Scoped<'c> {
    pub(crate) client: &'c Client,
    pub(crate) place: Place,
}

impl Scoped<'_> {
    pub(crate) fn path(&self, rest: &str) -> String {
        match self.place {
            Place::Provider => format!("/v1/provider/{rest}"),
            Place::Tenant(tenant) => format!("/v1/tenants/{tenant}/{rest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_in_any_language_stands_in_a_header() {
        assert_eq!(
            percent_encoded("on request, żółć\n"),
            "on%20request%2C%20%C5%BC%C3%B3%C5%82%C4%87%0A"
        );
    }
}
