//! The behaviour every store has, written once and run on each; and what only one of them has.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod crash;
mod damage;
mod deliveries;
mod erasing;
mod handover;
mod intake;
mod kept_headers;
mod lost_files;
mod maintenance;
mod pauses;
mod postgres;
mod postgres_generations;
mod postgres_plans;
pub(crate) mod postgres_server;
mod replays;
mod sqlite;
mod sqlite_files;
mod waiting_rooms;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use gatepost::clock::{BootClock, Clock};
use gatepost::event::{Event, EventId, Name, Payload};
use gatepost::metrics::Metrics;
use gatepost::store::{self, Clocks, Insertion, QuarantineBounds, Settings, Store, StoreError};
use jiff::Timestamp;

/// A store that can be closed and opened again, and whose time a test can let pass.
pub(crate) struct Subject {
    pub settings: Settings,
    pub store: Store,
    pub clocks: Clocks,
    /// Keeps the files or the database until the test is over.
    _keep: Box<dyn std::any::Any + Send>,
}

impl Subject {
    pub(crate) async fn new(settings: Settings, keep: impl Send + 'static) -> Self {
        // PostgreSQL has a clock of its own; what it shows goes by the wall clock.
        let embedded = settings.url.starts_with("sqlite:");
        let clocks = if embedded { standing() } else { Clocks::default() };
        let store = open_by(&settings, &clocks).await.unwrap();
        Self { settings, store, clocks, _keep: Box::new(keep) }
    }

    pub(crate) async fn reopen(&mut self) {
        self.store.maintenance.close().await.unwrap();
        self.store = open_by(&self.settings, &self.clocks).await.unwrap();
    }

    /// Lets so many seconds pass, at once. A server's clock cannot be moved: all that it was said to be goes back instead.
    pub(crate) async fn pass(&self, seconds: u64) {
        self.clocks.wall.advance(Duration::from_secs(seconds));
        self.clocks.boot.advance(Duration::from_secs(seconds));
        if self.settings.url.starts_with("postgres") {
            postgres::go_back(&self.settings.url, seconds).await;
        }
    }
}

impl Subject {
    /// Runs SQL beside the store, on tables by their names without prefix.
    pub(crate) async fn sql(&self, statement: &str) {
        if let Some(path) = self.settings.url.strip_prefix("sqlite:") {
            let conn = rusqlite::Connection::open(path).unwrap();
            conn.execute_batch(statement).unwrap();
            return;
        }
        let prefixed = ["events", "deliveries", "audit"]
            .iter()
            .fold(statement.to_owned(), |text, table| {
                text.replace(&format!(" {table} "), &format!(" gatepost_{table} "))
            })
            .replace("UPDATE audit", "UPDATE gatepost_audit");
        postgres::sql(&self.settings.url, &prefixed).await;
    }
}

/// Clocks that stand still until they are moved.
pub(crate) fn standing() -> Clocks {
    Clocks { wall: Clock::manual(at(0)), boot: BootClock::manual(Some("boot"), Duration::from_secs(100)) }
}

pub(crate) async fn open_by(settings: &Settings, clocks: &Clocks) -> Result<Store, StoreError> {
    store::open_by(settings, Arc::new(Metrics::new()), clocks.clone()).await
}

/// That `found` is `seconds`, give or take what passes by itself while a test runs against a server's clock.
#[track_caller]
pub(crate) fn assert_seconds(found: Duration, seconds: u64) {
    let wanted = Duration::from_secs(seconds);
    assert!(found.abs_diff(wanted) < Duration::from_secs(20), "{found:?} is not about {wanted:?}");
}

pub(crate) async fn open(settings: &Settings) -> Result<Store, StoreError> {
    store::open(settings, Arc::new(Metrics::new())).await
}

pub(crate) fn settings(url: String) -> Settings {
    let quarantine = QuarantineBounds { max_entries: 3, max_bytes: 1000 };
    Settings { url, retention: Duration::from_hours(96), quarantine }
}

/// Runs `test` on a multi-threaded runtime, as the daemon does.
pub(crate) fn run<T: Future<Output = ()>>(test: T) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test);
}

/// `seconds` after an arbitrary beginning of time.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

