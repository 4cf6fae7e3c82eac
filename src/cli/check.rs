//! `check`: the effective configuration, or everything that is wrong with it. Binds nothing, delivers nothing.

use serde_json::{Value, json};

use crate::app;
use crate::config::Config;
use crate::settings::record::Section;
use crate::settings::{ConfigError, ConfigErrors};

use super::failure::{Failure, Status};
use super::invocation::Invocation;
use super::output;

/// In what form to tell.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Print one JSON object, errors included
    #[arg(long)]
    json: bool,
}

/// Prints the configuration with every secret redacted, warnings to stderr; or fails with every error found.
pub(super) async fn run(args: Args, invocation: Invocation) -> Result<Status, Failure> {
    let checked = app::check(&invocation.loader(), &invocation.clock).await;
    if args.json {
        output::print_json(&value(&checked))?;
        return Ok(if checked.is_ok() { Status::Done } else { Status::Wrong });
    }
    let config = checked.map_err(|errors| invocation.misconfigured(errors))?;
    for warning in &config.warnings {
        output::tell(&format!("warning: {warning}"));
    }
    output::print(config.describe().trim_end())?;
    output::tell("the configuration is good");
    Ok(Status::Done)
}

fn value(checked: &Result<Config, ConfigErrors>) -> Value {
    let told = |error: &ConfigError| json!({ "at": error.at, "problem": error.problem });
    match checked {
        Ok(config) => {
            let sections: Vec<_> = config.sections().iter().flat_map(Section::shown).collect();
            json!({ "ok": true, "errors": [], "warnings": config.warnings, "sections": sections })
        }
        Err(errors) => {
            let errors: Vec<Value> = errors.0.iter().map(told).collect();
            json!({ "ok": false, "errors": errors, "warnings": [], "sections": [] })
        }
    }
}
