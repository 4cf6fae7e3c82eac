//! Parses the `Authorization` header of AWS Signature Version 4, for the verifier; it judges form, never truth.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html>

use super::query::{self, Plus};

/// The one algorithm taken: no other version, no other hash.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The most names a `SignedHeaders` list may hold: as many headers as a request may have at all.
const MAX_SIGNED_HEADERS: usize = 128;

/// Query parameters that authenticate a request outside its headers (presigned requests), lower case.
const QUERY_AUTHENTICATION: [&[u8]; 4] =
    [b"x-amz-algorithm", b"x-amz-credential", b"x-amz-signature", b"x-amz-security-token"];

/// The parts of an `Authorization` header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Authorization<'a> {
    /// The access key and its scope.
    pub credential: Credential<'a>,
    /// Lower-case names, sorted, unique, joined with `;`.
    pub signed_headers: &'a str,
    /// Whatever was given as the signature; not empty.
    pub signature: &'a str,
}

/// `AKIA…/20260102/eu-west-1/execute-api/aws4_request`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Credential<'a> {
    pub access_key_id: &'a str,
    /// The scope's date.
    pub date: &'a str,
    /// The scope's region.
    pub region: &'a str,
    /// The scope's service.
    pub service: &'a str,
    /// `aws4_request` in a sound one.
    pub terminator: &'a str,
}

/// Parses `value`.
///
/// # Errors
/// What is wrong with it, in fixed words that echo nothing.
pub(super) fn parse(value: &[u8]) -> Result<Authorization<'_>, &'static str> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.is_ascii()).ok_or("Authorization is not ASCII")?;
    let (token, rest) = text.split_once([' ', '\t']).ok_or("Authorization has no parameters")?;
    if token != ALGORITHM {
        return Err("only AWS4-HMAC-SHA256 is accepted");
    }
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for part in rest.split(',') {
        let part = part.trim_matches([' ', '\t']);
        if part.is_empty() {
            return Err("Authorization has an empty part");
        }
        let (name, value) = part.split_once('=').ok_or("a part of Authorization has no `=`")?;
        let slot = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed_headers,
            "Signature" => &mut signature,
            _ => return Err("Authorization has an unknown part"),
        };
        if value.is_empty() {
            return Err("a part of Authorization is empty");
        }
        if slot.replace(value).is_some() {
            return Err("a part of Authorization stands twice");
        }
    }
    Ok(Authorization {
        credential: parse_credential(credential.ok_or("Credential is missing")?)?,
        signed_headers: check_signed_headers(signed_headers.ok_or("SignedHeaders is missing")?)?,
        signature: signature.ok_or("Signature is missing")?,
    })
}

fn parse_credential(text: &str) -> Result<Credential<'_>, &'static str> {
    let mut parts = text.split('/');
    let mut next = || parts.next().ok_or("Credential has fewer than five parts");
    let credential =
        Credential { access_key_id: next()?, date: next()?, region: next()?, service: next()?, terminator: next()? };
    if parts.next().is_some() {
        return Err("Credential has more than five parts");
    }
    Ok(credential)
}

fn check_signed_headers(list: &str) -> Result<&str, &'static str> {
    let mut previous = "";
    for (position, name) in list.split(';').enumerate() {
        if position == MAX_SIGNED_HEADERS {
            return Err("SignedHeaders names more headers than a request may have");
        }
        if name.is_empty() {
            return Err("SignedHeaders has an empty name");
        }
        if !name.bytes().all(is_header_byte) {
            return Err("SignedHeaders holds a name that is not a lower-case header name");
        }
        // Sorted and unique in one: each name must be greater than the one before it.
        if name <= previous {
            return Err("SignedHeaders is not sorted, or names a header twice");
        }
        previous = name;
    }
    Ok(list)
}

