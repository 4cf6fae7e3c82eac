//! What was asked for while the configuration was read: each section with its keys, their meaning, value and origin.
//!
//! From this one record come the effective configuration, what a reload changed, the JSON Schema, the reference and the
//! example.

use std::fmt::{self, Write as _};

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::redact::REDACTED;
use crate::secret::Secret;

/// A table of the file as it was read.
pub(crate) struct Section {
    /// As it stands in the file: `[limits]`, `[[source]]`.
    pub(crate) title: String,
    /// What tells it from others of that title: its `name`.
    pub(crate) name: Option<String>,
    /// Its keys in the order in which they were asked for.
    pub(crate) entries: Vec<Entry>,
    /// Tables within it.
    pub(crate) inner: Vec<Section>,
}

/// One key, or one variable that stands for none.
pub(crate) struct Entry {
    /// Its name in the file; `None` for what only a variable says.
    pub(crate) key: Option<&'static str>,
    /// The variables that say it instead.
    pub(crate) variables: Vec<&'static str>,
    /// What it does, in a sentence or two.
    pub(crate) doc: &'static str,
    /// What it may hold, in words.
    pub(crate) expects: String,
    /// What it may hold, as JSON Schema.
    pub(crate) schema: Json,
    /// What holds where nobody says anything.
    pub(crate) default: Default,
    /// Whether each variable has a form with `_FILE` appended.
    pub(crate) secret: bool,
    /// Whether a reload refuses to change it.
    pub(crate) restart: bool,
    /// What stands in the commented example; without it that is the default, commented out.
    pub(crate) example: Option<Example>,
    /// What holds now; `None` where nothing does.
    pub(crate) value: Option<Shown>,
    /// Who said so.
    pub(crate) origin: Origin,
}

/// What holds where nobody says anything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Default {
    /// Nothing, and that is fine.
    None,
    /// Nothing, and somebody must say something.
    Required,
    /// This, as it stands in the file.
    Value(String),
    /// What these words say.
    Words(&'static str),
}

/// A value in the commented example, as TOML.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Example {
    /// It stands there.
    Set(&'static str),
    /// It stands there commented out.
    Off(&'static str),
}

/// A value as it may be shown.
pub(crate) enum Shown {
    /// As it stands in the file, and what of it is left out.
    Plain(String, Option<Secret>),
    Secret(Hidden),
    /// A list of secrets.
    Secrets(Vec<Hidden>),
}

/// A secret of which only the origin is shown.
pub(crate) struct Hidden {
    /// Where it came from: `file /run/secrets/name`.
    pub(crate) origin: String,
    /// The secret, to notice that it changed.
    pub(crate) secret: Secret,
    /// What logs and metrics call it, where they do.
    pub(crate) called: Option<String>,
}

/// Who said what holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// Nobody.
    Default,
    File,
    /// This variable, or the file that it names with `_FILE` appended.
    Variable(&'static str),
}

/// How two readings of a configuration differ in a key, a table or a whole section.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Change {
    /// They do not.
    None,
    /// Only in secrets, which are shown alike.
    Secrets,
    /// In what is shown.
    Values,
}

impl Section {
    /// The name by which a log record calls it: `[limits]`, `source orders`.
    pub(crate) fn called(&self) -> String {
        let bare = self.title.trim_matches(['[', ']']);
        match &self.name {
            Some(name) => format!("{bare} {name}"),
            None => format!("[{bare}]"),
        }
    }

    /// The string that `key` holds.
    pub(crate) fn text_of(&self, key: &str) -> Option<String> {
        let entry = self.entries.iter().find(|entry| entry.key == Some(key))?;
        match entry.value.as_ref()? {
            Shown::Plain(value, _) => Some(value.trim_matches('"').to_owned()),
            Shown::Secret(_) | Shown::Secrets(_) => None,
        }
    }

