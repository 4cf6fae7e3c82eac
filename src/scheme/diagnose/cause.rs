//! The registry of causes: every diagnosis there is, with its name, what it means and what mends it.

/// Declares the causes, so that none can be left out of [`Cause::ALL`].
macro_rules! causes {
    ($($cause:ident $name:literal $words:literal $remedy:literal)+) => {
        /// Why a request does not verify.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum Cause {
            $(#[doc = $words] $cause,)+
        }

        impl Cause {
            /// Every cause.
            pub const ALL: &'static [Self] = &[$(Self::$cause,)+];

            /// Its name, for people to search for.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$cause => $name,)+ }
            }

            /// What is the matter.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self { $(Self::$cause => $words,)+ }
            }

            /// What to do about it.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$cause => $remedy,)+ }
            }
        }
    };
}

causes! {
    // Both families.
    NothingFits "nothing-fits"
        "none of the known mistakes explains the signature"
        "compare the secret with the sender's first; then look for a proxy that changes what is signed"
    SecretEnds "secret-ends"
        "the sender's secret is the configured one but for white space at its ends"
        "write the secret again without line end, carriage return and blanks, or give the sender exactly what is configured"
    BodyEmpty "body-empty"
        "the sender signed an empty body"
        "the sender must sign the bytes that it sends, after it has made the body"
    BodyLineEnd "body-line-end"
        "the sender signed the body with a line end that did not arrive"
        "the sender must sign the bytes that it sends"
    BodyTrimmed "body-trimmed"
        "the sender signed the body without the white space around it that arrived"
        "the sender must sign the bytes that it sends; nothing on the way may add to them"
    BodyMark "body-mark"
        "a byte-order mark stands before one of the two bodies, the signed and the received, and not before the other"
        "the sender must sign and send the same bytes, without a byte-order mark"
    BodyRewritten "body-rewritten"
        "the JSON was signed in another form than it arrived in"
        "the sender must sign the bytes that it sends; a proxy must not parse and write the body again"
    BodyCompressed "body-compressed"
        "the body arrived compressed"
        "turn off compression of requests at the sender, or at the proxy that adds it"
    AuthorizationRedacted "authorization-redacted"
        "where the signature belongs stood a credential of another kind, which is not kept"
        "have the sender sign as the source is configured"
    OtherAlgorithm "other-algorithm"
        "it is signed with another algorithm"
        "set algorithm where it is an HMAC; an AWS sender must sign with AWS4-HMAC-SHA256"

    // Tokens.
    CredentialAbsent "credential-absent"
        "no header holds the token"
        "have the sender send it, or the proxy pass the header on"
    CredentialElsewhere "credential-elsewhere"
        "the token stands in another header"
        "set token_header, or have the sender use the configured header"
    CredentialTwice "credential-twice"
        "the header of the token stands more than once"
        "the sender must send it once, and a proxy must not add another"
    CredentialWordTwice "credential-word-twice"
        "the word before the token stands twice"
        "the sender's form adds the word itself: give it the token alone"
    CredentialWord "credential-word"
        "another word stands before the token"
        "set token_format, or have the sender write it as configured"
    CredentialQuoted "credential-quoted"
        "the token stands in quotes"
        "give the sender the token without quotes"
    CredentialEncoded "credential-encoded"
        "the token is in base64 where it is not configured so, or the other way round"
        "set token_format: {basic} is base64 of user:password, {token} is the text as it is"
    OtherSourcesCredential "other-sources-credential"
        "it is the token of another source"
        "have the sender post to that source's path, or give it the token of this one"
    CredentialUnknown "credential-unknown"
        "it is none of the configured tokens"
        "compare the token with the sender's; `check` shows the fingerprints of those that are configured"

    // HMAC.
    SignatureAbsent "signature-absent"
        "no header holds a signature"
        "have the sender sign, or the proxy pass the header on"
    SignatureElsewhere "signature-elsewhere"
        "the signature stands in another header"
        "set signature_header"
    SignatureFormat "signature-format"
        "the signature is written in another form"
        "set signature_format"
    SignatureTwice "signature-twice"
        "the signature header stands more than once"
        "the sender must send it once, and a proxy must not add another"
    SignatureCut "signature-cut"
        "what stands in the signature header is no whole MAC"
        "the sender must send the MAC in full, in hex or base64"
    ContentDiffers "content-differs"
        "something else is signed"
        "set signed_content"
    TimestampMissing "timestamp-missing"
        "no header holds the timestamp"
        "have the sender send it, or the proxy pass it on"
    TimestampElsewhere "timestamp-elsewhere"
        "the timestamp stands in another header"
        "set timestamp_header"
    TimestampUnit "timestamp-unit"
        "the timestamp is written in another unit"
        "set timestamp_unit"
    TimestampTwice "timestamp-twice"
        "the timestamp stands more than once"
        "the sender must send it once, and a proxy must not add another"
    SignedHeaderMissing "signed-header-missing"
        "a header that is signed is not there, or stands more than once"
        "the sender must send it once, and a proxy must pass it on as it is"
    IdElsewhere "id-elsewhere"
        "the id that is signed stands in another header"
        "set id_header"
    IdMissing "id-missing"
        "the header with the id that is signed does not stand exactly once"
        "have the sender send it once, and the proxy pass it on"
    SecretEncoded "secret-encoded"
        "the sender decodes the secret before it signs, or does not decode it as configured"
        "set secret_encoding"
    OtherSourcesSecret "other-sources-secret"
        "it is signed with the secret of another source"
        "have the sender post to that source's path, or use the secret of this one"

    // AWS Signature Version 4: who signed.
    AuthorizationAbsent "authorization-absent"
        "there is no Authorization header"
        "have the sender sign its requests, or the proxy pass the header on"
    AuthorizationMoved "authorization-moved"
        "the signature does not stand in Authorization"
        "have the proxy pass Authorization on as it came"
    AuthorizationTwice "authorization-twice"
        "Authorization stands more than once"
        "the sender must send it once, and a proxy must not add another"
    AuthorizationMalformed "authorization-malformed"
        "Authorization cannot be read"
        "the sender must write Credential, SignedHeaders and Signature as AWS documents them"
    QueryAuthentication "query-authentication"
        "the signature, or part of it, stands in the query"
        "the sender must sign with the Authorization header, not presign the URL"
    AccessKeyUnknown "access-key-unknown"
        "no key of this source has that access key id"
        "add the key to `keys` with its secret, or have the sender use a configured one"
    AccessKeyMixedUp "access-key-mixed-up"
        "it is signed with the secret of another access key id"
        "pair the access key id and the secret as AWS issued them, here and at the sender"
    OtherSourcesKey "other-sources-key"
        "it is signed with a key of another source"
        "have the sender post to that source's path, or add the key here"
    TokenMissing "token-missing"
        "the key is configured with a session token, and none arrived"
        "have the sender send X-Amz-Security-Token, or remove session_token from the key"
    TokenUnexpected "token-unexpected"
        "a session token arrived, and the key is configured without one"
        "configure the key with its session_token, or have the sender use a lasting key"
    TokenDiffers "token-differs"
        "the session token is not the configured one"
        "temporary keys end after some hours: configure the new key with its token, or have the sender use a lasting key"
    OtherRegion "other-region"
        "it is signed for another region"
        "set region, or have the sender sign for the configured one"
    OtherService "other-service"
        "it is signed for another service"
        "set service, or have the sender sign for the configured one"
    OtherTerminator "other-terminator"
        "the scope in Credential does not end in `aws4_request`"
        "the sender must sign as AWS documents it"
    DateMissing "date-missing"
        "there is no X-Amz-Date"
        "the sender must send and sign X-Amz-Date; Date is no substitute"
    DateMalformed "date-malformed"
        "X-Amz-Date stands twice or is no date"
        "the sender must send it once, as YYYYMMDDTHHMMSSZ"
    DateDiffers "date-differs"
        "the day in Credential is not that of X-Amz-Date"
        "the sender must take both from one clock reading; nothing on the way may set X-Amz-Date"
    SignatureUpperCase "signature-upper-case"
        "the signature is written in upper-case hex"
        "the sender must write it in lower case, as AWS documents it"
    SignatureMalformed "signature-malformed"
        "the signature is not 64 hex digits"
        "the sender must send the signature in full"

    // AWS Signature Version 4: headers.
    MustBeSigned "must-be-signed"
        "a header that must be signed is not"
        "the sender must name host and x-amz-date in SignedHeaders"
    MustNotBeSigned "must-not-be-signed"
        "Authorization is among the signed headers"
        "the sender must leave authorization out of SignedHeaders"
    HeaderUnsigned "header-unsigned"
        "an x-amz-* header arrived that is not signed"
        "set unsigned_headers where a proxy adds it, or have the sender sign it"
    HeaderGone "header-gone"
        "a signed header did not arrive"
        "the proxy must pass it on, or the sender not sign it"
    HeaderChanged "header-changed"
        "a signed header arrived with another value than it was signed with"
        "the proxy must pass it on unchanged, or the sender not sign it"
    HostChanged "host-changed"
        "the sender signed another host than arrived"
        "the proxy must pass the Host header on as the sender sent it"

    // AWS Signature Version 4: path.
    PathPrefixDropped "path-prefix-dropped"
        "the sender signed a longer path: its beginning was dropped on the way"
        "the proxy must pass the path on unchanged; behind API Gateway the stage name is part of what is signed"
    PathPrefixAdded "path-prefix-added"
        "the sender signed a shorter path: something on the way put a beginning before it"
        "the proxy must pass the path on unchanged"
    PathSlash "path-slash"
        "a slash at the end of the path was added or dropped"
        "the sender must sign the path that it asks for; the proxy must not change it"
    PathRewritten "path-rewritten"
        "the sender signed another path than arrived"
        "the proxy must pass path and query on unchanged"
    PathNotEncoded "path-not-encoded"
        "the sender signed the path as it stands in the URL, without encoding it again"
        "the sender must encode each segment a second time (only S3 is signed without); or use a path without percent signs"
    PathEncodedOnce "path-encoded-once"
        "the sender encoded the path once where it has to be encoded twice"
        "the sender must encode each segment a second time (only S3 is signed without); or use a path without percent signs"
    PathDecoded "path-decoded"
        "the sender signed the path decoded"
        "the sender must sign the path as it stands in the URL, encoded once more"
    PathReencoded "path-reencoded"
        "the path's percent-encoding was changed on the way"
        "the proxy must pass the path on byte for byte"
    SlashesKept "slashes-kept"
        "the sender did not merge the path's double slashes before it signed"
        "the sender must normalise the path (only S3 is signed without), or ask for one without empty segments"
    DotsKept "dots-kept"
        "the sender did not resolve the path's dot segments before it signed"
        "the sender must normalise the path (only S3 is signed without), or ask for one without dot segments"

    // AWS Signature Version 4: query.
    QueryAdded "query-added"
        "parameters arrived that the sender did not sign"
        "the sender must sign the query; the proxy must not add to it"
    QueryDropped "query-dropped"
        "the sender signed a query that did not arrive"
        "the proxy must pass the query on unchanged"
    QueryUnsorted "query-unsorted"
        "the sender did not sort the query's parameters as it must"
        "the sender must sort them by encoded name, then by encoded value"
    QueryEqualsMissing "query-equals-missing"
        "the sender signed a parameter without value without its `=`"
        "the sender must sign `name=` for a parameter without value"
    QueryPlus "query-plus"
        "the sender signed a plus sign of the query in another way"
        "the sender must send a blank as %20 and a plus sign as %2B"
    QueryNotEncoded "query-not-encoded"
        "the sender signed the query as it stands in the URL"
        "the sender must decode each name and value and encode it again"
    QueryEncodedTwice "query-encoded-twice"
        "the sender encoded the query a second time"
        "the sender must encode each name and value once"

    // AWS Signature Version 4: body.
    BodyChanged "body-changed"
        "the body is not the one that the sender hashed"
        "the proxy must pass the body on byte for byte; the sender must hash the bytes that it sends"
    BodyHashUpperCase "body-hash-upper-case"
        "the hash of the body is written in upper-case hex"
        "the sender must write x-amz-content-sha256 in lower case, as AWS documents it"
    BodyUnsigned "body-unsigned"
        "the sender left the body out of the signature"
        "the sender must sign the body's hash: UNSIGNED-PAYLOAD is not taken"
    BodyStreamed "body-streamed"
        "the sender signed the body in chunks"
        "the sender must sign the body's hash: STREAMING-… and aws-chunked are not taken"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_words_end_without_a_stop() {
        for (position, cause) in Cause::ALL.iter().enumerate() {
            assert!(Cause::ALL.iter().skip(position + 1).all(|other| other.name() != cause.name()), "{cause:?}");
            assert!(!cause.words().ends_with('.') && !cause.remedy().ends_with('.'), "{cause:?}");
        }
    }
}
