//! A message authentication code and the keys that make one, for the schemes; nothing here can be printed or compared.

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

/// Length of the longest MAC, in bytes.
const MAX_LEN: usize = 64;

/// Length of a SHA-256 MAC, in bytes.
const SHA256_LEN: usize = 32;

/// Base64 in `alphabet`, canonical to the last bit, with its padding or without: senders do either.
const fn base64(alphabet: &Alphabet) -> GeneralPurpose {
    GeneralPurpose::new(alphabet, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent))
}

/// RFC 4648, section 4.
pub(super) const BASE64: GeneralPurpose = base64(&STANDARD);

/// RFC 4648, section 5.
pub(super) const BASE64_URL: GeneralPurpose = base64(&URL_SAFE);

/// The hash below an HMAC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Algorithm {
    /// For senders that know nothing else; warned about.
    Sha1,
    /// What nearly everybody uses.
    Sha256,
    /// Longer.
    Sha384,
    /// Longest.
    Sha512,
}

impl Algorithm {
    /// Every one, the usual one first.
    pub(super) const ALL: [Self; 4] = [Self::Sha256, Self::Sha1, Self::Sha512, Self::Sha384];

    /// Its name, as `algorithm` spells it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of its MACs, in bytes.
    const fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => SHA256_LEN,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// Exactly the bytes of a MAC, claimed or computed.
///
/// No `PartialEq`, `Debug` or `Serialize`: [`Mac::matches`] is the one way to compare, so that no `==` and no log line
/// can reach it; wiped when dropped, for an expected MAC lets its request in.
pub(super) struct Mac(Zeroizing<Vec<u8>>);

impl Mac {
    /// Reads as many hex digits of any case as a MAC of `algorithm` has; `None` for anything else (a prefix, a doubled
    /// MAC, trailing junk).
    pub(super) fn from_hex(text: &[u8], algorithm: Algorithm) -> Option<Self> {
        let (pairs, []) = text.as_chunks::<2>() else { return None };
        let digits = text.iter().fold(true, |all, byte| all & byte.is_ascii_hexdigit());
        if !digits || pairs.len() != algorithm.len() {
            return None;
        }
        // Without a branch: whether the next digit of a MAC is a letter nobody guesses. A letter's low half is nine less.
        let value = |byte: &u8| (byte & 0xf) + 9 * (byte >> 6);
        Some(Self(Zeroizing::new(pairs.iter().map(|[high, low]| value(high) << 4 | value(low)).collect())))
    }

    /// Reads 64 lower-case hex digits, the only form of a `SigV4` signature.
    pub(super) fn from_lower_hex(text: &[u8]) -> Option<Self> {
        if text.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        Self::from_hex(text, Algorithm::Sha256)
    }

    /// Reads base64 in either alphabet (not in a mixture), padded or not, canonical to the last bit, of exactly a MAC of
    /// `algorithm`.
    pub(super) fn from_base64(text: &[u8], algorithm: Algorithm) -> Option<Self> {
        // Four characters more than a MAC has: whatever is longer is not even decoded.
        if text.len() > MAX_LEN.div_ceil(3) * 4 {
            return None;
        }
        let bytes = BASE64.decode(text).or_else(|_| BASE64_URL.decode(text)).ok().map(Zeroizing::new)?;
        (bytes.len() == algorithm.len()).then_some(Self(bytes))
    }

    /// Whether both are the same, in time that does not tell where they differ.
    pub(super) fn matches(&self, other: &Self) -> Choice {
        self.0.as_slice().ct_eq(other.0.as_slice())
    }

    /// The MAC in lower-case hex, for signing what we send ourselves.
    pub(super) fn to_hex(&self) -> String {
        hex::encode(&*self.0)
    }

    /// The MAC in padded base64, for signing what we send ourselves.
    pub(super) fn to_base64(&self) -> String {
        BASE64.encode(&*self.0)
    }

    /// The MAC in the URL alphabet without padding, for signing what we send ourselves.
    pub(super) fn to_base64url(&self) -> String {
        BASE64_URL.encode(&*self.0).trim_end_matches('=').to_owned()
    }

