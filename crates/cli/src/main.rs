//! The binary `strongroom`: server, demonstration, and the commands of those who run and use it.
//!
//! This crate knows the command line, files, the terminal and how the rooms are wired together. It
//! does *not* know records, rules or keys: its commands go through the client, like everybody.

mod age;
mod arguments;
mod commands;
mod completions;
mod config;
mod confirm;
mod doctor;
mod exit;
mod files;
mod findings;
mod manual;
mod memory;
#[cfg(test)]
mod reference;
mod screen;
mod server;
mod session;
mod settings;

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};

use crate::arguments::{Arguments, Command, Common};
use crate::exit::Failure;
use crate::session::Session;
use crate::settings::Settings;

fn main() -> ExitCode {
    let matches = Arguments::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(arguments, &matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            screen::say(&format!("error: {}", failure.message));
            failure.exit.into()
        }
    }
}

/// Commands that work whatever the configuration file says come first.
fn run(arguments: Arguments, matches: &ArgMatches) -> Result<(), Failure> {
    let Arguments { common, command } = arguments;
    // The server's settings may allow core dumps, so it switches them off itself once it has read them.
    if !matches!(command, Command::Serve(_)) {
        memory::without_dumps()?;
    }
    match command {
        Command::Version => screen::data(concat!("strongroom ", env!("CARGO_PKG_VERSION"))),
        Command::Completions(completions) => completions.run(),
        Command::Man(manual) => manual.run(),
        Command::Config(config) => config.run(&common, matches),
        Command::Doctor(doctor) => commands::runtime()?.block_on(doctor.run(&common)),
        other => with_settings(other, &common),
    }
}

fn with_settings(command: Command, common: &Common) -> Result<(), Failure> {
    let settings = Settings::read(common.config.as_deref())?;
    match command {
        Command::Demo(demo) => server::runtime()?.block_on(demo.run()),
        Command::Init(init) => server::runtime()?.block_on(init.run(&settings.serve)),
        Command::Serve(serve) => server::runtime()?.block_on(serve.run(&settings)),
        Command::Verify(verify) => {
            let screen = screen::Screen::new(common.output.or(settings.output), common.verbose);
            server::runtime()?.block_on(verify.run(&settings.serve, screen))
        }
        Command::AcceptOlderStore(accept) => {
            server::runtime()?.block_on(accept.run(&settings.serve))
        }
        Command::Restore(restore) => {
            let screen = screen::Screen::new(common.output.or(settings.output), common.verbose);
            server::runtime()?.block_on(restore.run(&settings.serve, screen))
        }
        Command::Receipts(commands::receipts::Receipts::Verify(verify)) => {
            verify.run(screen::Screen::new(common.output.or(settings.output), common.verbose))
        }
        Command::Archive(commands::archive::Archive::Verify(verify)) => {
            verify.run(screen::Screen::new(common.output.or(settings.output), common.verbose))
        }
        other => commands::runtime()?.block_on(ask(other, common, &settings)),
    }
}

/// Commands that ask a running server.
async fn ask(command: Command, common: &Common, settings: &Settings) -> Result<(), Failure> {
    match command {
        Command::Unlock(unlock) => unlock.run(&Session::public(common, settings)?).await,
        Command::Status => commands::system::status(&Session::public(common, settings)?).await,
        Command::Login(login) => {
            let out = common.token_file.as_deref().or(settings.token_file.as_deref());
            login.run(&Session::public(common, settings)?, out).await
        }
        Command::Receipts(command @ commands::receipts::Receipts::Key { .. }) => {
            command.run(&Session::public(common, settings)?).await
        }
        Command::Import(import) if import.dry_run && !import.job => {
            import.run(&Session::public(common, settings)?).await
        }
        other => {
            let session = Session::signed_in(common, settings)?;
            signed_in(other, &session, common).await
        }
    }
}

async fn signed_in(command: Command, session: &Session, common: &Common) -> Result<(), Failure> {
    match command {
        Command::Backup(command) => command.run(session).await,
        Command::Lock => commands::system::lock(session).await,
        Command::Whoami => commands::system::whoami(session).await,
        Command::Logout => commands::sessions::logout(session).await,
        Command::Tenants(command) => command.run(session).await,
        Command::Recovery(command) => command.run(session).await,
        Command::Users(command) => command.run(session).await,
        Command::ApiKeys(command) => command.run(session).await,
        Command::Backends(command) => command.run(session).await,
        Command::Blueprints(command) => command.run(session).await,
        Command::Jobs(command) => command.run(session).await,
        Command::Admissions(command) => command.run(session).await,
        Command::Classes(command) => command.run(session).await,
        Command::Collections(command) => command.run(session).await,
        Command::Records(command) => command.run(session).await,
        Command::Files(command) => command.run(session).await,
        Command::Subjects(command) => command.run(session).await,
        Command::Erasures(command) => command.run(session, common.reason.is_some()).await,
        Command::Receipts(command) => command.run(session).await,
        Command::Import(command) => command.run(session).await,
        Command::Export(command) => command.run(session).await,
        Command::Audit(command) => command.run(session).await,
        Command::Demo(_)
        | Command::Init(_)
        | Command::Serve(_)
        | Command::Verify(_)
        | Command::AcceptOlderStore(_)
        | Command::Restore(_)
        | Command::Unlock(_)
        | Command::Status
        | Command::Doctor(_)
        | Command::Config(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Version
        | Command::Archive(_)
        | Command::Login(_) => Ok(()),
    }
}
