//! Which of the variants that senders use makes one of the MACs that the request brought.

use std::borrow::Cow;

use base64::Engine as _;
use http::HeaderName;
use zeroize::Zeroizing;

use super::brought::Brought;
use super::case::Case;
use crate::scheme::diagnose::{Cause, bodies, secrets};
use crate::scheme::hmac::content::{Content, Sent, Texts};
use crate::scheme::hmac::spelled::{Spelled, content};
use crate::scheme::mac::{Algorithm, BASE64, BASE64_URL, Key};

/// What senders sign, as `signed_content` spells it.
const CONTENTS: [&str; 11] = [
    "{body}",
    "{timestamp}.{body}",
    "{timestamp}{body}",
    "{timestamp}:{body}",
    "{id}.{timestamp}.{body}",
    "{id}.{body}",
    "{body}{timestamp}",
    "{body}.{timestamp}",
    "v0:{timestamp}:{body}",
    "{url}{body}",
    "POST{url}{body}{timestamp}",
];

/// Bytes that are hashed for one diagnosis: a second's work at most.
const MAX_HASHED: usize = 256 * 1024 * 1024;

/// MACs that are made for one diagnosis.
const MAX_TRIES: usize = 40_000;

/// Texts of one request that are tried as timestamp, and as id.
const MAX_TEXTS: usize = 6;

/// Secrets of other sources that are tried.
const MAX_OTHERS: usize = 64;

/// How a configured secret became the key that fits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// As its bytes.
    Text,
    /// Decoded from hex.
    Hex,
    /// Decoded from base64.
    Base64,
    /// Without its `whsec_`, decoded from base64: what a Standard Webhooks secret means.
    Whsec,
}

/// A key, and what it would mean that it fits.
pub(super) struct Candidate {
    pub key: secrets::Bytes,
    /// The text that makes it, where that is not the configured one: other ends, another source's.
    pub secret: Option<secrets::Bytes>,
    /// How the text became the key.
    pub form: Form,
    /// What is the matter with it, if anything.
    pub meaning: Option<(Cause, String)>,
}

/// A text that may stand for `{timestamp}` or `{id}`, and the header it stands in; `None`: the signature's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Text {
    pub header: Option<HeaderName>,
    /// As it was sent.
    pub value: String,
}

/// What made a MAC.
pub(super) struct Found<'a> {
    /// The MAC.
    pub brought: &'a Brought,
    /// The key.
    pub candidate: Candidate,
    /// The hash function.
    pub algorithm: Algorithm,
    /// What was signed.
    pub content: Spelled<Content>,
    pub timestamp: Option<Text>,
    pub id: Option<Text>,
    /// The body in it, and why, where it is not the one that arrived.
    pub body: Option<(Vec<u8>, Cause, &'static str)>,
}

/// A body that may have been signed, and what it would mean, where it is not the one that arrived.
type Candidacy<'a> = (Cow<'a, [u8]>, Option<(Cause, &'static str)>);

/// What is left of the work that may be done.
struct Budget {
    bytes: usize,
    tries: usize,
}

impl Budget {
    fn take(&mut self, bytes: usize) -> bool {
        let left = self.bytes.checked_sub(bytes.max(64)).zip(self.tries.checked_sub(1));
        if let Some((bytes, tries)) = left {
            (self.bytes, self.tries) = (bytes, tries);
        }
        left.is_some()
    }
}

/// The first variant that makes one of `macs`: the plain ones first, then other bodies, last other sources' secrets.
pub(super) fn search<'a>(case: &Case<'_>, macs: &'a [Brought]) -> Option<Found<'a>> {
    let mut budget = Budget { bytes: MAX_HASHED, tries: MAX_TRIES };
    let mut bodies: Vec<Candidacy<'_>> = vec![(Cow::Borrowed(case.body.as_ref()), None)];
    bodies.extend(bodies::variants(case.body).into_iter().map(|(body, cause, words)| (body, Some((cause, words)))));
    let (own, others) = (own(case), others(case));
    let plain = bodies.get(..1).unwrap_or_default();
    let changed = bodies.get(1..).unwrap_or_default();
    // As configured, then with what is wrong about one thing, then about two.
    let passes = [(&own[..], plain), (&own[..], changed), (&others[..], plain)];
    for (candidates, bodies) in passes {
        for (body, why) in bodies {
            for candidate in candidates {
                if let Some(mut found) = fitting(case, macs, candidate, body, &mut budget) {
                    found.body = why.map(|(cause, words)| (body.to_vec(), cause, words));
                    return Some(found);
                }
            }
        }
    }
    None
}

fn fitting<'a>(
    case: &Case<'_>,
    macs: &'a [Brought],
    candidate: &Candidate,
    body: &[u8],
    budget: &mut Budget,
) -> Option<Found<'a>> {
    let algorithms = Algorithm::ALL.into_iter().filter(|algorithm| macs.iter().any(|mac| mac.algorithm == *algorithm));
    let configured = case.settings.signed_content.as_ref();
    let public_url = case.settings.public_url.as_deref();
    let usual = usual(case).filter_map(|text| content(text).ok()).filter(|content| Some(content) != configured);
    let contents: Vec<Spelled<Content>> = configured.cloned().into_iter().chain(usual).collect();
    let timestamps = timestamps(case, macs);
    let ids = texts(case, case.settings.id_header.as_ref(), |name| {
        name.ends_with("-id") || name.ends_with("-delivery") || name.ends_with("-nonce")
    });
    let sent = Sent::of(case.head, public_url);
    for algorithm in algorithms {
        let key = Key::new(&candidate.key, algorithm);
        for content in &contents {
            for timestamp in choices(&timestamps, content.has_timestamp()) {
                for id in choices(&ids, content.has_id()) {
                    if !budget.take(body.len()) {
                        return None;
                    }
                    let made = key.mac(content.bytes(filled(body, timestamp.as_ref(), id.as_ref(), sent)));
                    let fits = |brought: &&Brought| bool::from(brought.mac.matches(&made));
                    if let Some(brought) = macs.iter().find(fits) {
                        let content = content.clone();
                        let candidate = candidate.clone();
                        return Some(Found { brought, candidate, algorithm, content, timestamp, id, body: None });
                    }
                }
            }
        }
    }
    None
}

