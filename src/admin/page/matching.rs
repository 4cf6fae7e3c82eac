//! All events that a search finds: how many, and replayed or erased a step at a time.

use std::collections::BTreeMap;

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::response::Response;

use super::frame::{Frame, Wrong, filled, page};
use super::search::{KNOWN, asked, criteria, query};
use crate::admin::access::Caller;
use crate::admin::api::Operator;
use crate::admin::api::several::{Meant, matching};
use crate::admin::operate;
use crate::admin::state::Admin;

#[derive(Template)]
#[template(path = "matching.html")]
struct Matching {
    frame: Frame,
    /// What they have in common, as the search said it.
    criteria: Vec<(&'static str, String)>,
    /// Where the search finds them.
    search: String,
    sinks: Vec<String>,
    /// How many the next step takes; none where all are done.
    count: usize,
    /// Where it begins.
    cursor: Option<String>,
    /// Where more are looked for.
    further: Option<String>,
    /// What the step before did.
    outcome: Option<String>,
    /// Of that, what can only be said in a warning.
    remains: bool,
}

pub(super) async fn show(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Query(query): Query<BTreeMap<String, String>>,
) -> Result<Response, Wrong> {
    let field = filled(&query, &KNOWN)?;
    let meant = matching(&admin, &asked(&field)).await?;
    Ok(page(&Matching::of(&admin, &caller, &field, &meant, field("cursor"))))
}

pub(super) async fn replay(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Form(form): Form<BTreeMap<String, String>>,
) -> Result<Response, Wrong> {
    let known = [&KNOWN[..], &["sink"]].concat();
    let field = filled(&form, &known)?;
    let Meant { events, next } = matching(&admin, &asked(&field)).await?;
    let count = events.len();
    let replayed = operate::replay_events(&admin, &caller, events, field("sink").into_iter().collect()).await?;
    let outcome = format!("{} deliveries of {count} events queued again.", replayed.deliveries);
    Ok(page(&Matching { outcome: Some(outcome), ..Matching::after(&admin, &caller, &field, next).await? }))
}

pub(super) async fn erase(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Form(form): Form<BTreeMap<String, String>>,
) -> Result<Response, Wrong> {
    let field = filled(&form, &KNOWN)?;
    let Meant { events, next } = matching(&admin, &asked(&field)).await?;
    let count = events.len() as u64;
    let erased = operate::erase_events(&admin, &caller, events).await?;
    let before = count.saturating_sub(erased.events);
    let before = if before > 0 { format!("; {before} had been erased before") } else { String::new() };
    let outcome = format!("{} events erased{before}.", erased.events);
    let remains = erased.events > 0 && !erased.overwritten;
    let after = Matching::after(&admin, &caller, &field, next).await?;
    Ok(page(&Matching { outcome: Some(outcome), remains, ..after }))
}

impl Matching {
    fn of(
        admin: &Admin,
        caller: &Caller,
        field: impl Fn(&str) -> Option<String>,
        meant: &Meant,
        cursor: Option<String>,
    ) -> Self {
        Self {
            frame: Frame::new("Events that match", caller, &BTreeMap::new()),
            criteria: criteria(&field),
            search: format!("/events?{}", query(&field)),
            sinks: admin.view.load().sinks.iter().map(|sink| sink.name.to_string()).collect(),
            count: meant.events.len(),
            further: meant.next.as_ref().map(|next| format!("/events/matching?{}&cursor={next}", query(&field))),
            cursor,
            outcome: None,
            remains: false,
        }
    }

    /// The step that begins at `next`.
    async fn after(
        admin: &Admin,
        caller: &Caller,
        field: impl Fn(&str) -> Option<String>,
        next: Option<String>,
    ) -> Result<Self, Wrong> {
        let rest = match &next {
            Some(_) => {
                let from = |key: &str| if key == "cursor" { next.clone() } else { field(key) };
                matching(admin, &asked(from)).await?
            }
            None => Meant { events: Vec::new(), next: None },
        };
        Ok(Self::of(admin, caller, field, &rest, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(count: usize, further: Option<&str>, outcome: Option<&str>) -> String {
        let frame = Frame {
            title: "Events that match",
            who: "ann".into(),
            role: "operator",
            may_act: true,
            signed_in: true,
            done: None,
        };
        let (further, outcome) = (further.map(str::to_owned), outcome.map(str::to_owned));
        let (criteria, search, sinks) = (vec![("header", "a=b".to_owned())], "/events?header=a%3Db".into(), Vec::new());
        let matching =
            Matching { frame, criteria, search, sinks, count, cursor: None, further, outcome, remains: false };
        matching.render().unwrap()
    }

    #[test]
    fn a_search_that_found_nothing_yet_is_not_over() {
        let over = shown(0, None, Some("2 events erased."));
        assert!(over.contains("2 events erased. That was all.") && !over.contains("further back"), "{over}");
        let not_over = shown(0, Some("/events/matching?cursor=9_0"), Some("2 events erased."));
        assert!(
            !not_over.contains("That was all") && not_over.contains("href=\"/events/matching?cursor=9_0\""),
            "{not_over}"
        );
        assert!(shown(0, None, None).contains("No event matches."));
        let some = shown(3, Some("/events/matching?cursor=9_0"), None);
        assert!(some.contains("<strong>3 of those that match</strong>: the newest first"), "{some}");
    }
}
