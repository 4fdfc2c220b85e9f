//! `strongroom config check`: whether the file can be read and every value makes sense.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clap::CommandFactory;
use strongroom_client::ServerAddress;
use strongroom_model::{Purpose, TenantId};
use strongroom_storage::StoreUrl;

use crate::arguments::{Arguments, Common};
use crate::findings::{Finding, State, quoted};
use crate::server::telemetry::Collector;
use crate::session::authorities;
use crate::settings::{
    DEFAULT_FILE, DEFAULT_SERVER, ServeSettings, Settings, SettingsFile, TelemetrySettings,
};

/// What is wrong with the settings, and the settings as far as they can be read, with what was
/// typed for the server.
pub(crate) fn findings(
    common: &Common,
    serve: &ServeSettings,
    telemetry: &TelemetrySettings,
) -> (Vec<Finding>, Settings) {
    let (file, mut settings) = read(common);
    settings.telemetry = telemetry.clone().or(&settings.telemetry);
    settings.serve = serve.clone().or(&settings.serve);
    let mut found = vec![file];
    found.extend(variables());
    let values: Vec<_> = [
        server(common, &settings),
        ca_file(common, &settings),
        tenant(common, &settings),
        purpose(common, &settings),
        token_file(common, &settings),
        store(&settings.serve),
        listen(&settings.serve),
        edge(&settings.serve),
        traces(&settings.telemetry),
    ]
    .into_iter()
    .flatten()
    .collect();
    if values.iter().all(|finding| finding.state != State::Fail) {
        found.push(Finding::ok("settings", "every value can be used"));
    }
    found.extend(values);
    (found, settings)
}

fn read(common: &Common) -> (Finding, Settings) {
    const CHECK: &str = "configuration";
    let file = match SettingsFile::read(common.config.as_deref()) {
        Ok(Some(file)) => file,
        Ok(None) => {
            let why = format!("no `{DEFAULT_FILE}` here: flags, the environment and defaults hold");
            return (Finding::ok(CHECK, why), Settings::default());
        }
        Err(failure) => {
            let finding = Finding::fail(CHECK, failure.message)
                .mend("name a file that is there with `--config`");
            return (finding, Settings::default());
        }
    };
    match file.settings() {
        Ok(settings) => {
            (Finding::ok(CHECK, format!("`{}` can be read", file.path.display())), settings)
        }
        Err(failure) => {
            let finding = Finding::fail(CHECK, failure.message).mend("strongroom config reference");
            (finding, Settings::default())
        }
    }
}

/// A variable that nothing reads is mostly a mistyped one.
fn variables() -> Option<Finding> {
    let mut known = BTreeSet::new();
    collect(&Arguments::command(), &mut known);
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let unknown: Vec<_> = names
        .filter(|name| name.starts_with("STRONGROOM_") && !known.contains(name))
        .map(|name| format!("`{name}`"))
        .collect();
    (!unknown.is_empty()).then(|| {
        let why = format!("nothing reads {} in the environment", unknown.join(", "));
        Finding::warn("environment", why).mend("strongroom config reference")
    })
}

fn collect(command: &clap::Command, known: &mut BTreeSet<String>) {
    let names = command.get_arguments().filter_map(clap::Arg::get_env);
    known.extend(names.map(|name| name.to_string_lossy().into_owned()));
    for inner in command.get_subcommands() {
        collect(inner, known);
    }
}

fn server(common: &Common, settings: &Settings) -> Option<Finding> {
    let named = common.server.as_deref().or(settings.server.as_deref()).unwrap_or(DEFAULT_SERVER);
    let parsed = if common.readable_on_the_way {
        ServerAddress::readable_on_the_way(named)
    } else {
        named.parse()
    };
    parsed.err().map(|error| Finding::fail("server_address", format!("`{named}`: {error}")))
}

fn ca_file(common: &Common, settings: &Settings) -> Option<Finding> {
    let failure = authorities(common.ca_file.as_deref().or(settings.ca_file.as_deref())).err()?;
    let finding = Finding::fail("ca_file", failure.message);
    Some(finding.mend("name a file with certificates as PEM with `--ca-file`"))
}

fn tenant(common: &Common, settings: &Settings) -> Option<Finding> {
    let named = common.tenant.as_deref().or(settings.tenant.as_deref())?;
    if named == "provider" {
        return None;
    }
    let error = named.parse::<TenantId>().err()?;
    Some(Finding::fail("tenant", format!("`{named}`: {error}")).mend("strongroom tenants list"))
}

fn purpose(common: &Common, settings: &Settings) -> Option<Finding> {
    let named = common.purpose.as_deref().or(settings.purpose.as_deref())?;
    let error = named.parse::<Purpose>().err()?;
    Some(Finding::fail("purpose", format!("`{named}`: {error}")))
}

fn token_file(common: &Common, settings: &Settings) -> Option<Finding> {
    const CHECK: &str = "token_file";
    let path = common.token_file.as_deref().or(settings.token_file.as_deref())?;
    if path == Path::new("-") {
        return None;
    }
    match std::fs::metadata(path) {
        Ok(facts) if facts.permissions().mode() & 0o077 != 0 => {
            let why = format!("others may read `{}`", path.display());
            Some(Finding::warn(CHECK, why).mend(format!("chmod 600 {}", quoted(path))))
        }
        Ok(_) => None,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let why = format!("`{}` is not there", path.display());
            let mend = format!("strongroom login --token-file {}", quoted(path));
            Some(Finding::warn(CHECK, why).mend(mend))
        }
        Err(error) => Some(Finding::fail(CHECK, format!("`{}`: {error}", path.display()))),
    }
}

fn store(serve: &ServeSettings) -> Option<Finding> {
    let error = StoreUrl::parse(serve.store.as_deref()?).err()?;
    Some(Finding::fail("store_url", error.to_string()))
}

fn listen(serve: &ServeSettings) -> Option<Finding> {
    let failure = serve.where_to_listen().err()?;
    Some(Finding::fail("listen", failure.message).mend("strongroom serve --listen 127.0.0.1:7800"))
}

fn edge(serve: &ServeSettings) -> Option<Finding> {
    let failure = serve.edge().err()?;
    Some(Finding::fail("edge", failure.message).mend("strongroom config reference"))
}

fn traces(telemetry: &TelemetrySettings) -> Option<Finding> {
    let failure = Collector::of(telemetry).err()?;
    Some(Finding::fail("telemetry", failure.message).mend("strongroom config reference"))
}
