//! Every page and every listing, with every filter: as people come to them.

use std::net::SocketAddr;

use crate::ask::json;
use crate::result::BenchResult;

/// Filters of events, without and with others beside them.
const EVENTS: [&str; 22] = [
    "",
    "source=cognigy",
    "source=seldom",
    "type=conversation.step3",
    "type=account.closed",
    "type=no.such.type",
    "source=seldom&type=account.closed",
    "source=nice&type=conversation.step3",
    "since=1h",
    "until=95h",
    "since=60h&until=59h",
    "since=60h&until=59h&source=seldom",
    "since=90h&until=40h&type=account.closed",
    "state=pending",
    "state=dead",
    "state=delivered",
    "state=dead&source=seldom",
    "state=pending&until=50h",
    "state=delivered&type=account.closed",
    "header=x-correlation-id%3Dc-100",
    "header=x-correlation-id%3Dnone&source=nice",
    "since=60h&until=30h&header=x-correlation-id%3Dnone&state=delivered",
];
/// Filters of refused requests.
const REFUSED: [&str; 7] = [
    "",
    "source=seldom",
    "reason=timestamp_expired",
    "source=nice&reason=missing_signature",
    "since=50h&until=49h",
    "source=seldom&since=90h&until=80h",
    "reason=no_such_reason",
];
/// Filters of dead letters.
const DEAD: [&str; 6] =
    ["", "sink=main", "sink=stuck", "error=404", "error=nobody+said+this", "sink=main&error=connection+refused"];
/// Those that only the API has.
const DEAD_OF_EVENTS: [&str; 2] = ["source=seldom", "type=account.closed"];
/// Pages of 500 before the one that counts as deep.
const DEEP: usize = 60;

/// All of them on what `admin` holds.
pub(crate) fn all(admin: SocketAddr) -> BenchResult<Vec<String>> {
    let mut paths = vec!["/".to_owned(), "/configuration".to_owned()];
    let newest = json(admin, "/api/v1/events?limit=1")?;
    let oldest = json(admin, "/api/v1/events?until=95h&limit=1")?;
    for events in [&newest, &oldest] {
        let (source, id) = (text(events, "/events/0/source")?, text(events, "/events/0/id")?);
        paths.push(format!("/event?source={source}&id={id}"));
        paths.push(format!("/events?id={id}"));
        paths.push(format!("/api/v1/events/{source}/{id}"));
    }
    let entry = json(admin, "/api/v1/quarantine?limit=1")?;
    let id = entry.pointer("/refused/0/id").and_then(serde_json::Value::as_i64).ok_or("no entry in the quarantine")?;
    paths.push(format!("/refused/{id}"));
    paths.push(format!("/api/v1/quarantine/{id}/explain"));
    for (page, listing, filters) in [
        ("/events", "/api/v1/events", EVENTS.as_slice()),
        ("/refused", "/api/v1/quarantine", &REFUSED),
        ("/deliveries", "/api/v1/dead", &DEAD),
    ] {
        for filter in filters {
            paths.push(with(page, filter));
            paths.push(with(listing, &format!("{filter}&limit=500")));
        }
    }
    paths.extend(DEAD_OF_EVENTS.iter().map(|filter| with("/api/v1/dead", filter)));
    for filter in ["", "source=nice", "type=conversation.step3", "since=90h"] {
        let cursor = deep(admin, filter)?;
        paths.push(with("/events", &format!("{filter}&cursor={cursor}")));
    }
    paths.extend(["/api/v1/now", "/api/v1/sinks", "/api/v1/config", "/api/v1/openapi.json"].map(str::to_owned));
    Ok(paths)
}

/// The cursor of a page far behind.
fn deep(admin: SocketAddr, filter: &str) -> BenchResult<String> {
    let mut cursor = String::new();
    for _ in 0..DEEP {
        let from = if cursor.is_empty() { String::new() } else { format!("&cursor={cursor}") };
        let page = json(admin, &with("/api/v1/events", &format!("{filter}&limit=500{from}")))?;
        let Ok(next) = text(&page, "/next") else { break };
        cursor = next;
    }
    Ok(cursor)
}

fn with(path: &str, filter: &str) -> String {
    let filter = filter.trim_start_matches('&');
    if filter.is_empty() { path.to_owned() } else { format!("{path}?{filter}") }
}

fn text(of: &serde_json::Value, pointer: &str) -> BenchResult<String> {
    let text = of.pointer(pointer).and_then(serde_json::Value::as_str);
    Ok(text.ok_or_else(|| format!("no {pointer} in {of}"))?.to_owned())
}
