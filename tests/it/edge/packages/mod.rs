//! What `.ci/dist` hands out is installed and run: the Debian package in a Debian of its own, the tarball in a folder.
//!
//! The program in them is the one that the tests are run with, not a release build, which takes minutes; script and
//! contents are the same.

mod debian;
mod profiled;
mod tarball;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::eventually;

/// Where `.ci/dist` wrote to; gone when dropped.
struct Dist(TempDir);

impl Dist {
    /// Packages the program under test.
    fn make() -> Self {
        let into = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/dist");
        let mut command = Command::new(script);
        command.args(["--fast", "--binary", env!("CARGO_BIN_EXE_gatepost"), "--into"]).arg(into.path());
        // cargo tells its tests where things are, which is not where the script is to look.
        let inherited = std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("CARGO_"));
        let kept = std::env::vars_os().filter(|(name, _)| name == "CARGO_HOME");
        let output = command.env_clear().envs(inherited).envs(kept).output().unwrap();
        assert!(output.status.success(), ".ci/dist: {}", String::from_utf8_lossy(&output.stderr));
        Self(into)
    }

    /// The one file whose name ends so.
    fn file(&self, end: &str) -> PathBuf {
        let names = fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut found: Vec<PathBuf> = names.filter(|path| path.to_string_lossy().ends_with(end)).collect();
        assert_eq!(found.len(), 1, "{end}: {found:?}");
        found.remove(0)
    }
}

/// Runs it to its end and gives stdout; panics with its words where it fails.
#[track_caller]
fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {out}{err}");
    out.into_owned()
}

/// The port that a daemon whose stdout goes to `file` says it takes webhooks on.
fn port(file: &Path) -> u16 {
    eventually("the start-up record", || {
        let text = fs::read_to_string(file).unwrap();
        let line = text.lines().find(|line| line.contains("\"message\":\"listening\""))?;
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        Some(record["webhook"].as_str().unwrap().parse::<std::net::SocketAddr>().unwrap().port())
    })
}
