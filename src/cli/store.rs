//! `store`: moves a single-machine installation over to PostgreSQL. Reads one store, fills another, changes no id.

use std::path::Path;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::store::{self, Report, Settings};

use super::failure::{Failure, Status};
use super::invocation::Invocation;
use super::{output, table};

/// What to do with the store as a whole.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
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

/// Copies, and tells what was copied.
pub(super) async fn run(command: Command, invocation: Invocation) -> Result<Status, Failure> {
    let Command::MigrateFrom { from, json } = command;
    check_source(&from)?;
    let to = invocation.load()?.store();
    check_target(&to.url)?;
    let report = store::migrate(&Settings { url: from, ..to.clone() }, &to).await?;
    if json {
        output::print_json(&summary(report))?;
    } else {
        output::print(&shown(report))?;
    }
    output::tell("the old store was left as it was: remove it once the daemon runs on the new one");
    Ok(Status::Done)
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
