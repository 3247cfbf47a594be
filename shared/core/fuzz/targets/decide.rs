//! Whatever the policy and the finding, deciding ends, says the same twice, and never acts on what is suppressed or
//! has no resource. The input is a policy file, a NUL, and a finding record.
#![no_main]

use fleetwarden_core::message::record::RecordedFinding;
use fleetwarden_core::policy::{Outcome, Policy};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (Some(policy), Some(record)) = (parts.next(), parts.next()) else { return };
    let Ok(policy) = Policy::parse(policy) else { return };
    let Ok(record) = serde_json::from_slice::<RecordedFinding>(record) else { return };
    let subject = record.subject();
    let decision = policy.decide(&subject);
    let acts = matches!(decision.outcome, Outcome::Suppress(_) | Outcome::Mitigate(_));
    assert!(!acts || record.finding.identifier().is_some());
    assert_eq!(record.finding.suppressed, decision.outcome == Outcome::Suppressed);
    let written = serde_json::to_string(&decision);
    assert_eq!(written.ok(), serde_json::to_string(&policy.decide(&subject)).ok());
});
