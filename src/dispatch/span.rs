//! The span of an attempt, where deliveries are traced: a child of the request that brought the event, and what the sink
//! is told.

use std::sync::Arc;

use super::context::Context;
use crate::escape::visible;
use crate::event::Event;
use crate::sink::{Attempt, Delivered, SinkError};
use crate::trace::{Attribute, Begun, Tracer, Value};

/// Stands for what went wrong where nothing more exact has a name.
const OTHER: &str = "_OTHER";

/// An attempt that is traced.
pub(super) struct AttemptSpan {
    tracer: Arc<Tracer>,
    begun: Begun,
    sink: String,
    known: Vec<Attribute>,
}

impl AttemptSpan {
    /// Begins the span of `attempt` at `event`, whose sink is told of it; nothing while nothing is traced.
    pub(super) fn begin(context: &Context, event: &mut Event, attempt: Attempt) -> Option<Self> {
        let tracer = context.tracer.load()?;
        let begun = tracer.call(event.traceparent.as_deref());
        event.traceparent = Some(begun.context.header());
        let sink = context.settings.name.to_string();
        let known = if begun.context.is_sampled() { known(&sink, event, attempt) } else { Vec::new() };
        Some(Self { tracer, begun, sink, known })
    }

    /// Ends it with what came of the attempt.
    pub(super) fn end(self, result: &Result<Delivered, SinkError>) {
        let Self { tracer, begun, sink, known: mut attributes } = self;
        tracer.end(&begun, || {
            let status = match result {
                Ok(delivered) => delivered.status(),
                Err(error) => error.status,
            };
            attributes.extend(status.map(|status| ("http.response.status_code", u32::from(status.as_u16()).into())));
            if result.is_err() {
                let kind = status.map_or(Value::from(OTHER), |status| status.as_u16().to_string().into());
                attributes.push(("error.type", kind));
            }
            let failed = result.as_ref().err().map(|error| error.message.clone());
            (format!("deliver {sink}"), attributes, failed)
        });
    }
}

fn known(sink: &str, event: &Event, attempt: Attempt) -> Vec<Attribute> {
    vec![
        ("gatepost.sink", sink.to_owned().into()),
        ("gatepost.attempt", attempt.number.into()),
        ("gatepost.replay", attempt.replay.into()),
        ("gatepost.source", event.source.to_string().into()),
        ("gatepost.event_id", visible(event.id.as_str(), false).into()),
        ("gatepost.event_type", visible(&event.kind, false).into()),
        ("gatepost.request_id", event.request_id.clone().into()),
    ]
}
