//! What stands around every page, and the page that says what went wrong.

use std::collections::BTreeMap;

use askama::Template;
use axum::Extension;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{Html, IntoResponse, Response};

use super::words::encoded;
use crate::admin::access::Caller;
use crate::admin::api::Problem;

/// What was done, as the address of the page says it; nothing else can be put there.
const DONE: [(&str, &str); 11] = [
    ("released", "Released: it is accepted, and delivered like every other event."),
    ("replayed", "Queued again, from the first attempt."),
    ("discarded", "Discarded for good."),
    ("erased", "Erased: nothing is left of what the sender said."),
    (
        "erased-but",
        "Erased. Something may stay in the database's files until it cleans up, and stays in copies: see docs/how-to/erase.md.",
    ),
    ("paused", "Paused: nothing is delivered there until it is resumed."),
    ("resumed", "Resumed: what waited is delivered now."),
    ("rated", "Slowed down: that rate counts from now on, in each process of this store."),
    ("rate-configured", "The configured rate counts again."),
    ("sent", "Sent there, and taken."),
    ("none", "Nothing was there to do: it had gone or was done before."),
];

/// See the head of this file.
pub(super) struct Frame {
    pub(super) title: &'static str,
    /// Who looks.
    pub(super) who: String,
    pub(super) role: &'static str,
    /// Whether they may act.
    pub(super) may_act: bool,
    /// Whether there is a session to end.
    pub(super) signed_in: bool,
    /// What they just did.
    pub(super) done: Option<&'static str>,
}

impl Frame {
    pub(super) fn new(title: &'static str, caller: &Caller, asked: &BTreeMap<String, String>) -> Self {
        let done = asked.get("done").and_then(|done| DONE.iter().find(|(word, _)| word == done));
        Self {
            title,
            who: caller.name.to_string(),
            role: caller.role.as_str(),
            may_act: caller.may_act(),
            signed_in: caller.has_session(),
            done: done.map(|(_, words)| *words),
        }
    }

    /// Whether this is the page that the navigation calls `name`, or one of its.
    pub(super) fn is(&self, name: &str) -> bool {
        let first = self.title.split(' ').next().unwrap_or_default();
        [name, name.strip_suffix('s').unwrap_or(name)].contains(&first)
    }
}

/// `template` as a page.
pub(super) fn page(template: &impl Template) -> Response {
    template.render().map_or_else(
        |error| (StatusCode::INTERNAL_SERVER_ERROR, format!("the page cannot be shown: {error}\n")).into_response(),
        |page| Html(page).into_response(),
    )
}

/// Goes to `place`, which is a path of ours.
pub(super) fn see(place: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, place)]).into_response()
}

/// Whoever asks for the form has signed in, or need not, or has been shown it by the guard.
pub(super) async fn signed_in(caller: Option<Extension<Caller>>) -> Response {
    if caller.is_some() { see("/") } else { crate::admin::access::form("/", None) }
}

/// What went wrong, as a page.
pub(super) struct Wrong(pub(super) Problem);

impl<P: Into<Problem>> From<P> for Wrong {
    fn from(problem: P) -> Self {
        Self(problem.into())
    }
}

#[derive(Template)]
#[template(path = "wrong.html")]
struct Shown<'a> {
    status: &'a str,
    words: &'a str,
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        let Problem(status, words) = self.0;
        let shown = Shown { status: status.canonical_reason().unwrap_or("Error"), words: &words };
        (status, page(&shown)).into_response()
    }
}

/// What a form or an address says, apart from fields that were left empty; an unknown one is refused.
pub(super) fn filled(
    asked: &BTreeMap<String, String>,
    known: &[&str],
) -> Result<impl Fn(&str) -> Option<String>, Wrong> {
    if let Some(unknown) = asked.keys().find(|key| !known.contains(&key.as_str()) && *key != "done") {
        return Err(Problem::asked(format!("unknown parameter {unknown:?}")).into());
    }
    Ok(|key: &str| asked.get(key).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()))
}

/// The address of the page of `path` at `cursor`, asked for the same as this one.
pub(super) fn older(path: &str, known: &[&str], field: impl Fn(&str) -> Option<String>, cursor: &str) -> String {
    let others = known.iter().filter(|key| **key != "cursor");
    let others = others.filter_map(|key| Some(format!("{key}={}&", encoded(&field(key)?))));
    format!("{path}?{}cursor={cursor}", others.collect::<String>())
}
