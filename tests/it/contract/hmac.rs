//! The HMAC presets against the plain `hmac` crate as signer: each row's valid request, its many invalid neighbours,
//! rotation, and any bytes at all.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up has failed")]

use ::hmac::{Hmac, KeyInit as _, Mac as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gatepost::clock::UnixSeconds;
use gatepost::scheme::{KeyIndex, Refusal, Scheme, Settings};
use gatepost::secret::Secret;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};
use jiff::Timestamp;
use proptest::prelude::*;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::configured;

pub(super) const OLD: &str = "the secret before the rotation";
pub(super) const NEW: &str = "the secret after the rotation";
pub(super) const BODY: &[u8] = br#"{"eventId":"evt-1","sessionId":"s","userId":"u"}"#;
pub(super) const NOW: &str = "1700000000";
const AT: i64 = 1_700_000_000;

/// `NEW` and `OLD` as Standard Webhooks writes them.
fn whsec(secret: &str) -> String {
    format!("whsec_{}", STANDARD.encode(secret))
}

/// A source of `preset` with `secrets`, and with more `lines` in its table.
fn settings(preset: &str, secrets: &[&str], lines: &str) -> Arc<dyn Settings> {
    let secret = |text: &&str| {
        let text = if preset == "standard-webhooks" { whsec(text) } else { (*text).to_owned() };
        format!("{{ value = {text:?} }}")
    };
    let secrets: Vec<String> = secrets.iter().map(secret).collect();
    configured(preset, &format!("secrets = [{}]\n{lines}", secrets.join(", ")))
}

/// The scheme of a preset with two secrets; made once, for thousands of requests.
fn build(preset: &str) -> Arc<dyn Scheme> {
    static MADE: Mutex<BTreeMap<String, Arc<dyn Scheme>>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || settings(preset, &[NEW, OLD], "").build().unwrap();
    Arc::clone(made.entry(preset.to_owned()).or_insert_with(make))
}

