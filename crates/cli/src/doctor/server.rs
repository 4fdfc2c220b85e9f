//! The server: whether it answers, and how it is.

use strongroom_client::{ClientError, Status};

use super::installation::Installation;
use crate::arguments::Common;
use crate::exit::Failure;
use crate::findings::Finding;
use crate::session::Session;
use crate::settings::{DEFAULT_SERVER, Settings};

/// Asks the server how it is.
pub(super) async fn look(
    common: &Common,
    settings: &Settings,
    installation: &Installation,
) -> Vec<Finding> {
    let address = common.server.as_deref().or(settings.server.as_deref());
    let address = address.unwrap_or(DEFAULT_SERVER);
    // What is wrong with the address or the purpose has been said by the settings' own check.
    let Ok(session) = Session::public(common, settings) else { return Vec::new() };
    match session.client.status().await {
        Ok(answer) => answered(address, &answer.value, installation),
        Err(error) => vec![silent(address, error, installation)],
    }
}

fn answered(address: &str, status: &Status, installation: &Installation) -> Vec<Finding> {
    let mut found = vec![Finding::ok("server", format!("{address} answers"))];
    found.push(if status.locked {
        Finding::warn("locked", "the server is locked: it serves nothing")
            .mend(format!("strongroom unlock --server {address}"))
    } else {
        Finding::ok("locked", "the server is unlocked")
    });
    let known = (status.install.as_deref(), installation.install);
    if let (Some(theirs), Some(ours)) = known
        && installation.is_in_use
        && theirs != ours.to_string()
    {
        let why = format!("{address} is installation {theirs}, the holder here is one of {ours}");
        found.push(
            Finding::warn("installation", why).mend("name the server's address with `--server`"),
        );
    }
    let ours = env!("CARGO_PKG_VERSION");
    if let Some(theirs) = status.version.as_deref().filter(|theirs| *theirs != ours) {
        let why = format!("the server has version {theirs}, this program {ours}");
        found.push(Finding::warn("version", why).mend("install the same version on both sides"));
    }
    found
}

/// A server that does not answer is no fault where none is running on the store.
fn silent(address: &str, error: ClientError, installation: &Installation) -> Finding {
    const CHECK: &str = "server";
    let why = Failure::from(error).message;
    if installation.is_at_rest {
        Finding::warn(CHECK, format!("no server runs on the store: {why}")).mend("strongroom serve")
    } else {
        Finding::fail(CHECK, format!("{address}: {why}"))
            .mend("strongroom serve, or name the server's address with `--server`")
    }
}
