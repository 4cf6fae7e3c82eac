//! Names in SQL text for what every backend calls alike, filled in by the compiler: `sql!("… WHERE state = {PENDING}")`.
//!
//! They are written out, not bound: an index over the rows of one state is only used where the text says which.

/// The columns of `events e` that an event is read from; a body column follows.
pub(super) const EVENT: &str = "e.source, e.id, e.kind, e.received_at, e.content_type, e.key, e.request_id, \
                                e.client_ip, e.traceparent, e.headers";
/// How many columns [`EVENT`] has.
pub(super) const EVENT_COLUMNS: usize = 10;

/// The columns of `quarantine` that an entry is read from; a body column follows.
pub(super) const QUARANTINED: &str =
    "id, source, reason, received_at, request_id, client_ip, target, headers, event_id";

/// [`LONGEST_WAIT`](crate::store::delivery::LONGEST_WAIT) in microseconds: what is due later than that counts as due.
const LONGEST_WAIT: &str = "7200000000";

/// [`FIRST_LEASE`](crate::store::claimed::FIRST_LEASE).
const FIRST_LEASE: &str = "1";

/// What `{name}` stands for.
const fn value(name: &[u8]) -> &'static str {
    match name {
        b"PENDING" => "0",
        b"DELIVERED" => "1",
        b"DEAD" => "2",
        b"WAITING" => "state = 0 AND claimed_at IS NULL",
        b"CLAIMED" => "state = 0 AND claimed_at IS NOT NULL",
        b"EVENT" => EVENT,
        b"QUARANTINED" => QUARANTINED,
        b"LONGEST_WAIT" => LONGEST_WAIT,
        b"FIRST_LEASE" => FIRST_LEASE,
        _ => unreachable!(),
    }
}

/// The literals one after the other, with the value of each `{name}` in its place. A name that means nothing does not
/// compile.
macro_rules! sql {
    ($($text:expr),+ $(,)?) => {{
        const TEXT: &str = concat!($($text),+);
        const FILLED: [u8; $crate::store::sql::length(TEXT)] = $crate::store::sql::fill(TEXT);
        const SQL: &str = match std::str::from_utf8(&FILLED) {
            Ok(sql) => sql,
            Err(_) => unreachable!(),
        };
        SQL
    }};
}

pub(super) use sql;

/// How long `text` is when it is filled in.
pub(super) const fn length(text: &str) -> usize {
    let (mut rest, mut length) = (text.as_bytes(), 0);
    while !rest.is_empty() {
        let (piece, others) = next(rest);
        length += piece.len();
        rest = others;
    }
    length
}

/// `text` filled in; `N` is its [`length`].
pub(super) const fn fill<const N: usize>(text: &str) -> [u8; N] {
    let mut filled = [0; N];
    let mut rest = text.as_bytes();
    let mut room: &mut [u8] = &mut filled;
    while !rest.is_empty() {
        let (piece, others) = next(rest);
        let (here, after) = room.split_at_mut(piece.len());
        here.copy_from_slice(piece);
        (rest, room) = (others, after);
    }
    filled
}

/// The text up to the next name, or what the name that it begins with stands for; and what follows.
const fn next(text: &[u8]) -> (&[u8], &[u8]) {
    match text.split_at(before(b'{', text)) {
        ([], [_, named @ ..]) => match named.split_at(before(b'}', named)) {
            (name, [_, rest @ ..]) => (value(name).as_bytes(), rest),
            (_, []) => unreachable!(),
        },
        plain => plain,
    }
}

/// How many bytes of `text` come before the first `stop`.
const fn before(stop: u8, text: &[u8]) -> usize {
    let (mut rest, mut count) = (text, 0);
    while let [first, others @ ..] = rest {
        if *first == stop {
            break;
        }
        (rest, count) = (others, count + 1);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{claimed, delivery, stored};

    #[test]
    fn names_are_filled_in() {
        const TEXT: &str = sql!("a {DEAD}", "b{PENDING}{DELIVERED}");
        assert_eq!(TEXT, "a 2b01");
        assert_eq!(sql!("", "ü"), "ü");
        assert_eq!(sql!("{EVENT}, e.body"), format!("{EVENT}, e.body"));
    }

    #[test]
    fn they_are_what_the_rows_hold() {
        let states = [stored::PENDING, stored::DELIVERED, stored::DEAD].map(|state| state.to_string());
        assert_eq!(states, [sql!("{PENDING}"), sql!("{DELIVERED}"), sql!("{DEAD}")]);
        for of_the_pending in [sql!("{WAITING}"), sql!("{CLAIMED}")] {
            assert!(of_the_pending.starts_with(sql!("state = {PENDING} AND ")));
        }
        assert_eq!(sql!("{FIRST_LEASE}").parse(), Ok(claimed::FIRST_LEASE));
        assert_eq!(sql!("{LONGEST_WAIT}").parse(), Ok(delivery::LONGEST_WAIT.as_micros()));
        assert_eq!(EVENT.split(',').count(), EVENT_COLUMNS);
    }
}
