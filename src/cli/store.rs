//! `store`: what the store holds, a copy of it, and the move of a single-machine installation over to PostgreSQL, which
//! reads one store, fills another and changes no id.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use crate::store::{self, Report, Settings, Stats};

use super::failure::{Failure, Status};
use super::invocation::{Invocation, with_store};
use super::progress::Progress;
use super::{operator, output, table};

/// What to do with the store as a whole.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// What the store holds: sizes, counts, oldest and newest
    ///
    /// Counts every event and delivery: about a second for a million.
    Stats {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Copy an SQLite store into a new file, beside the running daemon
    ///
    /// The copy is whole and of one moment, and holds nothing that was deleted. To restore it: stop the daemon, put it in
    /// the place of the database, remove the files beside that which end in -wal and -shm, start.
    Backup {
        /// The new file
        #[arg(value_name = "FILE")]
        to: PathBuf,
    },
    /// Copy everything from an SQLite store into the configured PostgreSQL store
    ///
    /// Events go with their ids, so that what was accepted before stays a duplicate afterwards; deliveries go with
    /// what has become of them, refused requests and audit records with them. Nothing is removed from the old store.
    ///
    /// Stop the daemon that runs on the old store first: what it delivers during the copy would be delivered again, and
    /// what it accepts would stay behind. The order: stop the old daemon; set `store.url` (or `GATEPOST_STORE`) to the
    /// postgres URL; run this; start. Broken off or run again, it copies what is missing and nothing twice.
    MigrateFrom {
        /// The old store: sqlite:PATH
        #[arg(value_name = "sqlite:PATH")]
        from: String,
        /// Print the outcome as one JSON array
        #[arg(long)]
        json: bool,
    },
}

/// Tells what there is, copies it, or moves it.
pub(super) async fn run(command: Command, invocation: Invocation) -> Result<Status, Failure> {
    match command {
        Command::Stats { json } => {
            let config = invocation.load()?;
            let stats =
                with_store(&config, async |store| Ok(invocation.operations(&config, store).store_stats().await?))
                    .await?;
            output::print_either(json, || json!(stats), || counted(&stats))?;
        }
        Command::Backup { to } => {
            let config = invocation.load()?;
            let user = operator::user(&invocation.vars)?;
            let bar = Progress::new("bytes copied");
            with_store(&config, async |store| {
                let all = if output::is_watched() { store.maintenance.stats().await?.bytes } else { 0 };
                let operations = invocation.operations(&config, store);
                Ok(bar.watch_file(&to, all, operations.back_up(&to, &user)).await?)
            })
            .await?;
            drop(bar);
            output::print(&format!("the store is copied to {}", to.display()))?;
        }
        Command::MigrateFrom { from, json } => migrate(&from, json, &invocation).await?,
    }
    Ok(Status::Done)
}

/// Copies, and tells what was copied.
async fn migrate(from: &str, json: bool, invocation: &Invocation) -> Result<(), Failure> {
    check_source(from)?;
    let to = invocation.load()?.store();
    check_target(&to.url)?;
    let bar = Progress::new("events copied");
    let told = |done, all| bar.tell(done, all);
    let report = store::migrate(&Settings { url: from.to_owned(), ..to.clone() }, &to, &told).await?;
    drop(bar);
    if json {
        output::print_json(&summary(report))?;
    } else {
        output::print(&shown(report))?;
    }
    output::tell("the old store was left as it was: remove it once the daemon runs on the new one");
    Ok(())
}

