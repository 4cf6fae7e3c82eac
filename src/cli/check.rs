//! `check`: the effective configuration, or everything that is wrong with it. Binds nothing, delivers nothing.

use crate::app;

use super::failure::{Failure, Status};
use super::invocation::Invocation;
use super::output;

/// Prints the configuration with every secret redacted, warnings to stderr; or fails with every error found.
pub(super) async fn run(invocation: Invocation) -> Result<Status, Failure> {
    let config = app::check(&invocation.loader(), &invocation.clock).await?;
    for warning in &config.warnings {
        output::tell(&format!("warning: {warning}"));
    }
    output::print(config.describe().trim_end())?;
    output::tell("the configuration is good");
    Ok(Status::Done)
}
