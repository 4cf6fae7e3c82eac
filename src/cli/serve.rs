//! `serve`: the daemon, from configuration to exit status.

use crate::app::{App, AppError, Exit, OnHangup, Signals};

use super::failure::{Failure, Status};
use super::invocation::Invocation;
use super::output;

/// Loads the configuration and serves until a signal says stop.
pub(super) async fn run(invocation: Invocation) -> Result<Status, Failure> {
    // No reason to refuse webhooks: a log that nobody keeps may be meant, and a full disk under it stops nothing either.
    if output::stdout_was_closed() {
        output::tell("warning: stdout is closed or /dev/null, so the log is lost: send it to a file or a pipe");
    }
    let (app, signals) = start(&invocation, OnHangup::Reload).await?;
    Ok(finish(app, signals).await)
}

/// Starts the daemon; its sockets are bound and the signals heard when this returns.
pub(super) async fn start(invocation: &Invocation, hangup: OnHangup) -> Result<(App, Signals), Failure> {
    // Before all else: a SIGTERM during a long start must drain, not kill.
    let signals = Signals::of_process(hangup).map_err(|error| Failure::runtime("cannot listen for signals", &error))?;
    let app = App::start(invocation.loader(), invocation.clock.clone()).await.map_err(|error| match error {
        AppError::ConfigErrors(errors) => invocation.misconfigured(errors),
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
