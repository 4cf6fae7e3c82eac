//! The curl command that sends what we would send, ready to be pasted into a shell. It names secrets, it holds none: a
//! header that is one is read where the configuration has it from, past curl's arguments, which every user of the
//! machine can list.

use std::path::Path;

use http::header::{CONTENT_LENGTH, HeaderMap};

use crate::scheme::TokenForm;

use super::compose::Message;
use super::target::{Identity, Target};
use crate::shell::{pastes, printf, quote};

/// Longer bodies than this come through a pipe: Linux takes no argument of 128 KiB.
const ARGUMENT_BYTES: usize = 64 * 1024;

/// The variables that secrets are read from where the configuration names neither variable nor file.
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
const TOKEN: &str = "TOKEN";
/// Ends the lines that curl reads as headers.
const END: &str = "HEADERS";

/// Where the secrets in headers came from, should there be any: `variable NAME`, `file PATH`.
#[derive(Default)]
pub(super) struct Origins<'a> {
    /// Of the session token of AWS.
    pub(super) session_token: Option<&'a str>,
    /// The token of the source, as it stands in its header.
    pub(super) token: Option<TokenForm>,
    /// Of that.
    pub(super) token_origin: Option<&'a str>,
}

impl Origins<'_> {
    /// The line of header `name` for a shell that expands it: `value` with what reads the secret in its place.
    fn line(&self, name: &str, value: &[u8]) -> String {
        let token = self.token.as_ref().filter(|token| token.header.eq_ignore_ascii_case(name));
        let Some((token, coded)) = token.and_then(|token| Some((token, token.coded.as_ref()?))) else {
            return format!("{name}: {}", substitution(self.session_token, SESSION_TOKEN));
        };
        let secret = substitution(self.token_origin, TOKEN);
        let secret = if token.basic { format!("$(printf %s \"{secret}\" | base64 | tr -d '\\n')") } else { secret };
        format!("{name}: {}", String::from_utf8_lossy(value).replace(coded.as_str(), &secret))
    }
}

/// The command for `message` to `target`.
pub(super) fn command(target: &Target, message: &Message, origins: &Origins<'_>) -> String {
    let (pipe, data) = data(message);
    let mut words = vec!["curl".to_owned(), "--request".to_owned(), "POST".to_owned()];
    if target.tls {
        // As `send` does: the Host signed goes out as it stands.
        words.push("--tlsv1.3 --http1.1".to_owned());
    }
    if let Some(file) = &target.ca_file {
        words.push(format!("--cacert {}", quote(&file.to_string_lossy())));
    }
    if let Some(Identity { cert_file, key_file }) = &target.identity {
        let quoted = |file: &Path| quote(&file.to_string_lossy());
        words.push(format!("--cert {} --key {}", quoted(cert_file), quoted(key_file)));
    }
    // What is signed is the path as it stands; curl must not tidy it up or read it as a pattern.
    words.push("--path-as-is --globoff".to_owned());
    words.extend(headers(&message.head.headers));
    words.push(data);
    let hidden: Vec<_> = message.head.headers.iter().filter(|(_, value)| value.is_sensitive()).collect();
    if hidden.is_empty() {
        words.push(quote(&target.url()));
        return format!("{pipe}{}", words.join(" "));
    }
    words.push("--header @/dev/fd/3".to_owned());
    words.push(quote(&target.url()));
    let lines: Vec<String> = hidden.iter().map(|(name, value)| origins.line(name.as_str(), value.as_bytes())).collect();
    format!("{pipe}{} 3<<{END}\n{}\n{END}", words.join(" "), lines.join("\n"))
}

/// What a shell replaces by the secret, inside lines that it expands.
fn substitution(origin: Option<&str>, fallback: &str) -> String {
    let kind = origin.unwrap_or_default().split_once(' ');
    match kind {
        Some(("file", path)) => format!("$(cat {})", quote(path)),
        Some(("variable", name)) => format!("${{{name}}}"),
        _ => format!("${{{fallback}}}"),
    }
}

