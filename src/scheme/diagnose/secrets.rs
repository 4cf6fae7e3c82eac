//! What a secret may be at the sender's: without the white space that a file or a form left at its ends, or with it.

use zeroize::Zeroizing;

/// Secret bytes on their way through the doctor; wiped when dropped.
pub(crate) type Bytes = Zeroizing<Vec<u8>>;

/// `secret` as it may be elsewhere, never as it is, with what is the matter in words.
pub(crate) fn ends(secret: &[u8]) -> Vec<(Bytes, &'static str)> {
    let mark: &[u8] = b"\xef\xbb\xbf";
    let bare = secret.strip_prefix(mark).unwrap_or(secret);
    let variants = [
        (
            bare.trim_ascii().to_vec(),
            "configured with white space or a byte-order mark that the sender's does not have",
        ),
        (
            secret.strip_suffix(b"\n").unwrap_or(secret).to_vec(),
            "configured with a line end that the sender's does not have",
        ),
        (
            secret.strip_suffix(b"\r").unwrap_or(secret).to_vec(),
            "configured with a carriage return that the sender's does not have",
        ),
        ([secret, b"\n"].concat(), "the sender's ends in a line feed"),
        ([secret, b"\r\n"].concat(), "the sender's ends in a carriage return and line feed"),
        ([secret, b"\r"].concat(), "the sender's ends in a carriage return"),
        ([secret, b" "].concat(), "the sender's ends in a blank"),
        ([b" ", secret].concat(), "the sender's begins with a blank"),
        ([mark, secret].concat(), "the sender's begins with a byte-order mark"),
    ];
    let mut found: Vec<(Bytes, &'static str)> = Vec::new();
    for (bytes, words) in variants {
        let bytes = Zeroizing::new(bytes);
        if !bytes.is_empty() && *bytes != *secret && found.iter().all(|(known, _)| *known != bytes) {
            found.push((bytes, words));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_taken_off_and_put_on() {
        let has = |secret: &str, wanted: &str| ends(secret.as_bytes()).iter().any(|(b, _)| **b == *wanted.as_bytes());
        assert!(has("secret\n", "secret") && has("secret\r\n", "secret") && has("secret\r\n", "secret\r"));
        assert!(has("secret", "secret\n") && has("secret", "secret\r\n") && has("secret", " secret"));
        assert!(has("\u{feff}secret", "secret") && !has("secret", "secret") && ends(b"").len() > 2);
    }
}
