//! What an operator does to what the store holds. The only file that changes anything; rules and records are the operations'.

use std::fs::File;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::access::Caller;
use super::state::Admin;
use crate::escape::is_hidden;
use crate::event::Name;
use crate::operations::{
    self, DeadChoice, DeadReplayed, Erased, EventsReplayed, Found, LOOKED_AT, OperationError, Operations, Operator,
    ReleaseOutcome, Resender, Resent, SinkStatus, Sought,
};
use crate::store::{Archived, Cursor, EventFilter, EventRef, QuarantineFilter, Quarantined, Stats};

/// Sooner than the answer has to be made.
const RESEND: Duration = Duration::from_secs(8);

type Work<'a, T> = BoxFuture<'a, Result<T, OperationError>>;

/// Does `work` to its end, record and all, even when nobody waits for the answer any more.
async fn act<T: Send + 'static>(
    admin: &Admin,
    caller: &Caller,
    work: impl for<'a> FnOnce(Operations<'a>, &'a Operator) -> Work<'a, T> + Send + 'static,
) -> Result<T, OperationError> {
    let (admin, operator) = (admin.clone(), Operator::new(caller.name.as_str())?.from(caller.client_ip));
    let lifecycle = admin.lifecycle.clone();
    let acted = lifecycle.spawn(async move {
        let view = admin.view.load_full();
        work(admin.operations(&view), &operator).await
    });
    acted.await.unwrap_or_else(|error| Err(OperationError::Failed(error.to_string())))
}

/// The one event that `event` names; its source is named.
pub(super) async fn event_of(admin: &Admin, event: &EventRef) -> Result<Archived, OperationError> {
    let view = admin.view.load_full();
    admin.operations(&view).exact_event(event).await
}

/// The events that match `filter` and are `sought`, among the next of those that match.
pub(super) async fn find_events(
    admin: &Admin,
    filter: &EventFilter,
    sought: &Sought,
    from: Option<Cursor>,
) -> Result<Found, OperationError> {
    let view = admin.view.load_full();
    admin.operations(&view).find_events(filter, sought, from, LOOKED_AT).await
}

/// The same with its body and headers, which `caller` is shown.
pub(super) async fn open_event(admin: &Admin, caller: &Caller, event: EventRef) -> Result<Archived, OperationError> {
    act(admin, caller, move |operations, operator| async move { operations.open_event(&event, operator).await }.boxed())
        .await
}

/// Refused request `id`.
pub(super) async fn refused_of(admin: &Admin, id: i64) -> Result<Quarantined, OperationError> {
    let view = admin.view.load_full();
    admin.operations(&view).exact_refused(id).await
}

/// The same with its body, which `caller` is shown.
pub(super) async fn open_refused(admin: &Admin, caller: &Caller, id: i64) -> Result<Quarantined, OperationError> {
    act(admin, caller, move |operations, operator| async move { operations.open_refused(id, operator).await }.boxed())
        .await
}

/// Queues `events` again, to `sinks` or to those they had.
pub(super) async fn replay_events(
    admin: &Admin,
    caller: &Caller,
    events: Vec<EventRef>,
    sinks: Vec<String>,
) -> Result<EventsReplayed, OperationError> {
    act(admin, caller, move |operations, operator| {
        async move { operations.replay_exactly(&events, &sinks, operator).await }.boxed()
    })
    .await
}

/// Erases `event` for good.
pub(super) async fn erase(admin: &Admin, caller: &Caller, event: EventRef) -> Result<Erased, OperationError> {
    act(admin, caller, move |operations, operator| {
        async move {
            operations.exact_event(&event).await?;
            operations.erase_events(&[event], operator).await
        }
        .boxed()
    })
    .await
}

/// Erases `events` for good; those that are gone count for nothing.
pub(super) async fn erase_events(
    admin: &Admin,
    caller: &Caller,
    events: Vec<EventRef>,
) -> Result<Erased, OperationError> {
    act(admin, caller, move |operations, operator| {
        async move { operations.erase_events(&events, operator).await }.boxed()
    })
    .await
}

/// The command that posts `event` to `url`, which shows `caller` its body.
pub(super) async fn curl(admin: &Admin, caller: &Caller, event: EventRef, url: &str) -> Result<String, OperationError> {
    // What begins otherwise may be an option of curl's.
    if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) || url.contains(is_hidden) {
        return Err(OperationError::Refused("url: expected http:// or https:// and what follows".to_owned()));
    }
    operations::curl(&open_event(admin, caller, event).await?, url)
}

