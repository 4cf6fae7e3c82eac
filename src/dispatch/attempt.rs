//! One attempt: how it is made, and what is decided, counted and logged once it has ended.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::context::Context;
use super::decision::{RetryLimits, decide};
use super::in_flight::{Finished, Subject};
use super::lease::DeliveryLease;
use super::span::AttemptSpan;
use crate::event::Event;
use crate::feed::FeedEvent;
use crate::sink::{Attempt, Delivered, Retry, SinkError, within};
use crate::store::{Settled, Settlement};

/// Sinks keep the timeout themselves and may take a moment more to leave a connection usable; this cuts off one that
/// does neither.
const SINK_GRACE: Duration = Duration::from_secs(2);

/// Delivers `event` once, under a deadline.
pub(super) fn deliver(
    context: &Context,
    mut event: Event,
    attempt: Attempt,
) -> impl Future<Output = Result<Delivered, SinkError>> + Send + 'static + use<> {
    let (sink, limit) = (Arc::clone(&context.sink), context.settings.timeout + SINK_GRACE);
    let span = AttemptSpan::begin(context, &mut event, attempt);
    async move {
        let late = || SinkError { message: format!("not done within {limit:?}"), status: None, retry: Retry::Backoff };
        let result = within(limit, sink.deliver(&event, attempt)).await.unwrap_or_else(|_| Err(late()));
        if let Some(span) = span {
            span.end(&result);
        }
        result
    }
}

/// What is told of the attempt at `event`, where anybody follows now.
pub(super) fn subject(context: &Context, event: &Event) -> Option<Box<Subject>> {
    context.feed.as_ref().filter(|feed| feed.is_followed())?;
    Some(Box::new(Subject {
        source: event.source.clone(),
        event_id: event.id.to_string(),
        event_type: event.kind.clone(),
        request_id: event.request_id.clone(),
        begun: Instant::now(),
    }))
}

/// Tells the circuit what came of an attempt and decides what becomes of the delivery.
pub(super) fn conclude(context: &Context, finished: Finished) -> Settlement {
    let Finished { lease, pass, result, subject } = finished;
    let (now, sink) = (Instant::now(), &context.settings.name);
    match &result {
        Ok(_) | Err(SinkError { retry: Retry::Never, .. }) => {
            if context.circuit().answered() {
                tracing::info!(%sink, "the sink answers again");
            }
        }
        Err(error) => {
            if context.circuit().failed(now, pass) {
                tracing::warn!(%sink, %error, "the sink fails: only probing it until it answers");
            }
        }
    }
    let limits = RetryLimits { attempts: context.settings.max_attempts, age: context.max_age() };
    let outcome = decide(result, &lease, lease.age(now), limits, fastrand::f64());
    record(context, &lease, &outcome, subject);
    lease.settle(outcome)
}

/// Counts, logs and tells what becomes of a delivery.
pub(super) fn record(context: &Context, lease: &DeliveryLease, outcome: &Settled, subject: Option<Box<Subject>>) {
    let (sink, metrics) = (&context.settings.name, &context.metrics);
    let (delivery, attempt) = (lease.id.0, lease.attempt().number);
    match outcome {
        Settled::Done { duplicate } => {
            metrics.delivered.inc();
            tracing::debug!(%sink, delivery, attempt, duplicate, "delivered");
        }
        Settled::Retry { after, error } => {
            metrics.retried.inc();
            let wait_ms = after.as_millis();
            tracing::info!(%sink, delivery, attempt, error, wait_ms, "delivery failed, again later");
        }
        Settled::Dead { error } => {
            metrics.dead.inc();
            tracing::warn!(%sink, delivery, attempt, error, "delivery is dead: see `gatepost dead list`");
        }
        Settled::Released { .. } => {}
    }
    if let Some(feed) = &context.feed {
        feed.publish(|| told(context, lease, outcome, subject));
    }
}

/// What those who follow are told of it.
fn told(context: &Context, lease: &DeliveryLease, outcome: &Settled, subject: Option<Box<Subject>>) -> FeedEvent {
    let (word, reason) = match outcome {
        Settled::Done { duplicate: false } => ("delivered", None),
        Settled::Done { duplicate: true } => ("delivered", Some("the sink had it already".to_owned())),
        Settled::Retry { error, .. } => ("retry", Some(error.clone())),
        Settled::Dead { error } => ("dead", Some(error.clone())),
        Settled::Released { .. } => ("released", None),
    };
    let (sink, attempt) = (Some(context.settings.name.clone()), Some(lease.attempt().number));
    let event = FeedEvent { outcome: word, reason, sink, attempt, ..FeedEvent::default() };
    match subject {
        None => event,
        Some(subject) => FeedEvent {
            latency_us: Some(u64::try_from(subject.begun.elapsed().as_micros()).unwrap_or(u64::MAX)),
            source: Some(subject.source),
            event_id: Some(subject.event_id),
            event_type: Some(subject.event_type),
            request_id: Some(subject.request_id),
            ..event
        },
    }
}