fn counted(stats: &Stats) -> String {
    let maybe = |bytes: Option<u64>| bytes.map_or_else(String::new, |bytes| bytes.to_string());
    let time = |at: Option<jiff::Timestamp>| at.map_or_else(String::new, |at| format!("{at:.0}"));
    let mut text = table::fields(&[
        ("bytes", stats.bytes.to_string()),
        ("bytes to be used again", maybe(stats.reusable_bytes)),
        ("bytes free on the volume", maybe(stats.free_bytes)),
        ("retention in seconds", stats.retention_seconds.to_string()),
        ("events", stats.events.to_string()),
        ("ids", stats.ids.to_string()),
        ("oldest event", time(stats.oldest)),
        ("newest event", time(stats.newest)),
        ("refused requests", stats.quarantine_entries.to_string()),
        ("bytes of refused requests", stats.quarantine_bytes.to_string()),
        ("audit records waiting", stats.audit_records.to_string()),
    ]);
    let sources = stats.sources.iter().map(|of| [of.source.to_string(), of.events.to_string()]);
    text.push_str("\n\n");
    text.push_str(&table::table(["SOURCE", "EVENTS"], &sources.collect::<Vec<_>>()));
    let sinks = stats
        .sinks
        .iter()
        .map(|of| [of.sink.to_string(), of.pending.to_string(), of.delivered.to_string(), of.dead.to_string()]);
    text.push_str("\n\n");
    text.push_str(&table::table(["SINK", "PENDING", "DELIVERED", "DEAD"], &sinks.collect::<Vec<_>>()));
    text
}

/// A store that is not there would otherwise be an empty one, and the report a row of noughts.
fn check_source(url: &str) -> Result<(), Failure> {
    let Some(path) = url.strip_prefix("sqlite:").filter(|path| !path.is_empty() && !path.starts_with("//")) else {
        return Err(Failure::Usage(
            "migrate-from takes the old store as sqlite:PATH, such as sqlite:data/gatepost.db".into(),
        ));
    };
    match std::fs::metadata(Path::new(path)) {
        Ok(metadata) if metadata.is_file() && metadata.len() > 0 => Ok(()),
        Ok(_) => Err(Failure::Usage(format!("{path} is not a store: nothing was copied"))),
        Err(error) => Err(Failure::Usage(format!("{path}: {error}: nothing was copied"))),
    }
}

fn check_target(url: &str) -> Result<(), Failure> {
    match url.split_once(':') {
        Some(("postgres" | "postgresql", _)) => Ok(()),
        _ => Err(Failure::configuration(
            "store.url",
            "migrate-from copies into the configured store, which must be PostgreSQL: set this, or GATEPOST_STORE, to a postgres:// URL",
        )),
    }
}

fn summary(report: Report) -> Value {
    json!([{
        "events": report.events,
        "known": report.known,
        "quarantined": report.quarantined,
        "audit": report.audit,
    }])
}

fn shown(report: Report) -> String {
    table::fields(&[
        ("events copied", report.events.to_string()),
        ("events there already", report.known.to_string()),
        ("refused requests copied", report.quarantined.to_string()),
        ("audit records copied", report.audit.to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_not_there_is_wrong_usage() {
        let directory = tempfile::tempdir().unwrap();
        let (missing, empty) = (directory.path().join("missing.db"), directory.path().join("empty.db"));
        std::fs::write(&empty, "").unwrap();
        for path in [&missing, &empty, &directory.path().to_owned()] {
            let failure = check_source(&format!("sqlite:{}", path.display())).unwrap_err();
            assert_eq!(failure.status(), Status::Wrong, "{failure}");
            assert!(failure.to_string().contains("nothing was copied"), "{failure}");
        }
        assert!(!missing.exists(), "looking makes nothing");
        for url in ["sqlite:", "sqlite://x.db", "x.db", "postgres://h/db"] {
            assert_eq!(check_source(url).unwrap_err().status(), Status::Wrong, "{url}");
        }
    }

    #[test]
    fn only_postgres_is_filled() {
        check_target("postgres://h/db").unwrap();
        check_target("postgresql://h/db").unwrap();
        let failure = check_target("sqlite:data/gatepost.db").unwrap_err();
        assert!(failure.to_string().starts_with("store.url: "), "{failure}");
        assert_eq!(failure.status(), Status::Wrong);
    }
}
