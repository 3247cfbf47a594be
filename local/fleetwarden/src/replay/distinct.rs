//! How many different ones: exact up to a limit, and from there on "at least".

use serde::{Serialize, Serializer};
use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

/// More are not told apart: 64 Ki of eight bytes are a megabyte, whatever the archive holds.
const LIMIT: usize = 1 << 16;

/// Counts different 64-bit hashes. The sum does not depend on how they were divided among threads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Distinct {
    seen: HashSet<u64, BuildHasherDefault<AsIs>>,
    more: bool,
}

impl Distinct {
    /// Counts one.
    pub(crate) fn add(&mut self, hash: u64) {
        if self.seen.len() < LIMIT {
            self.seen.insert(hash);
        } else if !self.more {
            self.more = !self.seen.contains(&hash);
        }
    }

    /// Counts all that another has counted.
    pub(crate) fn merge(&mut self, other: Self) {
        self.more |= other.more;
        other.seen.into_iter().for_each(|hash| self.add(hash));
    }

    /// How many there are, or the limit.
    pub(crate) fn count(&self) -> usize {
        self.seen.len()
    }
}

impl fmt::Display for Distinct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.more { "≥ " } else { "" }, self.count())
    }
}

/// `{"count": 12}`, with `"atLeast": true` where there are more.
impl Serialize for Distinct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("count", &self.count())?;
        if self.more {
            out.serialize_entry("atLeast", &true)?;
        }
        out.end()
    }
}

/// What is counted is a hash already.
#[derive(Clone, Debug, Default)]
pub(crate) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(hashes: impl Iterator<Item = u64>) -> Distinct {
        let mut distinct = Distinct::default();
        hashes.for_each(|hash| distinct.add(hash));
        distinct
    }

    #[test]
    fn it_is_exact_up_to_the_limit_and_then_says_so() {
        let limit = LIMIT as u64;
        assert_eq!(of([1, 2, 1].into_iter()).to_string(), "2");
        assert_eq!(of((0..limit).chain(0..limit)).to_string(), "65536");
        assert_eq!(of(0..=limit).to_string(), "≥ 65536");
    }

    #[test]
    fn a_sum_is_the_same_however_it_was_divided() {
        let limit = LIMIT as u64;
        for all in [limit - 1, limit, limit + 1] {
            let whole = of(0..all).to_string();
            let mut parts = of((0..all).filter(|hash| hash % 3 == 0));
            parts.merge(of((0..all).filter(|hash| hash % 3 != 0)));
            assert_eq!(parts.to_string(), whole);
        }
    }
}
