//! What an HMAC scheme is built from: its keys in a source's table, parsed, over a vendor's row.

mod check;
mod keys;
mod row;
mod scheme;
mod vendor;

use http::HeaderName;

use super::content::Content;
use super::format::Format;
use super::spelled::{Spelled, content, format, header};
use super::time::Unit;
use crate::scheme::mac::Algorithm;
use crate::scheme::secret_encoding::{DOC, ENCODINGS, SECRET_ENCODING, SecretEncoding};
use crate::scheme::settings::Identity;
use crate::secret::Secret;
use crate::settings::kind::{choice, text};
use crate::settings::lists::one_or_more;
use crate::settings::{Diagnostics, Example, Kind as _, SecretVariables, Table, key, secrets};

pub(in crate::scheme) use self::vendor::Vendor;

/// What an HMAC scheme is built from. What is `None` or empty and may not be was missing or wrong, and is told.
#[derive(Clone)]
pub(in crate::scheme) struct Settings {
    pub(super) secrets: Vec<Secret>,
    pub(super) secret_encoding: SecretEncoding,
    pub(super) algorithm: Algorithm,
    /// Any of them may carry the signature, what we sign goes into the first.
    pub(super) signature_headers: Vec<Spelled<HeaderName>>,
    pub(super) signature_format: Option<Spelled<Format>>,
    /// `None` where the format carries the timestamp, or nothing does.
    pub(super) timestamp_header: Option<Spelled<HeaderName>>,
    pub(super) timestamp_unit: Option<Unit>,
    pub(super) signed_content: Option<Spelled<Content>>,
    /// Whether that is what the vendor documents, so that its sender will not change it.
    pub(super) vendors_content: bool,
    pub(super) id_header: Option<Spelled<HeaderName>>,
    /// What `{url}` begins with.
    pub(super) public_url: Option<String>,
}

const SECRETS: &str = "secrets";
const SIGNATURE_HEADER: &str = "signature_header";
const SIGNATURE_FORMAT: &str = "signature_format";
const TIMESTAMP_HEADER: &str = "timestamp_header";
const TIMESTAMP_UNIT: &str = "timestamp_unit";
const SIGNED_CONTENT: &str = "signed_content";
const ID_HEADER: &str = "id_header";
const PUBLIC_URL: &str = "public_url";
const ALGORITHM: &str = "algorithm";

const ALGORITHMS: &[(&str, Algorithm)] = &[
    (Algorithm::Sha1.name(), Algorithm::Sha1),
    (Algorithm::Sha256.name(), Algorithm::Sha256),
    (Algorithm::Sha384.name(), Algorithm::Sha384),
    (Algorithm::Sha512.name(), Algorithm::Sha512),
];
const UNITS: &[(&str, Unit)] = &[("s", Unit::Seconds), ("ms", Unit::Millis), ("rfc3339", Unit::Rfc3339)];

impl Settings {
    /// Reads a source's keys over `row`; the secrets in `variables` win over the file's.
    fn read(
        row: &Vendor,
        source: &Identity<'_>,
        variables: Option<SecretVariables>,
        table: &mut Table,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let secrets = secrets(
            SECRETS,
            "The secrets that verify; all are tried, the first is primary. To rotate, put the new one first and \
             remove the old one when its series of gatepost_verification_key_last_used_timestamp_seconds (label \
             key: its label or fingerprint) shows that it is no longer used. Two sources that share a secret and \
             sign only the body believe each other's requests, also captured ones: one body counts once among them, \
             and that is warned about.",
        )
        .variables(variables)
        .read(table, diagnostics);
        let secret_encoding = key(SECRET_ENCODING, DOC, choice(ENCODINGS)).or(row.secret_encoding, table, diagnostics);
        let algorithm = key(
            ALGORITHM,
            "The hash below the HMAC; \"sha1\" is out of date and warns.",
            choice(ALGORITHMS),
        )
        .or(row.algorithm, table, diagnostics);
        let written = Written::read(row, source, table, diagnostics);
        let Written { signature_headers, signature_format, timestamp_header, timestamp_unit } = written;
        let signed_content = key(
            SIGNED_CONTENT,
            "What is signed: {body} and, with text between, {timestamp}, {id} (the header named by id_header), \
             {header:NAME} (any other, which must stand once) and {url} (public_url with path and query as they \
             arrived; write a method as text, POST{url}{body}). Without a separator bytes could pass from one to the \
             other: an error beside {id}, a warning elsewhere.",
            text(content, "a template of {body}, {timestamp}, {id}, {header:NAME} and {url}"),
        )
        .or_required(row.signed_content(), &source.no_default(), table, diagnostics)
        .filter(|_| !table.is_faulty(SIGNED_CONTENT, diagnostics));
        let id_header =
            key(ID_HEADER, "The header that {id} in signed_content stands for.", text(header, "the name of a header"))
                .or_maybe(Vendor::header(row.id_header), table, diagnostics);
        let public_url = key(
            PUBLIC_URL,
            "What {url} in signed_content begins with: scheme and host as the sender knows them, and what a proxy \
             takes off the path.",
            text(public_url, "a URL without query that ends before the path of the source"),
        )
        .example(Example::Off("\"https://hooks.example\""))
        .maybe(table, diagnostics)
        .value();
        let vendors_content = signed_content.is_some() && signed_content == row.signed_content();
        Self {
            secrets,
            secret_encoding,
            algorithm,
            signature_headers,
            signature_format,
            timestamp_header,
            timestamp_unit,
            signed_content,
            vendors_content,
            id_header,
            public_url,
        }
    }

