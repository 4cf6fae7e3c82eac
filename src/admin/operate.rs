//! What an operator does to what the store holds, each with its audit record. The only file that changes anything.

use jiff::Timestamp;

use super::access::Caller;
use super::record::{Action, acted};
use super::state::Admin;
use crate::event::{Digest, Event, EventId, Name};
use crate::ingress::{self, Released};
use crate::store::{Archived, DeadLetterFilter, DeliveryId, EventRef, Insertion, Quarantined, StoreError};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// There is no such thing, or no longer.
    #[error("{0}")]
    Missing(String),
    /// It cannot be done to this, and why.
    #[error("{0}")]
    Impossible(String),
    /// The store did not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a refused request.
pub(super) struct Accepted {
    pub(super) source: Name,
    pub(super) id: EventId,
    pub(super) kind: String,
    /// Whether it had not been accepted before.
    pub(super) added: bool,
}

/// Event `id` of `source` with its body and headers, which `caller` is shown.
pub(super) async fn open_event(admin: &Admin, caller: &Caller, event: &EventRef) -> Result<Archived, Fault> {
    let found = event_of(admin, event).await?;
    acted(caller, Action::OpenEvent, &named(&found.event), "ok");
    Ok(found)
}

/// The one event that `event` names; its source is named.
pub(super) async fn event_of(admin: &Admin, event: &EventRef) -> Result<Archived, Fault> {
    let missing = || Fault::Missing("there is no such event, or retention has removed it".to_owned());
    admin.store.archive.get(event).await?.pop().ok_or_else(missing)
}

/// Refused request `id` with its body, which `caller` is shown.
pub(super) async fn open_refused(admin: &Admin, caller: &Caller, id: i64) -> Result<Quarantined, Fault> {
    let entry = refused_of(admin, id).await?;
    acted(caller, Action::OpenRefused, &id.to_string(), "ok");
    Ok(entry)
}

/// Refused request `id`.
pub(super) async fn refused_of(admin: &Admin, id: i64) -> Result<Quarantined, Fault> {
    let missing = || Fault::Missing("there is no such refused request, or it made room for newer ones".to_owned());
    admin.store.quarantine.get(id).await?.ok_or_else(missing)
}

/// Queues `events` again, to `sinks` or to those they had; returns how many deliveries.
pub(super) async fn replay_events(
    admin: &Admin,
    caller: &Caller,
    events: &[EventRef],
    sinks: &[Name],
) -> Result<u64, Fault> {
    for sink in sinks {
        configured(admin, sink)?;
    }
    let gone = gone(admin).await?;
    let count = admin.store.archive.replay(events, (!sinks.is_empty()).then_some(sinks), &gone).await?;
    for event in events {
        let source = event.source.as_ref().map_or("", Name::as_str);
        acted(caller, Action::ReplayEvents, &format!("{source}:{}", event.id), &format!("{count} deliveries queued"));
    }
    Ok(count)
}

/// Queues dead letters again, to sink `to` where it is named; returns how many.
pub(super) async fn replay_dead(
    admin: &Admin,
    caller: &Caller,
    which: &Which,
    to: Option<&Name>,
) -> Result<u64, Fault> {
    if let Some(to) = to {
        configured(admin, to)?;
    } else if let Some(gone) = gone(admin).await?.iter().find(|gone| which.filter.sink.as_ref() == Some(*gone)) {
        let words =
            format!("{gone} is not in the configuration, so nobody would deliver: name another sink to move them to");
        return Err(Fault::Impossible(words));
    }
    let count = admin.store.dead_letters.replay(&which.ids, &which.filter, to).await?;
    acted(caller, Action::ReplayDead, &which.words(), &format!("{count} queued"));
    Ok(count)
}

