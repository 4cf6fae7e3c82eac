//! The limit of open files: raised as far as the system allows, and connections held to what is left beside the rest.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::admin::CONNECTIONS_MAX;
use crate::config::Config;

/// Descriptors of the store, listeners, runtime, watches, SIEM and log.
const REST: usize = 64;

/// How many descriptors a configuration needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenFiles {
    max_connections: usize,
    /// For everything but webhook connections.
    reserved: usize,
}

impl OpenFiles {
    pub(super) fn of(config: &Config) -> Self {
        let sinks: usize = config.live.sinks.iter().map(|sink| sink.concurrency).sum();
        Self { max_connections: config.live.connections.max, reserved: REST + CONNECTIONS_MAX + sinks }
    }

    /// How many connections may be open at once, so that the store, sinks and probes have descriptors when all are.
    pub(super) fn connections(self) -> usize {
        allowed().map_or(self.max_connections, |allowed| self.within(allowed))
    }

    /// Warns where that is fewer than configured.
    pub(super) fn warn(self) {
        let Some(allowed) = allowed().filter(|allowed| *allowed < self.max_connections + self.reserved) else { return };
        tracing::warn!(
            allowed,
            max_connections = self.max_connections,
            beside = self.reserved,
            at_once = self.within(allowed),
            "fewer open files are allowed than max_connections needs: raise the hard limit (ulimit -Hn, LimitNOFILE=)"
        );
    }

    /// A limit that is too low for the rest already leaves it to luck who gets one.
    const fn within(self, allowed: usize) -> usize {
        match allowed.saturating_sub(self.reserved) {
            0 => self.max_connections,
            left if left < self.max_connections => left,
            _ => self.max_connections,
        }
    }
}

/// Raises the soft limit to the hard one (the low soft default is for programs that call `select`, which none here does)
/// and gives what it is then; `None`: without limit.
fn allowed() -> Option<usize> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    getrlimit(Resource::Nofile).current.map(|most| usize::try_from(most).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_the_rest() {
        let files = OpenFiles { max_connections: 500, reserved: 100 };
        assert_eq!([600, 599, 101, 100, 0].map(|allowed| files.within(allowed)), [500, 499, 1, 500, 500]);
    }
}
