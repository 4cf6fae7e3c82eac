//! The check of the client certificate: which one came, which ones the source takes, and what people confuse.

use crate::ingress::{CertificatePin, Identity, SourceSettings as Source};
use crate::request_outcome::Reason;
use crate::server::client_certificate::{AltName, ClientCertificate};

use super::report::Report;
use super::request::{Shown, Specimen};

/// Whether `specimen` came with a certificate that `source` takes, where it asks for one.
pub(super) fn check(source: &Source, specimen: &Specimen, report: &mut Report) {
    let pins = &source.client_certificates;
    if pins.is_empty() {
        return;
    }
    let taken = pins.iter().map(in_words).collect::<Vec<_>>().join(", ");
    let mut refuse = |why: String| report.refused(Reason::ClientCertificateMismatch, &why);
    let certificate = match &specimen.certificate {
        Shown::Unknown => {
            let note =
                format!("which client certificate it came with is not known (--cert FILE names it); taken: {taken}");
            return report.notes.push(note);
        }
        Shown::Nothing => return refuse(format!("no client certificate was shown, and the source takes {taken}")),
        Shown::Certificate(certificate) => certificate,
    };
    if specimen.at > certificate.not_after {
        return refuse(format!("the client certificate ({}) expired at {}", told(certificate), certificate.not_after));
    }
    if let Some(pin) = pins.iter().find(|pin| pin.takes(certificate)) {
        return report.ok(format!("client certificate taken by {}", in_words(pin)));
    }
    refuse(format!("the client certificate is {}, and the source takes {taken}", told(certificate)));
    report.certificate = pins.iter().find_map(|pin| slip(pin, certificate));
    report.certificate_line = Some(format!("{{ spki_sha256 = \"{}\" }}", hex::encode(certificate.spki_sha256)));
}

fn in_words(pin: &CertificatePin) -> String {
    let identity = match &pin.identity {
        Identity::SpkiSha256(hash) => format!("spki_sha256 {}", hex::encode(hash)),
        Identity::San(name) => format!("san {name}"),
    };
    pin.label.as_ref().map_or_else(|| identity.clone(), |label| format!("{identity} ({label})"))
}

fn told(certificate: &ClientCertificate) -> String {
    let names = certificate.names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let names =
        if names.is_empty() { "no san of a kind that can be pinned".to_owned() } else { format!("san {names}") };
    format!("{names}, spki_sha256 {}", hex::encode(certificate.spki_sha256))
}

/// What `pin` says instead of what would take `certificate`.
fn slip(pin: &CertificatePin, certificate: &ClientCertificate) -> Option<String> {
    match &pin.identity {
        Identity::SpkiSha256(hash) if *hash == certificate.sha256() => Some(
            "the pin is the fingerprint of this certificate; spki_sha256 is that of its public key, which stays when it is renewed"
                .to_owned(),
        ),
        Identity::SpkiSha256(_) => None,
        Identity::San(pinned) => certificate.names.iter().find_map(|name| confused(pinned, name)),
    }
}

fn confused(pinned: &AltName, name: &AltName) -> Option<String> {
    let text = |name: &AltName| name.to_string();
    if text(pinned).eq_ignore_ascii_case(&text(name)) {
        return Some(format!("{pinned} is pinned and {name} came: upper and lower case count"));
    }
    let (AltName::Dns(host), AltName::Dns(wildcard)) = (pinned, name) else { return None };
    let under =
        wildcard.strip_prefix("*.").zip(host.split_once('.')).is_some_and(|(domain, (_, parent))| domain == parent);
    under.then(|| format!("it is for {name}, and a wildcard stands for no host here: pin its key by spki_sha256"))
}
