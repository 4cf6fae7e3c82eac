//! Now: what is wrong, then what comes in, what goes out and what it stands on; a copy of the store.

use std::collections::BTreeMap;

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;

use super::chart::Chart;
use super::frame::{Frame, Wrong, filled, page};
use super::words::{Moment, age, span};
use crate::admin::access::Caller;
use crate::admin::api::{Operator, store};
use crate::admin::now::Now;
use crate::admin::state::Admin;

#[derive(Template)]
#[template(path = "now.html")]
struct Shown {
    frame: Frame,
    now: Now,
    at: Moment,
    up: String,
    over: String,
    requests: Chart,
    deliveries: Chart,
    certificate: Option<Moment>,
    /// Whether the store copies itself.
    copies: bool,
}

pub(super) async fn show(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Result<Response, Wrong> {
    drop(filled(&asked, &[])?);
    let (now, minutes) = (Now::of(&admin), admin.history.minutes());
    let time = admin.clock.now();
    Ok(page(&Shown {
        frame: Frame::new("Now", &caller, &asked),
        at: Moment::of(&now.at, time),
        up: span(now.uptime_seconds.unsigned_abs()),
        over: age(now.rates_over_seconds.max(1.0)),
        requests: Chart::of_requests(&minutes),
        deliveries: Chart::of_deliveries(&minutes),
        certificate: now.certificate_expires_at.as_ref().map(|at| Moment::of(at, time)),
        copies: admin.store.maintenance.copies(),
        now,
    }))
}

/// A copy of the store, as the API sends it.
pub(super) async fn backup(admin: State<Admin>, operator: Operator) -> Result<Response, Wrong> {
    Ok(store::backup(admin, operator).await?)
}
