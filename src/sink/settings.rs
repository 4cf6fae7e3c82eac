//! `[[sink]]`: what every sink is told, and how the rest of its keys gets to the type of sink that knows them.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::delivery::Sink;
use super::fingerprint::{Fingerprint, Parts};
use crate::event::Name;
use crate::settings::kind::{Problems, number, problem, size, span, text, words};
use crate::settings::lists::list;
use crate::settings::{ConfigError, Diagnostics, Example, Kind, Table, grammar, key};

const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_hours(1);
const CONCURRENCY: RangeInclusive<u64> = 1..=1024;
const ATTEMPTS: RangeInclusive<u64> = 1..=1000;
/// From a second to a year.
const AGES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(8760);

/// One sink. Only the type of sink knows what else it was told.
#[derive(Clone)]
pub struct Settings {
    /// Unique name.
    pub name: Name,
    /// What the file calls its type; `None` where there is none of that name.
    pub(super) type_name: Option<&'static str>,
    /// What it was told besides; `None` where that was wrong, and an error is recorded.
    own: Option<Arc<dyn SinkType>>,
    /// Whether the events of every source go there, whatever sinks it names.
    pub everywhere: bool,
    /// One attempt takes at most this long.
    pub timeout: Duration,
    /// Deliveries under way at once.
    pub concurrency: usize,
    /// Attempts before a delivery is dead.
    pub max_attempts: u32,
    /// Age at which a delivery is dead.
    pub max_age: Duration,
    /// Event types taken, exact or `prefix*`; empty takes all.
    pub event_types: Vec<String>,
}

/// What one type of sink is told besides what all are.
pub(super) trait SinkType: Send + Sync {
    /// Reads the keys that sinks of this type have. `None` where one of them is wrong, and the error is recorded; the
    /// others are asked for all the same.
    fn read(name: Option<&Name>, table: &mut Table, diagnostics: &mut Diagnostics) -> Option<Self>
    where
        Self: Sized;

    /// Builds `sink`, which was told this. Does not connect.
    ///
    /// # Errors
    /// Each with its key.
    fn build(&self, sink: &Settings) -> Result<Arc<dyn Sink>, Vec<ConfigError>>;

    /// Everything that makes another sink of it when it changes.
    fn consists_of(&self, parts: &mut Parts);
}

/// Reads what one type of sink is told.
pub(super) type Read = fn(Option<&Name>, &mut Table, &mut Diagnostics) -> Option<Arc<dyn SinkType>>;

/// How a sink of type `T` is read.
pub(super) fn of_type<T: SinkType + 'static>(
    name: Option<&Name>,
    table: &mut Table,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<dyn SinkType>> {
    T::read(name, table, diagnostics).map(|own| Arc::new(own) as _)
}

