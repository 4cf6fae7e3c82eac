//! The image for real: the shipped Dockerfile and `deploy/compose.yaml`, in a Docker engine.
//!
//! `.ci/container` makes the images (`.ci/images`: nothing is pulled, what ours are built on comes from Debian's packages) and
//! runs these; without it they say that they did nothing.

mod compose;
mod confined;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Set by `.ci/container`, once the images are there.
const WANTED: &str = "IT_CONTAINERS";
/// What `.ci/images` makes of the shipped Dockerfile.
const IMAGE: &str = "gatepost-it/gatepost";
/// How long a container may take to become healthy: the interval between checks is part of it.
const PATIENCE: Duration = Duration::from_secs(90);

/// Whether to run; says so where not.
fn wanted() -> bool {
    let wanted = std::env::var_os(WANTED).is_some();
    if !wanted {
        eprintln!("not tested in a container: .ci/container does, where a Docker engine is there");
    }
    wanted
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output();
    output.unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// What docker prints; panics with its words where it fails.
#[track_caller]
fn docker(arguments: &[&str]) -> String {
    let output = run("docker", arguments);
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What is said of a container, by a template of docker's.
#[track_caller]
fn inspect(container: &str, template: &str) -> String {
    docker(&["inspect", "--format", template, container])
}

/// Looks again and again; panics with `what` and the container's log when it never comes true.
#[track_caller]
fn within_patience(what: &str, container: &str, mut look: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !look() {
        assert!(begun.elapsed() < PATIENCE, "gave up waiting: {what}\n{}", log(container));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until docker calls it healthy.
#[track_caller]
fn becomes_healthy(container: &str) {
    within_patience("healthy", container, || {
        assert_eq!(inspect(container, "{{.State.Running}}"), "true", "{}", log(container));
        inspect(container, "{{.State.Health.Status}}") == "healthy"
    });
}

/// Everything it said so far.
fn log(container: &str) -> String {
    let output = run("docker", &["logs", container]);
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// Where on this machine its port is reached.
fn published(container: &str, port: &str) -> SocketAddr {
    let said = docker(&["port", container, port]);
    said.lines().find_map(|line| line.parse::<SocketAddr>().ok().filter(SocketAddr::is_ipv4)).expect("an IPv4 address")
}

/// Writes what a daemon in a container is to read; everybody may, as its user is nobody here.
fn readable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

/// The events in the store that a container's daemon serves, by its own command line.
#[track_caller]
fn stored(container: &str) -> Vec<Value> {
    let listed = docker(&["exec", container, "/usr/bin/gatepost", "events", "list", "--limit", "100000", "--json"]);
    serde_json::from_str(&listed).unwrap()
}
