//! What was found, as lines: the refusal first, then its cause, then the configuration to change, then the rest.

use crate::ingress::{self, SourceSettings as Source};
use crate::request_outcome::Reason;
use crate::scheme::{Diagnosis, REDACTED};
use crate::secret::Secret;

use super::advice;
use super::request::Specimen;

/// The shortest secret that is looked for in what is printed: shorter ones would tear words apart.
const SHORTEST: usize = 8;

/// The verdict of one check.
pub(super) enum Check {
    /// It passes.
    Passed(String),
    /// It refuses, for this reason.
    Refused(Reason, String),
}

/// All that was found.
#[derive(Default)]
pub(super) struct Report {
    /// The checks in the order the daemon makes them.
    pub(super) checks: Vec<Check>,
    /// What was odd about the request, and refuses nothing.
    pub(super) notes: Vec<String>,
    /// What could explain why signature or timestamp do not hold.
    pub(super) diagnosis: Diagnosis,
    /// What could explain a time outside the window.
    pub(super) time: Option<String>,
    /// Whether the signature holds.
    pub(super) holds: Option<bool>,
    /// The AWS canonical request as it arrived.
    pub(super) canonical: Option<Vec<u8>>,
}

impl Report {
    /// A check that passes.
    pub(super) fn ok(&mut self, what: String) {
        self.checks.push(Check::Passed(what));
    }

    /// A check that refuses.
    pub(super) fn refused(&mut self, reason: Reason, why: &str) {
        self.checks.push(Check::Refused(reason, why.to_owned()));
    }

    /// All of it, a line each.
    pub(super) fn lines(&self, source: &Source, specimen: &Specimen) -> Vec<String> {
        let mut lines = vec![self.verdict()];
        lines.push(format!("         source {}, preset {}, {}", source.name, source.preset.name, specimen.line()));
        lines.extend(specimen.notes.iter().chain(&self.notes).map(|note| format!("         {note}")));
        if let Some(reason) = &specimen.reason {
            lines.push(format!("         it was kept because of: {reason}"));
        }
        lines.extend(self.release());
        lines.extend(self.causes());
        if let Some(settings) = &self.diagnosis.settings {
            lines.push(format!("change   in [[source]] {:?}; with this the signature holds:", source.name.as_str()));
            lines.extend(advice::lines(source, &**settings).into_iter().map(|line| format!("    {line}")));
        }
        if self.holds == Some(false) {
            lines.extend(source.scheme.secrets().into_iter().filter_map(|secret| {
                Some(format!("note     secret {} {}; it is used with that", secret.name(), secret.oddity()?))
            }));
        }
        lines.push("checks, in the daemon's order:".to_owned());
        lines.extend(self.checks.iter().map(|check| match check {
            Check::Passed(what) => format!("  ok       {what}"),
            Check::Refused(reason, why) => format!("  REFUSED  {reason}: {why}"),
        }));
        lines.extend(self.canonical_lines());
        lines
    }

    fn verdict(&self) -> String {
        let refused = self.checks.iter().find_map(|check| match check {
            Check::Refused(reason, why) => Some((reason, why)),
            Check::Passed(_) => None,
        });
        match refused {
            Some((reason, why)) => format!("REFUSED  {reason}: {why}"),
            None => "ok       no check refuses it: from an allowed address it would be accepted now".to_owned(),
        }
    }

    /// What decides whether a request that came at the wrong time may be released.
    fn release(&self) -> Option<String> {
        let late = self.checks.iter().any(|check| {
            matches!(
                check,
                Check::Refused(Reason::TimestampExpired | Reason::MissingTimestamp | Reason::InvalidTimestampFormat, _)
            )
        });
        let words = if self.holds? {
            "signed   the signature holds: the sender made this request, only its time is refused; release it if its content is still wanted"
        } else {
            "signed   the signature does not hold either: nothing proves who made this request; do not release it before that is explained"
        };
        late.then(|| words.to_owned())
    }

    fn causes(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.time.iter().map(|time| format!("cause    time: {time}")).collect();
        for finding in &self.diagnosis.findings {
            let cause = finding.cause;
            lines.push(format!("cause    {}: {}: {}", cause.name(), cause.words(), finding.detail));
            lines.push(format!("         {}", cause.remedy()));
        }
        lines
    }

    fn canonical_lines(&self) -> Vec<String> {
        let Some(canonical) = &self.canonical else { return Vec::new() };
        let mut lines = vec!["canonical request as it arrived, to compare with the sender's:".to_owned()];
        lines.extend(String::from_utf8_lossy(canonical).lines().map(|line| match line.split_once(':') {
            Some((name, _)) if ingress::names_credential(name) => format!("    {name}:{REDACTED}"),
            _ => format!("    {line}"),
        }));
        lines
    }
}

/// Every secret that verifies a source, as text, where it is long enough to be looked for.
pub(super) fn secrets(sources: &[Source]) -> Vec<&str> {
    let texts = sources.iter().flat_map(exposed).filter_map(|bytes| std::str::from_utf8(bytes).ok()).map(str::trim);
    texts.filter(|text| text.len() >= SHORTEST).collect()
}

fn exposed(source: &Source) -> Vec<&[u8]> {
    source.scheme.credentials().into_iter().map(Secret::expose).collect()
}

/// `line` without any of `secrets`: a sender may have put one where it does not belong.
pub(super) fn without(line: &str, secrets: &[&str]) -> String {
    secrets.iter().fold(line.to_owned(), |line, secret| line.replace(secret, REDACTED))
}
