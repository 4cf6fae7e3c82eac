//! What to do when the system gives no connection: rest where the listener is at fault, and log that once an episode.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long accepting rests when the system is out of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long accepting has to work until its next error is news. Where connections come and go at the limit it works and
/// fails in turn, many times a second.
const EPISODE_END: Duration = Duration::from_mins(1);

/// The errors of one listener's `accept`.
pub(super) struct AcceptBackoff {
    /// Which listener, for the log: descriptors run out for all of them at once, and each says so.
    listener: &'static str,
    last: Option<Instant>,
}

impl AcceptBackoff {
    /// For the listener that the log calls `listener`.
    pub(super) const fn of(listener: &'static str) -> Self {
        Self { listener, last: None }
    }

    /// Rests and logs, unless the error is that of one connection.
    pub(super) async fn failed(&mut self, error: &io::Error) {
        if is_of_one_connection(error) {
            return tracing::debug!(%error, "connection lost before it was accepted");
        }
        let now = Instant::now();
        if self.last.replace(now).is_none_or(|last| now - last > EPISODE_END) {
            let advice = "out of descriptors? Raise the limit (ulimit -n) or lower max_connections";
            tracing::error!(%error, listener = self.listener, advice, "cannot accept connections; trying again until it works");
        }
        sleep(ACCEPT_PAUSE).await;
    }
}

/// EMFILE, ENFILE: the process, or the machine, may open no more.
pub(super) fn is_out_of_descriptors(error: &io::Error) -> bool {
    let raw = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    matches!(raw, Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE))
}

/// Whether an accept failed because of the connection that was to be accepted. Linux hands pending network errors of
/// the new socket to `accept`, too (accept(2), "Error handling").
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkDown,
        NetworkUnreachable, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | TimedOut
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_is_no_reason_to_rest_and_a_lack_of_descriptors_is() {
        // Linux: ECONNABORTED, ECONNRESET, EHOSTUNREACH; EMFILE, ENFILE, ENOBUFS, ENOMEM.
        for own in [103, 104, 113] {
            assert!(is_of_one_connection(&io::Error::from_raw_os_error(own)), "{own}");
        }
        for listeners in [24, 23, 105, 12] {
            assert!(!is_of_one_connection(&io::Error::from_raw_os_error(listeners)), "{listeners}");
        }
        let out = [24, 23, 105, 12].map(|code| is_out_of_descriptors(&io::Error::from_raw_os_error(code)));
        assert_eq!(out, [true, true, false, false]);
    }
}