    /// What two keys have in common that make this MAC of one text, without being a MAC of it.
    pub(super) fn mark(&self) -> [u8; 32] {
        Sha256::new().chain_update("gatepost mark").chain_update(&*self.0).finalize().into()
    }
}

/// A secret made ready for HMAC (RFC 2104): the padded key is hashed once, each request clones the state.
#[derive(Clone)]
pub(super) struct Key(State);

#[derive(Clone)]
enum State {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Box<Hmac<Sha384>>),
    Sha512(Box<Hmac<Sha512>>),
}

impl Key {
    /// The key of `secret`, of any length.
    pub(super) fn new(secret: &[u8], algorithm: Algorithm) -> Self {
        // Padded here, because the slice constructor's error cannot happen and would have to be unwrapped.
        Self(match algorithm {
            Algorithm::Sha1 => {
                let block = block::<64>(secret, |long| Zeroizing::new(Sha1::digest(long).to_vec()));
                State::Sha1(Hmac::new((&*block).into()))
            }
            Algorithm::Sha256 => {
                let block = block::<64>(secret, |long| Zeroizing::new(Sha256::digest(long).to_vec()));
                State::Sha256(Hmac::new((&*block).into()))
            }
            Algorithm::Sha384 => {
                let block = block::<128>(secret, |long| Zeroizing::new(Sha384::digest(long).to_vec()));
                State::Sha384(Box::new(Hmac::new((&*block).into())))
            }
            Algorithm::Sha512 => {
                let block = block::<128>(secret, |long| Zeroizing::new(Sha512::digest(long).to_vec()));
                State::Sha512(Box::new(Hmac::new((&*block).into())))
            }
        })
    }

    /// The HMAC-SHA256 key that a MAC itself is, in a chain of derivations.
    pub(super) fn from_mac(mac: &Mac) -> Self {
        Self::new(&mac.0, Algorithm::Sha256)
    }

    /// The MAC of `parts`, one after the other.
    pub(super) fn mac<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Mac {
        Mac(Zeroizing::new(match &self.0 {
            State::Sha1(state) => finish(state.clone(), parts),
            State::Sha256(state) => finish(state.clone(), parts),
            State::Sha384(state) => finish((**state).clone(), parts),
            State::Sha512(state) => finish((**state).clone(), parts),
        }))
    }
}

/// `secret` with zeros behind it to one block of the hash, or its hash where it is longer (RFC 2104, section 2).
fn block<const LEN: usize>(secret: &[u8], hash: impl FnOnce(&[u8]) -> Zeroizing<Vec<u8>>) -> Zeroizing<[u8; LEN]> {
    let mut block = Zeroizing::new([0; LEN]);
    let put = |block: &mut [u8], bytes: &[u8]| block.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    if secret.len() <= LEN {
        put(&mut *block, secret);
    } else {
        put(&mut *block, &hash(secret));
    }
    block
}

