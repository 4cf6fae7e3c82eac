//! What a store holds, in numbers.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::event::Name;

/// How large a store is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreSize {
    /// Bytes on the disk: the database and its log, or all tables with their indices.
    pub bytes: u64,
    /// Bytes that are free where the database lies; a server does not say.
    pub free_bytes: Option<u64>,
}

/// What a store holds. Counts are exact and read what they count: all but the sizes take longer the more there is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
pub struct Stats {
    /// Bytes on the disk: the database and its log, or all tables with their indices.
    pub bytes: u64,
    /// Bytes of those that hold nothing any more and are used again (SQLite).
    pub reusable_bytes: Option<u64>,
    /// Bytes that are free where the database lies (SQLite: of its volume).
    pub free_bytes: Option<u64>,
    /// How long ids are remembered, in seconds.
    pub retention_seconds: u64,
    /// Events.
    pub events: u64,
    /// Ids, each of which counts once.
    pub ids: u64,
    /// When the oldest event was received.
    #[schema(value_type = Option<String>)]
    pub oldest: Option<Timestamp>,
    /// When the newest event was received.
    #[schema(value_type = Option<String>)]
    pub newest: Option<Timestamp>,
    /// Events of each source.
    pub sources: Vec<SourceStats>,
    /// Deliveries to each sink.
    pub sinks: Vec<SinkStats>,
    /// Refused requests kept for inspection.
    pub quarantine_entries: u64,
    /// Bytes of their bodies and headers.
    pub quarantine_bytes: u64,
    /// Audit records that wait for the SIEM.
    pub audit_records: u64,
}

/// Events of one source.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct SourceStats {
    /// Its name.
    #[schema(value_type = String)]
    pub source: Name,
    /// How many.
    pub events: u64,
}

/// Deliveries to one sink.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct SinkStats {
    /// Its name.
    #[schema(value_type = String)]
    pub sink: Name,
    /// Waiting or under way.
    pub pending: u64,
    /// Made.
    pub delivered: u64,
    /// Out of attempts.
    pub dead: u64,
}
