//! What a scheme is built from: read from a source's table over its preset's row, and understood by the scheme alone.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use zeroize::Zeroizing;

use super::diagnose::Cause;
use super::proof::{Challenge, Moment, Scheme};
use super::starter::{Random, Starter};
use crate::clock::UnixSeconds;
use crate::event::Payload;
use crate::secret::{Secret, WeakSecret};
use crate::settings::{ConfigError, Diagnostics, Table};

/// What a scheme is built from.
pub trait Settings: Any + Send + Sync {
    /// The scheme.
    ///
    /// # Errors
    /// Every error, each with its key relative to the source (`signature_format`, `secrets[1]` …).
    fn build(&self) -> Result<Arc<dyn Scheme>, Vec<ConfigError>>;

    /// Whether requests carry a timestamp at all; a window on a source without one cannot act.
    fn has_timestamp(&self) -> bool;

    /// Whether there is anything to hold against `max_drift`, in a timestamp or in a token.
    fn uses_drift(&self) -> bool {
        self.has_timestamp()
    }

    /// Whether its tokens claim things by name.
    fn has_claims(&self) -> bool {
        false
    }

    /// What the token in `head` says at `name`. Whoever asks has seen to it that the token was verified.
    fn claim(&self, _head: &Parts, _name: &str) -> ClaimValue {
        ClaimValue::Absent
    }

    /// Why nobody here can make a request that verifies, where that is so, and what to do, in words that follow the name
    /// of the source.
    fn cannot_sign(&self) -> Option<String> {
        None
    }

    /// What the quarantine noted of a token in `head` whose signature it did not keep, where all else of it holds at
    /// `moment`.
    fn remembered(&self, _head: &Parts, _body: &Payload, _moment: Moment) -> Option<Remembered> {
        None
    }

    /// Whether a request that verifies has proven who sent it; otherwise a client certificate must have.
    fn proves_sender(&self) -> bool {
        true
    }

    /// The headers that may carry the signature, the one that we sign into first.
    fn signature_headers(&self) -> Vec<String>;

    /// The header that carries the timestamp, where it is not the signature's.
    fn timestamp_header(&self) -> Option<String>;

    /// Headers, in lower case, in which the signature stands in a form that the operator chose, with what that form
    /// spells out before it, in lower case too.
    fn signature_prefixes(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Where a token must stand, for a source that wants one.
    fn token(&self) -> Option<TokenForm> {
        None
    }

    /// Whether what verifies vouches for nothing but the sender: neither for the body nor for the time.
    fn proves_only_the_sender(&self) -> bool {
        false
    }

    /// The settings of the signature alone, where tokens must come beside it.
    fn beside_tokens(&self) -> Option<&dyn Settings> {
        None
    }

    /// Whether it proves requests by a signature of them.
    fn signs(&self) -> bool {
        false
    }

    /// Whether the signature covers the query.
    fn signs_query(&self) -> bool;

    /// The secrets that verify, the one that we sign with first.
    fn secrets(&self) -> Vec<&Secret>;

    /// Everything in it that nobody may see.
    fn credentials(&self) -> Vec<&Secret> {
        self.secrets()
    }

    /// The same with keys that nobody knows, each made of 32 bytes from `random`.
    ///
    /// # Errors
    /// [`WeakSecret`] where those bytes will not do.
    fn estranged(&self, random: &mut dyn FnMut() -> [u8; 32]) -> Result<Arc<dyn Settings>, WeakSecret>;

    /// What is allowed and worth a word at start, each in words that follow the name of the source.
    fn warnings(&self) -> Vec<String>;

    /// One mark for each key where signatures cover nothing but the body, none otherwise. Two sources with a mark in
    /// common accept each other's requests, however old. Not secret, and good for nothing but comparing.
    fn body_marks(&self) -> Vec<[u8; 32]> {
        Vec::new()
    }

    /// What could explain that the request of `case`, whose settings these are, does not verify.
    fn diagnose(&self, case: &Case<'_>) -> Diagnosis;

    /// The keys in which `to` differs, with their new value as TOML; `None`: the key has to go.
    fn changes(&self, to: &dyn Settings) -> Vec<(&'static str, Option<String>)>;

    /// What the quarantine keeps of the header `name` (lower case) instead of its `value`; `None` where that is decided as
    /// for any source. `grants` says whether it holds a credential by its name or its form.
    fn kept(&self, _name: &str, _value: &str, _grants: bool) -> Option<String> {
        None
    }

    /// Puts back into `head` what the quarantine left out of it and these settings know.
    fn restore(&self, _head: &mut Parts) {}

    /// What is hashed of a request as the verifier sees it, where that is text worth comparing by eye.
    fn canonical_request(&self, _head: &Parts, _body: &Payload) -> Option<Vec<u8>> {
        None
    }
}

/// A request that was refused, and what is known around it; `S` are the settings of its scheme.
pub struct Case<'a, S: ?Sized = dyn Settings> {
    /// What its source is configured with.
    pub settings: &'a S,
    /// What every other source is configured with, with its name.
    pub others: &'a [(&'a str, &'a S)],
    /// The path of its source.
    pub path: &'a str,
    /// Its head.
    pub head: &'a Parts,
    /// Its body as received.
    pub body: &'a Bytes,
    /// When it arrived.
    pub at: UnixSeconds,
    /// How far its timestamp may be from that, seconds.
    pub window: u64,
}

impl<S: ?Sized> Clone for Case<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: ?Sized> Copy for Case<'_, S> {}

impl<'a> Case<'a> {
    /// The other sources that have a scheme with settings `S`.
    pub(super) fn others_of<S: Settings>(&self) -> Vec<(&'a str, &'a S)> {
        let same = |(name, settings): &(&'a str, &'a dyn Settings)| {
            let settings: &'a dyn Any = settings.beside_tokens().unwrap_or(*settings);
            Some((*name, settings.downcast_ref()?))
        };
        self.others.iter().filter_map(same).collect()
    }

    /// The same as the scheme with settings `S` knows it.
    pub(super) fn narrowed<'b, S>(&self, settings: &'b S, others: &'b [(&'b str, &'b S)]) -> Case<'b, S>
    where
        'a: 'b,
    {
        let Case { path, head, body, at, window, .. } = *self;
        Case { settings, others, path, head, body, at, window }
    }
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Of which kind.
    pub cause: Cause,
    /// What exactly, in words; names what the request holds, never a secret.
    pub detail: String,
}

/// What the doctor says.
#[derive(Default)]
pub struct Diagnosis {
    /// What is wrong, the decisive things first; empty where nothing is.
    pub findings: Vec<Finding>,
    /// Settings that accept this request as it stands, where there are such; proven by building and verifying.
    pub settings: Option<Arc<dyn Settings>>,
}

impl Diagnosis {
    /// One finding, no settings.
    pub(super) fn of(cause: Cause, detail: impl Into<String>) -> Self {
        let mut diagnosis = Self::default();
        diagnosis.add(cause, detail);
        diagnosis
    }

    /// Adds a finding, unless its cause is named already.
    pub(super) fn add(&mut self, cause: Cause, detail: impl Into<String>) {
        if self.findings.iter().all(|finding| finding.cause != cause) {
            self.findings.push(Finding { cause, detail: detail.into() });
        }
    }
}

/// What a token says at some name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClaimValue {
    /// Nothing.
    Absent,
    /// A string, or an integer as it is spelled.
    Text(String),
    /// Something else.
    Other,
}

/// What is known of a token whose signature was not kept.
pub struct Remembered {
    /// What logs call the key that made the signature.
    pub key: String,
    /// Whether the body is the one that the token names; `None` where it need not name one.
    pub body: Option<bool>,
}

/// Where a token stands in a request.
pub struct TokenForm {
    /// The header, as it is written in the configuration.
    pub header: String,
    /// The authentication scheme before it.
    pub word: Option<String>,
    /// The first token as it stands there, without what is around it; `None` where each request has one of its own.
    pub coded: Option<Zeroizing<String>>,
    /// Whether that is base64 of the secret.
    pub basic: bool,
    /// How a sender without one is asked for it.
    pub challenge: Challenge,
}

/// What a preset's row says of its scheme: the values that an operator's are laid over, and the vendor's variables.
pub(crate) trait Row: Any + Sync {
    /// What it is signed with, in words; the same for every row of a scheme and for no other.
    fn scheme(&self) -> &'static str;

