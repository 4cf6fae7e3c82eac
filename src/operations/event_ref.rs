//! How operators name things: by the number in a listing, by event id, or as `source:id`, where ids may hold colons
//! themselves.

use crate::event::{EventId, Name};
use crate::store::{Archive, Archived, Cursor, EventFilter, EventRef, Page, PagedFilter, StoreError};

use super::error::OperationError;
use super::pages;

/// All that `text` may mean: an id, in whichever source; and `source:id`, where what stands before the first colon may
/// be a source. Which of them exist is for the store to say; where several do, nobody may pick one.
fn meanings(text: &str) -> Vec<EventRef> {
    let whole = EventId::new(text).map(|id| EventRef { source: None, id });
    let within = text
        .split_once(':')
        .filter(|(source, _)| is_source_name(source))
        .and_then(|(source, id)| EventId::new(id).map(|id| EventRef { source: Some(source.into()), id }));
    whole.into_iter().chain(within).collect()
}

/// The one event that `text` names, of `source` where that is given, with its body.
pub(super) async fn find(archive: &dyn Archive, text: &str, source: Option<&Name>) -> Result<Archived, OperationError> {
    let mut found: Vec<Archived> = Vec::new();
    for mut meaning in meanings(text) {
        if source.is_some() && meaning.source.is_some() && meaning.source.as_ref() != source {
            continue;
        }
        meaning.source = meaning.source.or_else(|| source.cloned());
        found.extend(archive.get(&meaning).await?);
    }
    if found.is_empty() {
        found = begun(archive, text, source).await?;
    }
    match found.len() {
        0 => Err(missing("event", text, "events list")),
        1 => Ok(found.remove(0)),
        _ => {
            let apart = |source: &Name, id: &EventId| format!("--source {source} {id}");
            Err(ambiguous(text, found.iter().map(|found| (&found.event.source, &found.event.id)), apart))
        }
    }
}

/// The events, with bodies, of which `text` is the beginning of the id, or of `source:id`: two, where there are several.
async fn begun(archive: &dyn Archive, text: &str, source: Option<&Name>) -> Result<Vec<Archived>, OperationError> {
    let mut found: Vec<Archived> = Vec::new();
    for meaning in meanings(text).into_iter().filter(|meaning| is_beginning(meaning.id.as_str())) {
        if source.is_some() && meaning.source.is_some() && meaning.source.as_ref() != source {
            continue;
        }
        let source = meaning.source.or_else(|| source.cloned());
        let filter =
            EventFilter { source, id_prefix: Some(meaning.id.to_string()), limit: Some(2), ..EventFilter::default() };
        for begun in archive.list(&filter).await? {
            let Archived { event, .. } = begun;
            found.extend(archive.get(&EventRef { source: Some(event.source), id: event.id }).await?);
        }
    }
    Ok(found)
}

/// Whether somebody may mean an id that begins so: no shorter text is guessed at.
fn is_beginning(text: &str) -> bool {
    text.len() >= SHORTEST
}

/// The shortest beginning of an id that is taken for it, in bytes.
const SHORTEST: usize = 6;

/// A row that has a number of its own, and an event that others may be of too.
pub trait Numbered: Clone {
    /// What one is called.
    const NOUN: &'static str;
    /// The command that lists them.
    const LISTED_BY: &'static str;
    /// By which a listing names it.
    fn number(&self) -> i64;
    /// Its event, where it has one.
    fn event(&self) -> Option<(&Name, &EventId)>;
    /// Whether `text` names it and no other.
    fn is_called(&self, text: &str) -> bool {
        text.parse() == Ok(self.number())
    }
    /// Whether `text` is the beginning of what it is called, apart from its number and its event.
    fn begins_with(&self, _text: &str) -> bool {
        false
    }
}

/// For each of `texts` the rows that it names among those that match `filter`: one, or all of one event. A text that
/// names none is a failure.
pub(crate) async fn rows<F: PagedFilter, R: Numbered>(
    texts: &[String],
    filter: &F,
    page: impl AsyncFn(&F, Option<Cursor>) -> Result<Page<R>, StoreError>,
) -> Result<Vec<Vec<R>>, OperationError> {
    let mut found = Vec::new();
    pages::each(filter, page, |rows| {
        let named =
            |row: &R| texts.iter().any(|text| row.is_called(text) || is_of_event(text, row) || begins(text, row));
        found.extend(rows.into_iter().filter(named));
        Ok::<_, StoreError>(true)
    })
    .await?;
    texts.iter().map(|text| named(text, &found)).collect()
}

/// The rows that `text` names: the one of that number, or all of that event.
pub(crate) fn named<R: Numbered>(text: &str, rows: &[R]) -> Result<Vec<R>, OperationError> {
    let listed = rows.iter().find(|row| row.is_called(text));
    let of_event = of_one_event(text, rows)?;
    match (listed, of_event.as_slice()) {
        (Some(row), []) => Ok(vec![row.clone()]),
        (None, [_, ..]) => Ok(of_event),
        (Some(row), [only]) if row.number() == only.number() => Ok(of_event),
        // A number may be both; what is discarded is gone, so nothing is guessed.
        (Some(_), [other, ..]) => {
            let event = other.event().map(|(source, id)| format!("{source}:{id}")).unwrap_or_default();
            Err(OperationError::Refused(format!("{text} is a {} and the id of another event: say {event}", R::NOUN)))
        }
        (None, []) => named_by_beginning(text, rows),
    }
}

