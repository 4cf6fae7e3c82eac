//! The audit record of signing in and out. What operators do is recorded by the operations.

use super::access::Caller;

/// What somebody did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    SignIn,
    SignOut,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::SignOut => "sign_out",
        }
    }
}

/// Records that `caller` did `action`.
pub(super) fn acted(caller: &Caller, action: Action) {
    tracing::info!(
        target: "gatepost::audit",
        event = "operator_action",
        operator = caller.name.as_str(),
        role = caller.role.as_str(),
        client_ip = caller.client_ip.map(|ip| ip.to_string()),
        action = action.as_str(),
        subject = "",
        "operator action"
    );
}
