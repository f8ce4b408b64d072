//! The commands of `baton`.
//!
//! Not for: what they do beyond starting it; a command is a page in this folder.

pub mod audit;
pub mod check;
pub mod client;
pub mod demo;
pub mod key;
pub mod load;
pub mod migrate;
pub mod open;
pub mod reindex;
pub mod seed;
pub mod serve;
pub mod token;
pub mod user;

use crate::error::Error;
use clap::{Parser, Subcommand};
use std::future::Future;
use std::process::ExitCode;

/// A FHIR R4 server that carries a patient's medicines from hospital to community pharmacy.
///
/// A hospital posts a discharge; Baton opens the follow-up in the same transaction; pharmacies claim it, technicians find
/// problems, pharmacists resolve them. Everything over plain FHIR.
#[derive(Debug, Parser)]
#[command(name = "baton", version, propagate_version = true, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Try it:  baton demo\nSettings come from baton.toml, BATON_* variables and flags, each over the one before."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole product on loopback, with sample discharges and a story that plays itself
    Demo(demo::Arguments),
    /// Run the server
    Serve(Box<serve::Arguments>),
    /// Bring Bundles and resources from files into the database, or to a running server
    Load(Box<load::Arguments>),
    /// Say what is wrong with resources, Bundles and profile folders, with file and line
    ///
    /// Each issue comes with file, line, column and element, what was found, what was expected and how to mend it. The rules
    /// are the server's; nothing is sent or stored.
    Check(check::Arguments),
    /// Bring organisations, people, users and clients to what a file says
    Seed(seed::SeedArgs),
    /// Mint an access token for a seeded user or client, on this machine
    Token(token::TokenArgs),
    /// Register programs and apps, and take them away
    Client(client::Arguments),
    /// Add people who log in, and set their passwords
    User(user::Arguments),
    /// Make new signing keys
    Key(key::Arguments),
    /// Bring the schema of the database up to date, and stop
    Migrate(migrate::Arguments),
    /// Make the rows that searches need, where some are missing, and show how far it is
    Reindex(reindex::Arguments),
    /// Look whether the audit is whole, and write it out
    Audit(audit::Arguments),
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // The demo and the check tell their own story: only what goes wrong is logged beside it.
    crate::telemetry::start(if matches!(cli.command, Command::Demo(_) | Command::Check(_)) { "warn" } else { "info" });
    crate::auth::jws::install_crypto();
    // TLS of outgoing requests is done by rustls with aws-lc, as towards PostgreSQL; whom to trust is what the machine trusts.
    crate::outbound::install_tls();
    match cli.command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Demo(arguments) => finish(demo::run(arguments)),
        Command::Serve(arguments) => finish(serve::run(*arguments)),
        Command::Migrate(arguments) => finish(migrate::run(arguments)),
        Command::Reindex(arguments) => finish(reindex::run(arguments)),
        Command::Seed(arguments) => finish(seed::run(arguments)),
        Command::Client(arguments) => finish(client::run(arguments)),
        Command::User(arguments) => finish(user::run(arguments)),
        Command::Key(arguments) => finish(key::run(arguments)),
        Command::Token(arguments) => finish(token::run(arguments)),
        Command::Audit(arguments) => match block_on(audit::run(arguments)) {
            Ok(Ok(code)) => code,
            Ok(Err(error)) | Err(error) => failed(&error.to_string()),
        },
        Command::Load(arguments) => match block_on(load::run(*arguments)) {
            Ok(Ok(code)) => code,
            Ok(Err(text)) => failed(&text),
            Err(error) => failed(&error.to_string()),
        },
    }
}

fn finish(command: impl Future<Output = Result<(), Error>>) -> ExitCode {
    match block_on(command) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) | Err(error) => {
            let cause = error.source.as_ref().map(|c| format!(" ({c})")).unwrap_or_default();
            failed(&format!("{error}{cause}"))
        }
    }
}

fn failed(text: &str) -> ExitCode {
    eprintln!("baton: {text}");
    ExitCode::FAILURE
}

fn block_on<F: Future>(future: F) -> Result<F::Output, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::fault("no threads to run on").caused_by(e))?;
    Ok(runtime.block_on(future))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_database_is_named_before_or_behind_what_is_to_be_done() {
        for (command, action) in [
            ("client", "list"),
            ("client", "add x --kind public --scopes openid"),
            ("user", "add audra --role auditor"),
            ("user", "glass mara --end"),
            ("key", "rotate"),
            ("audit", "verify"),
            ("audit", "report --patient 1"),
        ] {
            for line in [
                format!("baton {command} --database-url sqlite:x.db {action}"),
                format!("baton {command} {action} --database-url sqlite:x.db --config x.toml"),
            ] {
                let read = Cli::try_parse_from(line.split(' ')).unwrap_or_else(|e| panic!("{line}: {e}"));
                let database = match read.command {
                    Command::Client(a) => a.store.database,
                    Command::User(a) => a.store.database,
                    Command::Key(a) => a.store,
                    Command::Audit(a) => a.store,
                    other => panic!("{line}: {other:?}"),
                };
                assert_eq!(database.database_url.as_deref(), Some("sqlite:x.db"), "{line}");
            }
            let mut cli = Cli::command();
            cli.build();
            let name = action.split(' ').next().unwrap();
            let said =
                cli.find_subcommand_mut(command).unwrap().find_subcommand_mut(name).unwrap().render_help().to_string();
            assert!(said.contains("--database-url") && said.contains("--config"), "{command} {name}: {said}");
            assert!(!said.contains("--zone") && !said.contains("--unknown-profile"), "{command} {name}: {said}");
        }
    }
}
