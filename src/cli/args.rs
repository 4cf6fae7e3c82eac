//! What may stand on the command line, for clap; the arguments of a command stand beside the command.

use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::sink;

use super::{
    check, completions, config, dead, events, explain, init, man, quarantine, reference, send, sinks, store, tail,
};

/// A webhook receiver: each webhook verified, stored once, acknowledged, then delivered onward.
///
/// New here? `gatepost dev` starts a complete local receiver and prints, for every source, the command that sends it
/// a valid event. `gatepost check` tells everything that is wrong with a configuration.
#[derive(Parser, Debug)]
#[command(
    name = "gatepost",
    version,
    after_help = "Without a command: serve.\n\nExit status: 0 done or drained in time; 64 wrong configuration or usage; 1 runtime failure; 2 drained late."
)]
pub(super) struct Cli {
    /// Configuration file (TOML); also from `GATEPOST_CONFIG`. Environment variables win over it
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

impl Cli {
    /// What is parsed by, shown as help and written as completions and manual.
    pub(super) fn definition() -> clap::Command {
        let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("GATEPOST_COMMIT"));
        Self::command().long_version(format!("{version} ({commit}), sinks {}", sink::types().join(", ")))
    }

    /// Reads the arguments of this process.
    pub(super) fn of_process() -> Result<Self, clap::Error> {
        Self::from_arg_matches(&Self::definition().try_get_matches()?)
    }
}

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Run the daemon (the default)
    Serve,
    /// Run locally with throw-away certificates, development secrets and a store under data/
    ///
    /// Makes a certificate authority and a server certificate under certs-dev/ when they are missing or expired, loads
    /// config/dev.toml (or --config), serves on loopback only, and prints a `gatepost send` line for every source.
    Dev,
    /// Write a commented configuration with its secrets, and say what to paste at each vendor
    ///
    /// Asks at a terminal for what no flag says: which senders, from where, which sink, what stands in front. Secrets are
    /// files that only their owner may read. What was written is checked.
    Init(Box<init::Args>),
    /// Load configuration, secrets, certificates and store; print the effective configuration, or every error at once
    Check(check::Args),
    /// What can be configured: schema, reference, example
    #[command(subcommand)]
    Config(config::Command),
    /// Sign a sample event exactly as a source's vendor does and POST it
    Send(send::Args),
    /// What was accepted: list, show, replay, erase
    #[command(subcommand)]
    Events(events::Command),
    /// Deliveries that ran out of attempts: list, show, replay, discard
    #[command(subcommand)]
    Dead(dead::Command),
    /// Refused requests kept for inspection: list, show, release, discard
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// Where events go: list, pause, resume, slow down
    #[command(subcommand)]
    Sinks(sinks::Command),
    /// Follow the running daemon: accepted, refused, delivered, dead, one line each
    Tail(tail::Args),
    /// The store as a whole: what it holds, a copy of it, the move from SQLite to PostgreSQL
    #[command(subcommand)]
    Store(store::Command),
    /// The signature doctor: which check refuses a request, why, and what would mend it
    Explain(explain::Args),
    /// What a shell needs to complete commands and options
    Completions(completions::Args),
    /// The manual pages, as roff
    Man(man::Args),
    /// Pages of the reference, as this program knows them, in Markdown
    Reference(reference::Args),
    /// Exit 0 when the running daemon is ready, 1 when it is not (for containers without a shell)
    Healthcheck,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::definition().debug_assert();
    }

    #[test]
    fn the_file_may_stand_before_or_after_the_command() {
        for line in [["gatepost", "--config", "a.toml", "check"], ["gatepost", "check", "--config", "a.toml"]] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert_eq!(cli.config.as_deref(), Some(std::path::Path::new("a.toml")));
            assert!(matches!(cli.command, Some(Command::Check(_))));
        }
    }

    #[test]
    fn no_command_is_left_to_the_default() {
        assert!(Cli::try_parse_from(["gatepost"]).unwrap().command.is_none());
        assert!(Cli::try_parse_from(["gatepost", "nonsense"]).is_err());
    }
}
