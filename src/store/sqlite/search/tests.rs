//! How SQLite goes about every search: along an index or a row's number, never through all events, nothing sorted but what
//! is open.

use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::event::{KeptHeaders, Name};
use crate::store::sqlite::testing::{empty, plan};

fn store() -> Connection {
    let conn = empty();
    conn.execute_batch("INSERT INTO sources (name) VALUES ('a'), ('b'); INSERT INTO sinks (name) VALUES ('x')")
        .unwrap();
    conn
}

fn explain(conn: &Connection, sql: &str, values: &[rusqlite::types::Value]) -> String {
    plan(conn, sql, params_from_iter(values)).join("\n")
}

/// Every part of a filter alone and with every other.
fn filters() -> Vec<EventFilter> {
    let at = Timestamp::UNIX_EPOCH;
    let part = |n: u32, filter: &mut EventFilter| match n {
        0 => filter.source = Some("a".into()),
        1 => filter.kind = Some("t".into()),
        2 => filter.since = Some(at),
        3 => filter.until = Some(at + Duration::from_secs(1)),
        4 => filter.header = Some([("x-a", &b"1"[..])].into_iter().collect::<KeptHeaders>()),
        5 => filter.sink = Some("x".into()),
        6 => filter.error = Some("refused".into()),
        7 => filter.state = Some(State::Delivered),
        8 => filter.state = Some(State::Pending),
        _ => filter.state = Some(State::Dead),
    };
    (0..1_u32 << 10)
        .filter(|bits| (bits >> 7).count_ones() <= 1)
        .map(|bits| {
            let mut filter = EventFilter::default();
            (0..10).filter(|n| bits >> n & 1 == 1).for_each(|n| part(n, &mut filter));
            filter
        })
        .collect()
}

#[test]
fn no_search_walks_all_events_or_sorts_them() {
    let conn = store();
    let (sources, sinks) = (Names::sources(&conn).unwrap(), Names::sinks(&conn).unwrap());
    for filter in filters() {
        let conditions = selection::events(&filter, &sources, &sinks).unwrap();
        let values: Vec<_> = conditions.values.iter().cloned().chain([0.into(), 1024.into(), 50.into()]).collect();
        let plan = explain(&conn, &listing(&filter, &conditions), &values);
        let bounded = ["(seq>? AND seq<?)", "(rowid>? AND rowid<?)"].iter().any(|range| plan.contains(range));
        assert!(bounded, "{filter:?}:\n{plan}");
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{filter:?}:\n{plan}");
        let narrow = selection::is_narrowed(&filter);
        assert!(!narrow || plan.starts_with("SEARCH a USING INTEGER PRIMARY KEY (rowid>? AND"), "{filter:?}:\n{plan}");
        let bodies = plan.contains("SEARCH e ");
        assert_eq!(bodies, !narrow || selection::looks_at_rows(&filter), "{filter:?}:\n{plan}");
    }
}

#[test]
fn what_is_open_is_read_from_small_indexes_alone() {
    let conn = store();
    for (sql, indexes) in
        [(PENDING, &["INDEX deliveries_due", "INDEX deliveries_claimed"][..]), (DEAD, &["INDEX deliveries_dead"])]
    {
        let plan = explain(&conn, sql, &[9.into(), 50.into()]);
        assert!(indexes.iter().all(|index| plan.contains(index)), "{plan}");
        assert_eq!(plan.matches("deliveries").count(), plan.matches("INDEX deliveries").count() * 2, "{plan}");
    }
}

#[test]
fn however_far_apart_they_lie_all_are_found_page_by_page() {
    let conn = store();
    let insert = |seq: i64, source: i64, kind: &str| {
        let sql = "INSERT INTO events (seq, source, id, kind, received_at, content_type, key, request_id, body)
                   VALUES (?1, ?2, ?1, ?3, ?1, '', '', '', x'')";
        conn.execute(sql, rusqlite::params![seq, source, kind]).unwrap();
        let sql = "INSERT INTO arrivals (seq, source, kind, received_at) VALUES (?1, ?2, ?3, ?1)";
        conn.execute(sql, rusqlite::params![seq, source, kind]).unwrap();
    };
    conn.execute_batch("BEGIN").unwrap();
    for seq in 1..=40_000 {
        insert(seq, 1 + i64::from(seq % 5000 == 0), if seq % 7000 == 0 { "rare" } else { "t" });
    }
    conn.execute_batch("COMMIT").unwrap();
    let (sources, sinks) = (Names::sources(&conn).unwrap(), Names::sinks(&conn).unwrap());
    let all = |filter: &EventFilter| {
        let (mut from, mut seqs, mut pages) = (None, Vec::new(), 0);
        loop {
            let found = find(&conn, filter, (&sources, &sinks), from).unwrap();
            seqs.extend(found.seqs);
            pages += 1;
            from = found.next;
            if from.is_none() {
                return (seqs, pages);
            }
        }
    };
    let of = |filter: EventFilter| EventFilter { limit: Some(3), ..filter };
    let every = |step: i64| (1..=40_000 / step).rev().map(|n| n * step).collect::<Vec<_>>();
    let rare = of(EventFilter { kind: Some("rare".into()), ..EventFilter::default() });
    assert_eq!(all(&rare), (every(7000), 2));
    assert_eq!(all(&of(EventFilter { source: Some(Name::from("b")), ..EventFilter::default() })).0, every(5000));
    let both = EventFilter { source: Some(Name::from("b")), ..rare };
    assert_eq!(all(&both), (vec![35_000], 1));
    let window = EventFilter {
        since: Some(Timestamp::from_microsecond(5000).unwrap()),
        until: Some(Timestamp::from_microsecond(10_000).unwrap()),
        ..of(EventFilter { source: Some(Name::from("b")), ..EventFilter::default() })
    };
    assert_eq!(all(&window), (vec![5000], 1));
    // Each event is looked at: a page stops after so many, found or not, and the next goes on from there.
    let header = EventFilter { header: Some([("x-a", &b"1"[..])].into_iter().collect()), ..EventFilter::default() };
    assert_eq!(all(&header), (vec![], 3));
    assert_eq!(all(&EventFilter { limit: Some(20_000), ..EventFilter::default() }).0.len(), 40_000);
}