fn finish<'a>(mut state: impl hmac::Mac, parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    for part in parts {
        state.update(part);
    }
    state.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &[u8] = b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    fn sha256(text: &[u8]) -> Option<Mac> {
        Mac::from_hex(text, Algorithm::Sha256)
    }

    #[test]
    fn the_vectors_of_rfc_4231_and_2202_hold() {
        let jefe = [b"what do ya want ".as_slice(), b"for nothing?"];
        let long = [b"Test Using Larger Than Block-Size Key - Hash Key First".as_slice()];
        for (algorithm, short_key, long_key) in [
            (
                Algorithm::Sha1,
                "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
                // RFC 2202, case 6, has a key of 80 bytes; this one is RFC 4231's, computed elsewhere.
                "90d0dace1c1bdc957339307803160335bde6df2b",
            ),
            (
                Algorithm::Sha256,
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                Algorithm::Sha384,
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
                "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
            ),
            (
                Algorithm::Sha512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
                "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
            ),
        ] {
            let fits = |secret: &[u8], parts: &[&[u8]], expected: &str| {
                let mac = Key::new(secret, algorithm).mac(parts.iter().copied());
                bool::from(mac.matches(&Mac::from_hex(expected.as_bytes(), algorithm).unwrap()))
            };
            assert!(fits(b"Jefe", &jefe, short_key), "{algorithm:?}: case 2, a short key");
            assert!(fits(&[0xaa; 131], &long, long_key), "{algorithm:?}: case 6, a key longer than a block");
        }
    }

    #[test]
    fn each_digit_is_read_as_hex_reads_it_and_nothing_else_is_one() {
        for byte in 0..=u8::MAX {
            for at in [0, 1, 30, 63] {
                let mut text = HEX.to_vec();
                text[at] = byte;
                let read = sha256(&text).map(|mac| mac.0.to_vec());
                assert_eq!(read, hex::decode(&text).ok(), "{byte} at {at}");
            }
        }
    }

    #[test]
    fn hex_is_exactly_sixty_four_digits() {
        assert!(sha256(HEX).is_some());
        assert!(sha256(&HEX.to_ascii_uppercase()).is_some());
        assert!(Mac::from_lower_hex(HEX).is_some());
        assert!(Mac::from_lower_hex(&HEX.to_ascii_uppercase()).is_none());
        for wrong in [b"".as_slice(), &HEX[..62], &HEX[..63], &[HEX, HEX].concat(), &[HEX, b"0"].concat()] {
            assert!(sha256(wrong).is_none());
        }
        assert!(sha256(&[b"0x", &HEX[2..]].concat()).is_none());
        assert!(sha256(&[b" ", &HEX[1..]].concat()).is_none());
        for other in [Algorithm::Sha1, Algorithm::Sha384, Algorithm::Sha512] {
            assert!(Mac::from_hex(HEX, other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn base64_is_of_one_alphabet_and_canonical_padded_or_not() {
        let read = |text: &[u8]| Mac::from_base64(text, Algorithm::Sha256);
        for right in [
            b"+/////////////////////////////////////////8=".as_slice(),
            b"+/////////////////////////////////////////8",
            b"-_________________________________________8=",
            b"-_________________________________________8",
        ] {
            assert!(read(right).is_some(), "{}", String::from_utf8_lossy(right));
        }
        for wrong in [
            b"+_________________________________________8=".as_slice(), // two alphabets
            b"+/////////////////////////////////////////9=",            // bits after the last byte
            b"+/////////////////////////////////////////9",
            b"+///////////////////////////////////////////", // 33 bytes
            b"+///////////////////////////////////////8==",  // 31 bytes
            b"+/////////////////////////////////////////8==",
            b"+/////////////////////////////////////////8=\n",
            b" +/////////////////////////////////////////8=",
            b"+////////////////////////////////////////8=",
            b"",
            b"=",
        ] {
            assert!(read(wrong).is_none(), "{}", String::from_utf8_lossy(wrong));
        }
        assert!(read(&[b'A'; 10_000]).is_none());
        for (length, algorithm) in [(27, Algorithm::Sha1), (64, Algorithm::Sha384), (86, Algorithm::Sha512)] {
            assert!(Mac::from_base64(&vec![b'A'; length], algorithm).is_some(), "{algorithm:?}");
            assert!(Mac::from_base64(&vec![b'A'; length + 1], algorithm).is_none(), "{algorithm:?}");
            assert!(Mac::from_base64(&vec![b'A'; length - 1], algorithm).is_none(), "{algorithm:?}");
        }
    }

    #[test]
    fn every_bit_counts() {
        let mac = sha256(HEX).unwrap();
        for bit in 0..256 {
            let mut other = sha256(HEX).unwrap();
            other.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!bool::from(mac.matches(&other)));
        }
        let longer = Mac::from_hex(&[HEX, HEX].concat(), Algorithm::Sha512).unwrap();
        assert!(!bool::from(mac.matches(&longer)));
    }

    #[test]
    fn what_is_written_is_read() {
        let mac = sha256(HEX).unwrap();
        assert_eq!(mac.to_hex().as_bytes(), HEX);
        for text in [mac.to_base64(), mac.to_base64url()] {
            assert!(bool::from(mac.matches(&Mac::from_base64(text.as_bytes(), Algorithm::Sha256).unwrap())), "{text}");
        }
    }
}
