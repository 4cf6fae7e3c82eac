//! `quarantine release`: accepts refused requests on an operator's word, and says what became of each.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::Config;
use crate::event::{Digest, EventId, MAX_ID_BYTES, Name};
use crate::ingress::{self, Released};
use crate::request_outcome::Reason;
use crate::store::{Insertion, Quarantined, Store};

use super::super::failure::Failure;
use super::super::{invocation, table};

/// Where the operator's name is looked for when it is not given; `sudo` tells who is behind it.
const VARIABLES: [&str; 2] = ["SUDO_USER", "USER"];
/// What stands before the operator's name in the event; both together fit where a record is cut.
const PREFIX_BYTES: usize = "released:".len();

/// Who answers for a release.
pub(super) struct Operator(String);

impl Operator {
    /// The name given, else that of the user.
    pub(super) fn new(given: Option<String>, vars: &BTreeMap<String, String>) -> Result<Self, Failure> {
        let of_user = || VARIABLES.iter().find_map(|name| vars.get(*name).filter(|name| !name.is_empty()).cloned());
        let name = given.or_else(of_user).unwrap_or_default();
        if name.trim().is_empty() {
            let problem = "who releases? neither SUDO_USER nor USER is set: say --operator NAME";
            return Err(Failure::Usage(problem.to_owned()));
        }
        if name.chars().any(char::is_control) || name.len() > MAX_ID_BYTES - PREFIX_BYTES {
            let problem = "--operator: a name has no control characters and at most 247 bytes";
            return Err(Failure::Usage(problem.to_owned()));
        }
        Ok(Self(name))
    }
}

/// What a release needs.
pub(super) struct Releaser<'a> {
    pub(super) config: &'a Config,
    pub(super) store: &'a Store,
    pub(super) operator: Operator,
    pub(super) now: Timestamp,
}

/// What became of one entry.
pub(super) struct Outcome {
    entry: i64,
    source: Name,
    event_id: EventId,
    kind: String,
    sinks: usize,
    added: bool,
    operator: String,
    note: Option<String>,
}

impl Releaser<'_> {
    /// Releases `ids` one after the other. Nothing is released unless all of them can be.
    pub(super) async fn release(&self, ids: &[i64]) -> Result<Vec<Outcome>, Failure> {
        let mut entries: Vec<Quarantined> = Vec::new();
        for &id in ids {
            if entries.iter().any(|entry| entry.id == id) {
                continue;
            }
            let gone = || Failure::Runtime(format!("the refused request {id} has just gone; nothing was released"));
            let entry = self.store.quarantine.get(id).await?.ok_or_else(gone)?;
            if ingress::asks_handshake(self.source(&entry)?, &entry.body) {
                let problem = format!("request {id} is a handshake, which is answered and never stored: discard it");
                return Err(Failure::Usage(format!("nothing was released: {problem}")));
            }
            // Bodies are read again when their turn comes.
            entries.push(Quarantined { body: Bytes::new(), ..entry });
        }
        let mut outcomes = Vec::new();
        for listed in entries {
            if let Some(entry) = self.store.quarantine.get(listed.id).await? {
                outcomes.push(self.release_one(&entry).await?);
            }
        }
        Ok(outcomes)
    }

    /// The source that an entry was sent to.
    fn source(&self, entry: &Quarantined) -> Result<&crate::ingress::SourceSettings, Failure> {
        invocation::source(self.config, entry.source.as_str())
            .map_err(|failure| Failure::Usage(format!("nothing was released: request {}: {failure}", entry.id)))
    }

    /// First the event, then the entry: whoever is interrupted in between releases it again and adds nothing.
    async fn release_one(&self, entry: &Quarantined) -> Result<Outcome, Failure> {
        let source = self.source(entry)?;
        let Released { mut event, twins, sinks, not_understood } =
            ingress::release(entry, source, &self.config.live.sinks, &self.operator.0, self.now);
        let own = event.id.clone();
        let mut insertion = self.store.inbox.insert_beside(event.clone(), &twins, sinks.clone()).await?;
        let conflicts = insertion == Insertion::Conflict;
        if conflicts {
            event.id = EventId::of_digest(&Digest::of(&entry.body));
            insertion = self.store.inbox.insert_beside(event.clone(), &twins, sinks.clone()).await?;
        }
        if insertion == Insertion::Conflict {
            let problem = format!("request {}: its id {own} and its digest both belong to other bodies", entry.id);
            return Err(Failure::Runtime(problem));
        }
        self.store.quarantine.remove(&[entry.id]).await?;
        let taken = if conflicts {
            Some(&own)
        } else {
            entry.event_id.as_ref().filter(|_| entry.reason == Reason::IdConflict.as_str())
        };
        let note = match (taken, not_understood) {
            (Some(taken), _) => Some(format!("{taken} belongs to another body, so it goes by its digest")),
            (None, Some(reason)) => Some(format!("its body is not understood ({reason}), so it goes by its digest")),
            (None, None) => None,
        };
        Ok(Outcome {
            entry: entry.id,
            source: event.source,
            event_id: event.id,
            kind: event.kind,
            sinks: sinks.len(),
            added: insertion == Insertion::Accepted,
            operator: self.operator.0.clone(),
            note,
        })
    }
}

impl Outcome {
    /// It on one line.
    pub(super) fn words(&self) -> String {
        let Self { entry, source, event_id, operator, .. } = self;
        let done = if self.added {
            let sinks = if self.sinks == 1 { "sink" } else { "sinks" };
            format!("released {entry} as {source}:{event_id}, by {operator}, to {} {sinks}", self.sinks)
        } else {
            format!("{entry} was accepted before as {source}:{event_id}: nothing was added")
        };
        table::visible(&self.note.iter().fold(done, |line, note| format!("{line}; {note}")), false)
    }

    /// It as JSON.
    pub(super) fn json(&self) -> Value {
        json!({
            "id": self.entry,
            "source": self.source,
            "event_id": self.event_id.as_str(),
            "type": self.kind,
            "status": if self.added { "released" } else { "duplicate" },
            "duplicate": !self.added,
            "operator": self.operator,
            "note": self.note,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(given: Option<&str>, vars: &[(&str, &str)]) -> Result<String, crate::cli::failure::Status> {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let operator = Operator::new(given.map(str::to_owned), &vars);
        operator.map(|operator| operator.0).map_err(|failure| failure.status())
    }

    #[test]
    fn somebody_has_to_answer_for_it() {
        let wrong = Err(crate::cli::failure::Status::Wrong);
        assert_eq!(operator(Some("ann"), &[("USER", "root")]), Ok("ann".into()));
        assert_eq!(operator(None, &[("USER", "root"), ("SUDO_USER", "bob")]), Ok("bob".into()));
        assert_eq!(operator(None, &[("USER", "root"), ("SUDO_USER", "")]), Ok("root".into()));
        assert_eq!(operator(None, &[]), wrong);
        assert_eq!(operator(Some(" "), &[("USER", "root")]), wrong);
        assert_eq!(operator(Some("a\nb"), &[]), wrong);
        assert_eq!(operator(Some(&"x".repeat(248)), &[]), wrong);
    }
}
