//! Stable identities: hashes of what a thing is about.
//!
//! SNS, SQS and Lambda deliver at least once and in any order, so every effect has an identity that a repeat
//! finds again. Each part is hashed with its length, so that no two lists of parts run together.

use sha2::Digest as _;
use sha2::Sha256;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A 128-bit identity made from a list of parts.
#[derive(Clone, Debug)]
pub struct Digest(Sha256);

impl Digest {
    /// Starts an identity. `domain` keeps identities of different kinds apart.
    pub fn new(domain: &str) -> Self {
        Self(Sha256::new()).part(domain)
    }

    /// Adds a part.
    #[must_use]
    pub fn part(mut self, part: &str) -> Self {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part.as_bytes());
        self
    }

    /// Adds a list of parts, as one part of the whole.
    #[must_use]
    pub fn parts<'a>(mut self, parts: impl ExactSizeIterator<Item = &'a str>) -> Self {
        self.0.update((parts.len() as u64).to_be_bytes());
        parts.fold(self, Self::part)
    }

    /// The identity's 16 bytes.
    pub fn bytes(self) -> [u8; 16] {
        let full: [u8; 32] = self.0.finalize().into();
        let mut half = [0; 16];
        half.iter_mut().zip(full).for_each(|(to, from)| *to = from);
        half
    }

    /// The identity as 32 hexadecimal digits.
    pub fn hex(self) -> String {
        hex(&self.bytes())
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(HEX.get(usize::from(nibble)).copied().unwrap_or(b'0'));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        let joined = Digest::new("d").part("ab").part("c").hex();
        let split = Digest::new("d").part("a").part("bc").hex();
        assert_ne!(joined, split);
        let nested = Digest::new("d").parts(["a", "b"].into_iter()).part("c").hex();
        assert_ne!(nested, Digest::new("d").parts(["a", "b", "c"].into_iter()).hex());
    }

    #[test]
    fn an_identity_is_the_same_for_ever() {
        insta::assert_snapshot!(Digest::new("finding").part("a").hex(), @"67808975c2624448eea483e0ee0ae00e");
    }
}
