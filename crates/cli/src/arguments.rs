//! The command line: what may be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use strongroom_client::IfMatch;

use crate::screen::Output;
use crate::{commands, completions, config, doctor, manual, server};

/// A vault for the client data of a SaaS provider: server, administration and client.
///
/// Data goes to standard output, everything else to standard error. Tokens, passphrases and client
/// data are never arguments: they come from files or from standard input. Exit codes: 0 done,
/// 1 failed here, 2 wrong usage, 3 not signed in or not allowed, 4 not found, 5 conflict, 6 server
/// unreachable or locked, 7 partly done, 8 a check failed.
#[derive(Debug, Parser)]
#[command(name = "strongroom", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The server's address, `https://…`, or `http://…` on this machine [default: http://127.0.0.1:7800]
    #[arg(long, global = true, value_name = "URL", env = "STRONGROOM_SERVER")]
    pub(crate) server: Option<String>,
    /// Also trust servers whose certificate comes from an authority in this file, as PEM
    #[arg(long, global = true, value_name = "FILE", env = "STRONGROOM_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// The file with the token
    #[arg(long, global = true, value_name = "FILE", env = "STRONGROOM_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The tenant, `ten_…`, or `provider` [default: the token's own]
    #[arg(long, global = true, value_name = "TENANT", env = "STRONGROOM_TENANT")]
    pub(crate) tenant: Option<String>,
    /// The purpose for which data is used
    #[arg(long, global = true, value_name = "PURPOSE", env = "STRONGROOM_PURPOSE")]
    pub(crate) purpose: Option<String>,
    /// For which user it is done, `usr_…` or `ext:` and your product's id for them: for a backend's
    /// token, and for an API key that acts for users
    #[arg(long, global = true, value_name = "USER")]
    pub(crate) for_user: Option<String>,
    /// Why this is done; it is kept with the audit line
    #[arg(long, global = true, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// How data is written [default: `table` on a terminal, else `json`]
    #[arg(long, global = true, value_name = "FORM", env = "STRONGROOM_OUTPUT")]
    pub(crate) output: Option<Output>,
    /// The configuration file [default: strongroom.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = "STRONGROOM_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Speak to another machine without TLS: everybody on the way can read the token and all data
    #[arg(long, global = true)]
    pub(crate) readable_on_the_way: bool,
    /// Also say the request's id and where its audit lines stand
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try it: a server with made-up people that is gone afterwards
    Demo(server::demo::Demo),
    /// Make a store and its keys
    Init(server::init::Init),
    /// Run the server
    Serve(server::serve::Serve),
    /// Prove that a store at rest is what was last written
    Verify(server::check_store::Verify),
    /// Go on with a store that the server refuses because it is an older copy, or damaged
    AcceptOlderStore(server::check_store::AcceptOlderStore),
    /// Copy the store, sealed as it stands, to a place that the server's configuration names
    Backup(commands::backup::Backup),
    /// Bring a backup back onto the live keys, or prove it; the server does not run meanwhile
    Restore(server::restore::Restore),
    /// Load the server's keys
    Unlock(commands::system::Unlock),
    /// Drop the server's keys
    Lock,
    /// How the server is
    Status,
    /// Look at the settings, the machine, the store and the server, and say what to mend
    Doctor(doctor::Doctor),
    /// The settings: where they come from, whether they are right, which there are
    #[command(subcommand)]
    Config(config::Config),
    /// Print what a shell needs to complete commands and flags
    Completions(completions::Completions),
    /// Print the manual's page of a command, or write all pages
    Man(manual::Manual),
    /// The program's version
    Version,
    /// Whose token this is
    Whoami,
    /// Trade an invitation for a session
    Login(commands::sessions::Login),
    /// End the session
    Logout,
    /// The provider's clients
    #[command(subcommand)]
    Tenants(commands::tenants::Tenants),
    /// A new owner for a tenant whose owners cannot come in any more
    #[command(subcommand)]
    Recovery(commands::recovery::Recovery),
    /// People who sign in
    #[command(subcommand)]
    Users(commands::users::Users),
    /// Credentials for machines
    #[command(subcommand)]
    ApiKeys(commands::api_keys::ApiKeys),
    /// The provider's software products, with one credential for all tenants that admit them
    #[command(subcommand)]
    Backends(commands::backends::Backends),
    /// What tenants begin with, kept as files, and given to those that are there
    #[command(subcommand)]
    Blueprints(commands::blueprints::Blueprints),
    /// Long-running work of the server
    #[command(subcommand)]
    Jobs(commands::jobs::Jobs),
    /// The backends that a tenant lets in, and how far
    #[command(subcommand)]
    Admissions(commands::admissions::Admissions),
    /// Permission classes: who sees what
    #[command(subcommand)]
    Classes(commands::classes::Classes),
    /// Typed sets of records
    #[command(subcommand)]
    Collections(commands::collections::Collections),
    /// Entries of collections
    #[command(subcommand)]
    Records(commands::records::Records),
    /// Files of records
    #[command(subcommand)]
    Files(commands::files::Files),
    /// The people whom records are about
    #[command(subcommand)]
    Subjects(commands::subjects::Subjects),
    /// Erase: destroy the keys, so that nothing brings the data back
    #[command(subcommand)]
    Erasures(commands::erasures::Erasures),
    /// Signed statements of what was erased
    #[command(subcommand)]
    Receipts(commands::receipts::Receipts),
    /// Make records of the rows of a CSV or NDJSON file, or of an archive
    Import(commands::import::Import),
    /// Write the records of a collection to an NDJSON or CSV file, or those of several to an archive
    Export(commands::export::ExportFile),
    /// Archives: collections in one file, sealed for its recipients
    #[command(subcommand)]
    Archive(commands::archive::Archive),
    /// The audit log
    #[command(subcommand)]
    Audit(commands::audit::Audit),
}

