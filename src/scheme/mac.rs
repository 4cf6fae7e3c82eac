//! A message authentication code and the keys that make one, for the schemes; nothing here can be printed or compared.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

/// Length of a SHA-256 MAC, in bytes.
pub const LEN: usize = 32;

/// Length of a SHA-256 block, in bytes: the longest key that HMAC takes as it is (RFC 2104, section 2).
const BLOCK: usize = 64;

/// Length of a MAC in padded base64.
const BASE64_LEN: usize = 44;

/// Exactly 32 bytes of MAC, claimed or computed.
///
/// No `PartialEq`, `Debug` or `Serialize`: [`Mac::matches`] is the one way to compare, so that no `==` and no log line
/// can reach it; wiped when dropped, for an expected MAC lets its request in.
pub struct Mac(Zeroizing<[u8; LEN]>);

impl Mac {
    /// Reads 64 hex digits of any case; `None` for anything else (a prefix, a doubled MAC, trailing junk).
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; LEN]);
        hex::decode_to_slice(text, &mut *bytes).ok()?;
        Some(Self(bytes))
    }

    /// Reads 64 lower-case hex digits, the only form of a `SigV4` signature.
    pub fn from_lower_hex(text: &[u8]) -> Option<Self> {
        if text.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        Self::from_hex(text)
    }

    /// Reads padded base64 in the standard alphabet (RFC 4648, section 4), canonical to the last bit.
    pub fn from_base64(text: &[u8]) -> Option<Self> {
        if text.len() != BASE64_LEN {
            return None;
        }
        // One more than a MAC: 44 characters may hold 33 bytes, which is then no MAC.
        let mut bytes = [0; LEN + 1];
        let written = STANDARD.decode_slice(text, &mut bytes).ok()?;
        let exact: [u8; LEN] = bytes.get(..written)?.try_into().ok()?;
        Some(Self(exact.into()))
    }

    /// Whether both are the same, in time that does not tell where they differ.
    pub fn matches(&self, other: &Self) -> Choice {
        self.0.as_slice().ct_eq(other.0.as_slice())
    }

    /// The MAC in lower-case hex, for signing what we send ourselves.
    pub fn to_hex(&self) -> String {
        hex::encode(*self.0)
    }

    /// The MAC in padded base64, for signing what we send ourselves.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(*self.0)
    }
}

/// A secret made ready for HMAC-SHA256 (RFC 2104): the padded key is hashed once, each request clones the state.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// The key of `secret`, of any length.
    pub fn new(secret: &[u8]) -> Self {
        // Padded here, because the slice constructor's error cannot happen and would have to be unwrapped.
        let mut block = Zeroizing::new([0; BLOCK]);
        match block.get_mut(..secret.len()) {
            Some(start) => start.copy_from_slice(secret),
            None => block[..LEN].copy_from_slice(&Sha256::digest(secret)),
        }
        Self(Hmac::new((&*block).into()))
    }

    /// The key that a MAC itself is, in a chain of derivations.
    pub fn from_mac(mac: &Mac) -> Self {
        Self::new(mac.0.as_slice())
    }

    /// The MAC of `parts`, one after the other.
    pub fn mac<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Mac {
        let mut state = self.0.clone();
        for part in parts {
            state.update(part);
        }
        Mac(Zeroizing::new(state.finalize().into_bytes().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &[u8] = b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    #[test]
    fn the_vectors_of_rfc_4231_hold() {
        let jefe = Key::new(b"Jefe").mac([b"what do ya want ".as_slice(), b"for nothing?"]);
        assert!(bool::from(jefe.matches(&Mac::from_hex(HEX).unwrap())), "case 2, a short key");
        let long = Key::new(&[0xaa; 131]).mac([b"Test Using Larger Than Block-Size Key - Hash Key First".as_slice()]);
        let expected = b"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        assert!(bool::from(long.matches(&Mac::from_hex(expected).unwrap())), "case 6, a key longer than a block");
    }

    #[test]
    fn hex_is_exactly_sixty_four_digits() {
        assert!(Mac::from_hex(HEX).is_some());
        assert!(Mac::from_hex(&HEX.to_ascii_uppercase()).is_some());
        assert!(Mac::from_lower_hex(HEX).is_some());
        assert!(Mac::from_lower_hex(&HEX.to_ascii_uppercase()).is_none());
        for wrong in [b"".as_slice(), &HEX[..62], &HEX[..63], &[HEX, HEX].concat(), &[HEX, b"0"].concat()] {
            assert!(Mac::from_hex(wrong).is_none());
        }
        assert!(Mac::from_hex(&[b"0x", &HEX[2..]].concat()).is_none());
        assert!(Mac::from_hex(&[b" ", &HEX[1..]].concat()).is_none());
    }

    #[test]
    fn base64_is_standard_padded_and_canonical() {
        assert!(Mac::from_base64(b"+/////////////////////////////////////////8=").is_some());
        for wrong in [
            b"-_________________________________________8=".as_slice(), // the URL alphabet
            b"+/////////////////////////////////////////8",             // without padding
            b"+/////////////////////////////////////////9=",            // bits after the last byte
            b"+///////////////////////////////////////////",            // 33 bytes
            b"+///////////////////////////////////////8==",
            b"",
        ] {
            assert!(Mac::from_base64(wrong).is_none(), "{}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn every_bit_counts() {
        let mac = Mac::from_hex(HEX).unwrap();
        for bit in 0..256 {
            let mut other = Mac::from_hex(HEX).unwrap();
            other.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!bool::from(mac.matches(&other)));
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mac = Mac::from_hex(HEX).unwrap();
        assert_eq!(mac.to_hex().as_bytes(), HEX);
        assert!(bool::from(mac.matches(&Mac::from_base64(mac.to_base64().as_bytes()).unwrap())));
    }
}
