//! Tokens that arrive in ways that go wrong, as senders write them and as the quarantine keeps them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{Fixture, causes, now, told};
use crate::explain::{Shown, Specimen};
use crate::scheme::Cause;
use crate::secret::Secret;

const TOKEN: &str = "development-only-token";
const BASIC: &str = "cognigy:development-only-password";
const API_KEY: &str = "development-only-eventbridge-api-key";

pub(super) fn of(source: &str, headers: &[(&str, &str)]) -> Specimen {
    let path = format!("/webhooks/{source}");
    let head = http::Request::post(path).header("host", "x").header("content-type", "application/json");
    let head = headers.iter().fold(head, |head, (name, value)| head.header(*name, *value));
    let (head, ()) = head.body(()).unwrap().into_parts();
    Specimen {
        head,
        body: Bytes::from_static(b"{\"id\":\"1\"}"),
        at: now(),
        reason: None,
        notes: Vec::new(),
        certificate: Shown::Unknown,
    }
}

pub(super) fn fixtures() -> Vec<Fixture> {
    let kept = |text: &str| format!("[redacted {}]", Secret::token(text).unwrap().fingerprint());
    let encoded = STANDARD.encode(API_KEY);
    let good = format!("Bearer {TOKEN}");
    let at = |source: &'static str, headers: &[(&str, &str)], causes: &[Cause]| Fixture {
        source,
        specimen: of(source, headers),
        causes: causes.to_vec(),
    };
    let authorization = |value: &str, cause: Cause| at("token", &[("authorization", value)], &[cause]);
    vec![
        at("token", &[], &[Cause::CredentialAbsent]),
        at("token", &[("x-api-key", TOKEN)], &[Cause::CredentialElsewhere]),
        at("token", &[("x-auth", &good)], &[Cause::CredentialElsewhere]),
        at("token", &[("x-api-key", &kept(TOKEN))], &[Cause::CredentialElsewhere]),
        at("token", &[("authorization", &good), ("authorization", &good)], &[Cause::CredentialTwice]),
        authorization(&format!("Bearer Bearer {TOKEN}"), Cause::CredentialWordTwice),
        authorization(&format!("Bearer bearer {}", kept(TOKEN)), Cause::CredentialWordTwice),
        authorization(&format!("Token {TOKEN}"), Cause::CredentialWord),
        authorization(TOKEN, Cause::CredentialWord),
        authorization(&kept(TOKEN), Cause::CredentialWord),
        authorization(&format!("Bearer \"{TOKEN}\""), Cause::CredentialQuoted),
        authorization(&format!("Bearer '{}'", kept(TOKEN)), Cause::CredentialQuoted),
        authorization(&format!("Bearer {API_KEY}"), Cause::OtherSourcesCredential),
        authorization(&format!("Bearer {}", kept(API_KEY)), Cause::OtherSourcesCredential),
        authorization("Bearer somebody-elses-token", Cause::CredentialUnknown),
        authorization(&format!("Bearer {}", kept("somebody-elses-token")), Cause::CredentialUnknown),
        authorization(&format!("Bearer {TOKEN}\u{a0}"), Cause::CredentialUnknown),
        authorization(&format!("Bearer {}", kept(&format!("{TOKEN}\n"))), Cause::SecretEnds),
        at("eventbridge", &[("x-api-key", &encoded)], &[Cause::CredentialEncoded]),
        at("eventbridge", &[("x-api-key", &kept(&encoded))], &[Cause::CredentialEncoded]),
        at("cognigy-webhook", &[("authorization", &format!("Basic {BASIC}"))], &[Cause::CredentialEncoded]),
        at("cognigy-webhook", &[("authorization", &format!("Basic {}", kept(BASIC)))], &[Cause::CredentialEncoded]),
    ]
}

#[test]
fn a_good_token_is_said_to_be_good_also_where_only_its_mark_was_kept() {
    let mark = Secret::token(TOKEN).unwrap().fingerprint();
    for value in [format!("Bearer {TOKEN}"), format!("Bearer [redacted {mark}]")] {
        let told = told("token", &of("token", &[("authorization", &value)]));
        assert!(told.starts_with("ok  ") && told.contains(&format!("the token is key {mark}")), "{told}");
        assert!(causes(&told).is_empty(), "{told}");
    }
}