/// Which page of a list.
#[derive(Debug, Clone, Args)]
pub(crate) struct PageArguments {
    /// At most so many entries
    #[arg(long, value_name = "COUNT")]
    limit: Option<u32>,
    /// Go on where the last page ended
    #[arg(long)]
    cursor: Option<String>,
}

impl PageArguments {
    pub(crate) fn page(self) -> strongroom_client::Page {
        strongroom_client::Page { limit: self.limit, cursor: self.cursor }
    }
}

/// The version that a change is made against.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct VersionArguments {
    /// Only if this is still the present version
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
    /// Whatever the present version is
    #[arg(long)]
    any_version: bool,
}

impl VersionArguments {
    pub(crate) fn if_match(&self) -> IfMatch {
        self.if_version.map_or(IfMatch::Any, IfMatch::Version)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command, CommandFactory, Id};

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }

    /// Argument ids that a command takes for itself and that every command understands already.
    fn taken_twice(command: &Command, everywhere: &[&Id], path: &str) -> Vec<String> {
        let path = format!("{path} {}", command.get_name());
        let own = command.get_arguments().map(Arg::get_id).filter(|id| everywhere.contains(id));
        let mut found: Vec<String> = own.map(|id| format!("{path}: {id}")).collect();
        for inner in command.get_subcommands() {
            found.extend(taken_twice(inner, everywhere, &path));
        }
        found
    }

    #[test]
    fn no_command_takes_an_argument_of_all_commands_for_something_else() {
        // Both would be read as the type of one of them, and the program would end.
        let whole = super::Arguments::command();
        let everywhere: Vec<&Id> = whole.get_arguments().map(Arg::get_id).collect();
        assert!(everywhere.len() > 5);
        let twice: Vec<String> = whole
            .get_subcommands()
            .flat_map(|command| taken_twice(command, &everywhere, "strongroom"))
            .collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}
