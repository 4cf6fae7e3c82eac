//! The limit of open files: raised as far as the system allows, and compared with what the configuration needs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors beside those of connections: the store, sinks, listeners, the log.
const BESIDE: u64 = 64;

/// Raises the soft limit to the hard one: the low soft default is for programs that call `select`, which none here does.
/// Warns where `connections` may still not all be open at once.
pub fn raise(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    // No value: without limit.
    let Some(allowed) = getrlimit(Resource::Nofile).current else { return };
    if allowed < connections as u64 + BESIDE {
        tracing::warn!(
            allowed,
            max_connections = connections,
            "fewer open files are allowed than max_connections needs: raise the hard limit (ulimit -Hn, LimitNOFILE=)"
        );
    }
}
