//! The page of every answer: its status, when it is given and what to do about it.

use std::fmt::Write as _;

use super::Reason;

const HEAD: &str = "\
# What a sender is told

Written by `gatepost reference answers` from the list that the program answers by.

2xx only once the event is stored: `{\"status\":\"accepted\",\"id\":\"…\",\"duplicate\":false}`. The same event again is 200 with
`\"duplicate\":true`. Another body under a known id is 200 with `\"status\":\"quarantined\"`, kept as `id_conflict` and never
delivered. Some presets have another word than `accepted`, because their senders look for it.

Where a source has a `handshake`, the vendor's question is answered as the vendor documents it, and nothing is stored
([handshakes](../connect/handshakes.md)).

Everything else is `{\"error\":\"…\",\"code\":…,\"message\":\"<reason>\"}`, with `\"detail\"` where that helps the sender and tells an
attacker nothing. The reason is also in the access record, in `gatepost_refusals_total{reason=…}` and, where the request
is kept, in `gatepost quarantine list` ([look at a refusal](../how-to/look-at-a-refusal.md)).

## Refusals, in the order of checking

The first check that fails gives the answer.

| status | reason | quarantine | when | what to do |
|---|---|---|---|---|
";

const OTHERS: &str = "
## Reasons that refuse nothing

They stand in the access record.

| status | reason | quarantine | when | what to do |
|---|---|---|---|---|
";

/// The page, as Markdown.
pub(crate) fn page() -> String {
    let mut text = HEAD.to_owned();
    for reason in Reason::ALL.into_iter().filter(|reason| reason.is_refusal()) {
        row(reason, &mut text);
    }
    text.push_str(OTHERS);
    for reason in Reason::ALL.into_iter().filter(|reason| !reason.is_refusal()) {
        row(reason, &mut text);
    }
    text
}

fn row(reason: Reason, text: &mut String) {
    let status = reason.status();
    let status = status.as_ref().map_or("–", |status| status.as_str());
    let kept = if reason.is_kept() { "kept" } else { "–" };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "| {status} | `{reason}` | {kept} | {} | {} |", reason.when(), reason.cure());
}
