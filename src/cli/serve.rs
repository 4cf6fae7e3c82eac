//! `serve`: the daemon, from configuration to exit status.

use crate::app::{App, AppError, Exit, OnHangup, Signals};

use super::failure::{Failure, Status};
use super::invocation::Invocation;

/// Loads the configuration and serves until a signal says stop.
pub(super) async fn run(invocation: Invocation) -> Result<Status, Failure> {
    let (app, signals) = start(&invocation, OnHangup::Reload).await?;
    Ok(finish(app, signals).await)
}

/// Starts the daemon; its sockets are bound and the signals heard when this returns.
pub(super) async fn start(invocation: &Invocation, hangup: OnHangup) -> Result<(App, Signals), Failure> {
    // Before all else: a SIGTERM during a long start must drain, not kill.
    let signals = Signals::of_process(hangup).map_err(|error| Failure::runtime("cannot listen for signals", &error))?;
    let app = App::start(invocation.loader(), invocation.clock.clone()).await.map_err(|error| match error {
        AppError::ConfigErrors(faults) => Failure::Configuration(faults),
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