    /// Reads the keys of a source; what is wrong with them is recorded.
    fn read(&self, source: &Identity<'_>, table: &mut Table, diagnostics: &mut Diagnostics) -> Arc<dyn Settings>;

    /// The variable to name for the source that the vendor's variables make, where they are set.
    fn enabled_by(&self, diagnostics: &mut Diagnostics) -> Option<&'static str>;

    /// Which variables make such a source, in words.
    fn how_to_enable(&self) -> Option<String>;

    /// Whether sources may have tokens beside what verifies them.
    fn takes_tokens_beside(&self) -> bool {
        true
    }

    /// What a new source of it begins with, whose secret is to stand in `file` (a path as TOML).
    fn starter(&self, file: &str, random: Random<'_>) -> Starter;

    /// The variable that says more about such a source and makes none.
    fn companion(&self) -> Option<&'static str> {
        None
    }
}

/// Of which source the keys are read.
pub(crate) struct Identity<'a> {
    /// The name of its preset.
    pub(crate) preset: &'static str,
    /// Its own.
    pub(crate) name: &'a str,
    /// The row that has its name: a source that is called like a preset takes that vendor's variables.
    pub(crate) namesake: Option<&'static dyn Row>,
}

impl Identity<'_> {
    /// What is missing from a source whose preset has no default for it.
    pub(crate) fn no_default(&self) -> String {
        format!("is missing: preset {} has no default for it", self.preset)
    }
}

/// A label that stands twice names no key.
pub(super) fn repeated_labels<'a>(secrets: impl Iterator<Item = &'a Secret>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let twice = secrets.filter_map(Secret::label).filter(|label| !seen.insert(*label));
    twice
        .map(|label| format!("two of them have the label {label}: logs and metrics could not tell them apart"))
        .collect()
}

/// A secret that stands twice can be taken away only once.
pub(super) fn repeated_secrets<'a>(key: &str, secrets: impl Iterator<Item = &'a Secret>) -> Vec<String> {
    let secrets: Vec<&Secret> = secrets.collect();
    let twice = secrets.iter().enumerate().filter_map(|(position, secret)| {
        let same = secrets.iter().take(position).position(|earlier| earlier.same_as(secret))?;
        Some(format!("{key}[{position}] is the same secret as {key}[{same}]"))
    });
    twice.collect()
}
