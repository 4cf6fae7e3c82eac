//! An explanation as lines: the refusal first, then its cause, then the configuration to change, then the rest.

use crate::explain::{Change, ChangeTo, Explanation, ToldCause, ToldCheck};

/// All of it, a line each.
pub(super) fn lines(told: &Explanation) -> Vec<String> {
    let mut lines = vec![verdict(told)];
    lines.push(format!("         source {}, preset {}, {}", told.source, told.preset, told.request));
    lines.extend(told.notes.iter().map(|note| format!("         {note}")));
    lines.extend(told.kept_for.iter().map(|reason| format!("         it was kept because of: {reason}")));
    lines.extend(told.release.iter().map(|release| format!("signed   {}", release.words())));
    lines.extend(told.causes.iter().flat_map(cause));
    lines.extend(told.changes.iter().flat_map(|wanted| change(&told.source, wanted)));
    lines.extend(told.secrets.iter().map(|note| format!("note     {note}")));
    lines.push("checks, in the daemon's order:".to_owned());
    lines.extend(told.checks.iter().map(check));
    if let Some(canonical) = &told.canonical_request {
        lines.push("canonical request as it arrived, to compare with the sender's:".to_owned());
        lines.extend(canonical.iter().map(|line| format!("    {line}")));
    }
    lines
}

fn verdict(told: &Explanation) -> String {
    told.refused.as_ref().map_or_else(
        || "ok       no check refuses it: from an allowed address it would be accepted now".to_owned(),
        |refused| format!("REFUSED  {}: {}", refused.reason, refused.why),
    )
}

fn cause(cause: &ToldCause) -> Vec<String> {
    let words = [Some(cause.words.as_str()), cause.detail.as_deref()];
    let words = words.into_iter().flatten().collect::<Vec<_>>().join(": ");
    let line = format!("cause    {}: {words}", cause.name);
    [line].into_iter().chain(cause.remedy.map(|remedy| format!("         {remedy}"))).collect()
}

fn change(source: &str, change: &Change) -> Vec<String> {
    let head = match change.to {
        ChangeTo::Settings => format!("change   in [[source]] {source:?}; with this the signature holds:"),
        ChangeTo::ClientCertificates => {
            format!("change   to take it: one more in client_certificates of [[source]] {source:?}:")
        }
    };
    [head].into_iter().chain(change.lines.iter().map(|line| format!("    {line}"))).collect()
}

fn check(check: &ToldCheck) -> String {
    match check.reason {
        None => format!("  ok       {}", check.words),
        Some(reason) => format!("  REFUSED  {reason}: {}", check.words),
    }
}
