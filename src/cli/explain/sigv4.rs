//! AWS Signature Version 4: the canonical request as this side sees it, and what would make the signature fit.

use bytes::Bytes;
use http::HeaderValue;
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;

use crate::config::Source;
use crate::event::Digest;
use crate::scheme::{self, Scheme};

use super::request::Specimen;

/// What could explain a mismatch.
pub(super) fn causes(source: &Source, specimen: &Specimen, scheme: &dyn Scheme) -> Vec<String> {
    let mut lines = claims(source, specimen);
    lines.extend(payload(specimen));
    lines.extend(changed_on_the_way(specimen, scheme));
    if lines.is_empty() {
        lines.push("the claims are in order, so either the secret access key differs, or something that is signed changed on the way: compare the canonical request below with the sender's, line by line".to_owned());
    }
    if let Some(canonical) = scheme::canonical_request(&specimen.head, &specimen.body.clone().into()) {
        lines.push("canonical request as it arrived:".to_owned());
        lines.extend(String::from_utf8_lossy(&canonical).lines().map(|line| format!("    {line}")));
    }
    lines
}

/// What `Authorization` says against what is configured.
fn claims(source: &Source, specimen: &Specimen) -> Vec<String> {
    let authorization = specimen.header("authorization").unwrap_or_default();
    let part = |name: &str| {
        authorization
            .split([',', ' '])
            .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
    };
    let mut lines = Vec::new();
    if specimen.head.headers.get_all(AUTHORIZATION).iter().count() > 1 {
        lines.push("Authorization stands twice".to_owned());
    }
    let scope: Vec<&str> = part("Credential").split('/').collect();
    if let [id, date, region, service, _] = scope[..] {
        if !source.scheme.keys.iter().any(|key| key.access_key_id == id) {
            lines.push(format!("access key {id} is not configured for this source"));
        }
        for (what, given, wanted) in
            [("region", region, &source.scheme.region), ("service", service, &source.scheme.service)]
        {
            if wanted.as_deref() != Some(given) {
                lines.push(format!(
                    "the {what} signed for is {given:?}, configured is {:?}",
                    wanted.as_deref().unwrap_or_default()
                ));
            }
        }
        if !specimen.header("x-amz-date").is_some_and(|at| at.starts_with(date)) {
            lines.push("the date in Credential is not the day of X-Amz-Date".to_owned());
        }
    }
    let signed: Vec<&str> = part("SignedHeaders").split(';').collect();
    let has =
        |name: &str| specimen.head.headers.contains_key(name) || (name == "host" && specimen.head.uri.host().is_some());
    for name in signed.iter().filter(|name| !name.is_empty() && !has(name)) {
        lines.push(format!("header {name} is signed but did not arrive: a proxy removed it"));
    }
    for name in ["host", "x-amz-date"].iter().filter(|name| !signed.contains(name)) {
        lines.push(format!("header {name} must be signed and is not"));
    }
    for name in
        specimen.names().filter(|name| name.starts_with("x-amz-") && *name != "x-amz-date" && !signed.contains(name))
    {
        lines.push(format!("header {name} arrived unsigned: every x-amz-* header must be signed"));
    }
    let signature = part("Signature");
    if signature.len() != 64 || !signature.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        lines.push("the signature is not 64 lower-case hex digits".to_owned());
    }
    lines
}

/// What the sender says of the body against the body.
fn payload(specimen: &Specimen) -> Option<String> {
    let declared = specimen.header("x-amz-content-sha256")?;
    if declared == Digest::of(&specimen.body).to_string() {
        return None;
    }
    let unhashed = declared == "UNSIGNED-PAYLOAD" || declared.starts_with("STREAMING-");
    Some(if unhashed {
        format!("x-amz-content-sha256 is {declared}: the sender must sign the body's hash")
    } else {
        "x-amz-content-sha256 is not the hash of the body that arrived: it was changed on the way, or the sender hashed something else".to_owned()
    })
}

/// Undoes what proxies do, one thing at a time, and says after which the signature fits.
fn changed_on_the_way(specimen: &Specimen, scheme: &dyn Scheme) -> Vec<String> {
    let fits = |head: &Parts, body: &Bytes| {
        scheme.read(head).is_ok_and(|claims| scheme.verify(head, &claims, &body.clone().into()).is_ok())
    };
    let mut lines = Vec::new();
    for host in hosts(specimen) {
        let mut head = specimen.head.clone();
        let Ok(value) = HeaderValue::from_str(&host) else { continue };
        head.headers.insert(HOST, value);
        if fits(&head, &specimen.body) {
            lines
                .push(format!("it fits with Host: {host}: a proxy must pass the Host header on as the sender sent it"));
        }
    }
    for target in targets(specimen) {
        let mut head = specimen.head.clone();
        let Ok(uri) = target.parse() else { continue };
        head.uri = uri;
        if fits(&head, &specimen.body) {
            lines.push(format!(
                "it fits with the target {target}: a proxy must pass path and query on as the sender sent them"
            ));
        }
    }
    for (body, words) in bodies(&specimen.body) {
        if fits(&specimen.head, &body) {
            lines.push(format!("it fits {words}"));
        }
    }
    lines
}

/// What `Host` may have been.
fn hosts(specimen: &Specimen) -> Vec<String> {
    let Some(host) = specimen.header("host") else { return Vec::new() };
    let bare = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(host, |(bare, _)| bare);
    let mut hosts = vec![bare.to_owned(), format!("{bare}:443"), format!("{bare}:8443"), bare.to_ascii_lowercase()];
    for name in ["x-forwarded-host", "x-original-host"] {
        hosts.extend(specimen.header(name).map(str::to_owned));
    }
    hosts.retain(|other| other != host);
    hosts.dedup();
    hosts
}

/// What the request target may have been.
fn targets(specimen: &Specimen) -> Vec<String> {
    let uri = &specimen.head.uri;
    let path = uri.path();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut paths = vec![format!("{path}/"), "/".to_owned()];
    paths.extend(path.strip_suffix('/').map(str::to_owned));
    paths.extend(specimen.header("x-forwarded-prefix").map(|prefix| format!("{}{path}", prefix.trim_end_matches('/'))));
    let mut targets: Vec<String> = paths.iter().map(|path| format!("{path}{query}")).collect();
    if !query.is_empty() {
        targets.push(path.to_owned());
    }
    for name in ["x-original-uri", "x-original-url", "x-rewrite-url"] {
        targets.extend(specimen.header(name).map(str::to_owned));
    }
    targets
}

fn bodies(body: &Bytes) -> Vec<(Bytes, &'static str)> {
    let with_line_end: Bytes = [body.as_ref(), b"\n"].concat().into();
    let mut bodies = vec![
        (with_line_end, "with a line end behind the body: the sender signed one that it did not send"),
        (Bytes::new(), "with an empty body: the sender signed the request without its body"),
    ];
    let trimmed = body.trim_ascii();
    if trimmed.len() < body.len() {
        bodies.push((
            Bytes::copy_from_slice(trimmed),
            "without the white space around the body: something on the way added it",
        ));
    }
    bodies
}
