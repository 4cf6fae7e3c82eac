//! `serve`: the daemon, from configuration to exit status.

use crate::app::{App, AppError, Exit, Signals};
use crate::config::Config;

use super::failure::{Failure, Status};
use super::invocation::Invocation;

/// Loads the configuration and serves until a signal says stop.
pub(super) async fn run(invocation: Invocation) -> Result<Status, Failure> {
    let config = invocation.load()?;
    let (app, signals) = start(config, &invocation).await?;
    Ok(finish(app, signals).await)
}

/// Starts the daemon; its sockets are bound and the signals heard when this returns.
pub(super) async fn start(config: Config, invocation: &Invocation) -> Result<(App, Signals), Failure> {
    // Before the sockets: a SIGTERM during a long start must drain, not kill.
    let signals = Signals::of_process().map_err(|error| Failure::runtime("cannot listen for signals", &error))?;
    let app = App::start(config, invocation.loader(), invocation.clock.clone()).await.map_err(|error| match error {
        AppError::Faults(faults) => Failure::Configuration(faults),
        other @ AppError::Runtime(_) => Failure::Runtime(other.to_string()),
    })?;
    Ok((app, signals))
}

/// Serves until a signal says stop.
pub(super) async fn finish(app: App, signals: Signals) -> Status {
    match app.run(signals).await {
        Exit::Drained => Status::Done,
        Exit::CutOff => Status::Late,
    }
}
