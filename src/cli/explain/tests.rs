//! What the doctor says of requests that went wrong in known ways. Every cause has a fixture, signed by other code than
//! the program's; a cause without one fails here.

mod aws;
mod aws_parts;
mod hmac;
mod jwt;
mod token;
mod vendors;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use bytes::Bytes;
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::config;
use crate::scheme::Cause;
use crate::store::Quarantined;

const OTHER_AWS_SECRET: &str = "another-sources-secret-access-key";
const SECOND_AWS_SECRET: &str = "the-second-secret-access-key-here";
const TOKEN: &str = "a-session-token-that-nobody-may-read";
const OTHER_HMAC_SECRET: &str = "development-only-cognigy-secret";

fn now() -> Timestamp {
    "2026-05-01T12:00:00Z".parse().unwrap()
}

fn development(file: &Path) -> Vec<Source> {
    config::load(Some(file), &BTreeMap::new()).unwrap_or_else(|errors| panic!("{errors}")).live.sources
}

/// The sources of [`configuration`].
fn sources() -> &'static [Source] {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), configuration()).unwrap();
        development(file.path())
    })
}

/// The development configuration with more sources and keys, and with secrets in other forms.
fn configuration() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    // Lives as long as the text that names it.
    static JWKS: OnceLock<tempfile::NamedTempFile> = OnceLock::new();
    TEXT.get_or_init(|| {
        let key = |id: &str, secret: &str, more: &str| {
            format!("{{ access_key_id = {id:?}, secret = {{ value = {secret:?} }}{more} }}")
        };
        let token = format!(", session_token = {{ value = {TOKEN:?} }}");
        let more_keys = [
            key("AKIADEVELOPMENT00002", SECOND_AWS_SECRET, ""),
            key("ASIADEVELOPMENT00003", SECOND_AWS_SECRET, &token),
        ];
        let text = std::fs::read_to_string("config/dev.toml").unwrap();
        let first = "secret = { value = \"development-only-cxone-secret-key\" } }";
        assert!(text.contains(first));
        let mut text = text.replace(first, &format!("{first}, {}", more_keys.join(", ")));
        let mut add = |name: &str, preset: &str, lines: &str| {
            let head = format!("name = {name:?}\npreset = {preset:?}\npath = \"/{name}\"\nallowed_ips = \"any\"");
            text.push_str(&["\n[[source]]\n", &head, "\n", lines, "\n"].concat());
        };
        let other = key("AKIAOTHERSOURCE00001", OTHER_AWS_SECRET, "");
        add("cxone-other", "cxone", &format!("region = \"eu-west-1\"\nkeys = [{other}]"));
        let secret = |secret: &str| format!("secrets = [{{ value = {secret:?} }}]");
        add("encoded", "nice", &secret(hmac::HEX_SECRET));
        add("ended", "nice", &secret(&format!("{}\r", hmac::ENDED_SECRET)));
        let headed = "signature_header = \"X-Sig\"\nsignature_format = \"{hex}\"\nevent_id = \"digest\"\n\
                      signed_content = \"{header:X-Tenant}.{body}\"";
        add("headed", "hmac", &format!("{headed}\n{}", secret(hmac::HEADED_SECRET)));
        let called = "signature_header = \"X-Sig\"\nsignature_format = \"{hex}\"\nevent_id = \"digest\"\n\
                      public_url = \"https://hooks.example\"\nsigned_content = \"{url}.{body}\"";
        add("called", "hmac", &format!("{called}\n{}", secret(hmac::HEADED_SECRET)));
        let callback = secret("development-only-cognigy-callback-secret");
        add("authorized", "cognigy-callback", &format!("signature_header = \"Authorization\"\n{callback}"));
        let jwks = JWKS.get_or_init(|| tempfile::NamedTempFile::new().unwrap());
        std::fs::write(jwks.path(), jwt::JWKS).unwrap();
        add("jwks", "jwt", &format!("algorithms = [\"ES256\", \"RS256\"]\njwks_file = {:?}", jwks.path()));
        add("jwt-other", "jwt", &format!("algorithms = [\"HS256\"]\n{}", secret(jwt::OTHER_SECRET)));
        for (preset, secrets) in vendors::sources() {
            add(preset, preset, &secrets);
        }
        text
    })
}

