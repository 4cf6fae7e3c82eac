//! The composition root: builds everything in dependency order, runs it, stops it.

use std::io;
use std::net::SocketAddr;

use crate::clock::Clock;
use crate::config::Config;
use crate::fault::{Fault, Faults};

/// Reads the configuration again, on reload.
pub type Loader = Box<dyn Fn() -> Result<Config, Faults> + Send + Sync>;

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Everything under way was finished.
    Drained,
    /// Something was cut off at the deadline.
    CutOff,
}

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration cannot be acted on.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// The machine did not play along: a taken port, a store that is down.
    #[error("{0}")]
    Runtime(String),
}

/// The signals of the process.
pub struct Signals(());

impl Signals {
    /// Listens for SIGTERM, SIGINT and SIGHUP.
    ///
    /// # Errors
    /// When the process may not install handlers.
    pub fn of_process() -> io::Result<Self> {
        Ok(Self(()))
    }
}

/// The running daemon.
pub struct App {
    webhook: SocketAddr,
    admin: SocketAddr,
}

/// Certificates, store and sinks: every fault at once.
///
/// # Errors
/// [`Faults`] with all that is wrong.
pub async fn check(_config: &Config) -> Result<(), Faults> {
    Ok(())
}

impl App {
    /// Builds all, binds sockets.
    ///
    /// # Errors
    /// [`AppError`] where something cannot be built or bound.
    pub async fn start(_config: Config, _loader: Loader, _clock: Clock) -> Result<Self, AppError> {
        Err(AppError::Faults(Faults(vec![Fault::new("app", "not built in this branch")])))
    }

    /// Where webhooks are taken.
    #[must_use]
    pub const fn webhook_address(&self) -> SocketAddr {
        self.webhook
    }

    /// Where probes and metrics are served.
    #[must_use]
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Serves until a signal says stop.
    pub async fn run(self, _signals: Signals) -> Exit {
        Exit::Drained
    }
}
