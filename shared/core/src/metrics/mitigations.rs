//! What Device Defender has confirmed of the mitigations of a check in one audit, and what the next audit says of them.

use serde_json::Value;

use super::Dimensions;
use super::Metric;
use super::Record;
use super::check::of_audit;
use super::line;
use crate::ids::CheckName;
use crate::message::Audit;
use crate::timestamp::Millis;

/// The mitigated findings of a check: a gauge of the audit, stamped with its start.
#[derive(Clone, Copy, Debug)]
pub struct Mitigations<'a> {
    /// The audit that found them.
    pub audit: &'a Audit,
    /// The check.
    pub check: &'a CheckName,
    /// On how many findings every action succeeded.
    pub succeeded: u64,
    /// On how many not.
    pub failed: u64,
}

impl Mitigations<'_> {
    /// The metric line.
    pub fn line(&self) -> String {
        let Self { audit, check, succeeded, failed } = *self;
        let counts = [Metric::count("Mitigated", succeeded), Metric::count("MitigateFailed", failed)];
        line(&OfFindings { audit, check, counts })
    }
}

/// What an audit says of the findings of a check that were mitigated before it: a gauge of the audit, stamped with its
/// start.
#[derive(Clone, Copy, Debug)]
pub struct Verification<'a> {
    /// The audit that has looked.
    pub audit: &'a Audit,
    /// The check.
    pub check: &'a CheckName,
    /// How many are gone.
    pub verified: u64,
    /// How many are still there.
    pub not_verified: u64,
}

impl Verification<'_> {
    /// The metric line.
    pub fn line(&self) -> String {
        let Self { audit, check, verified, not_verified } = *self;
        let counts = [
            Metric::count("MitigationVerified", verified),
            Metric::count("MitigationNotVerified", not_verified),
        ];
        line(&OfFindings { audit, check, counts })
    }
}

/// Two counts of findings of a check, stamped with the start of an audit.
struct OfFindings<'a> {
    audit: &'a Audit,
    check: &'a CheckName,
    counts: [Metric; 2],
}

impl Record for OfFindings<'_> {
    fn at(&self) -> Millis {
        self.audit.started_at
    }

    fn metrics(&self) -> Vec<Metric> {
        self.counts.to_vec()
    }

    fn dimensions(&self) -> Dimensions<'_> {
        Dimensions::by([("Check", self.check.as_str())])
    }

    fn properties(&self) -> Vec<(&'static str, Value)> {
        of_audit(self.audit)
    }
}
