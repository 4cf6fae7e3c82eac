//! The Debian package in a Debian of its own: installed, run as its own user, installed again, removed, purged.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{Dist, done, port};
use crate::support::certs::Ca;

const CONFIGURATION: &str = r#"
[listener]
address = "127.0.0.1:0"
[tls]
cert_file = "/etc/gatepost/tls.crt"
key_file = "/etc/gatepost/tls.key"
[store]
url = "sqlite:/var/lib/gatepost/gatepost.db"
[admin]
address = "127.0.0.1:0"
[[source]]
name = "cognigy"
preset = "cognigy"
allowed_ips = ["127.0.0.1", "::1"]
secrets = [{ file = "/etc/gatepost/secrets/cognigy" }]
"#;

/// A copy of the Debian that `.ci/debian` laid down; gone when dropped.
struct Debian {
    root: PathBuf,
    _dir: TempDir,
}

impl Debian {
    /// Nothing where there is none to copy or one may not change into it, and says so.
    fn copied() -> Option<Self> {
        let laid = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/debian");
        if !laid.is_dir() || !rustix::process::geteuid().is_root() {
            eprintln!("the Debian package is not tested: it takes root and target/debian, which .ci/debian lays down");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        done(Command::new("cp").arg("-a").arg(&laid).arg(&root));
        Some(Self { root, _dir: dir })
    }

    /// A program in it, as root or as somebody else.
    fn command(&self, user: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(format!("--userspec={user}")).arg(&self.root).args(arguments).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        done(&mut self.command("root:root", arguments))
    }

    #[track_caller]
    fn install(&self, package: &Path) {
        fs::copy(package, self.path("tmp/gatepost.deb")).unwrap();
        self.run(&["dpkg", "--install", "/tmp/gatepost.deb"]);
        fs::remove_file(self.path("tmp/gatepost.deb")).unwrap();
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside)
    }

    /// Every file and directory but dpkg's own notes, and what tools keep of what they have changed or locked.
    fn files(&self) -> BTreeSet<String> {
        let notes = ["/var/cache/", "/run/"];
        let all = self.run(&["find", "/", "-xdev", "-not", "-path", "/var/lib/dpkg/*", "-not", "-path", "/var/log/*"]);
        let backup = |line: &str| line.starts_with("/etc/") && line.ends_with('-');
        let kept = |line: &&str| !backup(line) && !notes.iter().any(|at| line.starts_with(at));
        all.lines().filter(kept).map(str::to_owned).collect()
    }

    /// Mode, user and group of a file, by name.
    fn access(&self, inside: &str) -> String {
        self.run(&["stat", "--format=%a %U:%G", inside])
    }
}

/// A daemon of the installed package; ended when dropped.
struct Serving {
    child: Child,
    port: u16,
}

impl Serving {
    fn start(debian: &Debian) -> Self {
        let log = debian.path("var/lib/gatepost/log");
        let mut command = debian.command("gatepost:gatepost", &["gatepost", "--config", "/etc/gatepost/gatepost.toml"]);
        let child = command.arg("serve").stdin(Stdio::null()).stdout(File::create(&log).unwrap()).spawn().unwrap();
        let mut serving = Self { child, port: 0 };
        serving.port = port(&log);
        serving
    }

