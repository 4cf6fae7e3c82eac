//! The signals of the process, as a stream that tests can play themselves.

use std::io;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::mpsc;

/// What a signal asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM or SIGINT: drain; the second one: stop now.
    Stop,
    /// SIGHUP: read everything again.
    Reload,
}

/// Where signals come from.
pub enum Signals {
    /// The operating system.
    Process {
        /// SIGTERM
        terminate: Stream,
        /// SIGINT
        interrupt: Stream,
        /// SIGHUP
        hangup: Stream,
    },
    /// Somebody in this process.
    Channel(mpsc::Receiver<Signal>),
}

impl Signals {
    /// Listens for SIGTERM, SIGINT and SIGHUP.
    ///
    /// # Errors
    /// Where the process may not install handlers.
    pub fn of_process() -> io::Result<Self> {
        Ok(Self::Process {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next one; a channel that has closed asks to stop.
    pub async fn next(&mut self) -> Signal {
        match self {
            Self::Process { terminate, interrupt, hangup } => tokio::select! {
                _ = terminate.recv() => Signal::Stop,
                _ = interrupt.recv() => Signal::Stop,
                _ = hangup.recv() => Signal::Reload,
            },
            Self::Channel(signals) => signals.recv().await.unwrap_or(Signal::Stop),
        }
    }
}
