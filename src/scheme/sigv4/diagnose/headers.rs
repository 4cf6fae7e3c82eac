//! Values that signed headers may have had at the sender: before a proxy joined, trimmed, extended or replaced them.

use http::HeaderMap;
use http::request::Parts;

use super::model::Variant;
use crate::scheme::diagnose::Cause;

/// Headers in which proxies tell the host they were asked for.
const ORIGINAL_HOST: [&str; 6] =
    ["x-forwarded-host", "x-original-host", "x-host", "x-forwarded-server", "x-envoy-original-host", "forwarded"];

/// Ports that are written, or left out, by mistake.
const PORTS: [&str; 4] = ["443", "8443", "80", "8080"];

/// Headers that are looked at, of those signed.
const MAX_SIGNED: usize = 32;

/// What may have been signed instead of the values that arrived of `names`; `length` is that of the body.
pub(super) fn variants(head: &Parts, names: &[&str], length: usize) -> Vec<Variant> {
    let mut found = Vec::new();
    for &name in names.iter().take(MAX_SIGNED) {
        if name == "host" {
            found.extend(hosts(head));
            continue;
        }
        let lines: Vec<&[u8]> = head.headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect();
        if lines.is_empty() {
            found.extend(usual(name, length).into_iter().map(|value| {
                let detail = format!("{name}: {value} makes the signature fit, and did not arrive");
                Variant::header(Cause::HeaderGone, name, value.into_bytes(), detail)
            }));
            continue;
        }
        let mut values = rewritten(&lines);
        values.extend(
            usual(name, length).into_iter().map(|value| (value.clone().into_bytes(), format!("it was {value}"))),
        );
        found.extend(values.into_iter().map(|(value, words)| {
            Variant::header(Cause::HeaderChanged, name, value, format!("{name}: {words} when it was signed"))
        }));
    }
    found
}

/// What the host may have been.
fn hosts(head: &Parts) -> Vec<Variant> {
    let arrived = super::super::canonical::host(head).map(|host| String::from_utf8_lossy(host).into_owned());
    let mut hosts = Vec::new();
    if let Some(host) = &arrived {
        hosts.extend(with_other_ports(host));
    }
    for told in ORIGINAL_HOST.iter().flat_map(|name| lists(&head.headers, name)) {
        let host =
            told.split(';').find_map(|pair| pair.trim().strip_prefix("host=")).unwrap_or(&told).trim_matches('"');
        hosts.push(host.to_owned());
        hosts.extend(with_other_ports(host));
    }
    // The header that `:authority` or an absolute target outranks, or several of them.
    hosts.extend(lists(&head.headers, "host"));
    hosts.retain(|host| Some(host) != arrived.as_ref() && !host.is_empty());
    hosts.dedup();
    let words = |host: &str| match &arrived {
        Some(arrived) => format!("it signed {host}, and {arrived} arrived"),
        None => format!("it signed {host}, and no host, or more than one, arrived"),
    };
    hosts
        .iter()
        .map(|host| Variant::header(Cause::HostChanged, "host", host.clone().into_bytes(), words(host)))
        .collect()
}

fn with_other_ports(host: &str) -> Vec<String> {
    let numeric = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let bare = host.rsplit_once(':').filter(|(_, port)| numeric(port)).map_or(host, |(bare, _)| bare);
    let mut hosts = vec![bare.to_owned(), host.to_ascii_lowercase(), bare.trim_end_matches('.').to_ascii_lowercase()];
    hosts.extend(PORTS.iter().map(|port| format!("{bare}:{port}")));
    hosts
}

/// The items of a header that is a list, all lines together.
fn lists(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(|item| item.trim().to_owned())
        .filter(|item| !item.is_empty())
        .take(8)
        .collect()
}

/// What a proxy may have made the lines of one header from, with words.
fn rewritten(lines: &[&[u8]]) -> Vec<(Vec<u8>, String)> {
    let trimmed: Vec<&[u8]> = lines.iter().map(|line| line.trim_ascii()).collect();
    let joined = trimmed.join(&b","[..]);
    let text = String::from_utf8_lossy(&joined).into_owned();
    let mut values = vec![
        (trimmed.join(&b", "[..]), "its lines were one, joined by a comma and a blank,".to_owned()),
        (joined.clone(), "its inner blanks were kept".to_owned()),
        (text.to_ascii_lowercase().into_bytes(), "it was in lower case".to_owned()),
        (text.replace(", ", ",").into_bytes(), "it had no blanks behind its commas".to_owned()),
        (text.replace(',', ", ").replace(",  ", ", ").into_bytes(), "it had a blank behind each comma".to_owned()),
        (text.replace("; ", ";").into_bytes(), "it had no blank behind its semicolon".to_owned()),
        (text.replace(';', "; ").replace(";  ", "; ").into_bytes(), "it had a blank behind its semicolon".to_owned()),
        (Vec::new(), "it was empty".to_owned()),
    ];
    if let (Some(first), Some(last), true) = (trimmed.first(), trimmed.last(), trimmed.len() > 1) {
        values.push((first.to_vec(), "only its first line was there".to_owned()));
        values.push((last.to_vec(), "only its last line was there".to_owned()));
    }
    // What a proxy put at the end, or a framework: the last item of a list, the parameters of a type.
    let shorter = [text.rsplit_once(','), text.split_once(';')];
    for (kept, dropped) in shorter.into_iter().flatten() {
        values
            .push((kept.trim_end().as_bytes().to_vec(), format!("it was {} without {}", kept.trim(), dropped.trim())));
    }
    if !text.contains(';') {
        for charset in ["; charset=utf-8", ";charset=utf-8", "; charset=UTF-8", ";charset=UTF-8"] {
            values.push((format!("{text}{charset}").into_bytes(), format!("it was {text}{charset}")));
        }
    }
    values.retain(|(value, _)| *value != joined || text.contains("  "));
    values
}

/// What headers that proxies set usually hold at the sender.
fn usual(name: &str, length: usize) -> Vec<String> {
    let values: &[&str] = match name {
        "content-length" => return vec![length.to_string()],
        "connection" => &["close", "keep-alive", "Keep-Alive", "Close"],
        "accept" => &["*/*", "application/json", "application/json, text/plain, */*"],
        "accept-encoding" => {
            &["gzip", "identity", "gzip, deflate", "gzip, deflate, br", "gzip, compress, deflate, br", "*"]
        }
        "transfer-encoding" => &["chunked"],
        "content-type" => &["application/json", "application/json; charset=utf-8", "application/json; charset=UTF-8"],
        "content-encoding" => &["gzip", "identity"],
        "expect" => &["100-continue"],
        "te" => &["trailers"],
        "x-forwarded-proto" => &["https", "http"],
        "x-forwarded-port" => &["443", "80", "8443"],
        "cache-control" => &["no-cache", "no-store"],
        _ => &[],
    };
    values.iter().map(|&value| value.to_owned()).collect()
}