fn mac(secret: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

pub(super) fn hex_mac(secret: &str, parts: &[&[u8]]) -> String {
    hex::encode(mac(secret, parts))
}

fn head(headers: &[(&str, &str)]) -> Parts {
    let mut head = Request::post("/hook").body(()).unwrap().into_parts().0;
    for (name, value) in headers {
        head.headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    head
}

/// The verdict of all three steps, in the order a request goes through them.
fn judge(scheme: &dyn Scheme, head: &Parts, body: &[u8]) -> Result<(Option<UnixSeconds>, KeyIndex), Refusal> {
    let at = scheme.timestamp(head)?;
    let claims = scheme.read(head)?;
    let key = scheme.verify(head, &claims, &Bytes::copy_from_slice(body).into())?;
    Ok((at, key))
}

pub(super) fn verdict(preset: &str, headers: &[(&str, &str)]) -> Result<usize, Refusal> {
    judge(&*build(preset), &head(headers), BODY).map(|(_, key)| key.0)
}

/// The headers of a valid request signed with `secret`, the signature last.
pub(super) fn valid(preset: &str, secret: &str) -> Vec<(&'static str, String)> {
    let now = || NOW.to_owned();
    match preset {
        "cognigy" => vec![("x-cognigy-timestamp", now()), ("x-cognigy-signature", hex_mac(secret, &[BODY]))],
        "cognigy-callback" => vec![("x-cognigy-signature", hex_mac(secret, &[BODY]))],
        "nice" => vec![("x-nice-signature", format!("v1={},t={NOW}", hex_mac(secret, &[BODY])))],
        "cxone-expert" => vec![
            ("x-nexus-timestamp", now()),
            ("x-nexus-signature-256", format!("sha256={}", hex_mac(secret, &[NOW.as_bytes(), b".", BODY]))),
        ],
        "standard-webhooks" => {
            let mac = mac(secret, &[b"msg_1", b".", NOW.as_bytes(), b".", BODY]);
            vec![
                ("webhook-id", "msg_1".into()),
                ("webhook-timestamp", now()),
                ("webhook-signature", format!("v1,{}", STANDARD.encode(mac))),
            ]
        }
        other => panic!("no such row: {other}"),
    }
}

fn borrowed<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    headers.iter().map(|(name, value)| (*name, &**value)).collect()
}

const ROWS: [&str; 5] = ["cognigy", "cognigy-callback", "nice", "cxone-expert", "standard-webhooks"];
pub(super) const MISMATCH: Result<usize, Refusal> = Err(Refusal::SignatureMismatch);

#[test]
fn each_row_takes_what_its_vendor_sends_with_either_secret() {
    for row in ROWS {
        let expected = settings(row, &[NEW], "").has_timestamp().then_some(UnixSeconds(AT));
        for (position, secret) in [NEW, OLD].into_iter().enumerate() {
            let headers = valid(row, secret);
            let verdict = judge(&*build(row), &head(&borrowed(&headers)), BODY);
            assert_eq!(verdict, Ok((expected, KeyIndex(position))), "{row}");
        }
        let names: Vec<_> = settings(row, &[NEW, OLD], "").secrets().into_iter().map(Secret::fingerprint).collect();
        assert_eq!(build(row).keys(), names);
        assert_ne!(names[0], names[1]);
    }
}

#[test]
fn each_row_refuses_another_secret_and_another_body() {
    for row in ROWS {
        assert_eq!(verdict(row, &borrowed(&valid(row, "a secret that nobody configured"))), MISMATCH, "{row}");
        let headers = valid(row, NEW);
        for body in [b"".as_slice(), b"{}", &[BODY, b"\n"].concat(), &BODY[1..]] {
            let verdict = judge(&*build(row), &head(&borrowed(&headers)), body);
            assert_eq!(verdict, Err(Refusal::SignatureMismatch), "{row}");
        }
    }
}

#[test]
fn each_row_says_which_header_is_missing_or_stands_twice() {
    for row in ROWS {
        let headers = valid(row, NEW);
        let all = borrowed(&headers);
        let (signature, rest) = all.split_last().unwrap();
        let once_more = |extra: (&'static str, &'static str)| [all.as_slice(), &[extra]].concat();

        let bare = if rest.is_empty() { Refusal::MissingSignature } else { Refusal::MissingTimestamp };
        assert_eq!(verdict(row, &[]), Err(bare), "{row}");
        assert_eq!(verdict(row, rest), Err(Refusal::MissingSignature), "{row}");

        let twice = [all.as_slice(), &[*signature]].concat();
        let expected = if row == "nice" { Refusal::InvalidTimestamp } else { Refusal::SignatureMismatch };
        assert_eq!(verdict(row, &twice), Err(expected.clone()), "{row}: an equal signature twice");
        let (name, _) = headers.last().unwrap();
        assert_eq!(verdict(row, &once_more((name, "junk"))), Err(expected), "{row}: junk after a good one");

        if let Some((name, _)) = headers.iter().find(|(name, _)| name.ends_with("timestamp")) {
            let without: Vec<_> = all.iter().copied().filter(|(other, _)| other != name).collect();
            assert_eq!(verdict(row, &without), Err(Refusal::MissingTimestamp), "{row}");
            assert_eq!(verdict(row, &once_more((name, NOW))), Err(Refusal::InvalidTimestamp), "{row}");
        }
    }
}

/// How a signature's text can be wrong around its 64 digits.
fn broken(hex: &str) -> Vec<String> {
    vec![
        String::new(),
        hex[..62].into(),
        hex[..63].into(),
        hex[..32].into(),
        format!("{hex}0"),
        format!("{hex}00"),
        format!("{hex}{hex}"),
        format!("{hex},{hex}"),
        format!("{hex} "),
        format!(" {hex}"),
        format!("0x{hex}"),
        format!("{}g", &hex[..63]),
        format!("\"{hex}\""),
        format!("{hex}\t"),
        "0".repeat(64),
        STANDARD.encode(hex::decode(hex).unwrap()),
    ]
}

#[test]
fn a_signature_is_thirty_two_bytes_of_hex_and_nothing_else() {
    let plain = hex_mac(NEW, &[BODY]);
    let dated = hex_mac(NEW, &[NOW.as_bytes(), b".", BODY]);
    assert_eq!(
        verdict("cognigy-callback", &[("x-cognigy-signature", &plain.to_uppercase())]),
        Ok(0),
        "hex of any case"
    );
    for wrong in broken(&plain).into_iter().chain([format!("sha256={plain}")]) {
        assert_eq!(verdict("cognigy-callback", &[("x-cognigy-signature", &wrong)]), MISMATCH, "{wrong}");
        let list = format!("v1={wrong};,t={NOW}");
        assert_eq!(verdict("nice", &[("x-nice-signature", &list)]), MISMATCH, "{wrong}");
    }
    let wrong = broken(&dated).into_iter().map(|text| format!("sha256={text}"));
    let prefixes = ["", "SHA256=", "sha1=", "sha256:", "sha256==", " sha256="].map(|prefix| format!("{prefix}{dated}"));
    for wrong in wrong.chain(prefixes) {
        let headers = [("x-nexus-timestamp", NOW), ("x-nexus-signature-256", &wrong)];
        assert_eq!(verdict("cxone-expert", &headers), MISMATCH, "{wrong}");
    }
}

#[test]
fn timestamps_are_digits_and_nothing_is_guessed() {
    let signature = hex_mac(NEW, &[BODY]);
    let at = |text: &str| {
        let headers = [("x-cognigy-timestamp", text), ("x-cognigy-signature", signature.as_str())];
        let cognigy = build("cognigy").timestamp(&head(&headers));
        let list = format!("v1={signature},t={text}");
        let nice = build("nice").timestamp(&head(&[("x-nice-signature", &list)]));
        assert_eq!(cognigy, nice, "{text}");
        cognigy.map(|at| at.unwrap().0)
    };
    assert_eq!(at("1700000000"), Ok(AT));
    assert_eq!(at("0"), Ok(0));
    assert_eq!(at("1700000000000"), Ok(1_700_000_000_000), "milliseconds are far out of the window, not guessed");
    assert_eq!(at("9223372036854775807"), Ok(i64::MAX));
    assert_eq!(at("9223372036854775808"), Ok(i64::MAX), "nineteen digits are well-formed");
    assert_eq!(at("9999999999999999999"), Ok(i64::MAX));
    for wrong in [
        "",
        "+1700000000",
        "-1",
        "-9223372036854775808",
        "1700000000.0",
        "1.7e9",
        "0x6553f100",
        "17000000000000000000",
        "00000000001700000000",
        "99999999999999999999999999999999",
        "1700 000000",
        "2023-11-14T22:13:20Z",
        "now",
        "NaN",
        "1700000000s",
    ] {
        assert_eq!(at(wrong), Err(Refusal::InvalidTimestamp), "{wrong}");
    }
}

#[test]
fn the_timestamps_text_enters_the_mac_as_sent() {
    for text in ["1700000000", "01700000000", "0000000001700000000"] {
        let signature = format!("sha256={}", hex_mac(NEW, &[text.as_bytes(), b".", BODY]));
        let headers = [("x-nexus-timestamp", text), ("x-nexus-signature-256", &signature)];
        assert_eq!(verdict("cxone-expert", &headers), Ok(0), "{text}");
    }
    let headers = valid("cxone-expert", NEW);
    let moved = [("x-nexus-timestamp", "1700000001"), ("x-nexus-signature-256", &*headers[1].1)];
    assert_eq!(verdict("cxone-expert", &moved), MISMATCH);
    let rewritten = [("x-nexus-timestamp", "01700000000"), ("x-nexus-signature-256", &*headers[1].1)];
    assert_eq!(verdict("cxone-expert", &rewritten), MISMATCH);
}

#[test]
fn the_specifications_own_example_verifies() {
    // Standard Webhooks, reference libraries' test vector.
    let secret = "secrets = [{ value = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\" }]";
    let head = head(&[
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ]);
    let scheme = configured("standard-webhooks", secret).build().unwrap();
    let verdict = judge(&*scheme, &head, br#"{"test": 2432232314}"#);
    assert_eq!(verdict, Ok((Some(UnixSeconds(1_614_265_330)), KeyIndex(0))));
}

#[test]
fn other_units_and_formats_work_as_configured() {
    let own = "signature_header = \"X-Signature\"\nsignature_format = \"{base64}\"\ntimestamp_header = \"X-Time\"\n\
        signed_content = \"{timestamp}:{body}\"\nevent_id = \"digest\"\ntimestamp_unit = ";
    for (unit, text) in [("ms", "1700000000123"), ("rfc3339", "2023-11-14T23:13:20.5+01:00")] {
        let signature = STANDARD.encode(mac(NEW, &[text.as_bytes(), b":", BODY]));
        let scheme = settings("hmac", &[NEW], &format!("{own}{unit:?}")).build().unwrap();
        let verdict = judge(&*scheme, &head(&[("x-time", text), ("x-signature", &signature)]), BODY);
        assert_eq!(verdict, Ok((Some(UnixSeconds(AT)), KeyIndex(0))), "{unit}");
    }
}

#[test]
fn what_send_signs_verifies_with_the_first_secret() {
    for row in ROWS {
        let scheme = build(row);
        let mut head = head(&[]);
        scheme.sign(&mut head, BODY, Timestamp::from_second(AT).unwrap());
        let at = settings(row, &[NEW], "").has_timestamp().then_some(UnixSeconds(AT));
        assert_eq!(judge(&*scheme, &head, BODY), Ok((at, KeyIndex(0))), "{row}");
    }
}

#[test]
fn an_id_chosen_by_the_caller_is_signed_as_it_is() {
    let scheme = build("standard-webhooks");
    let mut head = head(&[("webhook-id", "chosen")]);
    scheme.sign(&mut head, BODY, Timestamp::from_second(AT).unwrap());
    assert_eq!(head.headers["webhook-id"], "chosen");
    assert!(judge(&*scheme, &head, BODY).is_ok());
}

/// Header values of any bytes that HTTP lets through.
fn any_value() -> impl Strategy<Value = HeaderValue> {
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "[vVt0-9a-fA-F=, .;+/-]{0,150}".prop_map(String::into_bytes),
        "(v1=[0-9a-f]{60,66},?){0,10}(t=[0-9]{0,20},?){0,3}".prop_map(String::into_bytes),
        "(v1,[A-Za-z0-9+/]{40,44}=? ?){0,10}".prop_map(String::into_bytes),
    ];
    bytes.prop_filter_map("a header value", |bytes| HeaderValue::from_bytes(&bytes).ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_headers_never_panic_and_never_verify(
        values in proptest::collection::vec((0..7_usize, any_value()), 0..6),
        body in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        const NAMES: [&str; 7] = [
            "x-cognigy-signature", "x-cognigy-timestamp", "x-nice-signature", "x-nexus-signature-256",
            "webhook-signature", "webhook-timestamp", "webhook-id",
        ];
        let mut head = head(&[]);
        for (name, value) in values {
            head.headers.append(NAMES[name], value);
        }
        for row in ROWS {
            prop_assert!(judge(&*build(row), &head, &body).is_err());
        }
    }

    #[test]
    fn any_body_signed_by_the_plain_crate_verifies(body in proptest::collection::vec(any::<u8>(), 0..512)) {
        let signature = hex_mac(OLD, &[&body]);
        let head = head(&[("x-cognigy-signature", &signature)]);
        prop_assert_eq!(judge(&*build("cognigy-callback"), &head, &body), Ok((None, KeyIndex(1))));
    }
}
