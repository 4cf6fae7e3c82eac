//! Who asks, and what they may.

use std::net::IpAddr;

use crate::admin::settings::Role;
use crate::event::Name;

/// How somebody showed who they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Via {
    /// Nobody has to: there is no token, and the listener is on loopback.
    Loopback,
    /// `Authorization: Bearer`; no browser sends that by itself.
    Bearer,
    /// The session's cookie; browsers send it by themselves.
    Session,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// As records say.
    pub(crate) name: Name,
    pub(crate) role: Role,
    pub(crate) via: Via,
    /// From where; `None` where a proxy says what is no address.
    pub(crate) client_ip: Option<IpAddr>,
}

impl Caller {
    /// Whether they may act, and open bodies.
    pub(crate) fn may_act(&self) -> bool {
        self.role == Role::Operator
    }

    /// Whether there is a session to end.
    pub(crate) fn has_session(&self) -> bool {
        self.via == Via::Session
    }
}