    /// Whether requests carry a timestamp: in a header of its own or in the signature's.
    pub(super) fn has_timestamp(&self) -> bool {
        self.timestamp_header.is_some() || self.format_has_timestamp()
    }

    /// Whether the signature's header carries the timestamp.
    pub(super) fn format_has_timestamp(&self) -> bool {
        self.signature_format.as_ref().is_some_and(|format| format.has_timestamp())
    }

    /// The keys in which `to` differs, with their new value as TOML; `None`: the key has to go.
    pub(super) fn changes(&self, to: &Self) -> Vec<(&'static str, Option<String>)> {
        let quoted = |text: &str| format!("{text:?}");
        let named = |header: &Option<Spelled<HeaderName>>| header.as_ref().map(|header| quoted(header.text()));
        let headers = one_or_more(text(header, ""), "").show(&to.signature_headers);
        let unit = to.timestamp_unit.map(|unit| choice(UNITS).show(&unit));
        let keys = [
            (SIGNATURE_HEADER, self.signature_headers == to.signature_headers, Some(headers)),
            (
                SIGNATURE_FORMAT,
                self.signature_format == to.signature_format,
                to.signature_format.as_ref().map(|format| quoted(format.text())),
            ),
            (TIMESTAMP_HEADER, self.timestamp_header == to.timestamp_header, named(&to.timestamp_header)),
            (TIMESTAMP_UNIT, self.timestamp_unit == to.timestamp_unit, unit),
            (
                SIGNED_CONTENT,
                self.signed_content == to.signed_content,
                to.signed_content.as_ref().map(|content| quoted(content.text())),
            ),
            (ID_HEADER, self.id_header == to.id_header, named(&to.id_header)),
            (ALGORITHM, self.algorithm == to.algorithm, Some(choice(ALGORITHMS).show(&to.algorithm))),
            (
                SECRET_ENCODING,
                self.secret_encoding == to.secret_encoding,
                Some(choice(ENCODINGS).show(&to.secret_encoding)),
            ),
        ];
        keys.into_iter().filter(|(_, same, _)| !same).map(|(key, _, value)| (key, value)).collect()
    }
}

/// How signature and timestamp stand in a request.
struct Written {
    signature_headers: Vec<Spelled<HeaderName>>,
    signature_format: Option<Spelled<Format>>,
    timestamp_header: Option<Spelled<HeaderName>>,
    timestamp_unit: Option<Unit>,
}

impl Written {
    fn read(row: &Vendor, source: &Identity<'_>, table: &mut Table, diagnostics: &mut Diagnostics) -> Self {
        let none = source.no_default();
        let name = || text(header, "the name of a header");
        let signature_headers = key(
            SIGNATURE_HEADER,
            "The header that carries the signature. Or a list of headers, any of which may: [\"X-Signature\", \
             \"X-Signature-Old\"].",
            one_or_more(name(), "is empty: name the header that carries the signature"),
        )
        .or_required(
            Vendor::header(row.signature_header).map(|header| vec![header]),
            &none,
            table,
            diagnostics,
        );
        let signature_format = key(
            SIGNATURE_FORMAT,
            "How the signature stands in its header: {hex}, {base64} or {base64url} with text around it; base64 is \
             read in either alphabet and with or without padding. \"v1={hex},t={timestamp}\" reads a list of \
             parameters at commas, \"t={timestamp};h1={hex}\" at semicolons, in any order; \"v1={hex}\", or any \
             name written twice as in \"sig={hex},sig={hex}\", may be repeated by a sender that rotates its secret; \
             \"v1,{base64}\" reads a list separated by spaces.",
            text(format, "a template of {hex}, {base64} or {base64url}, perhaps with {timestamp}"),
        )
        .or_required(row.signature_format(), &none, table, diagnostics)
        .filter(|_| !table.is_faulty(SIGNATURE_FORMAT, diagnostics));
        // A format that brings the time itself replaces the row's header for it.
        let brings_time = signature_format.as_ref().is_some_and(|format| format.has_timestamp());
        let timestamp_header = key(
            TIMESTAMP_HEADER,
            "The header that carries the timestamp, where signature_format has no {timestamp}. Without either there \
             is no window.",
            name(),
        )
        .or_maybe(Vendor::header(row.timestamp_header).filter(|_| !brings_time), table, diagnostics);
        // The row's unit goes with the row's timestamp.
        let timed = brings_time || timestamp_header.is_some();
        let timestamp_unit = key(
            TIMESTAMP_UNIT,
            "How the timestamp is written: seconds or milliseconds since 1970, or RFC 3339.",
            choice(UNITS),
        )
        .or_maybe(row.timestamp_unit.filter(|_| timed), table, diagnostics);
        Self {
            signature_headers: signature_headers.unwrap_or_default(),
            signature_format,
            timestamp_header,
            timestamp_unit,
        }
    }
}

/// The beginning of a URL that senders sign.
fn public_url(text: &str) -> Result<String, String> {
    let wrong = |what: &str| Err(format!("{what}; expected a URL such as \"https://hooks.example\""));
    let Ok(uri) = text.parse::<http::Uri>() else { return wrong("is no URL") };
    if !matches!(uri.scheme_str(), Some("https" | "http")) || uri.host().is_none_or(str::is_empty) {
        return wrong("must begin with https:// or http:// and name a host");
    }
    if text.contains(['@', '?', '#']) || text.ends_with('/') {
        return wrong("must have neither user, query, fragment nor a slash at its end: the path of the source follows");
    }
    Ok(text.to_owned())
}
