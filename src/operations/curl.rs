//! An event as the curl command that delivers it: for a bug report, a developer's machine, another system.

use std::fmt::Write as _;

use super::error::OperationError;
use crate::escape::is_hidden;
use crate::shell::{pastes, printf, quote};
use crate::store::Archived;

/// The command that posts `archived` to `url`: content type, kept headers and body as they were received, nothing that we
/// add. It can be pasted into a POSIX shell whatever the sender wrote.
///
/// # Errors
/// [`OperationError::Refused`] where it was erased.
pub fn curl(archived: &Archived, url: &str) -> Result<String, OperationError> {
    let event = &archived.event;
    if archived.erased.is_some() {
        return Err(OperationError::Refused(format!(
            "{}:{} was erased: nothing is left to send",
            event.source, event.id
        )));
    }
    let mut command = "curl -sS -X POST".to_owned();
    // An empty content type is said to be none: curl would say that it is a form.
    let content_type = format!("content-type: {}", event.content_type);
    let mut header = |line: &[u8]| {
        let word = if plain(line) && !line.contains(&b'\n') {
            quote(&String::from_utf8_lossy(line))
        } else {
            format!("\"$({})\"", printf(line))
        };
        // Writing to a string cannot fail.
        let _ = write!(command, " \\\n  -H {word}");
    };
    header(content_type.trim_end().as_bytes());
    for (name, value) in event.headers.iter() {
        // A header without a value ends in a semicolon, or curl leaves it out.
        let line =
            if value.is_empty() { [name.as_bytes(), b";"].concat() } else { [name.as_bytes(), b": ", value].concat() };
        header(&line);
    }
    let body = event.payload.bytes();
    // What begins with an @ would name a file.
    let inline = plain(body) && !body.starts_with(b"@");
    let url = quote(url);
    Ok(if inline {
        format!("{command} \\\n  --data-binary {} \\\n  {url}", quote(&String::from_utf8_lossy(body)))
    } else {
        format!("{} | {command} \\\n  --data-binary @- \\\n  {url}", printf(body))
    })
}

/// Whether `bytes` can be pasted, and are what they look like.
fn plain(bytes: &[u8]) -> bool {
    pastes(bytes) && String::from_utf8_lossy(bytes).chars().all(|c| c == '\n' || !is_hidden(c))
}
