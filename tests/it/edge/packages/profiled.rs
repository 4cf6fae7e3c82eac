//! Releases are compiled by the profile where the compiler can read it, and everything else as without the script.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// What a compiler of this LLVM is called with, where cargo calls it with `arguments`.
fn compiled_with(llvm: &str, arguments: &[&str]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let compiler = dir.path().join("rustc");
    let script =
        format!("#!/bin/sh\nif [ \"$1\" = -vV ]; then echo 'LLVM version: {llvm}'; exit; fi\nprintf '%s\\n' \"$@\"\n");
    fs::write(&compiler, script).unwrap();
    fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).unwrap();
    let wrapper = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cargo/profiled-rustc");
    let output = Command::new(wrapper).arg(compiler).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
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
