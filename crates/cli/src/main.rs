//! The binary `strongroom`: server, demonstration, and the commands of those who run and use it.
//!
//! This crate knows the command line, files, the terminal and how the rooms are wired together. It
//! does *not* know records, rules or keys: its commands go through the client, like everybody.

mod arguments;
mod commands;
mod confirm;
mod exit;
mod files;
mod screen;
mod server;
mod session;
mod settings;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command, Common};
use crate::exit::Failure;
use crate::session::Session;
use crate::settings::Settings;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            screen::say(&format!("error: {}", failure.message));
            failure.exit.into()
        }
    }
}

fn run(Arguments { common, command }: Arguments) -> Result<(), Failure> {
    let settings = Settings::read(common.config.as_deref())?;
    match command {
        Command::Version => screen::data(concat!("strongroom ", env!("CARGO_PKG_VERSION"))),
        Command::Demo(demo) => server::runtime()?.block_on(demo.run()),
        Command::Init(init) => server::runtime()?.block_on(init.run(&settings.serve)),
        Command::Serve(serve) => server::runtime()?.block_on(serve.run(&settings.serve)),
        Command::Receipts(commands::receipts::Receipts::Verify(verify)) => {
            verify.run(screen::Screen::new(common.output.or(settings.output), common.verbose))
        }
        other => commands::runtime()?.block_on(ask(other, &common, &settings)),
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
        Command::Receipts(command @ commands::receipts::Receipts::Key) => {
            command.run(&Session::public(common, settings)?).await
        }
        Command::Import(import) if import.dry_run => {
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
        Command::Lock => commands::system::lock(session).await,
        Command::Whoami => commands::system::whoami(session).await,
        Command::Logout => commands::sessions::logout(session).await,
        Command::Tenants(command) => command.run(session).await,
        Command::Users(command) => command.run(session).await,
        Command::ApiKeys(command) => command.run(session).await,
        Command::Classes(command) => command.run(session).await,
        Command::Collections(command) => command.run(session).await,
        Command::Records(command) => command.run(session).await,
        Command::Subjects(command) => command.run(session).await,
        Command::Erasures(command) => command.run(session, common.reason.is_some()).await,
        Command::Receipts(command) => command.run(session).await,
        Command::Import(command) => command.run(session).await,
        Command::Audit(command) => command.run(session).await,
        Command::Demo(_)
        | Command::Init(_)
        | Command::Serve(_)
        | Command::Unlock(_)
        | Command::Status
        | Command::Version
        | Command::Login(_) => Ok(()),
    }
}
