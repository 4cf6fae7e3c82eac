//! How operators name events: as listed, by event id, or as `source:id`, where ids may hold colons themselves.

use crate::event::{EventId, Name};
use crate::store::{Archive, Archived, EventRef};

use super::failure::Failure;

/// All that `text` may mean: an id, in whichever source; and `source:id`, where what stands before the first colon may
/// be a source. Which of them exist is for the store to say; where several do, nobody may pick one.
pub(super) fn meanings(text: &str) -> Vec<EventRef> {
    let whole = EventId::new(text).map(|id| EventRef { source: None, id });
    let within = text
        .split_once(':')
        .filter(|(source, _)| is_source_name(source))
        .and_then(|(source, id)| EventId::new(id).map(|id| EventRef { source: Some(source.into()), id }));
    whole.into_iter().chain(within).collect()
}

/// Whether `meaning` is the event `id` of `source`.
pub(super) fn fits(meaning: &EventRef, source: &Name, id: &EventId) -> bool {
    meaning.id == *id && meaning.source.as_ref().is_none_or(|wanted| wanted == source)
}

/// The one event that `text` names, of `source` where that is given, with its body.
pub(super) async fn find(archive: &dyn Archive, text: &str, source: Option<&Name>) -> Result<Archived, Failure> {
    let mut found: Vec<Archived> = Vec::new();
    for mut meaning in meanings(text) {
        if source.is_some() && meaning.source.is_some() && meaning.source.as_ref() != source {
            continue;
        }
        meaning.source = meaning.source.or_else(|| source.cloned());
        found.extend(archive.get(&meaning).await?);
    }
    match found.len() {
        0 => Err(Failure::Runtime(format!("no event {text:?}; `gatepost events list` shows what there is"))),
        1 => Ok(found.remove(0)),
        _ => Err(ambiguous(text, found.iter().map(|archived| (&archived.event.source, &archived.event.id)))),
    }
}

/// Several events are called that.
pub(super) fn ambiguous<'a>(text: &str, events: impl Iterator<Item = (&'a Name, &'a EventId)>) -> Failure {
    let candidates = events.map(|(source, id)| {
        // `source:id` may be the id of yet another, so the source stands apart.
        if format!("{source}:{id}") == text { format!("--source {source} {id}") } else { format!("{source}:{id}") }
    });
    let candidates = candidates.collect::<Vec<_>>().join(" or ");
    Failure::Usage(format!("{text:?} names more than one event: say {candidates}"))
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
        let told = ambiguous("m:x", [(&n, &mx), (&m, &x)].into_iter()).to_string();
        assert!(told.ends_with("say n:m:x or --source m x"), "{told}");
    }
}