/// The row, or all of the event, of which `text` is the beginning of the name.
fn named_by_beginning<R: Numbered>(text: &str, rows: &[R]) -> Result<Vec<R>, OperationError> {
    let found: Vec<R> = rows.iter().filter(|row| begins(text, *row)).cloned().collect();
    let mut names: Vec<String> = found.iter().map(name).collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [] => Err(missing_row::<R>(text)),
        [_] => Ok(found),
        [first, second, ..] => {
            let problem = format!("{text:?} is the beginning of more than one: say {first} or {second}");
            Err(OperationError::Refused(problem))
        }
    }
}

/// What tells a row from others, for whoever has to say more of it.
fn name<R: Numbered>(row: &R) -> String {
    row.event().map_or_else(|| row.number().to_string(), |(source, id)| format!("{source}:{id}"))
}

/// Whether `text` is the beginning of what `row` is called, or of its event's name.
fn begins<R: Numbered>(text: &str, row: &R) -> bool {
    let of_event = |(source, id): (&Name, &EventId)| {
        meanings(text).iter().any(|meaning| {
            is_beginning(meaning.id.as_str())
                && id.as_str().starts_with(meaning.id.as_str())
                && meaning.source.as_ref().is_none_or(|wanted| wanted == source)
        })
    };
    // A number that no row has is a slip, and no beginning of something else.
    let number = text.parse::<i64>().is_ok();
    !number && is_beginning(text) && (row.begins_with(text) || row.event().is_some_and(of_event))
}

/// All rows of the one event that `text` names.
fn of_one_event<R: Numbered>(text: &str, rows: &[R]) -> Result<Vec<R>, OperationError> {
    let found: Vec<&R> = rows.iter().filter(|row| is_of_event(text, *row)).collect();
    let mut events: Vec<(&Name, &EventId)> = found.iter().filter_map(|row| row.event()).collect();
    events.sort_unstable_by_key(|(source, id)| (source.as_str(), id.as_str()));
    events.dedup();
    if events.len() > 1 {
        let numbers = |source: &Name, id: &EventId| {
            let of_it = found.iter().filter(|row| row.event() == Some((source, id)));
            of_it.map(|row| row.number().to_string()).collect::<Vec<_>>().join(" ")
        };
        return Err(ambiguous(text, events.into_iter(), numbers));
    }
    Ok(found.into_iter().cloned().collect())
}

fn is_of_event(text: &str, row: &impl Numbered) -> bool {
    row.event().is_some_and(|(source, id)| meanings(text).iter().any(|meaning| fits(meaning, source, id)))
}

/// Whether `meaning` is the event `id` of `source`.
fn fits(meaning: &EventRef, source: &Name, id: &EventId) -> bool {
    meaning.id == *id && meaning.source.as_ref().is_none_or(|wanted| wanted == source)
}

/// No row is called that.
pub(super) fn missing_row<R: Numbered>(text: &str) -> OperationError {
    missing(R::NOUN, text, R::LISTED_BY)
}

fn missing(noun: &str, text: &str, listed_by: &str) -> OperationError {
    OperationError::Missing(format!("no {noun} {text:?}; `gatepost {listed_by}` shows what there is"))
}

/// Several events are called that. Each is named as `source:id`, or `apart` where that is the name of another too.
fn ambiguous<'a>(
    text: &str,
    events: impl Iterator<Item = (&'a Name, &'a EventId)>,
    apart: impl Fn(&Name, &EventId) -> String,
) -> OperationError {
    let candidates = events.map(|(source, id)| {
        let name = format!("{source}:{id}");
        if name == text { apart(source, id) } else { name }
    });
    let candidates = candidates.collect::<Vec<_>>().join(" or ");
    OperationError::Refused(format!("{text:?} names more than one event: say {candidates}"))
}

/// What a source may be called (contract 2.2).
fn is_source_name(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(Option<String>, String)> {
        let parts = |event: EventRef| (event.source.map(|name| name.to_string()), event.id.to_string());
        meanings(text).into_iter().map(parts).collect()
    }

    fn within(source: &str, id: &str) -> (Option<String>, String) {
        (Some(source.to_owned()), id.to_owned())
    }

    fn whole(id: &str) -> (Option<String>, String) {
        (None, id.to_owned())
    }

    #[test]
    fn what_has_a_colon_may_be_two_things() {
        assert_eq!(texts("nice:42"), [whole("nice:42"), within("nice", "42")]);
        assert_eq!(texts("cognigy:sha256:ab"), [whole("cognigy:sha256:ab"), within("cognigy", "sha256:ab")]);
        assert_eq!(texts("sha256:ab"), [whole("sha256:ab"), within("sha256", "ab")]);
        assert_eq!(texts("urn:uuid:1"), [whole("urn:uuid:1"), within("urn", "uuid:1")]);
        assert_eq!(texts("A_B:1"), [whole("A_B:1")]);
        assert_eq!(texts(":1"), [whole(":1")]);
        assert_eq!(texts("plain"), [whole("plain")]);
    }

    #[test]
    fn what_can_be_no_id_is_not_looked_for() {
        assert_eq!(texts("nice:"), [whole("nice:")]);
        assert_eq!(texts(""), []);
    }

    #[test]
    fn each_candidate_is_named_so_that_it_is_the_only_one() {
        let (x, mx) = (EventId::new("x").unwrap(), EventId::new("m:x").unwrap());
        let (m, n) = (Name::from("m"), Name::from("n"));
        let apart = |source: &Name, id: &EventId| format!("--source {source} {id}");
        let told = ambiguous("m:x", [(&n, &mx), (&m, &x)].into_iter(), apart).to_string();
        assert!(told.ends_with("say n:m:x or --source m x"), "{told}");
    }
}
