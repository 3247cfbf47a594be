//! Findings: their ids, and how their times are written.
//!
//! A finding's id is sealed from its audit, check and position, so it is new at each audit (as AWS's are) and
//! finding it again needs no index.

use serde_json::{Value, json};

use crate::checks::Check;
use crate::clock::seconds;
use crate::random::{Cipher, domain};

const MAGIC: u64 = 0xf1_4d;

/// Which finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Finding {
    pub(crate) audit: u32,
    pub(crate) check: Check,
    pub(crate) position: u32,
}

impl Finding {
    /// Its id: 32 hexadecimal digits.
    pub(crate) fn id(self, seed: u64) -> String {
        let low = (MAGIC << 8) | u64::from(self.check.number());
        Cipher::new(seed, domain::FINDING).seal((u64::from(self.audit) << 32) | u64::from(self.position), low)
    }

    /// The finding with an id, if it is one of this endpoint's. Whether it still exists is another matter.
    pub(crate) fn from_id(seed: u64, id: &str) -> Option<Self> {
        let (high, low) = Cipher::new(seed, domain::FINDING).open(id)?;
        if low >> 8 != MAGIC {
            return None;
        }
        Some(Self {
            audit: u32::try_from(high >> 32).ok()?,
            check: Check::numbered(u8::try_from(low & 0xff).ok()?)?,
            position: u32::try_from(high & 0xffff_ffff).ok()?,
        })
    }
}

/// How times are written: seconds in the API, milliseconds in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    Seconds,
    Millis,
}

impl Times {
    pub(crate) fn write(self, epoch_ms: i64) -> Value {
        match self {
            Self::Seconds => json!(seconds(epoch_ms)),
            Self::Millis => json!(epoch_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_leads_back(seed: u64, audit: u32, number in 0_u8..17, position: u32) {
            let finding = Finding { audit, check: Check::numbered(number).unwrap(), position };
            prop_assert_eq!(Finding::from_id(seed, &finding.id(seed)), Some(finding));
        }

        #[test]
        fn other_ids_lead_nowhere(id in "[0-9a-f]{32}") {
            prop_assert_eq!(Finding::from_id(1, &id), None);
        }
    }
}
