//! What a search for events says, in the fields of a form or in an address.

use super::words::encoded;
use crate::admin::api::events::EventsAsked;

/// Its fields.
pub(super) const KNOWN: [&str; 10] =
    ["id", "source", "type", "state", "since", "until", "header", "request", "field", "cursor"];

/// What the fields of a form or an address ask for.
pub(super) fn asked(field: impl Fn(&str) -> Option<String>) -> EventsAsked {
    EventsAsked {
        id: field("id"),
        source: field("source"),
        kind: field("type"),
        state: field("state"),
        since: field("since"),
        until: field("until"),
        header: field("header"),
        request: field("request"),
        field: field("field"),
        cursor: field("cursor"),
        limit: None,
    }
}

/// The address of the page that acts on all that a search finds, where the search says what events have in common.
pub(super) fn place(field: impl Fn(&str) -> Option<String>) -> Option<String> {
    let query = query(&field);
    (!query.is_empty()).then(|| format!("/events/matching?{query}"))
}

/// As it stands in an address.
pub(super) fn query(field: impl Fn(&str) -> Option<String>) -> String {
    let given = criteria(field).into_iter().map(|(key, value)| format!("{key}={}", encoded(&value)));
    given.collect::<Vec<_>>().join("&")
}

/// What events have in common, key by key.
pub(super) fn criteria(field: impl Fn(&str) -> Option<String>) -> Vec<(&'static str, String)> {
    KNOWN.into_iter().filter(|key| *key != "cursor").filter_map(|key| Some((key, field(key)?))).collect()
}
