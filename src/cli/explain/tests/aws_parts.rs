//! Requests whose headers, path or query were not signed as they arrive.

use http::HeaderValue;

use super::Fixture;
use super::aws::{Signed, fixture, set};
use crate::explain::Specimen;
use crate::scheme::Cause;

pub(super) fn fixtures() -> Vec<Fixture> {
    let mut all = headers();
    all.extend(hosts());
    all.extend(paths());
    all.extend(queries());
    all
}

fn headers() -> Vec<Fixture> {
    use Cause::*;
    let arrived = |name: &'static str, value: &'static str| move |s: &mut Specimen| set(&mut s.head, name, value);
    vec![
        fixture(&[MustBeSigned], |signed| signed.unsigned = vec!["host"], |_| {}),
        fixture(
            &[MustNotBeSigned, NothingFits],
            |_| {},
            |s| {
                let value =
                    s.header("authorization").unwrap().replace("SignedHeaders=", "SignedHeaders=authorization;");
                set(&mut s.head, "authorization", &value);
            },
        ),
        fixture(&[HeaderUnsigned], |_| {}, arrived("x-amz-meta-edge", "1")),
        fixture(&[HeaderGone], |signed| signed.set("x-amz-meta", "1"), |s| drop(s.head.headers.remove("x-amz-meta"))),
        fixture(
            &[HeaderGone],
            |signed| signed.set("content-length", "15"),
            |s| drop(s.head.headers.remove("content-length")),
        ),
        // What proxies do to values.
        fixture(&[HeaderChanged], |_| {}, arrived("content-type", "application/json; charset=utf-8")),
        fixture(
            &[HeaderChanged],
            |signed| signed.set("content-type", "application/json; charset=UTF-8"),
            arrived("content-type", "application/json"),
        ),
        fixture(
            &[HeaderChanged],
            |signed| signed.set("content-type", "application/json;charset=utf-8"),
            arrived("content-type", "application/json; charset=utf-8"),
        ),
        fixture(
            &[HeaderChanged],
            |signed| signed.set("x-forwarded-for", "10.0.0.1"),
            arrived("x-forwarded-for", "10.0.0.1, 10.0.0.2"),
        ),
        fixture(
            &[HeaderChanged],
            |signed| signed.set("accept-encoding", "gzip"),
            arrived("accept-encoding", "identity"),
        ),
        fixture(
            &[HeaderChanged],
            |signed| signed.set("x-amz-list", "a, b"),
            |s| {
                s.head.headers.remove("x-amz-list");
                for line in ["a", "b"] {
                    s.head.headers.append("x-amz-list", HeaderValue::from_static(line));
                }
            },
        ),
        fixture(
            &[HeaderChanged],
            |signed| signed.set("x-amz-list", "a"),
            |s| {
                s.head.headers.append("x-amz-list", HeaderValue::from_static("b"));
            },
        ),
    ]
}

fn hosts() -> Vec<Fixture> {
    use Cause::*;
    let arrived = |name: &'static str, value: &'static str| move |s: &mut Specimen| set(&mut s.head, name, value);
    vec![
        fixture(&[HostChanged], |_| {}, arrived("host", "hooks.example.com:8443")),
        fixture(
            &[HostChanged],
            |signed| signed.set("host", "hooks.example.com:443"),
            arrived("host", "hooks.example.com"),
        ),
        fixture(
            &[HostChanged],
            |_| {},
            |s| {
                set(&mut s.head, "host", "10.0.0.5:8443");
                set(&mut s.head, "x-forwarded-host", "hooks.example.com");
            },
        ),
        fixture(
            &[HostChanged],
            |_| {},
            |s| {
                set(&mut s.head, "host", "internal");
                set(&mut s.head, "forwarded", "for=1.2.3.4;host=hooks.example.com;proto=https");
            },
        ),
        fixture(&[HostChanged], |_| {}, arrived("host", "HOOKS.example.com")),
        // As HTTP/2 brings it: the host in the target alone.
        fixture(
            &[HostChanged],
            |_| {},
            |s| {
                s.head.headers.remove("host");
                s.head.uri = "https://hooks.example.com:8443/webhooks/cxone".parse().unwrap();
                s.head.version = http::Version::HTTP_2;
            },
        ),
    ]
}

