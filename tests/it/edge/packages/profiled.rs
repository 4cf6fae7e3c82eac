//! Releases are compiled by the profile where the compiler can read it, and everything else as without the script.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

/// Where the script and the profile are.
fn home() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.cargo"))
}

/// What a compiler of this LLVM is called with, where cargo calls it with `arguments`.
fn compiled_with(llvm: &str, arguments: &[&str]) -> Vec<String> {
    compiled_in(home(), llvm, arguments)
}

/// The same by the script in `home`.
fn compiled_in(home: &Path, llvm: &str, arguments: &[&str]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let compiler = dir.path().join("rustc");
    let script =
        format!("#!/bin/sh\nif [ \"$1\" = -vV ]; then echo 'LLVM version: {llvm}'; exit; fi\nprintf '%s\\n' \"$@\"\n");
    fs::write(&compiler, script).unwrap();
    fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(home.join("profiled-rustc")).arg(compiler).args(arguments).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

const RELEASE: [&str; 5] = ["--crate-name", "a b", "-C", "opt-level=3", "src/lib.rs"];

#[test]
fn a_release_is_compiled_by_the_profile_that_the_compiler_can_read() {
    for llvm in ["22.1.2", "23.0"] {
        let all = compiled_with(llvm, &RELEASE);
        assert_eq!(all[..5], RELEASE, "blanks and order stay");
        let path = all[5].strip_prefix("-Cprofile-use=").unwrap_or_else(|| panic!("{all:?}"));
        assert!(fs::metadata(path).unwrap().len() > 100_000, "{path} is there");
        assert_eq!(all.len(), 7);
    }
}

#[test]
fn all_else_is_compiled_as_it_is_without() {
    assert_eq!(compiled_with("21.1.8", &RELEASE), RELEASE, "an older format");
    assert_eq!(compiled_with("", &RELEASE), RELEASE, "another backend");
    for arguments in
        [&["-C", "opt-level=1", "x.rs"][..], &["x.rs"], &["-vV"], &["-C", "opt-level=3", "-Cprofile-generate=x"]]
    {
        let plain = compiled_with("22.1.2", arguments);
        assert!(!plain.iter().any(|argument| argument.starts_with("-Cprofile-use")), "{plain:?}");
    }
}

#[test]
fn the_profile_is_unpacked_where_it_is_missing_or_older_and_left_out_where_it_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path();
    fs::copy(self::home().join("profiled-rustc"), home.join("profiled-rustc")).unwrap();
    let pack = |profile: &str| {
        fs::write(home.join("release.profdata.gz"), profile).unwrap();
        let script = "gzip -n <release.profdata.gz >x && mv x release.profdata.gz";
        assert!(Command::new("sh").args(["-ec", script]).current_dir(home).status().unwrap().success());
    };
    let changed = |file: &str, day: u64| {
        let file = fs::File::options().write(true).open(home.join(file)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_hours(24 * day)).unwrap();
    };
    let used = || {
        let path = compiled_in(home, "22.1.2", &RELEASE).get(5)?.strip_prefix("-Cprofile-use=")?.to_owned();
        Some(fs::read_to_string(path).unwrap())
    };
    let files = || fs::read_dir(home).unwrap().count();

    assert_eq!(used(), None, "there is none at all");
    fs::write(home.join("release.profdata.gz"), "torn").unwrap();
    assert_eq!((used(), files()), (None, 2), "nothing is left of one that cannot be read");
    pack("first");
    changed("release.profdata.gz", 1);
    assert_eq!((used().as_deref(), files()), (Some("first"), 3));
    pack("second");
    changed("release.profdata.gz", 2);
    changed("release.profdata", 3);
    assert_eq!(used().as_deref(), Some("first"), "unpacked once");
    changed("release.profdata", 1);
    assert_eq!((used().as_deref(), files()), (Some("second"), 3), "and again where another came");
}
