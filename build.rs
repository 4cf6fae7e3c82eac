//! Tells the program which commit it is made from: `GATEPOST_COMMIT` where that is set, else what git says.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=GATEPOST_COMMIT");
    // A commit must not rebuild what somebody is working on.
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = std::env::var("GATEPOST_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = commit.or_else(|| if release { of_git() } else { Some("development build".to_owned()) });
    println!("cargo::rustc-env=GATEPOST_COMMIT={}", commit.as_deref().unwrap_or("unknown commit"));
}

/// The commit that is checked out, with a mark where files differ from it; nothing in a tree without git.
fn of_git() -> Option<String> {
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo::rerun-if-changed={log}");
    println!("cargo::rerun-if-changed=src");
    git(&["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