/// Delivers `event` to `url` once, now; says what is to be said about that address.
pub(super) async fn resend(
    admin: &Admin,
    caller: &Caller,
    event: EventRef,
    url: &str,
) -> Result<(Resent, Vec<String>), OperationError> {
    let resender = Resender::new(url, &admin.view.load().proxy_variables)?;
    let (warnings, named) = (resender.warnings.clone(), event.clone());
    let resent = act(admin, caller, move |operations, operator| {
        async move {
            let found = operations.exact_event(&event).await?;
            if found.erased.is_some() {
                return Err(OperationError::Refused("it was erased: nothing is left to send".to_owned()));
            }
            operations.resend(&event, &resender, operator).await
        }
        .boxed()
    });
    let late = || Resent {
        event: named,
        outcome: Err(format!("no answer within {} s; it may still arrive", RESEND.as_secs())),
    };
    let resent = tokio::time::timeout(RESEND, resent).await.unwrap_or_else(|_| Ok(late()))?;
    Ok((resent, warnings))
}

/// Every sink as operators left it.
pub(super) async fn sinks(admin: &Admin) -> Result<Vec<SinkStatus>, OperationError> {
    let view = admin.view.load_full();
    admin.operations(&view).list_sinks().await
}

/// Pauses sink `name`; whether it was not paused already.
pub(super) async fn pause(
    admin: &Admin,
    caller: &Caller,
    name: String,
    reason: Option<String>,
) -> Result<bool, OperationError> {
    act(admin, caller, move |operations, operator| {
        async move { operations.pause_sink(&name, operator, reason.as_deref()).await }.boxed()
    })
    .await
}

/// Ends the pause of sink `name`; whether there was one.
pub(super) async fn resume(admin: &Admin, caller: &Caller, name: String) -> Result<bool, OperationError> {
    act(admin, caller, move |operations, operator| {
        async move { Ok(operations.resume_sink(&name, operator).await?.is_some()) }.boxed()
    })
    .await
}

/// Makes `rate` the rate of sink `name`, or the configured one again.
pub(super) async fn rate(
    admin: &Admin,
    caller: &Caller,
    name: String,
    rate: Option<String>,
) -> Result<(), OperationError> {
    act(admin, caller, move |operations, operator| {
        async move { operations.rate_sink(&name, operator, rate.as_deref()).await }.boxed()
    })
    .await
}

/// Queues dead letters again, to sink `to` where it is named.
pub(super) async fn replay_dead(
    admin: &Admin,
    caller: &Caller,
    which: DeadChoice,
    to: Option<String>,
) -> Result<DeadReplayed, OperationError> {
    let replayed = act(admin, caller, move |operations, operator| {
        async move { operations.replay_dead_exactly(&which, to.as_deref(), operator).await }.boxed()
    })
    .await?;
    match replayed.left.first() {
        Some(gone) if replayed.count == 0 => Err(OperationError::Refused(format!(
            "{gone} is not in the configuration, so nobody would deliver: name another sink to move them to"
        ))),
        _ => Ok(replayed),
    }
}

/// Gives dead letters up for good; returns how many.
pub(super) async fn discard_dead(admin: &Admin, caller: &Caller, which: DeadChoice) -> Result<u64, OperationError> {
    act(admin, caller, move |operations, operator| {
        async move { operations.discard_dead_exactly(&which, operator).await }.boxed()
    })
    .await
}

/// Removes the refused requests `ids`; returns how many were there.
pub(super) async fn discard_refused(admin: &Admin, caller: &Caller, ids: Vec<i64>) -> Result<u64, OperationError> {
    act(admin, caller, move |operations, operator| {
        async move { operations.discard_refused_exactly(&ids, operator).await }.boxed()
    })
    .await
}

/// Removes the refused requests that match `filter`; returns how many.
pub(super) async fn discard_matching(
    admin: &Admin,
    caller: &Caller,
    filter: QuarantineFilter,
) -> Result<u64, OperationError> {
    act(admin, caller, move |operations, operator| {
        async move { operations.discard_matching(&filter, operator).await }.boxed()
    })
    .await
}

/// Accepts the refused requests `ids` as if they had been valid, on the word of `caller`; none, unless all of them can be.
pub(super) async fn release(
    admin: &Admin,
    caller: &Caller,
    ids: Vec<i64>,
) -> Result<Vec<ReleaseOutcome>, OperationError> {
    act(admin, caller, move |operations, operator| {
        async move {
            for &id in &ids {
                operations.exact_refused(id).await?;
            }
            operations.release_exactly(&ids, operator).await
        }
        .boxed()
    })
    .await
}

/// Sinks that the store has deliveries for and the configuration no longer has.
pub(super) async fn gone(admin: &Admin) -> Result<Vec<Name>, OperationError> {
    let view = admin.view.load_full();
    admin.operations(&view).gone_sinks().await
}

/// What the store holds.
pub(super) async fn store_stats(admin: &Admin) -> Result<Stats, OperationError> {
    let view = admin.view.load_full();
    admin.operations(&view).store_stats().await
}

/// A copy of the store, which `caller` is sent.
pub(super) async fn copy_store(admin: Admin, caller: Caller) -> Result<File, OperationError> {
    act(&admin, &caller, |operations, operator| async move { operations.copy_store(operator).await }.boxed()).await
}
