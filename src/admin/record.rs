//! The audit record of what somebody did: who, when, what; never what they saw.

use super::access::Caller;
use crate::escape::visible;

/// Longest subject in a record, in characters; ids are the senders' words.
const SUBJECT_MAX: usize = 512;

/// What somebody did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    SignIn,
    SignOut,
    OpenEvent,
    OpenRefused,
    ReplayEvents,
    ReplayDead,
    DiscardDead,
    Release,
    DiscardRefused,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::SignOut => "sign_out",
            Self::OpenEvent => "open_event",
            Self::OpenRefused => "open_refused",
            Self::ReplayEvents => "replay_events",
            Self::ReplayDead => "replay_dead",
            Self::DiscardDead => "discard_dead",
            Self::Release => "release",
            Self::DiscardRefused => "discard_refused",
        }
    }
}

/// Records that `caller` did `action` to `subject`; `what` says what came of it.
pub(super) fn acted(caller: &Caller, action: Action, subject: &str, what: &str) {
    let client_ip = caller.client_ip.map(|ip| ip.to_string());
    tracing::info!(
        target: "gatepost::audit",
        event = "operator_action",
        operator = caller.name.as_str(),
        role = caller.role.as_str(),
        client_ip,
        action = action.as_str(),
        subject = visible(&subject.chars().take(SUBJECT_MAX).collect::<String>(), false),
        outcome = what,
        "operator action"
    );
}
