//! `/api/v1/tail`: what happens, as server-sent events (HTML, section 9.2), for as long as somebody follows.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::event::Name;
use crate::feed::{Feed, FeedEvent, Followed, Follower};
use crate::lifecycle::Lifecycle;

/// After so long without an event a comment says that the connection lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events on their way to one follower; the feed holds the others.
const ON_THEIR_WAY: usize = 16;

/// What a follower needs.
#[derive(Clone)]
pub(super) struct Tail {
    /// What is told.
    pub feed: Feed,
    /// Ends every stream, and owns the tasks that write them.
    pub lifecycle: Lifecycle,
}

/// What somebody wants to see; empty means all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Filter {
    source: Option<String>,
    outcome: Option<String>,
    sink: Option<String>,
}

/// Answers with the stream; 503 where too many follow, 400 for a filter that there is not.
pub(super) async fn tail(State(tail): State<Tail>, RawQuery(query): RawQuery) -> Response {
    let Some(filter) = Filter::of(query.as_deref().unwrap_or_default()) else {
        return (StatusCode::BAD_REQUEST, "the filters are source, outcome and sink\n").into_response();
    };
    let Some(follower) = tail.feed.follow() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "10")], "too many follow already\n").into_response();
    };
    let (sender, receiver) = mpsc::channel(ON_THEIR_WAY);
    let lifecycle = tail.lifecycle.clone();
    drop(tail.lifecycle.spawn(async move {
        tokio::select! {
            () = write(follower, filter, sender) => {}
            () = lifecycle.stop_accepting().cancelled() => {}
        }
    }));
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    (headers, Body::new(Stream(receiver))).into_response()
}

/// Writes what passes `filter` until nobody takes it any more.
async fn write(mut follower: Follower, filter: Filter, sender: mpsc::Sender<Bytes>) {
    // At once, so that whoever follows knows that it does.
    let mut next = Bytes::from_static(b": following\n\n");
    loop {
        if sender.send(next).await.is_err() {
            return;
        }
        let until = Instant::now() + HEARTBEAT;
        next = loop {
            tokio::select! {
                told = timeout_at(until, follower.next()) => match told {
                    Ok(Followed::Event(event)) if !filter.passes(&event) => {}
                    Ok(Followed::Event(event)) => break line(&event),
                    Ok(Followed::Missed(missed)) => break Bytes::from(format!("event: missed\ndata: {{\"missed\":{missed}}}\n\n")),
                    Err(_) => break Bytes::from_static(b": alive\n\n"),
                },
                () = sender.closed() => return,
            }
        };
    }
}

fn line(event: &Arc<FeedEvent>) -> Bytes {
    // Of strings and numbers: it cannot fail, and has no line end in it.
    let json = serde_json::to_string(event).unwrap_or_default();
    format!("data: {json}\n\n").into()
}

impl Filter {
    /// Reads `a=b&c=d`; `None` where it names what there is not.
    fn of(query: &str) -> Option<Self> {
        let mut filter = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=')?;
            let value = percent_encoding::percent_decode_str(value).decode_utf8().ok()?.into_owned();
            let place = match name {
                "source" => &mut filter.source,
                "outcome" => &mut filter.outcome,
                "sink" => &mut filter.sink,
                _ => return None,
            };
            *place = Some(value).filter(|value| !value.is_empty());
        }
        Some(filter)
    }

    fn passes(&self, event: &FeedEvent) -> bool {
        let is =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|wanted| found == Some(wanted));
        is(&self.source, event.source.as_ref().map(Name::as_str))
            && is(&self.sink, event.sink.as_ref().map(Name::as_str))
            && is(&self.outcome, Some(event.outcome))
    }
}

/// A body of pieces as they come.
struct Stream(mpsc::Receiver<Bytes>);

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_known_ones() {
        let filter = Filter::of("source=a%26b&&sink=").unwrap();
        assert_eq!(filter, Filter { source: Some("a&b".into()), ..Filter::default() });
        for wrong in ["source", "type=x", "source=%ff"] {
            assert_eq!(Filter::of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_filter_passes_what_it_names() {
        let event =
            FeedEvent { outcome: "dead", source: Some("a".into()), sink: Some("x".into()), ..FeedEvent::default() };
        for (query, passes) in [
            ("", true),
            ("source=a&outcome=dead&sink=x", true),
            ("sink=y", false),
            ("source=b", false),
            ("outcome=x", false),
        ] {
            assert_eq!(Filter::of(query).unwrap().passes(&event), passes, "{query}");
        }
        assert!(!Filter::of("sink=x").unwrap().passes(&FeedEvent::default()));
    }
}
