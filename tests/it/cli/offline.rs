//! The command line without a daemon: usage, exit statuses, faults, and `send --dry-run` against an independent signer.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

const CONFIG: &str = r#"
[tls]
cert_file = "certs-dev/server.pem"
key_file = "certs-dev/server.key"

[listener]
address = "127.0.0.1:18443"

[[source]]
name = "bot"
preset = "cognigy"
path = "/hooks/bot"
allowed_ips = ["127.0.0.1"]
secrets = [{ value = "a-secret-of-this-test-only" }]

[[source]]
name = "call"
preset = "cognigy-callback"
allowed_ips = ["127.0.0.1"]
secrets = [{ value = "another-secret-of-this-test" }]
"#;

/// The program in `directory`, with no variables but PATH.
pub(super) fn gatepost(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    command.current_dir(directory).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(super) fn run(directory: &Path, arguments: &[&str]) -> Output {
    gatepost(directory).args(arguments).output().expect("the program starts")
}

/// stdout as text.
pub(super) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("stdout is text")
}

/// stderr as text.
pub(super) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn configured() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("gatepost.toml"), CONFIG).unwrap();
    directory
}

#[test]
fn help_and_version_are_answers_and_go_to_stdout() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&["--help"][..], &["--version"], &["send", "--help"], &["events", "list", "--help"]] {
        let output = run(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_version_says_what_is_in_the_program() {
    let directory = tempfile::tempdir().unwrap();
    let told = |argument: &str| String::from_utf8(run(directory.path(), &[argument]).stdout).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(told("-V"), format!("gatepost {version}\n"));
    let long = told("--version");
    assert!(long.starts_with(&format!("gatepost {version} (")) && long.contains("sinks http"), "{long}");
    assert_eq!(long.contains("nats"), cfg!(feature = "nats"), "{long}");
    assert_eq!(long.contains("sqs"), cfg!(feature = "sqs"), "{long}");
}

#[test]
fn shells_complete_every_command_and_each_has_a_page_of_the_manual() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(directory.path(), &["completions", shell]);
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}");
        for word in ["quarantine", "healthcheck", "--config"] {
            assert!(script.contains(word.trim_start_matches('-')), "{shell} does not know {word}");
        }
    }
    let script = directory.path().join("gatepost.bash");
    std::fs::write(&script, run(directory.path(), &["completions", "bash"]).stdout).unwrap();
    let parsed = Command::new("bash").arg("-n").arg(&script).status().unwrap();
    assert!(parsed.success(), "bash reads its own");
    assert_eq!(run(directory.path(), &["completions", "tcsh"]).status.code(), Some(64));
    let page = String::from_utf8(run(directory.path(), &["man"]).stdout).unwrap();
    assert!(page.contains(".TH gatepost 1") && page.contains("Exit status"), "{page}");
    let output = run(directory.path(), &["man", "--dir", "man1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    for name in ["gatepost", "gatepost-serve", "gatepost-events", "gatepost-events-list", "gatepost-send"] {
        let page = std::fs::read_to_string(directory.path().join(format!("man1/{name}.1"))).unwrap();
        assert!(page.contains(&format!(".TH {name} 1")), "{name}: {page}");
    }
}

