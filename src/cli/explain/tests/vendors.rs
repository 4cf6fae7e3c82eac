//! What goes wrong with each vendor's requests: another source's secret, a body that is written anew on the way, the
//! encoding of its neighbours, no timestamp; signed as the vendor documents it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::hmac::{Request, of};
use super::{Fixture, OTHER_HMAC_SECRET, causes, now, token, told};
use crate::explain::Specimen;
use crate::scheme::Cause;

/// How one vendor signs.
struct Vendor {
    /// Its preset, by which its source is called, too.
    preset: &'static str,
    /// Header and value; `{mac}` and `{time}` in it.
    signature: (&'static str, &'static str),
    /// The header of the timestamp, where it has one of its own.
    time: Option<&'static str>,
    content: &'static str,
    algorithm: &'static str,
    encode: fn(&[u8]) -> String,
}

const VENDOR: Vendor =
    Vendor { preset: "", signature: ("", ""), time: None, content: "{body}", algorithm: "sha256", encode: in_hex };

const VENDORS: [Vendor; 13] = [
    Vendor {
        preset: "cxone-expert",
        signature: ("x-nexus-signature-256", "sha256={mac}"),
        time: Some("x-nexus-timestamp"),
        content: "{time}.{body}",
        ..VENDOR
    },
    Vendor {
        preset: "cognigy-voice",
        signature: ("jambonz-signature", "t={time},v1={mac}"),
        content: "{time}.{body}",
        ..VENDOR
    },
    Vendor {
        preset: "chatwoot",
        signature: ("x-chatwoot-signature", "sha256={mac}"),
        time: Some("x-chatwoot-timestamp"),
        content: "{time}.{body}",
        ..VENDOR
    },
    Vendor {
        preset: "genesys-messaging",
        signature: ("x-hub-signature-256", "sha256={mac}"),
        encode: in_base64,
        ..VENDOR
    },
    Vendor {
        preset: "zendesk",
        signature: ("x-zendesk-webhook-signature", "{mac}"),
        time: Some("x-zendesk-webhook-signature-timestamp"),
        content: "{time}{body}",
        encode: in_base64,
        ..VENDOR
    },
    Vendor {
        preset: "zoom",
        signature: ("x-zm-signature", "v0={mac}"),
        time: Some("x-zm-request-timestamp"),
        content: "v0:{time}:{body}",
        ..VENDOR
    },
    Vendor { preset: "dixa", signature: ("x-dixa-signature", "t={time},v1={mac}"), content: "{time}.{body}", ..VENDOR },
    Vendor {
        preset: "slack",
        signature: ("x-slack-signature", "v0={mac}"),
        time: Some("x-slack-request-timestamp"),
        content: "v0:{time}:{body}",
        ..VENDOR
    },
    Vendor {
        preset: "stripe",
        signature: ("stripe-signature", "t={time},v1={mac}"),
        content: "{time}.{body}",
        ..VENDOR
    },
    Vendor { preset: "github", signature: ("x-hub-signature-256", "sha256={mac}"), ..VENDOR },
    Vendor { preset: "shopify", signature: ("x-shopify-hmac-sha256", "{mac}"), encode: in_base64, ..VENDOR },
    Vendor { preset: "pagerduty", signature: ("x-pagerduty-signature", "v1={mac}"), ..VENDOR },
    Vendor { preset: "paystack", signature: ("x-paystack-signature", "{mac}"), algorithm: "sha512", ..VENDOR },
];

fn in_hex(mac: &[u8]) -> String {
    hex::encode(mac)
}

fn in_base64(mac: &[u8]) -> String {
    STANDARD.encode(mac)
}

impl Vendor {
    /// The secret as it stands in the configuration.
    fn secret(&self) -> String {
        let text = format!("development-only-{}-secret", self.preset);
        if self.preset == "dixa" { hex::encode(text) } else { text }
    }

    /// What the vendor makes of it.
    fn key(&self) -> Vec<u8> {
        let secret = self.secret();
        if self.preset == "dixa" { hex::decode(secret).unwrap() } else { secret.into_bytes() }
    }

    /// A request that is right but for what `sign` and `arrive` change.
    fn request(&self, sign: impl FnOnce(&mut Request), arrive: impl FnOnce(&mut Specimen)) -> Specimen {
        let as_documented = |request: &mut Request| {
            request.secret = self.key();
            request.algorithm = self.algorithm;
            request.content = self.content.to_owned();
            request.encode = self.encode;
            request.time = match self.preset {
                "zendesk" => now().to_string(),
                "dixa" => now().as_millisecond().to_string(),
                _ => now().as_second().to_string(),
            };
            request.headers = vec![self.signature];
            request.headers.extend(self.time.map(|name| (name, "{time}")));
            sign(request);
        };
        of(as_documented, arrive)
    }

