//! Everything that looks random here is a function of the seed and a number.
//!
//! A fleet of a million certificates then needs no storage for its ids, two runs with one seed give the same
//! bytes, and an id can be turned back into the number it was made from without an index.

/// Streams of numbers, so that no two facts about one resource are correlated.
pub(crate) mod domain {
    pub(crate) const DEVICE: u64 = 1;
    pub(crate) const AUTHORITY: u64 = 2;
    pub(crate) const POOL: u64 = 3;
    pub(crate) const CLIENT: u64 = 4;
    pub(crate) const ISSUER: u64 = 5;
    pub(crate) const EXPIRY: u64 = 6;
    pub(crate) const CREATED: u64 = 7;
    pub(crate) const REASON: u64 = 8;
    pub(crate) const VERSIONS: u64 = 9;
    pub(crate) const CONNECTIONS: u64 = 10;
    pub(crate) const FINDING: u64 = 11;
    pub(crate) const TASK: u64 = 12;
    pub(crate) const ACTION: u64 = 13;
    pub(crate) const REQUEST: u64 = 14;
    pub(crate) const TOKEN: u64 = 15;
    pub(crate) const CERTIFICATE: u64 = 16;
    pub(crate) const ATTACHED: u64 = 17;
    pub(crate) const THING: u64 = 18;
    pub(crate) const THING_ID: u64 = 19;
    pub(crate) const GROUP_ID: u64 = 20;
    pub(crate) const GENERATION: u64 = 21;
    pub(crate) const REGISTERED: u64 = 22;
    pub(crate) const REGISTRATION: u64 = 23;
    pub(crate) const CONNECTED: u64 = 24;
}

/// Spreads every bit of `value` over all bits (the finalizer of splitmix64).
pub(crate) const fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number for `index` in the stream called `domain`.
pub(crate) const fn draw(seed: u64, domain: u64, index: u64) -> u64 {
    mix(mix(seed ^ domain.wrapping_mul(0xd6e8_feb8_6659_fd93)) ^ index)
}

/// A fingerprint of bytes: enough to bind a page token to its query, no more.
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| mix(hash ^ u64::from(*byte)))
}

/// Turns two numbers into 32 hexadecimal digits and back: a Feistel network, so it is a bijection.
///
/// It hides nothing from anyone who has the seed. It exists so that clients cannot lean on the order of ids.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cipher {
    keys: [u64; 4],
}

impl Cipher {
    /// The cipher for one kind of id.
    pub(crate) const fn new(seed: u64, domain: u64) -> Self {
        Self {
            keys: [
                draw(seed, domain, 1),
                draw(seed, domain, 2),
                draw(seed, domain, 3),
                draw(seed, domain, 4),
            ],
        }
    }

    /// 32 hexadecimal digits for the pair.
    pub(crate) fn seal(&self, high: u64, low: u64) -> String {
        let (mut left, mut right) = (high, low);
        for key in self.keys {
            (left, right) = (right, left ^ mix(right ^ key));
        }
        format!("{left:016x}{right:016x}")
    }

    /// The pair behind `text`, if `text` is 32 hexadecimal digits. Any such text opens to something.
    pub(crate) fn open(&self, text: &str) -> Option<(u64, u64)> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut left = u64::from_str_radix(text.get(..16)?, 16).ok()?;
        let mut right = u64::from_str_radix(text.get(16..)?, 16).ok()?;
        for key in self.keys.iter().rev() {
            (left, right) = (right ^ mix(left ^ key), left);
        }
        Some((left, right))
    }
}

/// A version 4 UUID for `index` in the stream called `domain`.
pub(crate) fn uuid(seed: u64, domain: u64, index: u64) -> String {
    let (a, b) = (draw(seed, domain, index << 1), draw(seed, domain, (index << 1) | 1));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        0x8000 | ((b >> 48) & 0x3fff),
        b & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_sealed_opens(seed: u64, domain: u64, high: u64, low: u64) {
            let cipher = Cipher::new(seed, domain);
            prop_assert_eq!(cipher.open(&cipher.seal(high, low)), Some((high, low)));
        }

        #[test]
        fn any_text_is_harmless(seed: u64, text in ".{0,40}") {
            let _ = Cipher::new(seed, 1).open(&text);
        }
    }

    #[test]
    fn a_uuid_has_its_shape() {
        let id = uuid(7, 1, 0);
        assert_eq!(id.len(), 36);
        assert_eq!(id.chars().nth(14), Some('4'));
    }
}
