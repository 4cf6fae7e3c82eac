//! What of a text stands in a JSON string as it is (RFC 8259, section 7): for those who read JSON and those who write it.

/// Bytes looked at together.
const WORD: usize = 8;
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES * 0x80;

/// How many bytes come before the first quote, backslash or control character; all of them where there is none.
#[must_use]
pub(crate) fn plain_bytes(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<WORD>();
    for (index, word) in words.iter().enumerate() {
        let ends = ends(u64::from_le_bytes(*word));
        if ends != 0 {
            return index * WORD + ends.trailing_zeros() as usize / 8;
        }
    }
    let before = text.len() - rest.len();
    before + rest.iter().position(|byte| is_end(*byte)).unwrap_or(rest.len())
}

/// The high bit of each byte that [`is_end`], exact up to and with the lowest of them: what is borrowed there shows only
/// behind it. Bytes from 0x80 on are none.
const fn ends(word: u64) -> u64 {
    let control = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    (control | quote | backslash) & !word & HIGH
}

const fn is_end(byte: u8) -> bool {
    matches!(byte, 0..0x20 | b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_byte_ends_it_or_not_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for at in 0..2 * WORD + 3 {
                let mut text = [b'x'; 2 * WORD + 3];
                text[at] = byte;
                let expected = if is_end(byte) { at } else { text.len() };
                assert_eq!(plain_bytes(&text), expected, "{byte} at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn it_is_the_first_one_that_ends_it(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let expected = text.iter().position(|byte| is_end(*byte)).unwrap_or(text.len());
            prop_assert_eq!(plain_bytes(&text), expected);
        }
    }
}