    /// Where the secret in `key`, or the first of several, came from, in words.
    pub(crate) fn origin_of(&self, key: &str) -> Option<&str> {
        let entry = self.entries.iter().find(|entry| entry.key == Some(key))?;
        match entry.value.as_ref()? {
            Shown::Secret(secret) => Some(&secret.origin),
            Shown::Secrets(secrets) => secrets.first().map(|secret| &*secret.origin),
            Shown::Plain(..) => None,
        }
    }

    /// Writes it in the file's own form, with the variable that a value came from. An empty line parts it from what
    /// stands before.
    pub(crate) fn write(&self, text: &mut String) {
        let gap = if text.is_empty() { "" } else { "\n" };
        _ = writeln!(text, "{gap}{}", self.title);
        for entry in &self.entries {
            entry.write(text);
        }
        for inner in &self.inner {
            inner.write(text);
        }
    }

    /// How `next` differs.
    pub(crate) fn change(&self, next: &Self) -> Change {
        let entries = change(&self.entries, &next.entries, Entry::change);
        entries.max(change(&self.inner, &next.inner, Self::change))
    }
}

fn change<T>(before: &[T], after: &[T], between: fn(&T, &T) -> Change) -> Change {
    let lengths = if before.len() == after.len() { Change::None } else { Change::Values };
    before.iter().zip(after).map(|(before, after)| between(before, after)).max().unwrap_or(lengths).max(lengths)
}

impl Entry {
    fn write(&self, text: &mut String) {
        let (Some(key), Some(value)) = (self.key, &self.value) else { return };
        let shown = value.written();
        let origin = match (self.origin, value) {
            (Origin::Variable(variable), Shown::Plain(..)) => format!(" # {variable}"),
            _ => String::new(),
        };
        _ = writeln!(text, "{key} = {shown}{origin}");
    }

    /// How `next` differs.
    pub(crate) fn change(&self, next: &Self) -> Change {
        let whole = |same: bool| if same { Change::None } else { Change::Values };
        let hidden = |same: bool| if same { Change::None } else { Change::Secrets };
        let key = whole(self.key == next.key);
        let value = match (&self.value, &next.value) {
            (None, None) => Change::None,
            (Some(Shown::Plain(one, inside)), Some(Shown::Plain(other, other_inside))) => {
                whole(one == other).max(hidden(alike(inside.as_ref(), other_inside.as_ref())))
            }
            (Some(Shown::Secret(one)), Some(Shown::Secret(other))) => one.change(other),
            (Some(Shown::Secrets(before)), Some(Shown::Secrets(after))) => change(before, after, Hidden::change),
            _ => Change::Values,
        };
        key.max(value)
    }
}

impl Shown {
    /// As it stands in the file, secrets by their origin.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Plain(value, _) => value.clone(),
            Self::Secret(secret) => format!("{:?}", secret.to_string()),
            Self::Secrets(secrets) => format!("{:?}", secrets.iter().map(ToString::to_string).collect::<Vec<_>>()),
        }
    }

    /// The secrets that are left out of that.
    pub(super) fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::Plain(_, inside) => inside.iter().collect(),
            Self::Secret(hidden) => vec![&hidden.secret],
            Self::Secrets(several) => several.iter().map(|hidden| &hidden.secret).collect(),
        }
    }
}

/// One secret that changes when one of `several` does.
pub(super) fn together<'s>(several: impl IntoIterator<Item = &'s Secret>) -> Option<Secret> {
    let mut all = Sha256::new();
    let mut none = true;
    for secret in several {
        none = false;
        all.update((secret.expose().len() as u64).to_be_bytes());
        all.update(secret.expose());
    }
    if none { None } else { Secret::token(hex::encode(all.finalize())).ok() }
}

impl Hidden {
    fn change(&self, next: &Self) -> Change {
        if self.origin != next.origin {
            Change::Values
        } else if alike(Some(&self.secret), Some(&next.secret)) {
            Change::None
        } else {
            Change::Secrets
        }
    }
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{REDACTED} from {}", self.origin)?;
        self.called.as_ref().map_or(Ok(()), |name| write!(f, ", key {name}"))
    }
}

fn alike(one: Option<&Secret>, other: Option<&Secret>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.same_as(other) && one.label() == other.label(),
        _ => false,
    }
}