/// What the doctor says of `specimen` at `name`; never a secret, and no signature that it made.
fn told(name: &str, specimen: &Specimen) -> String {
    let sources = sources();
    let source = sources.iter().find(|source| source.name.as_str() == name).unwrap();
    let told = words(&explain::explain(sources, source, specimen.clone()).unwrap());
    for secret in ["development-only", OTHER_AWS_SECRET, SECOND_AWS_SECRET, TOKEN, hmac::HEX_SECRET, hmac::ENDED_SECRET]
    {
        assert!(!told.contains(secret), "a secret is told: {told}");
    }
    told
}

/// The names of the causes in `told`, in their order.
fn causes(told: &str) -> Vec<&str> {
    let lines = told.lines().filter_map(|line| line.strip_prefix("cause    "));
    lines.filter_map(|line| line.split(':').next()).filter(|name| *name != "time").collect()
}

/// A request that goes wrong, where it is sent, and all that is wrong with it.
struct Fixture {
    source: &'static str,
    specimen: Specimen,
    causes: Vec<Cause>,
}

fn fixtures() -> Vec<Fixture> {
    let mut all = aws::fixtures();
    all.extend(hmac::fixtures());
    all.extend(token::fixtures());
    all.extend(jwt::fixtures());
    all.extend(vendors::fixtures());
    all
}