fn paths() -> Vec<Fixture> {
    use Cause::*;
    let at = |target: &'static str, uri: &'static str| move |signed: &mut Signed| signed.at(target, uri, "");
    let arrives = |target: &'static str| move |s: &mut Specimen| s.head.uri = target.parse().unwrap();
    vec![
        fixture(&[PathPrefixDropped], at("/webhooks/cxone", "/prod/webhooks/cxone"), |_| {}),
        fixture(&[PathPrefixDropped], at("/webhooks/cxone", "/api/v1/webhooks/cxone"), |_| {}),
        fixture(&[PathPrefixDropped], at("/cxone", "/webhooks/cxone"), |_| {}),
        fixture(&[PathPrefixDropped], at("/webhooks/cxone", "/edge/7/webhooks/cxone"), |s| {
            set(&mut s.head, "x-forwarded-prefix", "/edge/7");
        }),
        fixture(&[PathPrefixAdded], at("/prod/webhooks/cxone", "/webhooks/cxone"), |_| {}),
        fixture(&[PathSlash], at("/webhooks/cxone/", "/webhooks/cxone"), |_| {}),
        fixture(&[PathSlash], at("/webhooks/cxone", "/webhooks/cxone/"), |_| {}),
        fixture(&[PathRewritten], at("/webhooks/cxone", "/"), |_| {}),
        fixture(&[PathRewritten], at("/in", "/webhooks/cxone"), |_| {}),
        fixture(&[PathRewritten], at("/in", "/hooks/7"), |s| set(&mut s.head, "x-original-uri", "/hooks/7")),
        fixture(&[PathNotEncoded], at("/webhooks/a%20b", "/webhooks/a%20b"), |_| {}),
        fixture(&[PathEncodedOnce], at("/webhooks/a%20b:c", "/webhooks/a%20b%3Ac"), |_| {}),
        fixture(&[PathDecoded], at("/webhooks/a%20b", "/webhooks/a b"), |_| {}),
        fixture(&[PathReencoded], at("/webhooks/a%2fb", "/webhooks/a%252Fb"), |_| {}),
        fixture(&[PathReencoded], at("/webhooks/a%2Fb", "/webhooks/a%252fb"), |_| {}),
        fixture(&[SlashesKept], at("/webhooks//cxone", "/webhooks//cxone"), |_| {}),
        fixture(&[DotsKept], at("/webhooks/./cxone", "/webhooks/./cxone"), |_| {}),
        // Two things in one part: the stage is dropped, and the sender encodes once.
        fixture(&[PathPrefixDropped], at("/webhooks/a%20b", "/prod/webhooks/a%20b"), |_| {}),
        fixture(
            &[QueryDropped],
            |signed| signed.at("/webhooks/cxone", "/webhooks/cxone", "a=1"),
            |s| set(&mut s.head, "x-original-uri", "/webhooks/cxone?a=1"),
        ),
        fixture(
            &[PathRewritten],
            |signed| signed.at("/webhooks/cxone", "/x", "a=1"),
            |s| set(&mut s.head, "x-original-url", "https://hooks.example.com/x?a=1"),
        ),
        fixture(&[QueryAdded], |_| {}, arrives("/webhooks/cxone?x=1")),
    ]
}

fn queries() -> Vec<Fixture> {
    use Cause::*;
    let rows = [
        (QueryUnsorted, "b=2&a=1", "b=2&a=1"),
        (QueryUnsorted, "a-b=1&a=2", "a-b=1&a=2"),
        (QueryEqualsMissing, "flag&a=1", "a=1&flag"),
        (QueryEqualsMissing, "flag&a=1", "flag&a=1"),
        (QueryPlus, "a=1+2&b=%2F", "a=1+2&b=%2F"),
        (QueryNotEncoded, "a=b/c", "a=b/c"),
        (QueryNotEncoded, "b=%2f&a=:", "a=:&b=%2f"),
        (QueryEncodedTwice, "a=b%20c", "a=b%2520c"),
        (QueryAdded, "a=1&utm=x", "a=1"),
        (QueryAdded, "a=1", ""),
    ];
    let fixtures = rows.into_iter().map(|(cause, sent, hashed)| {
        fixture(&[cause], |signed| signed.at(&format!("/webhooks/cxone?{sent}"), "/webhooks/cxone", hashed), |_| {})
    });
    fixtures.collect()
}
