//! What is told of a request: the refusal first, then its cause, then the configuration to change, then the rest. No
//! secret, and no signature that was computed here.

use serde::Serialize;

/// All there is to say. Sender-controlled text is as the sender wrote it but for secrets: whoever shows it escapes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Explanation {
    /// The source it was judged as.
    pub source: String,
    /// That source's preset.
    pub preset: String,
    /// Method, path and size.
    pub request: String,
    /// The first check that refuses it; null where none does.
    pub refused: Option<Refused>,
    /// The reason it was kept for, where it was kept.
    pub kept_for: Option<String>,
    /// What was odd about the request, and refuses nothing.
    pub notes: Vec<String>,
    /// What decides whether to release a request that came at the wrong time.
    pub release: Option<Release>,
    /// What explains the refusal.
    pub causes: Vec<ToldCause>,
    /// What to change in the configuration so that it is taken.
    pub changes: Vec<Change>,
    /// What is odd about the secrets that were tried.
    pub secrets: Vec<String>,
    /// Every check, in the daemon's order.
    pub checks: Vec<ToldCheck>,
    /// AWS: the canonical request as it arrived, to compare with the sender's.
    pub canonical_request: Option<Vec<String>>,
}

/// A check that refuses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Refused {
    /// The reason that the sender was told.
    pub reason: &'static str,
    /// Why, in words.
    pub why: String,
}

/// A check, and what it came to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct ToldCheck {
    /// Whether it passes.
    pub passed: bool,
    /// The reason it refuses with.
    pub reason: Option<&'static str>,
    /// What it found.
    pub words: String,
}

/// Whether a request that came at the wrong time was made by the sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// Its signature holds.
    OnlyItsTime,
    /// It does not either.
    NothingProven,
}

impl ChangeTo {
    /// Whether they go into the source's table as they are.
    #[must_use]
    pub const fn is_settings(self) -> bool {
        matches!(self, Self::Settings)
    }
}

impl Release {
    /// Whether the sender made the request.
    #[must_use]
    pub const fn is_proven(self) -> bool {
        matches!(self, Self::OnlyItsTime)
    }

    /// It in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::OnlyItsTime => {
                "the signature holds: the sender made this request, only its time is refused; release it if its content is still wanted"
            }
            Self::NothingProven => {
                "the signature does not hold either: nothing proves who made this request; do not release it before that is explained"
            }
        }
    }
}

/// What explains a refusal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct ToldCause {
    /// Its name, to search for.
    pub name: &'static str,
    /// What is the matter.
    pub words: String,
    /// How that shows here.
    pub detail: Option<String>,
    /// What mends it.
    pub remedy: Option<&'static str>,
}

/// Lines of configuration that would take the request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Change {
    /// Where they go.
    pub to: ChangeTo,
    /// The lines; what has to go is named in a comment.
    pub lines: Vec<String>,
}

/// Where lines go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeTo {
    /// Into the source's table.
    Settings,
    /// Into the list `client_certificates` of the source's table.
    ClientCertificates,
}
