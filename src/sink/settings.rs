//! `[[sink]]`: what every sink is told, and how the rest of its keys gets to the type of sink that knows them.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::delivery::Sink;
use super::fingerprint::{Fingerprint, Parts};
use crate::event::Name;
use crate::settings::kind::{Problems, list, number, problem, size, span, text, words};
use crate::settings::{ConfigError, Diagnostics, Kind, Table, grammar, key};

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
    let name = key("name", doc, kind).or_required(given, missing, table, diagnostics)?;
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
    key("event_types", doc, kind).maybe(table, diagnostics).value().unwrap_or_default()
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

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::super::{Settings, build, read as read_all};
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// The sinks of `file`, and what is wrong with them.
    fn sinks(file: &str, pairs: &[(&str, &str)]) -> (Vec<Settings>, Vec<String>) {
        let vars = vars(pairs);
        let mut diagnostics = Diagnostics::new(&vars);
        let sinks = read_all(&mut Table::new("", "", file.parse().unwrap()), &mut diagnostics);
        (sinks, diagnostics.errors.iter().map(ToString::to_string).collect())
    }

    /// The one sink of `keys`, all of which are right.
    pub(in crate::sink) fn sink(keys: &str) -> Settings {
        let (mut sinks, errors) = sinks(&format!("[[sink]]\n{keys}"), &[]);
        assert_eq!(errors, Vec::<String>::new());
        sinks.remove(0)
    }

    /// What `keys` say of a sink of type `T`, and what all sinks are told by default.
    pub(in crate::sink) fn read<T: SinkType>(keys: &str, pairs: &[(&str, &str)]) -> (T, Settings) {
        let vars = vars(pairs);
        let mut diagnostics = Diagnostics::new(&vars);
        let own = T::read(Some(&"orders".into()), &mut Table::new("", "", keys.parse().unwrap()), &mut diagnostics);
        assert_eq!(diagnostics.errors, []);
        (own.unwrap(), sink("name = 'orders'\ntype = 'http'\nurl = 'http://127.0.0.1:1/'\n"))
    }

    /// The keys that `keys` get wrong for a sink of type `T`.
    pub(in crate::sink) fn wrong<T: SinkType>(keys: &str, pairs: &[(&str, &str)]) -> Vec<String> {
        let vars = vars(pairs);
        let mut diagnostics = Diagnostics::new(&vars);
        T::read(Some(&"orders".into()), &mut Table::new("", "", keys.parse().unwrap()), &mut diagnostics);
        diagnostics.errors.into_iter().map(|error| error.at).collect()
    }

    const ORDERS: &str = "name = 'orders'\ntype = 'http'\nurl = 'http://127.0.0.1:1/'\n";

    #[test]
    fn filters_are_exact_or_prefixes() {
        let mut settings = sink(ORDERS);
        assert!(settings.takes("anything") && settings.takes(""));
        settings.event_types = vec!["order.created".into(), "user.*".into()];
        assert!(settings.takes("order.created") && settings.takes("user.") && settings.takes("user.deleted"));
        assert!(!settings.takes("order.created.x") && !settings.takes("user") && !settings.takes("a.user.b"));
        settings.event_types = vec!["*".into()];
        assert!(settings.takes(""));
    }

    #[test]
    fn a_type_that_is_unknown_or_missing_is_named_and_the_rest_not_read() {
        let (_, errors) = sinks("[[sink]]\nname = 'a'\ntype = 'kafka'\nurl = 'x'\ntopic = 1\n", &[]);
        assert_eq!(errors, ["sink[0].type: unknown sink type \"kafka\": expected http, nats or sqs"]);
        let (_, errors) = sinks("[[sink]]\nname = 'a'\n", &[]);
        assert_eq!(errors, ["sink[0].type: is missing: http, nats or sqs", "sink[0].url: is missing"]);
        assert!(build(&sink(ORDERS)).is_ok());
    }

    #[test]
    fn a_key_that_another_type_has_is_unknown() {
        let (sinks, errors) = sinks(&format!("[[sink]]\n{ORDERS}subject = 'a'\n"), &[]);
        assert_eq!(errors, ["sink[0].subject: unknown key"]);
        assert_eq!(sinks.len(), 1, "sources may name it");
    }

    #[test]
    fn the_variables_add_a_sink_or_win_over_the_file_s() {
        let both = [
            ("GATEPOST_FORWARD_URL", "http://127.0.0.1:2/"),
            ("GATEPOST_FORWARD_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ];
        let (found, errors) = sinks(&format!("[[sink]]\n{ORDERS}"), &both);
        assert_eq!((found.len(), errors), (2, vec![]));
        assert!(found[1].name.as_str() == "forward" && found[1].everywhere && !found[0].everywhere);
        let ours = ORDERS.replace("orders", "forward");
        let (found, errors) = sinks(&format!("[[sink]]\n{ours}timeout = '1s'\n"), &both);
        assert_eq!((found.len(), errors), (1, vec![]));
        assert!(found[0].everywhere && found[0].timeout == Duration::from_secs(1));
        assert!(found[0].fingerprint() != sink(&format!("{ours}timeout = '1s'\n")).fingerprint());
    }

    #[test]
    fn what_is_wrong_with_the_variables_is_told_at_them() {
        for (url, secret, expected) in [
            ("ftp://a", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "GATEPOST_FORWARD_URL: must begin"),
            ("http://127.0.0.1:2/", "whsec_!!!!!!!!!!!!!!!!!!!!!!!!!", "GATEPOST_FORWARD_SECRET: expected a Standard"),
            ("", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "GATEPOST_FORWARD_URL: is not set, but"),
        ] {
            let pairs = [("GATEPOST_FORWARD_SECRET", secret), ("GATEPOST_FORWARD_URL", url)];
            let (_, errors) = sinks("", pairs.get(..if url.is_empty() { 1 } else { 2 }).unwrap());
            assert!(errors.len() == 1 && errors[0].starts_with(expected), "{errors:?}");
        }
        let (_, errors) = sinks("[[sink]]\nname = 'forward'\ntype = 'kafka'\nurl = 'x'\n", &[]);
        assert_eq!(errors.len(), 1, "{errors:?}");
    }

    #[test]
    fn every_key_every_secret_and_the_content_of_files_count() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, "one").unwrap();
        let own = [
            String::new(),
            "secret = { value = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }".to_owned(),
            "secret = { value = 'whsec_AfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }".to_owned(),
            "token = { value = 'a' }".to_owned(),
            "token = { value = 'b' }".to_owned(),
            format!("ca_file = {:?}", file.display().to_string()),
            "proxy = 'http://p:3128'".to_owned(),
            "proxy = 'http://u:hunter2@p:3128'".to_owned(),
            "timeout = '20s'".to_owned(),
            "concurrency = 17".to_owned(),
            "max_attempts = 13".to_owned(),
            "max_age = '73h'".to_owned(),
            "event_types = ['a']".to_owned(),
        ];
        let texts: Vec<String> = own
            .iter()
            .map(|key| format!("{ORDERS}{key}\n"))
            .chain([ORDERS.replace("orders", "other"), ORDERS.replace(":1/", ":1/x")])
            .collect();
        let print = |text: &String| sink(text).fingerprint();
        for (i, one) in texts.iter().enumerate() {
            for (j, other) in texts.iter().enumerate() {
                assert_eq!(print(one) == print(other), i == j, "{one} {other}");
            }
        }
        let before = print(&texts[5]);
        std::fs::write(&file, "two").unwrap();
        assert!(before != print(&texts[5]));
    }
}
