//! Where words go: data to stdout, everything meant for people to stderr. The only place of the command line that
//! writes to either.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use serde_json::{Value, json};

use super::failure::Failure;

/// Writes `data` and a line end to stdout.
pub(super) fn print(data: &str) -> Result<(), Failure> {
    let mut line = String::with_capacity(data.len() + 1);
    line.push_str(data);
    line.push('\n');
    print_bytes(line.as_bytes())
}

/// Writes `value` to stdout, indented.
pub(super) fn print_json(value: &Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::runtime("cannot write JSON", &error))?;
    print(&text)
}

/// Writes `value` to stdout where JSON is wanted, else `words`.
pub(super) fn print_either(
    json: bool,
    value: impl FnOnce() -> Value,
    words: impl FnOnce() -> String,
) -> Result<(), Failure> {
    if json { print_json(&value()) } else { print(&words()) }
}

/// Says how many were `done`: `discarded 2 dead letters`, or `[{"discarded": 2}]`.
pub(super) fn print_count(json: bool, done: &str, count: u64, noun: &str) -> Result<(), Failure> {
    let words = || format!("{done} {count} {noun}{}", if count == 1 { "" } else { "s" });
    print_either(json, || json!([{ done: count }]), words)
}

/// Writes `data` to stdout as it is.
pub(super) fn print_bytes(data: &[u8]) -> Result<(), Failure> {
    write(data).map(drop)
}

/// Writes `data` to stdout as it is; whether anybody still reads there.
pub(super) fn write(data: &[u8]) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(data).and_then(|()| stdout.flush()) {
        // `gatepost events list | head` has seen enough: not a failure.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::runtime("cannot write to stdout", &error)),
        Ok(()) => Ok(true),
    }
}

/// Whether stdout was closed when the process began, as far as that can be told: Rust's runtime then opens `/dev/null` in
/// its place, for reading too. So do some supervisors on purpose (`start-stop-daemon --background`, Python's `DEVNULL`,
/// Node's `ignore`); a shell's `>/dev/null` opens it for writing alone.
pub(super) fn stdout_was_closed() -> bool {
    let stdout = io::stdout();
    let (Ok(found), Ok(null)) = (rustix::fs::fstat(&stdout), rustix::fs::stat("/dev/null")) else { return false };
    let reads_too = rustix::fs::fcntl_getfl(&stdout).is_ok_and(|flags| flags.contains(rustix::fs::OFlags::RDWR));
    reads_too && found.st_rdev == null.st_rdev
}

/// How many columns the terminal has that stdout is; `None` where it is none.
pub(super) fn terminal_width() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Whether stderr is a terminal, so that somebody may look at it.
pub(super) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Writes `question` to stderr, for an answer to be typed behind it.
pub(super) fn prompt(question: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush());
}

/// Writes `words` and a line end to stderr; a closed stderr is nobody's loss.
pub(super) fn tell(words: &str) {
    let _ = writeln!(io::stderr().lock(), "{words}");
}