#[test]
fn every_fixture_is_explained_by_its_causes_and_no_others() {
    let mut wrong = Vec::new();
    for Fixture { source, specimen, causes: expected } in fixtures() {
        let told = told(source, &specimen);
        let expected: Vec<&str> = expected.into_iter().map(Cause::name).collect();
        if causes(&told) != expected || !told.starts_with("REFUSED  ") {
            wrong.push(format!("wanted {expected:?} in\n{told}\n"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

/// [`configuration`] with the lines that `told` advises in the table of `name`, and without the other sources.
fn advised(name: &str, told: &str) -> Option<String> {
    let lines: Vec<&str> =
        told.split_once("\nchange   ")?.1.lines().skip(1).map_while(|line| line.strip_prefix("    ")).collect();
    let text = configuration();
    let start = text.find(&format!("[[source]]\nname = {name:?}\n")).unwrap();
    let end = text[start + 1..].find("\n[[source]]").map_or(text.len(), |at| start + 1 + at);
    let replaced = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        lines.iter().any(|new| new.split(" = ").next() == Some(key) || new.strip_prefix("# and no ") == Some(key))
    };
    let kept: Vec<&str> = text[start..end].lines().filter(|line| !replaced(line)).collect();
    let head = &text[..text.find("[[source]]").unwrap()];
    Some([head, &kept.join("\n"), "\n", &lines.join("\n"), "\n"].concat())
}

#[test]
fn every_configuration_that_is_advised_loads_and_takes_the_request() {
    let mut tried = BTreeMap::new();
    for Fixture { source: name, specimen, causes } in fixtures() {
        let told = told(name, &specimen);
        let Some(text) = advised(name, &told) else { continue };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &text).unwrap();
        let source = development(file.path()).into_iter().find(|source| source.name.as_str() == name).unwrap();
        let scheme = source.scheme.build().unwrap_or_else(|_| panic!("{told}"));
        let mut specimen = specimen;
        source.scheme.restore(&mut specimen.head);
        assert!(scheme.admit(&specimen.head, source.moment(specimen.at)).is_ok(), "{told}");
        if let Some(at) = scheme.timestamp(&specimen.head).unwrap_or_else(|_| panic!("{told}")) {
            assert!(at.abs_diff(now().into()) <= source.max_drift.as_secs(), "{told}");
        }
        let claims = scheme.read(&specimen.head).unwrap_or_else(|_| panic!("{told}"));
        let verdict = scheme.verify(&specimen.head, &claims, &specimen.body.clone().into());
        assert!(verdict.is_ok(), "{told}");
        for cause in causes {
            *tried.entry(cause).or_insert(0) += 1;
        }
    }
    // Every cause that a key of the configuration mends.
    for cause in Cause::ALL.iter().filter(|cause| cause.remedy().starts_with("set ")) {
        assert!(tried.contains_key(cause), "{cause:?}");
    }
}

#[test]
fn every_cause_has_a_fixture() {
    let fixtures = fixtures();
    let covered = |cause: &&Cause| fixtures.iter().any(|fixture| fixture.causes.contains(*cause));
    let missing: Vec<_> = Cause::ALL.iter().filter(|cause| !covered(cause)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_refusal_comes_first_then_the_cause_then_what_to_change() {
    let fixture = hmac::changed_content();
    let told = told("nice", &fixture);
    let at = |text: &str| told.find(text).unwrap_or_else(|| panic!("{text} in {told}"));
    assert_eq!(at("REFUSED  signature_mismatch: "), 0);
    assert!(at("\ncause    content-differs: ") < at("\nchange   ") && at("\nchange   ") < at("\nchecks, "), "{told}");
}

#[test]
fn good_requests_are_said_to_be_good() {
    for (name, specimen) in [("cxone", aws::good()), ("nice", hmac::good())] {
        let told = told(name, &specimen);
        assert!(
            told.starts_with("ok       no check refuses it") && told.contains("the signature holds, with key"),
            "{told}"
        );
        assert!(told.contains("event id 1") && !told.contains("REFUSED") && causes(&told).is_empty(), "{told}");
    }
}

#[test]
fn a_stale_request_is_said_to_be_signed_or_not() {
    for (name, specimen) in [("cxone", aws::good()), ("nice", hmac::good())] {
        let later = |seconds| now().checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
        let late = Specimen { at: later(1000), ..specimen.clone() };
        let said = told(name, &late);
        assert!(
            said.starts_with("REFUSED  timestamp_expired: it says it was signed 1000 s before it arrived"),
            "{said}"
        );
        assert!(said.contains("signed   the signature holds: ") && said.contains("each attempt anew"), "{said}");
        assert!(!said.contains("signature_mismatch") && causes(&said).is_empty(), "{said}");
        let early = told(name, &Specimen { at: later(-1000), ..specimen.clone() });
        assert!(early.contains("clock is fast"), "{early}");
        let forged = Specimen { body: Bytes::from_static(b"{\"eventId\":\"2\"}"), ..late };
        let said = told(name, &forged);
        assert!(said.contains("signed   the signature does not hold either"), "{said}");
        assert!(
            said.contains("  REFUSED  timestamp_expired") && said.contains("  REFUSED  signature_mismatch"),
            "{said}"
        );
        assert_eq!(causes(&said), [Cause::NothingFits.name()], "{said}");
    }
}

#[test]
fn the_body_and_its_type_are_explained() {
    let listed = hmac::of(|request| request.body = "[1]".to_owned(), |_| {});
    assert!(told("nice", &listed).starts_with("REFUSED  invalid_json"));
    let mut html = hmac::good();
    html.head.headers.insert("content-type", "text/html".parse().unwrap());
    let said = told("nice", &html);
    assert!(said.starts_with("REFUSED  unsupported_media_type") && said.contains("the signature holds"), "{said}");
    let mut twice = hmac::good();
    twice.head.headers.append("content-type", "application/json".parse().unwrap());
    assert!(told("nice", &twice).contains("Content-Type is \"application/json\" and \"application/json\""));
    let mut large = hmac::good();
    large.body = vec![b' '; 2_000_000].into();
    assert!(told("nice", &large).contains("REFUSED  payload_too_large: 2000000 bytes"));
    let mut got = hmac::good();
    got.head.method = http::Method::GET;
    assert!(told("nice", &got).starts_with("REFUSED  method_not_allowed"));
}

#[test]
fn an_id_conflict_is_not_said_to_be_acceptable() {
    let conflict = Specimen { reason: Some("id_conflict".to_owned()), ..hmac::good() };
    let said = told("nice", &conflict);
    assert!(said.starts_with("REFUSED  id_conflict: its id was taken"), "{said}");
}

#[test]
fn a_secret_that_the_request_itself_holds_is_not_shown() {
    let mut specimen = aws::good();
    // As good as any other mistake: the secret as a header's value, signed, and as the content type.
    let secret = "development-only-cxone-secret-key";
    specimen.head.headers.insert("content-type", secret.parse().unwrap());
    let said = told("cxone", &specimen);
    assert!(said.contains("Content-Type is \"[redacted]\""), "{said}");
}

/// Every text that a signature of `specimen` could be, were it right.
fn expected_signatures(specimen: &Specimen) -> Vec<String> {
    let secrets = ["development-only-nice-secret", "development-only-cxone-secret-key"];
    let mut texts = Vec::new();
    for secret in secrets {
        let mac = hmac::mac("sha256", secret.as_bytes(), &specimen.body);
        texts.push(hex::encode(mac));
    }
    texts
}

#[test]
fn no_expected_signature_is_shown_where_nothing_fits() {
    let forged = hmac::of(|request| request.secret = b"a-secret-that-nobody-knows".to_vec(), |_| {});
    let mut tampered = aws::good();
    tampered.body = Bytes::from_static(b"{\"eventId\":\"forged\"}");
    for (name, specimen) in [("nice", forged), ("cxone", tampered)] {
        let said = told(name, &specimen);
        assert!(causes(&said).contains(&Cause::NothingFits.name()), "{said}");
        for signature in expected_signatures(&specimen) {
            assert!(!said.contains(&signature), "{said}");
        }
        if name == "cxone" {
            // The one that would let it in, made by the other signer over what arrived.
            let right = aws::of(|signed| signed.body = specimen.body.to_vec(), |_| {});
            let right = right.header("authorization").unwrap().rsplit_once('=').unwrap().1.to_owned();
            assert!(!said.contains(&right), "{said}");
        }
    }
}

#[test]
fn what_a_canonical_request_says_of_credentials_is_not_shown() {
    let signed = aws::of(
        |signed| {
            signed.headers.push(("x-amz-security-token".to_owned(), "their-own-session-token".to_owned()));
            signed.headers.push(("x-api-key".to_owned(), "their-own-api-key".to_owned()));
        },
        |_| {},
    );
    let said = told("cxone", &signed);
    assert!(
        said.contains("    x-amz-security-token:[redacted]") && said.contains("    x-api-key:[redacted]"),
        "{said}"
    );
    assert!(!said.contains("their-own"), "{said}");
}

#[test]
fn a_token_that_was_not_kept_is_put_back_where_it_is_known() {
    let mut specimen = aws::temporary();
    specimen.head.headers.insert("x-amz-security-token", "[redacted]".parse().unwrap());
    let said = told("cxone", &specimen);
    assert!(said.starts_with("ok       ") && said.contains("the signature holds, with key ASIA"), "{said}");
}

/// The entry that the quarantine keeps of `specimen`, perhaps damaged.
fn entry(specimen: &Specimen, damage: &str) -> Quarantined {
    let pairs: Vec<(String, String)> = specimen
        .head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).replace('a', damage)))
        .collect();
    Quarantined {
        id: 1,
        source: "nice".into(),
        reason: "signature_mismatch".into(),
        received_at: now(),
        request_id: String::new(),
        client_ip: None,
        target: format!("{} {}", specimen.head.method, specimen.head.uri),
        headers: serde_json::to_string(&pairs).unwrap(),
        event_id: None,
        body: specimen.body.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever an entry holds: an answer or a failure in words, within bounds, never a panic.
    #[test]
    fn no_entry_makes_the_doctor_panic(
        which in 0..1024_usize,
        target in prop_oneof!["[ -~]{0,40}", "POST /[ -~]{0,60}", "POST (https?://)?[a-z.:@]{0,12}/[%+&=a-z/.]{0,60}"],
        damage in prop_oneof![Just("a".to_owned()), "[ -~\u{e9}\u{fffd}]{0,3}"],
        header in ("[a-z-]{1,20}", "[ -~\u{fc}]{0,80}"),
        body in proptest::collection::vec(any::<u8>(), 0..80),
        own_target in any::<bool>(),
    ) {
        let mut fixtures = fixtures();
        let fixture = fixtures.swap_remove(which % fixtures.len());
        let mut entry = entry(&fixture.specimen, &damage);
        if !own_target {
            entry.target = target;
        }
        let mut pairs: Vec<(String, String)> = serde_json::from_str(&entry.headers).unwrap();
        pairs.push(header);
        entry.headers = serde_json::to_string(&pairs).unwrap();
        if which % 3 == 0 {
            entry.body = body.into();
        }
        if let Ok(specimen) = explain::from_quarantine(&entry) {
            told(fixture.source, &specimen);
        }
    }

    #[test]
    fn no_file_makes_the_doctor_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "(POST /a HTTP/1.1\r\n)?([A-Za-z-]{1,12}: [ -~]{0,20}\r\n){0,6}\r\n.{0,30}") {
        for bytes in [bytes, text.into_bytes()] {
            if let Ok(specimen) = explain::read(&bytes, now()) {
                told("nice", &specimen);
                told("cxone", &specimen);
            }
        }
    }
}
