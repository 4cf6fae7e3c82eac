//! What was found, as the checks find it, and as it is told: in words, without any secret.

use crate::ingress::{self, SourceSettings as Source};
use crate::request_outcome::Reason;
use crate::scheme::{Diagnosis, REDACTED};
use crate::secret::Secret;

use super::advice;
use super::explanation::{Change, ChangeTo, Explanation, Refused, Release, ToldCause, ToldCheck};
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
    /// What could explain that the certificate is none of those that are taken.
    pub(super) certificate: Option<String>,
    /// One more pin of the source's, which would take it.
    pub(super) certificate_line: Option<String>,
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

    /// All of it in words, each put through `clean`.
    pub(super) fn told(&self, source: &Source, specimen: &Specimen, clean: &dyn Fn(&str) -> String) -> Explanation {
        let change = self.diagnosis.settings.as_ref().map(|settings| Change {
            to: ChangeTo::Settings,
            lines: advice::lines(source, &**settings).iter().map(|line| clean(line)).collect(),
        });
        let pin = self.certificate_line.as_ref();
        let pin = pin.map(|line| Change { to: ChangeTo::ClientCertificates, lines: vec![clean(line)] });
        Explanation {
            source: source.name.to_string(),
            preset: source.preset.name.to_owned(),
            request: clean(&specimen.line()),
            refused: self.checks.iter().find_map(|check| check.refusal(clean)),
            kept_for: specimen.reason.as_deref().map(clean),
            notes: specimen.notes.iter().chain(&self.notes).map(|note| clean(note)).collect(),
            release: self.release(),
            causes: self.causes(clean),
            changes: pin.into_iter().chain(change).collect(),
            secrets: self.odd_secrets(source, clean),
            checks: self.checks.iter().map(|check| check.told(clean)).collect(),
            canonical_request: self.canonical.as_ref().map(|canonical| canonical_lines(canonical, clean)),
        }
    }

    /// What decides whether a request that came at the wrong time may be released.
    fn release(&self) -> Option<Release> {
        let late = self.checks.iter().any(|check| {
            matches!(
                check,
                Check::Refused(Reason::TimestampExpired | Reason::MissingTimestamp | Reason::InvalidTimestampFormat, _)
            )
        });
        let release = if self.holds? { Release::OnlyItsTime } else { Release::NothingProven };
        late.then_some(release)
    }

    fn causes(&self, clean: &dyn Fn(&str) -> String) -> Vec<ToldCause> {
        let plain =
            |name: &'static str, words: &String| ToldCause { name, words: clean(words), detail: None, remedy: None };
        let mut causes: Vec<ToldCause> = self.certificate.iter().map(|words| plain("certificate", words)).collect();
        causes.extend(self.time.iter().map(|words| plain("time", words)));
        causes.extend(self.diagnosis.findings.iter().map(|finding| ToldCause {
            name: finding.cause.name(),
            words: finding.cause.words().to_owned(),
            detail: Some(clean(&finding.detail)),
            remedy: Some(finding.cause.remedy()),
        }));
        causes
    }

    fn odd_secrets(&self, source: &Source, clean: &dyn Fn(&str) -> String) -> Vec<String> {
        if self.holds != Some(false) {
            return Vec::new();
        }
        let odd = |secret: &Secret| {
            Some(clean(&format!("secret {} {}; it is used with that", secret.name(), secret.oddity()?)))
        };
        source.scheme.secrets().into_iter().filter_map(odd).collect()
    }
}

impl Check {
    fn refusal(&self, clean: &dyn Fn(&str) -> String) -> Option<Refused> {
        match self {
            Self::Refused(reason, why) => Some(Refused { reason: reason.as_str(), why: clean(why) }),
            Self::Passed(_) => None,
        }
    }

    fn told(&self, clean: &dyn Fn(&str) -> String) -> ToldCheck {
        match self {
            Self::Refused(reason, why) => ToldCheck { passed: false, reason: Some(reason.as_str()), words: clean(why) },
            Self::Passed(what) => ToldCheck { passed: true, reason: None, words: clean(what) },
        }
    }
}

fn canonical_lines(canonical: &[u8], clean: &dyn Fn(&str) -> String) -> Vec<String> {
    let lines = String::from_utf8_lossy(canonical);
    let redacted = lines.lines().map(|line| match line.split_once(':') {
        Some((name, _)) if ingress::names_credential(name) => format!("{name}:{REDACTED}"),
        _ => line.to_owned(),
    });
    redacted.map(|line| clean(&line)).collect()
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
