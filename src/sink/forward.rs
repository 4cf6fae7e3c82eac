//! The sink that variables add for the events of all sources: `GATEPOST_FORWARD_URL` and `GATEPOST_FORWARD_SECRET`.

use super::settings::{Settings, Types};
use crate::event::Name;
use crate::settings::{Diagnostics, Table};

/// What it is called.
const NAME: &str = "forward";
/// Its type.
const TYPE: &str = "http";
const URL: &str = "GATEPOST_FORWARD_URL";
const SECRET: &str = "GATEPOST_FORWARD_SECRET";

/// The variables that win over `url` and `secret` of the sink called `name`. Without a name that is left open.
pub(super) fn variables(name: Option<&Name>) -> (Option<&'static str>, Option<&'static str>) {
    let ours = name.is_none_or(|name| name.as_str() == NAME);
    (ours.then_some(URL), ours.then_some(SECRET))
}

/// Adds it to `sinks` where the variables ask for it, unless the file has it already.
pub(super) fn add(sinks: &mut Vec<Settings>, types: &'static Types, diagnostics: &mut Diagnostics) {
    let has_url = diagnostics.foreign_variable(URL).is_some_and(|url| !url.trim().is_empty());
    if !has_url && !diagnostics.is_set(SECRET) {
        return;
    }
    match sinks.iter_mut().enumerate().find(|(_, sink)| sink.name.as_str() == NAME) {
        Some((_, sink)) if sink.type_name.is_none_or(|name| name == TYPE) => sink.everywhere = has_url,
        Some((index, _)) => {
            let set = if has_url { URL } else { SECRET };
            let problem = format!("{set} is set for a sink of this name and type {TYPE}: call this one something else");
            diagnostics.consequence(format!("sink[{index}].name"), problem);
        }
        None if has_url => {
            let table = Table::made_by("[[sink]]", URL);
            let mut sink = Settings::read(table, Some((NAME.into(), TYPE)), types, sinks, diagnostics);
            sink.everywhere = true;
            sinks.push(sink);
        }
        None => {
            let problem = format!("is not set, but {SECRET} is: set both, or unset the secret");
            diagnostics.consequence(URL.to_owned(), problem);
        }
    }
}