/// RFC 9110, section 5.6.2: a token character, less the upper-case letters.
fn is_header_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether the query authenticates the request, alone or beside the header: such requests are refused
/// (CVE-2026-41145 is a verifier that looked at one and hashed for the other).
pub(super) fn in_query(query: &str) -> bool {
    query::items(query.as_bytes()).any(|(name, _)| {
        QUERY_AUTHENTICATION
            .iter()
            .any(|known| query::decoded(name, Plus::Sign).map(|b| b.to_ascii_lowercase()).eq(known.iter().copied()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIAL: &str = "Credential=AKID/20150830/us-east-1/service/aws4_request";
    const HEADERS: &str = "SignedHeaders=host;x-amz-date";
    const SIGNATURE: &str = "Signature=5fa0";

    fn refused(value: &str) -> bool {
        parse(value.as_bytes()).is_err()
    }

    #[test]
    fn parts_come_in_any_order_with_blanks_around() {
        for value in [
            format!("{ALGORITHM} {CREDENTIAL}, {HEADERS}, {SIGNATURE}"),
            format!("{ALGORITHM} {CREDENTIAL},{HEADERS},{SIGNATURE}"),
            format!("{ALGORITHM}   {SIGNATURE} ,\t{HEADERS}  , {CREDENTIAL} "),
        ] {
            let parsed = parse(value.as_bytes()).unwrap();
            assert_eq!(parsed.credential.access_key_id, "AKID");
            assert_eq!(parsed.credential.terminator, "aws4_request");
            assert_eq!(parsed.signed_headers, "host;x-amz-date");
            assert_eq!(parsed.signature, "5fa0");
        }
    }

    #[test]
    fn parts_that_are_missing_empty_double_or_unknown_are_malformed() {
        for wrong in [
            format!("{ALGORITHM} {CREDENTIAL}, {HEADERS}"),
            format!("{ALGORITHM} {CREDENTIAL}, {SIGNATURE}"),
            format!("{ALGORITHM} {HEADERS}, {SIGNATURE}"),
            format!("{ALGORITHM} {CREDENTIAL}, {HEADERS}, {SIGNATURE},"),
            format!("{ALGORITHM} {CREDENTIAL},, {HEADERS}, {SIGNATURE}"),
            format!("{ALGORITHM} {CREDENTIAL}, {HEADERS}, {SIGNATURE}, {SIGNATURE}"),
            format!("{ALGORITHM} {CREDENTIAL}, {CREDENTIAL}, {HEADERS}, {SIGNATURE}"),
            format!("{ALGORITHM} {CREDENTIAL}, {HEADERS}, {SIGNATURE}, Other=1"),
            format!("{ALGORITHM} {CREDENTIAL}, {HEADERS}, {SIGNATURE}, junk"),
            format!("{ALGORITHM} {CREDENTIAL}, {HEADERS}, Signature="),
            format!("{ALGORITHM} {CREDENTIAL}, SignedHeaders=, {SIGNATURE}"),
            format!("{ALGORITHM} Credential=, {HEADERS}, {SIGNATURE}"),
            format!("{ALGORITHM} {CREDENTIAL} {HEADERS} {SIGNATURE}"),
            format!("{ALGORITHM} {CREDENTIAL}; {HEADERS}; {SIGNATURE}"),
            format!("{ALGORITHM} credential=A/1/r/s/aws4_request, {HEADERS}, {SIGNATURE}"),
            format!("{ALGORITHM} Credential =A/1/r/s/aws4_request, {HEADERS}, {SIGNATURE}"),
            ALGORITHM.into(),
            format!("{ALGORITHM} "),
            String::new(),
            "\u{e9}".into(),
        ] {
            assert!(refused(&wrong), "{wrong}");
        }
    }

    #[test]
    fn other_tokens_are_refused() {
        for token in [
            "AWS",
            "AWS4-HMAC-SHA1",
            "AWS4-HMAC-SHA512",
            "AWS4-ECDSA-P256-SHA256",
            "aws4-hmac-sha256",
            "AWS4-HMAC-SHA256,",
            "Bearer",
            " AWS4-HMAC-SHA256",
        ] {
            assert!(refused(&format!("{token} {CREDENTIAL}, {HEADERS}, {SIGNATURE}")), "{token}");
        }
        assert!(refused(&format!("{ALGORITHM}{CREDENTIAL}, {HEADERS}, {SIGNATURE}")));
    }

    #[test]
    fn a_credential_has_five_parts() {
        for wrong in ["A/1/r/s", "A/1/r/s/aws4_request/x", "A", "A/1/r/s/aws4_request/"] {
            assert!(refused(&format!("{ALGORITHM} Credential={wrong}, {HEADERS}, {SIGNATURE}")), "{wrong}");
        }
        assert!(!refused(&format!("{ALGORITHM} Credential=A////x, {HEADERS}, {SIGNATURE}")), "five, if the wrong five");
    }

    #[test]
    fn signed_headers_are_lower_case_sorted_unique_and_not_empty() {
        for wrong in [
            "Host;x-amz-date",
            "x-amz-date;host",
            "host;host;x-amz-date",
            "host;;x-amz-date",
            ";host",
            "host;",
            ";",
            "host; x-amz-date",
            "host:x",
            "h\"ost",
        ] {
            assert!(refused(&format!("{ALGORITHM} {CREDENTIAL}, SignedHeaders={wrong}, {SIGNATURE}")), "{wrong}");
        }
        let names = |n: usize| (0..n).map(|i| format!("h{i:05}")).collect::<Vec<_>>().join(";");
        assert!(check_signed_headers(&names(MAX_SIGNED_HEADERS)).is_ok());
        assert!(check_signed_headers(&names(MAX_SIGNED_HEADERS + 1)).is_err());
    }

    #[test]
    fn authentication_in_the_query_is_seen_however_it_is_written() {
        for query in [
            "X-Amz-Signature=1",
            "a=b&X-Amz-Credential=x&c",
            "x-amz-algorithm",
            "%58-Amz-Signature=1",
            "X%2dAmz%2DSignature",
            "&&X-Amz-Security-Token=",
        ] {
            assert!(in_query(query), "{query}");
        }
        for query in ["", "X-Amz-Date=1", "a=X-Amz-Signature", "X-Amz-Signature2=1", "%2558-Amz-Signature=1"] {
            assert!(!in_query(query), "{query}");
        }
    }
}
