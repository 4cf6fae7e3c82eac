//! `init`: a configuration with its secrets, what to paste at each vendor, and what is wrong with it. Asks at a terminal for
//! what no flag says.

mod args;
mod ask;
mod compose;
mod plan;
mod write;

use std::path::Path;

use aws_lc_rs::rand;

use crate::app;
use crate::settings::ConfigErrors;
use crate::shell;

use super::failure::{Failure, Status};
use super::invocation::Invocation;
use super::{dev_certificates, output, table};
use ask::Asker;
use compose::Composed;
use plan::Plan;
use write::Kept;

pub(super) use args::Args;

/// Asks, writes, tells, checks.
pub(super) async fn run(args: Args, mut invocation: Invocation) -> Result<Status, Failure> {
    write::refuse_existing(&args.dir.join("gatepost.toml"), args.force)?;
    let mut asker = Asker::of_process();
    let plan = Plan::new(&args, &mut asker)?;
    asker.finish()?;
    let Some(plan) = plan else { return Err(Failure::Usage("nothing was asked for".to_owned())) };
    let mut predictable = false;
    let composed = plan.compose(&mut || {
        let mut bytes = [0; 32];
        predictable |= rand::fill(&mut bytes).is_err();
        bytes
    });
    if predictable {
        return Err(Failure::Runtime("the system gives no random numbers: nothing was written".to_owned()));
    }
    let kept = write::write(&plan, &composed)?;
    if plan.certificate.is_none() {
        dev_certificates::ensure(&plan.certificates(), invocation.clock.now())?;
    }
    output::print(&told(&plan, &composed, &kept))?;
    invocation.file = Some(plan.file());
    check(&plan, &composed, &kept, &invocation).await
}

/// What was written, and what to paste where.
fn told(plan: &Plan, composed: &Composed, kept: &[Kept]) -> String {
    let mut lines = vec![format!("wrote {}", plan.file().display())];
    for (secret, kept) in composed.secrets.iter().zip(kept) {
        let word = match kept {
            Kept::Made => "made ",
            Kept::Before => "kept ",
            Kept::Empty => "empty",
        };
        lines.push(format!("{word} {}", secret.file.display()));
    }
    for sender in &composed.senders {
        lines.push(format!("\n{}: {}", sender.name, sender.product));
        lines.extend(table::fields(&sender.told).lines().map(|line| format!("  {line}")));
    }
    if let Some(page) = plan.proxy.page() {
        let tls =
            if plan.proxy.sends_headers() { "passes TLS through" } else { "ends TLS and speaks it again to gatepost" };
        lines.push(format!("\nwhat stands in front {tls}: {page} is an example"));
    }
    lines.join("\n")
}

/// Checks what was written. Where secrets are still to come, what they cause is no failure.
async fn check(plan: &Plan, composed: &Composed, kept: &[Kept], invocation: &Invocation) -> Result<Status, Failure> {
    let empty = composed.secrets.iter().zip(kept).filter(|(_, kept)| **kept == Kept::Empty);
    let empty: Vec<String> = empty.map(|(secret, _)| secret.file.display().to_string()).collect();
    let file = plan.file();
    match app::check(&invocation.loader(), &invocation.clock).await {
        Ok(config) => {
            for warning in &config.warnings {
                output::tell(&format!("warning: {warning}"));
            }
            output::tell(&format!(
                "\nthe configuration is good. Start it, and send it an event of each kind:\n{}",
                next(plan, &file)
            ));
            Ok(Status::Done)
        }
        Err(errors) if only_about(&errors, &empty) => {
            output::tell(&format!(
                "\nstill to do:\n{errors}\nthen start it, and send it an event of each kind:\n{}",
                next(plan, &file)
            ));
            Ok(Status::Done)
        }
        Err(errors) => Err(errors.into()),
    }
}

/// Whether nothing is wrong but that these files are empty.
fn only_about(errors: &ConfigErrors, empty: &[String]) -> bool {
    errors.0.iter().all(|error| empty.iter().any(|file| error.problem.contains(file.as_str())))
}

/// The commands that come next.
fn next(plan: &Plan, file: &Path) -> String {
    let quote = |path: &Path| shell::quote(&path.display().to_string());
    let program = format!("  gatepost --config {}", quote(file));
    let ca = plan.certificates().join(dev_certificates::CA_FILE);
    let trust = if plan.certificate.is_none() { format!(" --ca-file {}", quote(&ca)) } else { String::new() };
    let sends = plan.sources.iter().map(|source| format!("{program} send {}{trust}", source.name));
    [format!("{program} serve")].into_iter().chain(sends).collect::<Vec<_>>().join("\n")
}