/// Every header but the length, which curl sets, and those that are secret.
fn headers(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let shown = headers.iter().filter(|(name, value)| *name != CONTENT_LENGTH && !value.is_sensitive());
    shown.map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        // `name:` would remove the header; `name;` sends it empty.
        let line = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        format!("--header {}", quote(&line))
    })
}

/// What stands before curl, and the option that names the body.
fn data(message: &Message) -> (String, String) {
    if let Some(file) = &message.file {
        return (String::new(), format!("--data-binary {}", quote(&format!("@{}", file.to_string_lossy()))));
    }
    let kept = message.body.len().saturating_sub(message.padding);
    let body = message.body.get(..kept).unwrap_or_default();
    let from_pipe = "--data-binary @-".to_owned();
    if message.padding > 0 {
        let blanks = format!("head -c {} /dev/zero | tr '\\0' ' '", message.padding);
        return (format!("{{ {}; {blanks}; }} | ", printf(body)), from_pipe);
    }
    match std::str::from_utf8(body) {
        Ok(text) if pastes(body) && body.len() <= ARGUMENT_BYTES && !text.starts_with('@') => {
            (String::new(), format!("--data-binary {}", quote(text)))
        }
        // A leading @ would name a file.
        _ => (format!("{} | ", printf(body)), from_pipe),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use bytes::Bytes;
    use http::Request;

    use super::super::fault::Expected;
    use super::*;

    fn target() -> Target {
        Target {
            host: "::1".to_owned(),
            port: 8443,
            tls: true,
            authority: "[::1]:8443".to_owned(),
            path: "/webhooks/a%20b?x=1&y=[2]".parse().unwrap(),
            ca_file: Some(PathBuf::from("certs dev/ca.pem")),
            identity: None,
        }
    }

    fn message(body: &[u8]) -> Message {
        let request = Request::post("/").header("x-sig", "it's=\"1\" $x").header("x-empty", "").body(()).unwrap();
        let (head, ()) = request.into_parts();
        let body = Bytes::copy_from_slice(body);
        Message { head, body, file: None, padding: 0, expected: Expected::Accepted }
    }

    /// Runs `script` with a curl that prints its arguments, each on a line with a bar in front, then its stdin.
    fn run(script: &str) -> (Vec<String>, Vec<u8>) {
        let curl = r#"curl() { printf '|%s\n' "$@" >&2; case " $* " in *' @- '*) cat;; esac; }"#;
        // From a file: a paste is no argument either, and may be longer than one.
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{curl}\n{script}")).unwrap();
        let output = Command::new("sh").arg(file.path()).output().unwrap();
        assert!(output.status.success(), "{script}");
        let arguments = String::from_utf8(output.stderr).unwrap();
        (arguments.split('|').skip(1).map(|line| line.trim_end_matches('\n').to_owned()).collect(), output.stdout)
    }

    #[test]
    fn pasting_it_gives_curl_what_we_would_send() {
        let body = "{\"text\":\"it's $5\n`now`\"}";
        let (arguments, _) = run(&command(&target(), &message(body.as_bytes()), &Origins::default()));
        let expected = [
            "--request",
            "POST",
            "--tlsv1.3",
            "--http1.1",
            "--cacert",
            "certs dev/ca.pem",
            "--path-as-is",
            "--globoff",
            "--header",
            "x-sig: it's=\"1\" $x",
            "--header",
            "x-empty;",
            "--data-binary",
            body,
            "https://[::1]:8443/webhooks/a%20b?x=1&y=[2]",
        ];
        assert_eq!(arguments, expected);
    }

    #[test]
    fn a_body_that_no_argument_can_carry_comes_through_a_pipe() {
        for body in [&b"\x00\xff\r\n\t%s\\"[..], b"@/etc/hostname", &vec![b'x'; 200_000]] {
            let (arguments, stdin) = run(&command(&target(), &message(body), &Origins::default()));
            assert!(arguments.windows(2).any(|pair| pair == ["--data-binary", "@-"]), "{arguments:?}");
            assert_eq!(stdin, body);
        }
    }

    #[test]
    fn blanks_are_made_not_printed() {
        let mut message = message(b"{}      ");
        message.padding = 6;
        let line = command(&target(), &message, &Origins::default());
        assert!(line.len() < 400, "{line}");
        assert_eq!(run(&line).1, b"{}      ");
    }

    #[test]
    fn a_file_is_named_not_copied() {
        let mut message = message(b"{}");
        message.file = Some(PathBuf::from("my body.json"));
        let (arguments, _) = run(&command(&target(), &message, &Origins::default()));
        assert!(arguments.windows(2).any(|pair| pair == ["--data-binary", "@my body.json"]), "{arguments:?}");
    }

    #[test]
    fn a_secret_header_is_read_where_it_is_kept_and_never_an_argument() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a token");
        std::fs::write(&file, "s3cret/+=\n").unwrap();
        let origin = format!("file {}", file.display());
        let mut message = message(b"\x00 through a pipe");
        let mut token = http::HeaderValue::from_static("s3cret/+=");
        token.set_sensitive(true);
        message.head.headers.insert("x-amz-security-token", token);
        for origin in [Some(origin.as_str()), Some("variable A_TOKEN"), Some("value in the file"), None] {
            let origins = Origins { session_token: origin, ..Origins::default() };
            let line = command(&target(), &message, &origins);
            assert!(!line.contains("s3cret"), "{line}");
            let set = "A_TOKEN=s3cret/+= AWS_SESSION_TOKEN=s3cret/+=\n";
            let (arguments, _) = run(&format!("{set}{line}"));
            assert!(arguments.windows(2).any(|pair| pair == ["--header", "@/dev/fd/3"]), "{arguments:?}");
            assert!(!arguments.concat().contains("s3cret"), "{arguments:?}");
            // What curl would read there.
            let reading = format!("{set}{}", line.replace("curl --request", "curl() {{ cat <&3; }}; curl --request"));
            let reading = reading.replace("{{", "{").replace("}};", "};");
            let reading = reading.rsplit_once(" | ").map_or(reading.clone(), |(_, curl)| format!("{set}{curl}"));
            let output = Command::new("sh").arg("-c").arg(reading).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), "x-amz-security-token: s3cret/+=\n", "{origin:?}");
        }
    }

    #[test]
    fn a_token_is_read_where_it_is_kept_whatever_stands_around_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a token");
        std::fs::write(&file, "user:pa ss\n").unwrap();
        let origin = format!("file {}", file.display());
        for (basic, coded) in [(false, "user:pa ss"), (true, "dXNlcjpwYSBzcw==")] {
            for around in ["Bearer {}", "Bearer Bearer {}", "Basic \"{}\"", "{}"] {
                let mut message = message(b"x");
                let mut value = http::HeaderValue::from_str(&around.replace("{}", coded)).unwrap();
                value.set_sensitive(true);
                message.head.headers.insert("x-key", value);
                let token = TokenForm {
                    header: "X-Key".to_owned(),
                    word: None,
                    coded: Some(coded.to_owned().into()),
                    basic,
                    challenge: crate::scheme::Challenge::Signature,
                };
                let origins = Origins { session_token: None, token: Some(token), token_origin: Some(&origin) };
                let line = command(&target(), &message, &origins);
                assert!(!line.contains(coded), "{line}");
                let reading = format!("curl() {{ cat <&3; }}; {line}");
                let output = Command::new("sh").arg("-c").arg(reading).output().unwrap();
                let wanted = format!("x-key: {}\n", around.replace("{}", coded));
                assert_eq!(String::from_utf8_lossy(&output.stdout), wanted, "{line}");
            }
        }
    }
}
