//! `/api/v1/tail`: what happens, as server-sent events (HTML, section 9.2), for as long as somebody follows.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use utoipa::IntoParams;

use super::answer::Refusal;
use super::api::{Asked, Problem};
use crate::event::Name;
use crate::feed::{Feed, FeedEvent, Followed, Follower};
use crate::lifecycle::Lifecycle;

/// After so long without an event a comment says that the connection lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// For so long events are gathered: nobody sees the difference, and the feed holds what comes meanwhile.
const GATHER: Duration = Duration::from_millis(20);
/// Bytes from which a piece is written without gathering more.
const PIECE: usize = 256 * 1024;
/// Pieces on their way to one follower; the feed holds the others.
const ON_THEIR_WAY: usize = 1;

/// What a follower needs.
#[derive(Clone)]
pub(super) struct Tail {
    /// What is told.
    pub feed: Feed,
    /// Ends every stream, and owns the tasks that write them.
    pub lifecycle: Lifecycle,
}

/// What somebody wants to see; empty means all.
#[derive(Deserialize, IntoParams, PartialEq, Eq, Debug, Default)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only requests to this source, and deliveries of its events.
    source: Option<String>,
    /// Only what ended like this.
    outcome: Option<String>,
    /// Only deliveries to this sink.
    sink: Option<String>,
}

/// What happens, as it happens: one server-sent event a request and a delivery, for as long as somebody follows.
///
/// An event named `missed` says how many a follower that was too slow was not told.
#[utoipa::path(get, path = "/tail", tag = "now", params(Filter), responses(
    (status = 200, description = "server-sent events", body = String, content_type = "text/event-stream"),
    (status = 503, description = "too many follow already", body = Refusal)))]
pub(super) async fn tail(Extension(tail): Extension<Tail>, Asked(filter): Asked<Filter>) -> Response {
    let Some(follower) = tail.feed.follow() else {
        let full = Problem(StatusCode::SERVICE_UNAVAILABLE, "too many follow already".to_owned());
        return ([(RETRY_AFTER, "10")], full).into_response();
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
        next = tokio::select! {
            piece = piece(&mut follower, &filter) => piece,
            () = sender.closed() => return,
        };
    }
}

/// The next piece of the stream: what there is to tell, gathered for a moment, so that a busy daemon writes and wakes a few
/// times a second for each follower and not for each event; or a word that the connection lives.
async fn piece(follower: &mut Follower, filter: &Filter) -> Bytes {
    let (until, mut piece) = (Instant::now() + HEARTBEAT, String::new());
    while piece.is_empty() {
        let Ok(first) = timeout_at(until, follower.next()).await else { return Bytes::from_static(b": alive\n\n") };
        filter.write(&first, &mut piece);
    }
    sleep(GATHER).await;
    while piece.len() < PIECE
        && let Some(next) = follower.at_hand()
    {
        filter.write(&next, &mut piece);
    }
    piece.into()
}

impl Filter {
    /// Adds what passes to `piece`.
    fn write(&self, told: &Followed, piece: &mut String) {
        // To a text it cannot fail.
        let _ = match told {
            Followed::Event(event) if self.passes(event) => write!(piece, "data: {}\n\n", event.json()),
            Followed::Event(_) => Ok(()),
            Followed::Missed(missed) => write!(piece, "event: missed\ndata: {{\"missed\":{missed}}}\n\n"),
        };
    }

    fn passes(&self, event: &FeedEvent) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| wanted.is_empty() || found == Some(wanted))
        };
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
    use axum::extract::Query;

    use super::*;

    fn filter(query: &str) -> Result<Filter, String> {
        let uri = format!("/tail?{query}").parse().unwrap();
        Query::try_from_uri(&uri).map(|Query(filter)| filter).map_err(|error| error.body_text())
    }

    #[test]
    fn filters_are_known_ones() {
        let known = filter("source=a%26b&sink=").unwrap();
        assert_eq!(known, Filter { source: Some("a&b".into()), sink: Some(String::new()), outcome: None });
        for wrong in ["type=x", "source=a&source=b"] {
            assert!(filter(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_filter_passes_what_it_names() {
        let event =
            FeedEvent { outcome: "dead", source: Some("a".into()), sink: Some("x".into()), ..FeedEvent::default() };
        for (query, passes) in [
            ("", true),
            ("source=a&outcome=dead&sink=x", true),
            ("source=&sink=", true),
            ("sink=y", false),
            ("source=b", false),
            ("outcome=x", false),
        ] {
            assert_eq!(filter(query).unwrap().passes(&event), passes, "{query}");
        }
        assert!(!filter("sink=x").unwrap().passes(&FeedEvent::default()));
    }
}
