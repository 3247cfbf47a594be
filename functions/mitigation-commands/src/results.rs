//! From the ledger's items of an ended task to what became of its findings and violations. Pure.

use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_core::model::mitigation::verification::Verdict;
use fleetwarden_core::model::mitigation::view::Finding;
use fleetwarden_core::model::mitigation::view::Violation;
use fleetwarden_core::timestamp::Millis;

/// What became of a finding.
pub(crate) fn finding(item: &Item) -> Finding {
    let text = |name| item.get_text(name).map(ToOwned::to_owned);
    Finding {
        finding_id: text(attribute::FINDING_ID).unwrap_or_default(),
        finding_key: text(attribute::FINDING_KEY),
        check: text(attribute::CHECK),
        state: text(attribute::STATE).unwrap_or_default(),
        verdict: item.get_text(attribute::VERDICT).and_then(Verdict::of),
        resource: item.get_json(attribute::RESOURCE),
        things: item.get_json(attribute::THINGS).unwrap_or_default(),
        actions: item.get_json(attribute::ACTIONS).unwrap_or_default(),
    }
}

/// What became of a violation, without its release.
pub(crate) fn violation(item: &Item) -> Violation {
    let text = |name| item.get_text(name).map(ToOwned::to_owned);
    Violation {
        violation_id: text(attribute::VIOLATION_ID).unwrap_or_default(),
        thing: text(attribute::THING).unwrap_or_default(),
        raised_at: item.get_number(attribute::RAISED_AT).map(|at| Millis(at).rfc3339()),
        state: text(attribute::STATE).unwrap_or_default(),
        actions: item.get_json(attribute::ACTIONS).unwrap_or_default(),
        groups: item.get_json(attribute::GROUPS).unwrap_or_default(),
        release: None,
    }
}

/// Whether everything succeeded.
pub(crate) fn is_good(item: &Item) -> bool {
    item.get_text(attribute::STATE) == Some("completed")
}