    fn fixture(
        &self,
        causes: &[Cause],
        sign: impl FnOnce(&mut Request),
        arrive: impl FnOnce(&mut Specimen),
    ) -> Fixture {
        Fixture { source: self.preset, specimen: self.request(sign, arrive), causes: causes.to_vec() }
    }
}

/// The sources that [`super::configuration`] has no other reason to hold: name and preset, and the lines of its table.
pub(super) fn sources() -> impl Iterator<Item = (&'static str, String)> {
    let development = ["cxone-expert"];
    let own = VENDORS.iter().filter(move |vendor| !development.contains(&vendor.preset));
    own.map(|vendor| (vendor.preset, format!("secrets = [{{ value = {:?} }}]", vendor.secret())))
}

fn vendor(preset: &str) -> &'static Vendor {
    VENDORS.iter().find(|vendor| vendor.preset == preset).unwrap()
}

pub(super) fn fixtures() -> Vec<Fixture> {
    let mut all = everywhere();
    all.extend(here_and_there());
    all.extend(tokens());
    all
}

/// What can go wrong with each.
fn everywhere() -> Vec<Fixture> {
    use Cause::*;
    let mut all = Vec::new();
    for vendor in &VENDORS {
        let other = if (vendor.encode)(b"?") == in_hex(b"?") { in_base64 } else { in_hex };
        all.push(vendor.fixture(&[OtherSourcesSecret], |request| request.secret = OTHER_HMAC_SECRET.into(), |_| {}));
        let rewritten = |s: &mut Specimen| s.body = Bytes::from_static(b"{ \"eventId\": \"1\" }");
        all.push(vendor.fixture(&[BodyRewritten], |_| {}, rewritten));
        all.push(vendor.fixture(&[SignatureFormat], |request| request.encode = other, |_| {}));
    }
    all
}

/// What can go wrong with some.
fn here_and_there() -> Vec<Fixture> {
    use Cause::*;
    let mut all = vec![
        vendor("dixa").fixture(&[SecretEncoded], |request| request.secret = vendor("dixa").secret().into(), |_| {}),
        vendor("paystack").fixture(&[OtherAlgorithm], |request| request.algorithm = "sha256", |_| {}),
        vendor("stripe").fixture(
            &[TimestampMissing, NothingFits],
            |request| request.headers = vec![("stripe-signature", "v1={mac}")],
            |_| {},
        ),
    ];
    for vendor in VENDORS.iter().filter(|vendor| vendor.time.is_some()) {
        all.push(vendor.fixture(&[TimestampMissing, NothingFits], |request| request.headers.truncate(1), |_| {}));
    }
    all
}

/// Tokens as the forms of each vendor make them wrong.
fn tokens() -> Vec<Fixture> {
    let at = |source: &'static str, header: &str, value: &str, cause: Cause| Fixture {
        source,
        specimen: token::of(source, &[(header, value)]),
        causes: vec![cause],
    };
    let mut all = Vec::new();
    for (source, token) in [
        ("cxone-studio", "development-only-cxone-studio-token"),
        ("cxone-integration-hub", "development-only-cxone-integration-hub-token"),
        ("cognigy-logs", "development-only-cognigy-logs-token"),
    ] {
        all.push(at(source, "authorization", &format!("Bearer Bearer {token}"), Cause::CredentialWordTwice));
        all.push(at(source, "authorization", &format!("Bearer \"{token}\""), Cause::CredentialQuoted));
    }
    let basic = STANDARD.encode("cognigy:development-only-password");
    all.push(at("cognigy-webhook", "authorization", &format!("Basic Basic {basic}"), Cause::CredentialWordTwice));
    let key = "development-only-eventbridge-api-key";
    all.push(at("eventbridge", "x-api-key", &format!("\"{key}\""), Cause::CredentialQuoted));
    all.push(at("eventbridge", "x-api-key", &format!("Bearer {key}"), Cause::CredentialWord));
    all
}

#[test]
fn what_a_vendor_signs_as_documented_is_said_to_be_good() {
    for vendor in &VENDORS {
        let said = told(vendor.preset, &vendor.request(|_| {}, |_| {}));
        assert!(said.starts_with("ok       no check refuses it"), "{}: {said}", vendor.preset);
        assert!(
            said.contains("the signature holds, with key") && causes(&said).is_empty(),
            "{}: {said}",
            vendor.preset
        );
    }
}

#[test]
fn every_row_that_signs_has_fixtures() {
    let covered: Vec<&str> = super::fixtures().iter().map(|fixture| fixture.source).collect();
    for row in crate::scheme::presets().filter(|row| !["hmac", "token", "client-certificate"].contains(&row.name)) {
        assert!(covered.contains(&row.name), "{row}");
    }
}
