//! The tarball, unpacked and run as README says, and what lies beside it: checksums and bill of materials.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{Dist, done, port};
use crate::support::eventually;

/// `gatepost dev` out of the tarball; ended when dropped.
struct Dev(Child);

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Unpacks it into the folder it lies in and gives the folder that came out.
fn unpacked(dist: &Dist) -> PathBuf {
    let archive = dist.file(".tar.gz");
    done(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(archive.parent().unwrap()));
    let name = archive.file_name().unwrap().to_string_lossy().into_owned();
    archive.with_file_name(name.trim_end_matches(".tar.gz"))
}

fn answers_from(folder: &Path) {
    let work = tempfile::tempdir().unwrap();
    let log = work.path().join("log");
    let program = folder.join("gatepost");
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(work.path()).env_clear();
        command
    };
    let mut dev = command(&["dev"]);
    dev.env("GATEPOST_LISTEN", "127.0.0.1:0").env("GATEPOST_ADMIN_LISTEN", "127.0.0.1:0");
    // Without it the log is for people.
    dev.env("GATEPOST_LOG_FORMAT", "json");
    let dev = dev.stdin(Stdio::null()).stdout(File::create(&log).unwrap()).stderr(Stdio::null()).spawn();
    let _dev = Dev(dev.unwrap());
    let url = format!("https://localhost:{}/webhook/cognigy", port(&log));
    let config = ["--config", "config/dev.toml"];
    let sent = eventually("an answer", || {
        let output = command(&[&config[..], &["send", "cognigy", "--url", &url]].concat()).output().unwrap();
        output.status.success().then_some(output)
    });
    let words = String::from_utf8_lossy(&[sent.stdout, sent.stderr].concat()).into_owned();
    assert!(words.contains("\"duplicate\":false"), "{words}");
    let listed = done(&mut command(&[&config[..], &["events", "list", "--json"]].concat()));
    assert_eq!(serde_json::from_str::<Value>(&listed).unwrap().as_array().unwrap().len(), 1);
}

/// Versions of crates by name, as Cargo.lock has them.
fn locked() -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let lock: toml::Table = toml::from_str(&text).unwrap();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let text = |key: &str| package[key].as_str().unwrap().to_owned();
        found.entry(text("name")).or_default().push(text("version"));
    }
    found
}

fn names_what_is_linked_in(bill: &str) {
    assert!(!bill.contains(env!("CARGO_MANIFEST_DIR")), "it says where it was built");
    let bill: Value = serde_json::from_str(bill).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["metadata"]["component"]["name"]), (&"CycloneDX".into(), &"gatepost".into()));
    let (components, locked) = (bill["components"].as_array().unwrap(), locked());
    let text = |component: &Value, key: &str| component[key].as_str().unwrap_or_default().to_owned();
    for component in components {
        let (name, version) = (text(component, "name"), text(component, "version"));
        assert!(locked.get(&name).is_some_and(|versions| versions.contains(&version)), "{name} {version}");
    }
    for wanted in ["rustls", "hyper", "libsqlite3-sys", "async-nats", "aws-sigv4"] {
        assert!(components.iter().any(|component| text(component, "name") == wanted), "{wanted} is missing");
    }
    // What only the tests use is not in it.
    assert!(!components.iter().any(|component| text(component, "name") == "proptest"));
}

#[test]
fn the_tarball_answers_from_where_it_was_unpacked_and_what_lies_beside_it_is_true() {
    let dist = Dist::make();
    done(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(dist.0.path()));
    let sums = fs::read_to_string(dist.file("SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count(), 3, "package, tarball, bill of materials: {sums}");
    names_what_is_linked_in(&fs::read_to_string(dist.file(".cdx.json")).unwrap());
    let folder = unpacked(&dist);
    for file in ["LICENSE", "README.md", "config/gatepost.toml", "config/gatepost.env", "deploy/gatepost.service"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    assert!(folder.join("completions/gatepost.bash").is_file() && folder.join("man/gatepost.1.gz").is_file());
    answers_from(&folder);
}