    fn stop(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What an administrator does after the installation: a certificate, a secret, a configuration, readable for the daemon.
fn configure(debian: &Debian) {
    let ca = Ca::new();
    ca.leaf(1).write(&debian.path("etc/gatepost"));
    fs::write(debian.path("etc/gatepost/ca.crt"), ca.pem()).unwrap();
    fs::write(debian.path("etc/gatepost/gatepost.toml"), CONFIGURATION).unwrap();
    fs::write(debian.path("etc/gatepost/secrets/cognigy"), "a-secret-of-enough-length\n").unwrap();
    for file in ["gatepost.toml", "tls.crt", "tls.key", "secrets/cognigy"] {
        debian.run(&["install", "-m", "0640", "-g", "gatepost", &format!("/etc/gatepost/{file}"), "/tmp/file"]);
        debian.run(&["mv", "/tmp/file", &format!("/etc/gatepost/{file}")]);
    }
    let check = ["gatepost", "--config", "/etc/gatepost/gatepost.toml", "check"];
    done(&mut debian.command("gatepost:gatepost", &check));
}

/// It is there, belongs to whom it should, and nothing has been started or will be by itself.
fn is_installed(debian: &Debian) {
    assert!(debian.run(&["gatepost", "--version"]).starts_with("gatepost "));
    assert_eq!(debian.access("/etc/gatepost"), "750 root:gatepost\n");
    assert_eq!(debian.access("/etc/gatepost/secrets"), "750 root:gatepost\n");
    assert_eq!(debian.access("/var/lib/gatepost"), "700 gatepost:gatepost\n");
    assert!(debian.run(&["getent", "passwd", "gatepost"]).trim().ends_with(":/var/lib/gatepost:/usr/sbin/nologin"));
    let files = debian.files();
    for wanted in [
        "/usr/share/man/man1/gatepost.1.gz",
        "/usr/share/man/man1/gatepost-serve.1.gz",
        "/usr/share/bash-completion/completions/gatepost",
        "/usr/share/zsh/vendor-completions/_gatepost",
        "/usr/share/fish/vendor_completions.d/gatepost.fish",
        "/usr/share/doc/gatepost/copyright",
        "/usr/share/doc/gatepost/docs/connect/cxone.md",
        "/usr/share/doc/gatepost/deploy/haproxy.cfg",
        "/etc/gatepost/gatepost.example.toml",
    ] {
        assert!(files.contains(wanted), "{wanted}");
    }
    let conffiles = debian.run(&["dpkg-query", "--show", "--showformat=${Conffiles}", "gatepost"]);
    assert!(conffiles.contains("/etc/gatepost/gatepost.example.toml"), "{conffiles}");
    let of_systemd = |file: &&String| file.contains("/systemd/") && file.ends_with("/gatepost.service");
    let units: Vec<_> = files.iter().filter(of_systemd).collect();
    assert_eq!(units.len(), 1, "not enabled: {units:?}");
    let unit = fs::read_to_string(debian.path(units[0].trim_start_matches('/'))).unwrap();
    assert_eq!(
        unit,
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/gatepost.service")).unwrap()
    );
    let unconfigured = ["gatepost", "--config", "/etc/gatepost/gatepost.toml", "serve"];
    let output = debian.command("gatepost:gatepost", &unconfigured).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("/etc/gatepost/gatepost.toml"), "it says what is missing: {words}");
}

fn answers(debian: &Debian, serving: &Serving) {
    let config = ["gatepost", "--config", "/etc/gatepost/gatepost.toml"];
    // By address: there need not be anything in it that knows a name.
    let url = format!("https://127.0.0.1:{}/webhook/cognigy", serving.port);
    let send = [&config[..], &["send", "cognigy", "--ca-file", "/etc/gatepost/ca.crt", "--url", &url]].concat();
    let output = debian.command("root:root", &send).output().unwrap();
    let words = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && words.contains("\"duplicate\":false"), "{words}");
}

fn events(debian: &Debian) -> usize {
    let config = ["gatepost", "--config", "/etc/gatepost/gatepost.toml", "events", "list", "--json"];
    let listed = done(&mut debian.command("gatepost:gatepost", &config));
    serde_json::from_str::<Value>(&listed).unwrap().as_array().unwrap().len()
}

#[test]
fn the_debian_package_is_installed_runs_is_updated_and_leaves_nothing_behind() {
    let Some(debian) = Debian::copied() else { return };
    let dist = Dist::make();
    let package = dist.file(".deb");
    let before = debian.files();
    debian.install(&package);
    is_installed(&debian);
    configure(&debian);
    let serving = Serving::start(&debian);
    answers(&debian, &serving);
    assert_eq!(serving.stop(), Some(0), "drained");
    assert_eq!(fs::metadata(debian.path("var/lib/gatepost/gatepost.db")).unwrap().mode() & 0o777, 0o600);
    // An update keeps what the administrator has set, also who may read it.
    let tightened = fs::Permissions::from_mode(0o700);
    fs::set_permissions(debian.path("etc/gatepost/secrets"), tightened).unwrap();
    debian.install(&package);
    assert_eq!(debian.access("/etc/gatepost/secrets"), "700 root:gatepost\n");
    assert_eq!(fs::read_to_string(debian.path("etc/gatepost/gatepost.toml")).unwrap(), CONFIGURATION);
    debian.run(&["chmod", "0750", "/etc/gatepost/secrets"]);
    assert_eq!(events(&debian), 1);
    debian.run(&["dpkg", "--remove", "gatepost"]);
    assert!(!debian.path("usr/bin/gatepost").exists());
    assert!(debian.path("var/lib/gatepost/gatepost.db").exists(), "events stay until it is purged");
    assert!(debian.path("etc/gatepost/secrets/cognigy").exists());
    debian.run(&["dpkg", "--purge", "gatepost"]);
    let left: Vec<String> = debian.files().difference(&before).cloned().collect();
    assert!(left.is_empty(), "{left:?}");
    let users =
        fs::read_to_string(debian.path("etc/passwd")).unwrap() + &fs::read_to_string(debian.path("etc/group")).unwrap();
    assert!(!users.contains("gatepost"), "{users}");
}
