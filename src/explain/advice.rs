//! The lines of configuration that lead from a source's settings to those that accept the request.

use crate::ingress::{IdRule, SourceSettings};
use crate::scheme::Settings;

/// The lines to set in the source's table. What has to go is named in a comment, so that all of it can be pasted.
pub(super) fn lines(source: &SourceSettings, wanted: &dyn Settings) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, value) in source.scheme.changes(wanted) {
        lines.push(match value {
            Some(value) => format!("{key} = {value}"),
            None => format!("# and no {key}"),
        });
    }
    if source.scheme.has_timestamp() && !wanted.has_timestamp() {
        lines.push("# and no max_drift".to_owned());
    }
    // An id that the signature does not cover is an error of the configuration.
    let covered = |name: &str| wanted.build().is_ok_and(|scheme| scheme.covers_header(name));
    if let IdRule::Header(name) = &source.event_id
        && !covered(name)
    {
        lines.push("event_id = \"digest\"".to_owned());
    }
    lines
}