pub(crate) fn event(source: &str, id: &str, body: &str) -> Event {
    Event {
        source: source.into(),
        id: EventId::new(id).unwrap(),
        kind: "order.created".into(),
        received_at: at(0),
        content_type: "application/json; charset=utf-8".into(),
        payload: Payload::from(bytes::Bytes::from(body.to_owned())),
        key: "0".into(),
        request_id: format!("req-{id}"),
        client_ip: Some("2001:db8::7".parse().unwrap()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        headers: [("x-type", &b"page:update"[..]), ("x-raw", b"\xff: \xc3\xa9")].into_iter().collect(),
    }
}

pub(crate) fn event_at(source: &str, id: &str, seconds: i64) -> Event {
    Event { received_at: at(seconds), ..event(source, id, &format!("body of {id}")) }
}

pub(crate) fn sinks(names: &[&str]) -> Arc<[Name]> {
    names.iter().map(Name::from).collect()
}

pub(crate) async fn accept(store: &Store, event: Event, names: &[&str]) {
    assert_eq!(store.inbox.insert(event, sinks(names)).await.unwrap(), Insertion::Accepted);
}

/// Names every behaviour once, and makes a test of it for each store.
macro_rules! on_every_store {
    ($($module:ident :: $test:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[test] fn $test() {
                super::run(async { super::$module::$test(super::sqlite::subject().await).await; });
            })+
        }

        mod on_postgres {
            $(#[test] fn $test() {
                super::run(async { super::$module::$test(super::postgres::subject().await).await; });
            })+
        }
    };
}

on_every_store! {
    intake::an_event_is_accepted_once_and_read_back_whole,
    intake::the_same_id_with_another_body_is_a_conflict,
    intake::two_sources_never_share_an_id,
    intake::one_body_counts_once_among_twins,
    intake::of_twins_at_once_exactly_one_is_accepted,
    intake::of_two_hundred_at_once_exactly_one_is_accepted,
    intake::many_events_at_once_are_all_kept,
    intake::everything_is_there_after_reopening,
    intake::listings_filter_and_go_newest_first,
    intake::an_id_alone_finds_every_source,
    deliveries::a_claim_is_exclusive_until_its_lease_ends,
    deliveries::what_is_due_comes_in_its_order_whether_it_was_claimed_before_or_not,
    deliveries::a_settlement_after_the_lease_passed_on_does_nothing,
    deliveries::each_sink_has_its_own_queue,
    deliveries::a_retry_waits_and_counts_an_attempt,
    deliveries::a_release_counts_nothing,
    deliveries::a_dead_letter_is_listed_replayed_once_and_discarded,
    deliveries::an_event_replays_to_its_sinks_or_to_others,
    deliveries::a_replay_leaves_alone_what_is_under_way,
    deliveries::backlog_counts_and_dates_what_waits,
    deliveries::queued_is_notified_after_the_commit,
    deliveries::a_settlement_counts_after_its_lease_when_nobody_else_took_it,
    handover::what_has_room_is_handed_over_claimed_and_the_rest_waits,
    handover::what_was_handed_over_passes_on_with_its_lease,
    handover::a_paused_sink_a_gone_dispatcher_and_a_large_body_get_nothing,
    handover::duplicates_and_other_sinks_take_no_place,
    kept_headers::kept_headers_go_with_an_event_wherever_it_is_read,
    kept_headers::a_listing_is_narrowed_down_to_a_kept_header,
    erasing::an_erased_event_says_nothing_and_its_id_still_counts_once,
    erasing::open_deliveries_and_refused_requests_go_with_it,
    erasing::an_erased_event_is_delivered_nowhere,
    erasing::audit_records_are_rewritten_where_asked,
    erasing::stats_count_what_is_there,
    erasing::listings_find_by_source_type_and_time,
    pauses::a_paused_sink_keeps_what_it_has_and_hands_nothing_out,
    pauses::the_time_of_a_pause_counts_towards_no_age,
    pauses::what_was_decided_about_a_sink_outlives_a_restart,
    damage::what_is_due_later_than_anything_is_put_off_counts_as_due,
    damage::an_unreadable_event_is_claimed_beside_the_others_and_listed_when_dead,
    replays::each_replay_counts_and_a_duplicate_is_remembered_until_then,
    replays::every_sink_with_something_left_is_known,
    replays::what_waits_for_a_sink_that_is_gone_stands_among_dead_letters_where_asked,
    replays::dead_letters_and_what_waits_move_to_another_sink,
    replays::an_event_replayed_to_a_sink_leaves_those_that_are_gone,
    replays::what_is_moved_while_it_is_claimed_is_delivered_once,
    waiting_rooms::quarantine_keeps_within_its_entries,
    waiting_rooms::quarantine_keeps_within_its_bytes,
    waiting_rooms::quarantine_takes_from_who_holds_most,
    waiting_rooms::quarantine_knows_what_it_has,
    waiting_rooms::quarantine_filters_and_removes,
    waiting_rooms::the_audit_queue_has_a_capacity,
    waiting_rooms::audit_records_are_leased_and_released,
    maintenance::pruning_forgets_what_is_old_and_done,
    maintenance::a_duplicate_is_known_without_the_store_until_retention_has_run,
    maintenance::pruning_keeps_pending_and_dead_until_they_are_over,
    maintenance::a_probe_writes_and_a_closed_store_answers_unavailable,
}