/// What is tried beside the configured content: a URL is known only where its beginning is.
pub(super) fn usual(case: &Case<'_>) -> impl Iterator<Item = &'static str> {
    let has_url = case.settings.public_url.is_some();
    CONTENTS.into_iter().filter(move |text| has_url || !text.contains("{url}"))
}

/// What placeholders stand for; what is not wanted is not looked at.
fn filled<'a>(body: &'a [u8], timestamp: Option<&'a Text>, id: Option<&'a Text>, sent: Sent<'a>) -> Texts<'a> {
    let bytes = |text: Option<&'a Text>| text.map_or(&b""[..], |text| text.value.as_bytes());
    Texts { body, timestamp: bytes(timestamp), id: bytes(id), sent }
}

/// Each text, or nothing once where none is wanted.
fn choices(texts: &[Text], wanted: bool) -> Vec<Option<Text>> {
    if wanted { texts.iter().cloned().map(Some).collect() } else { vec![None] }
}

/// The texts that may be the timestamp: the configured header's, those in a signature's header, those by name.
pub(super) fn timestamps(case: &Case<'_>, macs: &[Brought]) -> Vec<Text> {
    let in_list = macs.iter().filter_map(|mac| mac.timestamp.clone()).map(|value| Text { header: None, value });
    let by_name =
        |name: &str| name.contains("timestamp") || name.ends_with("-time") || name.ends_with("-ts") || name == "date";
    let mut found: Vec<Text> = texts(case, case.settings.timestamp_header.as_ref(), by_name);
    found.extend(in_list);
    found.dedup();
    found.truncate(MAX_TEXTS);
    found
}

/// The values of the header `own` and of every header whose name `fits`, each of which stands once.
fn texts(case: &Case<'_>, own: Option<&Spelled<HeaderName>>, fits: impl Fn(&str) -> bool) -> Vec<Text> {
    let own = own.map(|name| &**name);
    let by_name = case.head.headers.keys().filter(|name| fits(name.as_str()) && Some(*name) != own);
    let value = |name: &HeaderName| {
        let mut values = case.head.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?.to_owned();
        values.next().is_none().then(|| Text { header: Some(name.clone()), value })
    };
    own.into_iter().chain(by_name).filter_map(value).take(MAX_TEXTS).collect()
}

impl Clone for Candidate {
    fn clone(&self) -> Self {
        let (key, secret) = (self.key.clone(), self.secret.clone());
        Self { key, secret, form: self.form, meaning: self.meaning.clone() }
    }
}

/// The keys that the source's own secrets may be.
fn own(case: &Case<'_>) -> Vec<Candidate> {
    let mut found = Vec::new();
    for secret in &case.settings.secrets {
        found.extend(forms(secret.expose(), None, None));
    }
    for secret in &case.settings.secrets {
        for (text, words) in secrets::ends(secret.expose()) {
            let meaning = Some((Cause::SecretEnds, words.to_owned()));
            found.extend(forms(&text, Some(&text), meaning.as_ref()));
        }
    }
    found
}

/// The keys that the secrets of other sources may be.
fn others(case: &Case<'_>) -> Vec<Candidate> {
    let secrets =
        case.others.iter().flat_map(|(name, settings)| settings.secrets.iter().map(move |secret| (*name, secret)));
    secrets
        .take(MAX_OTHERS)
        .flat_map(|(name, secret)| {
            let meaning = Some((Cause::OtherSourcesSecret, format!("source {name} has it")));
            forms(secret.expose(), Some(&Zeroizing::new(secret.expose().to_vec())), meaning.as_ref())
        })
        .collect()
}

/// The keys that one text may be.
fn forms(text: &[u8], secret: Option<&secrets::Bytes>, meaning: Option<&(Cause, String)>) -> Vec<Candidate> {
    let base64 = |text: &[u8]| BASE64.decode(text).or_else(|_| BASE64_URL.decode(text)).ok();
    let forms = [
        (Some(text.to_vec()), Form::Text),
        (text.strip_prefix(b"whsec_").and_then(base64), Form::Whsec),
        (hex::decode(text).ok(), Form::Hex),
        (base64(text), Form::Base64),
    ];
    let keys = forms.into_iter().filter_map(|(key, form)| Some((key.filter(|key| !key.is_empty())?, form)));
    keys.map(|(key, form)| Candidate {
        key: Zeroizing::new(key),
        secret: secret.cloned(),
        form,
        meaning: meaning.cloned(),
    })
    .collect()
}
