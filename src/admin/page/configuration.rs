//! Configuration: what is in use and who said so, never a secret; what reloads changed or were refused for.

use std::collections::BTreeMap;

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;

use super::frame::{Frame, Wrong, filled, page};
use super::words::Moment;
use crate::admin::access::Caller;
use crate::admin::configuration::{Configuration, ReloadShown};
use crate::admin::state::Admin;

#[derive(Template)]
#[template(path = "configuration.html")]
struct Shown {
    frame: Frame,
    told: Configuration,
    reloads: Vec<(ReloadShown, Moment)>,
}

pub(super) async fn show(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Result<Response, Wrong> {
    drop(filled(&asked, &[])?);
    let (mut told, now) = (Configuration::of(&admin), admin.clock.now());
    let reloads = std::mem::take(&mut told.reloads).into_iter();
    let reloads = reloads.map(|reload| {
        let at = Moment::of(&reload.at, now);
        (reload, at)
    });
    Ok(page(&Shown { frame: Frame::new("Configuration", &caller, &asked), reloads: reloads.collect(), told }))
}