/// Gives dead letters up for good; returns how many.
pub(super) async fn discard_dead(admin: &Admin, caller: &Caller, which: &Which) -> Result<u64, Fault> {
    let count = admin.store.dead_letters.discard(&which.ids, &which.filter).await?;
    acted(caller, Action::DiscardDead, &which.words(), &format!("{count} discarded"));
    Ok(count)
}

/// Which dead letters: these, or all that match where none are named.
pub(super) struct Which {
    pub(super) ids: Vec<DeliveryId>,
    pub(super) filter: DeadLetterFilter,
}

impl Which {
    fn words(&self) -> String {
        if self.ids.is_empty() {
            let sink = self.filter.sink.as_ref().map_or("every sink", Name::as_str);
            return self.filter.error.as_ref().map_or_else(|| sink.to_owned(), |error| format!("{sink}: {error}"));
        }
        self.ids.iter().map(|id| id.0.to_string()).collect::<Vec<_>>().join(" ")
    }
}

/// Removes refused requests; returns how many were there.
pub(super) async fn discard_refused(admin: &Admin, caller: &Caller, ids: &[i64]) -> Result<u64, Fault> {
    let count = admin.store.quarantine.remove(ids).await?;
    let subject = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(" ");
    acted(caller, Action::DiscardRefused, &subject, &format!("{count} discarded"));
    Ok(count)
}

/// Accepts refused request `id` as if it had been valid, on the word of `caller`.
pub(super) async fn release(admin: &Admin, caller: &Caller, id: i64) -> Result<Accepted, Fault> {
    let entry = refused_of(admin, id).await?;
    let accepted = accept(admin, caller, &entry, admin.clock.now()).await?;
    let outcome = if accepted.added { "released" } else { "was accepted before" };
    acted(caller, Action::Release, &format!("{id} as {}:{}", accepted.source, accepted.id), outcome);
    Ok(accepted)
}

/// First the event, then the entry: whoever is interrupted in between releases it again and adds nothing.
async fn accept(admin: &Admin, caller: &Caller, entry: &Quarantined, now: Timestamp) -> Result<Accepted, Fault> {
    let view = admin.view.load_full();
    let impossible = |words: String| Fault::Impossible(words);
    let source = view
        .source(entry.source.as_str())
        .ok_or_else(|| impossible(format!("source {} is not in the configuration any more", entry.source)))?;
    if ingress::asks_handshake(source, &entry.body) {
        return Err(impossible("it is a handshake, which is answered and never stored: discard it".to_owned()));
    }
    let Released { mut event, twins, sinks, .. } =
        ingress::release(entry, source, &view.sinks, caller.name.as_str(), now);
    let inbox = &admin.store.inbox;
    let mut insertion = inbox.insert_beside(event.clone(), &twins, sinks.clone()).await?;
    if insertion == Insertion::Conflict {
        event.id = EventId::of_digest(&Digest::of(&entry.body));
        insertion = inbox.insert_beside(event.clone(), &twins, sinks).await?;
    }
    if insertion == Insertion::Conflict {
        return Err(impossible("its id and its digest both belong to other bodies".to_owned()));
    }
    admin.store.quarantine.remove(&[entry.id]).await?;
    let Event { source, id, kind, .. } = event;
    Ok(Accepted { source, id, kind, added: insertion == Insertion::Accepted })
}

fn configured(admin: &Admin, sink: &Name) -> Result<(), Fault> {
    let missing = || Fault::Impossible(format!("no sink is called {sink:?}"));
    admin.view.load().has_sink(sink.as_str()).then_some(()).ok_or_else(missing)
}

/// Sinks that the store has deliveries for and the configuration no longer has.
pub(super) async fn gone(admin: &Admin) -> Result<Vec<Name>, StoreError> {
    let (view, sinks) = (admin.view.load_full(), admin.store.outbox.sinks().await?);
    Ok(sinks.into_iter().map(|(name, _)| name).filter(|name| !view.has_sink(name.as_str())).collect())
}

fn named(event: &Event) -> String {
    format!("{}:{}", event.source, event.id)
}
