//! Reads lists that may offer several MACs (`v1=…,v1=…,t=…` or `v1,… v1,…`), for the formats; bounded and in one pass.

use crate::scheme::Refusal;
use crate::scheme::mac::Mac;

/// The most MACs one header may offer: more than any rotation needs, few enough to try.
const MAX_MACS: usize = 8;

/// What a list of versions offers, gathered in one pass that stops at the ninth MAC.
pub(super) struct Offers {
    macs: Vec<Mac>,
    /// How many items bear the name looked for, well-formed or not.
    found: usize,
    /// Some item cannot be read, or there are too many.
    faulty: bool,
    /// Some item is of another version (`v0`, `V1`).
    other_version: bool,
}

impl Offers {
    /// Looks for MACs named `wanted` among `items`; `None` stands for an item that cannot be split.
    pub(super) fn collect<'a>(
        wanted: &str,
        decode: impl Fn(&[u8]) -> Option<Mac>,
        items: impl Iterator<Item = Option<(&'a [u8], &'a [u8])>>,
    ) -> Self {
        let mut offers = Self { macs: Vec::new(), found: 0, faulty: false, other_version: false };
        for item in items {
            let Some((name, value)) = item.filter(|(name, _)| is_token(name)) else {
                offers.faulty = true;
                continue;
            };
            if name != wanted.as_bytes() {
                offers.other_version |= is_version(name);
                continue;
            }
            offers.found += 1;
            match decode(value) {
                Some(_) if offers.macs.len() == MAX_MACS => {
                    offers.faulty = true;
                    break;
                }
                Some(mac) => offers.macs.push(mac),
                None => offers.faulty = true,
            }
        }
        offers
    }

    /// Whether no item at all bears the name looked for.
    pub(super) const fn is_without(&self) -> bool {
        self.found == 0
    }

    /// The MACs to try; none where the list is written wrong.
    ///
    /// # Errors
    /// [`Refusal::MissingSignature`] where there is none of the version looked for.
    pub(super) fn finish(self) -> Result<Vec<Mac>, Refusal> {
        // Contract, section 7: no usable MAC of the version looked for among other versions is a missing signature.
        if self.macs.is_empty() && self.other_version {
            return Err(Refusal::MissingSignature);
        }
        Ok(if self.faulty { Vec::new() } else { self.macs })
    }
}

/// The items of a parameter list, without the blanks around them.
pub(super) fn items(value: &[u8], separator: char) -> impl Iterator<Item = &[u8]> {
    value.split(move |byte| char::from(*byte) == separator).map(<[u8]>::trim_ascii)
}

/// An item `name=value`, split at its first `=`.
pub(super) fn name_and_value(item: &[u8]) -> Option<(&[u8], &[u8])> {
    split_at_first(item, b'=')
}

/// What stands before and after the first `separator`; `None` without one.
pub(super) fn split_at_first(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == separator)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Whether `name` can name an item: a token of RFC 9110, section 5.6.2.
pub(super) fn is_token(name: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(fits)
}

/// Whether `name` looks like the name of a signature version: `v1`, `V1`, `v2`, `v1a`.
pub(super) fn is_version(name: &[u8]) -> bool {
    matches!(name, [b'v' | b'V', digit, ..] if digit.is_ascii_digit())
}
