//! What a command talks through: a client with the token, purpose and tenant that were named.

use std::path::Path;
use std::sync::Arc;

use strongroom_client::{Authorities, Client, Place, Scoped, ServerAddress};
use strongroom_crypto::SystemRng;
use strongroom_model::{NamedUser, Purpose, TenantId};

use crate::arguments::Common;
use crate::exit::Failure;
use crate::files;
use crate::screen::Screen;
use crate::settings::{DEFAULT_SERVER, Settings};

/// A client, where it works, and where its answers are shown.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) screen: Screen,
    tenant: Option<String>,
}

/// `usr_…`, or `ext:` and the product's own id.
fn named_user(text: &str) -> Result<NamedUser, Failure> {
    let named = match text.strip_prefix("ext:") {
        Some(id) => id.parse().map(NamedUser::External),
        None => text.parse().map(NamedUser::Id),
    };
    named.map_err(|error| Failure::usage(format!("`--user`: {error}")))
}

impl Session {
    /// A session with the token that is named, for commands that need one.
    pub(crate) fn signed_in(common: &Common, settings: &Settings) -> Result<Self, Failure> {
        let path = common.token_file.as_deref().or(settings.token_file.as_deref());
        let path = path.ok_or_else(|| {
            Failure::new(
                crate::exit::Exit::Denied,
                "no token: name its file with `--token-file` or `STRONGROOM_TOKEN_FILE`, or sign in \
                 with `strongroom login`",
            )
        })?;
        Self::new(common, settings, Some(path))
    }

    /// A session for the routes that need no token.
    pub(crate) fn public(common: &Common, settings: &Settings) -> Result<Self, Failure> {
        Self::new(common, settings, None)
    }

    fn new(common: &Common, settings: &Settings, token: Option<&Path>) -> Result<Self, Failure> {
        let named = common.server.as_deref().or(settings.server.as_deref());
        let named = named.unwrap_or(DEFAULT_SERVER);
        let address: ServerAddress = if common.readable_on_the_way {
            ServerAddress::readable_on_the_way(named)?
        } else {
            named.parse()?
        };
        let token = token.map(files::secret).transpose()?;
        let token = token.as_ref().map(|token| token.as_str());
        let authorities = authorities(common.ca_file.as_deref().or(settings.ca_file.as_deref()))?;
        let rng = Arc::new(SystemRng::new());
        let mut client = Client::trusting(&authorities, address, token, rng)?;
        if let Some(purpose) = common.purpose.as_deref().or(settings.purpose.as_deref()) {
            let purpose: Purpose =
                purpose.parse().map_err(|error| Failure::usage(format!("`--purpose`: {error}")))?;
            client = client.for_purpose(&purpose);
        }
        if let Some(user) = &common.for_user {
            client = client.acting_for(&named_user(user)?);
        }
        if let Some(reason) = &common.reason {
            client = client.because(reason)?;
        }
        let screen = Screen::new(common.output.or(settings.output), common.verbose);
        let tenant = common.tenant.clone().or_else(|| settings.tenant.clone());
        Ok(Self { client, screen, tenant })
    }

    /// The tenant that was named, or else the token's own.
    pub(crate) async fn place(&self) -> Result<Place, Failure> {
        let named = match &self.tenant {
            Some(named) => named.clone(),
            None => self.client.whoami().await?.value.tenant,
        };
        if named == "provider" {
            return Ok(Place::Provider);
        }
        let tenant =
            named.parse().map_err(|error| Failure::usage(format!("`--tenant`: {error}")))?;
        Ok(Place::of(tenant))
    }

    /// The tenant that a command names by itself, or else as [`Session::place`].
    pub(crate) async fn tenant(&self, named: Option<TenantId>) -> Result<TenantId, Failure> {
        if let Some(tenant) = named {
            return Ok(tenant);
        }
        match self.place().await? {
            Place::Tenant(tenant) => Ok(tenant),
            Place::Provider => Err(Failure::usage("name the tenant: this token is the provider's")),
        }
    }

    /// The calls of that tenant.
    pub(crate) async fn scoped(&self) -> Result<Scoped<'_>, Failure> {
        Ok(self.client.at(self.place().await?))
    }
}

/// The system's certificate authorities, and those in this file.
pub(crate) fn authorities(more: Option<&Path>) -> Result<Authorities, Failure> {
    let Some(path) = more else { return Ok(Authorities::default()) };
    let pem = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
    Authorities::and_those_in(&pem)
        .map_err(|error| Failure::local(format!("`{}`: {error}", path.display())))
}