/// The types of sinks by what the file calls them; `None` for one that this program was built without.
pub(super) type Types = [(&'static str, Option<Read>)];

/// A sink that stands in no file: its name and type.
pub(super) type Given = Option<(Name, &'static str)>;

impl Settings {
    /// Reads one sink beside `others`. With errors it is there too: sources may name it.
    pub(super) fn read(
        mut table: Table,
        given: Given,
        types: &'static Types,
        others: &[Self],
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let settings = Self::keys(&mut table, given, types, others, diagnostics);
        if settings.type_name.is_none() {
            if !table.holds("url") {
                table.error("url", "is missing", diagnostics);
            }
            table.forgive();
        } else if settings.own.is_some() {
            // Built and let go again, so that whoever only reads is told what would keep it from starting.
            for error in settings.build().err().unwrap_or_default() {
                diagnostics.consequence(table.place(&error.at), error.problem);
            }
        }
        table.finish(diagnostics);
        settings
    }

    fn keys(
        table: &mut Table,
        given: Given,
        types: &'static Types,
        others: &[Self],
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let (given_name, given_type) = given.unzip();
        let name = name(given_name, others, table, diagnostics);
        let chosen = TypeOfSink(types).choose(given_type, table, diagnostics);
        let own = chosen.and_then(|(_, read)| read(name.as_ref(), table, diagnostics));
        let timeout = key("timeout", "One attempt takes at most this long.", span(TIMEOUTS));
        let timeout = timeout.or(Duration::from_secs(10), table, diagnostics);
        let concurrency = key("concurrency", "Deliveries under way at once.", size(CONCURRENCY));
        let concurrency = concurrency.or(16, table, diagnostics);
        let max_attempts = max_attempts(table, diagnostics);
        let max_age = key("max_age", "A delivery is dead (kept, listed, replayable) after so long.", span(AGES));
        let max_age = max_age.or(Duration::from_hours(72), table, diagnostics);
        Self {
            name: name.unwrap_or_else(|| "?".into()),
            type_name: chosen.map(|(type_name, _)| type_name),
            own,
            everywhere: false,
            timeout,
            concurrency,
            max_attempts,
            max_age,
            event_types: event_types(table, diagnostics),
        }
    }

    /// Builds it. Does not connect: a sink that is down must not keep the daemon down.
    ///
    /// # Errors
    /// Each with its key relative to the sink (`url`, `secret` …).
    pub(super) fn build(&self) -> Result<Arc<dyn Sink>, Vec<ConfigError>> {
        match &self.own {
            Some(own) => own.build(self),
            None => Err(vec![ConfigError::new("type", "this sink was told something wrong, so that there is none")]),
        }
    }

    /// Whether this sink takes events of type `kind`.
    #[must_use]
    pub fn takes(&self, kind: &str) -> bool {
        self.event_types.is_empty()
            || self.event_types.iter().any(|filter| match filter.strip_suffix('*') {
                Some(prefix) => kind.starts_with(prefix),
                None => kind == filter,
            })
    }

    /// Tells it from every other that would be built differently. Blocking: reads the files it names.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        // Without `..`, so that a key that is added is not forgotten here. Who sends here does not change what it is.
        let Self { name, type_name, own, everywhere: _, timeout, concurrency, max_attempts, max_age, event_types } =
            self;
        let mut parts = Parts::default();
        parts.add(name.as_str());
        parts.maybe(*type_name);
        parts.add(format!("{timeout:?} {concurrency} {max_attempts} {max_age:?} {event_types:?}"));
        if let Some(own) = own {
            own.consists_of(&mut parts);
        }
        parts.fingerprint()
    }
}

fn name(given: Option<Name>, others: &[Settings], table: &mut Table, diagnostics: &mut Diagnostics) -> Option<Name> {
    let doc = "Unique; 1 to 40 of a-z, 0-9 and -. \"forward\" is the one that the variable GATEPOST_FORWARD_URL adds.";
    let kind = text(grammar::name, "1 to 40 of a-z, 0-9 and -");
    let missing = "is missing: every sink needs one of its own";
    let name =
        key("name", doc, kind).example(Example::Set("\"orders\"")).or_required(given, missing, table, diagnostics)?;
    if others.iter().any(|other| other.name == name) {
        table.error("name", format!("another sink is called {name} too"), diagnostics);
    }
    table.is_called(name.as_str());
    Some(name)
}

fn max_attempts(table: &mut Table, diagnostics: &mut Diagnostics) -> u32 {
    let doc = "A delivery is dead (kept, listed, replayable) after so many attempts.";
    let attempts = key("max_attempts", doc, number(ATTEMPTS)).or(12, table, diagnostics);
    u32::try_from(attempts).unwrap_or(u32::MAX)
}

fn event_types(table: &mut Table, diagnostics: &mut Diagnostics) -> Vec<String> {
    const EMPTY: &str = "an empty list or entry takes nothing: name event types (exact, or prefix*), or leave the key out \
        to take all";
    let doc = "Event types it takes, exact or \"prefix*\". All, where it is left out.";
    let one = |text: &str| if text.is_empty() { Err(EMPTY.to_owned()) } else { Ok(text.to_owned()) };
    let kind = list(text(one, "an event type, or \"prefix*\"")).not_empty(EMPTY);
    key("event_types", doc, kind)
        .example(Example::Off("[\"order.*\"]"))
        .maybe(table, diagnostics)
        .value()
        .unwrap_or_default()
}

/// Key `type`.
struct TypeOfSink(&'static Types);

impl TypeOfSink {
    fn choose(
        self,
        given: Option<&'static str>,
        table: &mut Table,
        diagnostics: &mut Diagnostics,
    ) -> Option<(&'static str, Read)> {
        let missing = format!("is missing: {}", self.names());
        let given = given.and_then(|name| self.from_variable(name).ok());
        let doc = "What kind of server takes the events.";
        key("type", doc, self).or_required(given, &missing, table, diagnostics)
    }

    /// `http, nats or sqs`
    fn names(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| *name).collect();
        match names.split_last() {
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        }
    }
}

impl Kind for TypeOfSink {
    type Value = (&'static str, Read);

    fn from_file(&self, value: toml::Value) -> Result<Self::Value, Problems> {
        words("").from_file(value).and_then(|text| self.from_variable(&text))
    }

    fn from_variable(&self, text: &str) -> Result<Self::Value, Problems> {
        match self.0.iter().find(|(name, _)| *name == text) {
            Some((name, Some(read))) => Ok((name, *read)),
            Some((name, None)) => Err(problem(format!("this gatepost was built without the feature `{name}`"))),
            None => Err(problem(format!("unknown sink type {text:?}: expected {}", self.names()))),
        }
    }

    fn show(&self, (name, _): &Self::Value) -> String {
        format!("{name:?}")
    }

    fn expects(&self) -> String {
        self.names()
    }

    fn schema(&self) -> serde_json::Value {
        serde_json::json!({ "enum": self.0.iter().map(|(name, _)| *name).collect::<Vec<_>>() })
    }
}