#[test]
fn wrong_usage_is_64() {
    let directory = configured();
    for arguments in [
        &["nonsense"][..],
        &["--nonsense"],
        &["events"],
        &["send"],
        &["--config", "gatepost.toml", "send", "nobody"],
        &["--config", "gatepost.toml", "send", "bot", "--fault", "sloppy"],
        &["--config", "gatepost.toml", "send", "bot", "--count", "0"],
        &["--config", "gatepost.toml", "send", "bot", "--url", "ftp://localhost/"],
        &["--config", "gatepost.toml", "send", "bot", "--body", "missing.json"],
        &["--config", "gatepost.toml", "send", "bot", "--fault", "conflict"],
        &["--config", "gatepost.toml", "send", "call", "--fault", "stale"],
        &["events", "list", "--since", "yesterday"],
        &["events", "list", "--state", "fine"],
    ] {
        let output = run(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn every_fault_is_told_on_a_line_of_its_own_with_its_key() {
    let directory = configured();
    let file = directory.path().join("gatepost.toml");
    let faulty = CONFIG.replace("a-secret-of-this-test-only", "short").replace("/hooks/bot", "no-slash");
    std::fs::write(&file, faulty + "\n[surprise]\n").unwrap();
    for command in [
        &["--config", "gatepost.toml", "check"][..],
        &["check", "--config", "gatepost.toml"],
        &["--config", "gatepost.toml"],
    ] {
        let output = run(directory.path(), command);
        assert_eq!(output.status.code(), Some(64), "{command:?}");
        let told = stderr(&output);
        for key in ["secrets", "path", "surprise"] {
            assert!(told.lines().any(|line| line.contains(key)), "{key} in {told}");
        }
        assert!(!told.contains("short\""), "a secret is told: {told}");
    }
}

#[test]
fn the_file_may_come_from_the_environment() {
    let directory = configured();
    let output = gatepost(directory.path())
        .env("GATEPOST_CONFIG", "gatepost.toml")
        .args(["send", "bot", "--dry-run"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_dry_run_is_a_curl_command_with_the_vendors_signature() {
    let directory = configured();
    std::fs::write(directory.path().join("body.json"), "{\"text\":\"it's\\n\"}\n").unwrap();
    let command =
        ["--config", "gatepost.toml", "send", "bot", "--dry-run", "--body", "body.json", "--ca-file", "my ca.pem"];
    let output = run(directory.path(), &command);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let words = arguments(directory.path(), &stdout(&output), b"");
    let after = |option: &str| {
        let at = words.iter().position(|word| word == option).unwrap_or_else(|| panic!("{option} in {words:?}"));
        words[at + 1].clone()
    };
    assert_eq!(after("--data-binary"), "@body.json");
    assert_eq!(after("--cacert"), "my ca.pem");
    assert_eq!(words.last().unwrap(), "https://localhost:18443/hooks/bot");
    let signature = mac(b"a-secret-of-this-test-only", b"{\"text\":\"it's\\n\"}\n");
    assert!(words.contains(&format!("x-cognigy-signature: {signature}")), "{words:?}");
    assert!(words.iter().any(|word| word.starts_with("x-cognigy-timestamp: ")), "{words:?}");
}

#[test]
fn a_dry_run_carries_a_body_from_stdin_through_the_shell() {
    let directory = configured();
    for body in ["{\"a\":\"it's $HOME `id` \\\\ \\n\"}", "{\n  \"a\": \"\u{fc}\"\n}\n", "@file", "\t\r\u{1b}[0m"] {
        let mut child = gatepost(directory.path())
            .args(["--config", "gatepost.toml", "send", "bot", "--dry-run", "--body", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let words = arguments(directory.path(), &stdout(&output), body.as_bytes());
        let signature = mac(b"a-secret-of-this-test-only", body.as_bytes());
        assert!(words.contains(&format!("x-cognigy-signature: {signature}")), "{words:?}");
    }
}

/// Lines written to a stdout that was closed go nowhere, and nobody else can say so.
#[test]
fn a_closed_stdout_is_told_on_stderr() {
    let directory = tempfile::tempdir().unwrap();
    let told = |redirection: &str| {
        let script = format!("exec \"$0\" --config missing.toml serve {redirection}");
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_gatepost")).current_dir(directory.path());
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "what is wrong besides is told as well");
        stderr(&output)
    };
    assert!(told(">&-").contains("stdout is closed"), "{}", told(">&-"));
    for meant in [">/dev/null", "| cat; exit 64", ">log"] {
        assert!(!told(meant).contains("stdout"), "{meant}: {}", told(meant));
    }
}

#[test]
fn a_daemon_that_is_not_there_is_not_ready() {
    let directory = tempfile::tempdir().unwrap();
    // Bound and closed again: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = gatepost(directory.path())
        .env("GATEPOST_ADMIN_LISTEN", format!("127.0.0.1:{port}"))
        .arg("healthcheck")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_receiver_that_is_not_there_is_a_failure_and_named() {
    let directory = configured();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/");
    let output = run(directory.path(), &["--config", "gatepost.toml", "send", "bot", "--url", &url]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&format!("127.0.0.1:{port}")), "{}", stderr(&output));
}

/// What curl would be given when `line` is pasted into a shell; checks the body on the way.
fn arguments(directory: &Path, line: &str, body: &[u8]) -> Vec<String> {
    let curl = r#"curl() { printf '%s\0' "$@" >arguments; case " $* " in *' @- '*) cat >body;; esac; }"#;
    let script = format!("{curl}\n{line}");
    let status = Command::new("sh").arg("-c").arg(&script).current_dir(directory).status().unwrap();
    assert!(status.success(), "{script}");
    let words = std::fs::read_to_string(directory.join("arguments")).unwrap();
    let words: Vec<String> = words.split_terminator('\0').map(str::to_owned).collect();
    let at = words.iter().position(|word| word == "--data-binary").unwrap();
    match words[at + 1].as_str() {
        "@-" => assert_eq!(std::fs::read(directory.join("body")).unwrap(), body),
        file if file.starts_with('@') => {}
        inline => assert_eq!(inline.as_bytes(), body),
    }
    words
}

fn mac(secret: &[u8], body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// A source with temporary keys: the token grants access to AWS, and is nobody's business but the two sides'.
#[test]
fn a_dry_run_names_the_session_token_and_does_not_hold_it() {
    let directory = configured();
    let source = "\n[[source]]\nname = \"aws\"\npreset = \"cxone\"\nallowed_ips = \"any\"\nregion = \"eu-west-1\"\n\
        keys = [{ access_key_id = \"ASIAEXAMPLE\", secret = { env = \"IT_SECRET\" }, session_token = { env = \"IT_TOKEN\" } }]\n";
    std::fs::write(directory.path().join("gatepost.toml"), CONFIG.to_owned() + source).unwrap();
    let output = gatepost(directory.path())
        .args(["--config", "gatepost.toml", "send", "aws", "--dry-run", "--body", "-"])
        .env("IT_SECRET", "an-aws-secret-of-this-test")
        .env("IT_TOKEN", "a-session-token-of-this-test")
        .output()
        .unwrap();
    let command = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for secret in ["an-aws-secret", "a-session-token"] {
        assert!(!command.contains(secret) && !stderr(&output).contains(secret), "{command}");
    }
    assert!(command.contains("x-amz-security-token: ${IT_TOKEN}") && command.contains("Signature="), "{command}");
    let words = arguments(directory.path(), &command, b"");
    assert!(words.contains(&"@/dev/fd/3".to_owned()), "{words:?}");
}
