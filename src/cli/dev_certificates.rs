//! The throw-away certificates of `dev`: an authority and a server certificate for this machine's loopback names.
//!
//! The authority's key is forgotten as soon as it has signed, so that nothing else can ever be signed with it: who
//! trusts `ca.pem` trusts one server certificate. Never for production.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;

use super::failure::Failure;

/// Where they are kept, relative to the working directory.
pub(super) const DIRECTORY: &str = "certs-dev";
/// The file that clients trust.
pub(super) const CA_FILE: &str = "ca.pem";
/// The server's certificate.
pub(super) const CERT_FILE: &str = "server.pem";
/// Its key.
pub(super) const KEY_FILE: &str = "server.key";
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

const LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Renewed this long before they expire: a `dev` started today is to work tomorrow.
const MARGIN: SignedDuration = SignedDuration::from_hours(24);

/// What [`ensure`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ensured {
    /// The certificates at hand are good.
    Kept,
    /// There were none, or none that a client would accept; new ones were made.
    Made,
}

/// Makes certificates under `directory` unless those there would be accepted by a client for another day.
pub(super) fn ensure(directory: &Path, now: Timestamp) -> Result<Ensured, Failure> {
    if accepted(directory, now + MARGIN) {
        return Ok(Ensured::Kept);
    }
    let made = make(now).map_err(|error| Failure::runtime("cannot make development certificates", &error))?;
    write(directory, &made)
        .map_err(|error| Failure::runtime(format_args!("cannot write to {}", directory.display()), &error))?;
    Ok(Ensured::Made)
}

/// The PEM texts of one generation.
struct Made {
    ca: String,
    cert: String,
    key: String,
}

fn make(now: Timestamp) -> Result<Made, rcgen::Error> {
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.distinguished_name.push(DnType::CommonName, "gatepost dev throw-away CA");
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut ca, now);
    let ca_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let ca_pem = ca.self_signed(&ca_key)?.pem();

    let mut leaf = CertificateParams::new(NAMES.map(str::to_owned))?;
    leaf.distinguished_name.push(DnType::CommonName, "localhost");
    leaf.use_authority_key_identifier_extension = true;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    set_validity(&mut leaf, now);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let cert = leaf.signed_by(&key, &Issuer::new(ca, ca_key))?.pem();
    Ok(Made { ca: ca_pem, cert, key: key.serialize_pem() })
}

/// From a day ago, for clocks that disagree, to the end of the lifetime; in whole days.
fn set_validity(params: &mut CertificateParams, now: Timestamp) {
    let day = |at: Timestamp| {
        let date = at.to_zoned(TimeZone::UTC).date();
        // Months and days of a civil date are small and positive.
        rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = day(now - SignedDuration::from_hours(24));
    params.not_after = day(now + LIFETIME);
}

/// Whether a client that trusts `ca.pem` would accept `server.pem` at `at`, and `server.key` belongs to it.
fn accepted(directory: &Path, at: Timestamp) -> bool {
    verify(directory, at).is_some()
}

fn verify(directory: &Path, at: Timestamp) -> Option<()> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(directory.join(CA_FILE)).ok()?;
    roots.add(ca).ok()?;
    let chain = vec![CertificateDer::from_pem_file(directory.join(CERT_FILE)).ok()?];
    let key = PrivateKeyDer::from_pem_file(directory.join(KEY_FILE)).ok()?;
    let pair = CertifiedKey::from_der(chain, key, &provider).ok()?;
    pair.keys_match().ok()?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at.as_second()).ok()?));
    for name in NAMES {
        let name = ServerName::try_from(name).ok()?;
        verifier.verify_server_cert(pair.cert.first()?, &[], &name, &[], at).ok()?;
    }
    Some(())
}

fn write(directory: &Path, made: &Made) -> std::io::Result<()> {
    fs::create_dir_all(directory)?;
    // The key first: a run that dies in between leaves files that do not match, and the next one makes new ones.
    replace(directory.join(KEY_FILE), &made.key, 0o600)?;
    replace(directory.join(CERT_FILE), &made.cert, 0o644)?;
    replace(directory.join(CA_FILE), &made.ca, 0o644)
}

/// Writes a file whole: readers see the old or the new one, and a key is never readable by others, not for a moment.
fn replace(path: PathBuf, text: &str, mode: u32) -> std::io::Result<()> {
    let next = path.with_extension("new");
    // A leftover of a dead run would keep its mode.
    match fs::remove_file(&next) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&next)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&next, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn now() -> Timestamp {
        "2026-05-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn they_are_made_once_and_a_client_accepts_them() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(ensure(directory.path(), now()).unwrap(), Ensured::Made);
        assert!(accepted(directory.path(), now()));
        let before = fs::read(directory.path().join(CERT_FILE)).unwrap();
        assert_eq!(ensure(directory.path(), now()).unwrap(), Ensured::Kept);
        assert_eq!(fs::read(directory.path().join(CERT_FILE)).unwrap(), before);
    }

    #[test]
    fn they_are_renewed_before_they_expire() {
        let directory = tempfile::tempdir().unwrap();
        ensure(directory.path(), now()).unwrap();
        let still_good = now() + LIFETIME - SignedDuration::from_hours(48);
        assert_eq!(ensure(directory.path(), still_good).unwrap(), Ensured::Kept);
        let expired = now() + LIFETIME;
        assert!(!accepted(directory.path(), expired));
        assert_eq!(ensure(directory.path(), expired).unwrap(), Ensured::Made);
        assert!(accepted(directory.path(), expired));
    }

    #[test]
    fn anything_missing_broken_or_of_another_generation_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        ensure(other.path(), now()).unwrap();
        for name in [CA_FILE, CERT_FILE, KEY_FILE] {
            ensure(directory.path(), now()).unwrap();
            let file = directory.path().join(name);
            fs::remove_file(&file).unwrap();
            assert_eq!(ensure(directory.path(), now()).unwrap(), Ensured::Made, "{name} missing");
            fs::write(&file, "nonsense").unwrap();
            assert_eq!(ensure(directory.path(), now()).unwrap(), Ensured::Made, "{name} broken");
            fs::copy(other.path().join(name), &file).unwrap();
            assert_eq!(ensure(directory.path(), now()).unwrap(), Ensured::Made, "{name} of another generation");
        }
    }

    #[test]
    fn the_key_is_the_owners_and_the_authoritys_key_is_nowhere() {
        let directory = tempfile::tempdir().unwrap();
        ensure(directory.path(), now()).unwrap();
        let mode = fs::metadata(directory.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut names: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, [CA_FILE, KEY_FILE, CERT_FILE]);
    }
}
