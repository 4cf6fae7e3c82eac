//! The signature doctor: which check refuses a request and why, in words, and what would mend it.
//!
//! Walks the checks in the order the daemon does, past the first refusal as far as the request can be judged. Tells no
//! secret, and no signature that was computed here.

mod advice;
mod certificate;
mod checks;
mod explanation;
mod report;
mod request;

use crate::ingress::SourceSettings;
use crate::settings::ConfigErrors;

pub use explanation::{Change, ChangeTo, Explanation, Refused, Release, ToldCause, ToldCheck};
pub(crate) use request::{Shown, Specimen, Unreadable, from_quarantine, header_lines, read};

/// All that there is to say about `specimen` at `source`, one of `sources`.
///
/// # Errors
/// Where the source's scheme cannot be built.
pub(crate) fn explain(
    sources: &[SourceSettings],
    source: &SourceSettings,
    mut specimen: Specimen,
) -> Result<Explanation, ConfigErrors> {
    source.scheme.restore(&mut specimen.head);
    let secrets = report::secrets(sources);
    let clean = |text: &str| report::without(text, &secrets);
    Ok(checks::examine(sources, source, &specimen)?.told(source, &specimen, &clean))
}
