//! The server: whether it answers, and how it is.

use strongroom_client::{ClientError, Status};
use strongroom_model::{Clock, Timestamp};
use strongroom_vault::SystemClock;

use super::installation::Installation;
use crate::arguments::Common;
use crate::exit::Failure;
use crate::findings::Finding;
use crate::session::Session;
use crate::settings::{DEFAULT_SERVER, Settings};

/// A certificate that ends within so many days should have been renewed by now.
const CERTIFICATE_DAYS_WARN: i64 = 21;
/// With less the renewal has failed, and soon nobody comes in.
const CERTIFICATE_DAYS_FAIL: i64 = 3;
const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

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
        Ok(answer) => {
            let mut found = answered(address, &answer.value, installation);
            if session.client.address().has_tls() {
                let end = session.client.certificate_ends_at().await.ok().flatten();
                found.push(certificate(end, SystemClock::new().now()));
            }
            found
        }
        Err(error) => vec![silent(address, error, installation)],
    }
}

/// How long the server's certificate will still be good.
fn certificate(end: Option<Timestamp>, now: Timestamp) -> Finding {
    const CHECK: &str = "certificate";
    let Some(end) = end else {
        return Finding::warn(CHECK, "when the server's certificate ends cannot be read");
    };
    let left = end.as_micros().saturating_sub(now.as_micros()) / DAY_MICROS;
    let why = format!("the server's certificate ends at {end}, in {left} days");
    let mend = "renew it: the server takes the new files within a minute, or at SIGHUP";
    if left < CERTIFICATE_DAYS_FAIL {
        Finding::fail(CHECK, why).mend(mend)
    } else if left < CERTIFICATE_DAYS_WARN {
        Finding::warn(CHECK, why).mend(mend)
    } else {
        Finding::ok(CHECK, why)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::State;

    #[test]
    fn a_certificate_is_renewed_before_it_ends() {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let check = |days: i64| certificate(Some(now.plus_seconds(days * 86_400)), now);
        assert_eq!(check(CERTIFICATE_DAYS_WARN).state, State::Ok);
        assert_eq!(check(CERTIFICATE_DAYS_WARN - 1).state, State::Warn);
        assert_eq!(check(CERTIFICATE_DAYS_FAIL).state, State::Warn);
        assert_eq!(check(CERTIFICATE_DAYS_FAIL - 1).state, State::Fail);
        assert_eq!(check(-1).state, State::Fail);
        assert!(check(40).why.contains("in 40 days"));
        assert_eq!(certificate(None, now).state, State::Warn);
    }
}
