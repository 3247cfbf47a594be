//! From the ledger's item of a task to the answer. Pure.

use std::collections::BTreeMap;

use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::Target;
use fleetwarden_core::message::alarm::ViolationRef;
use fleetwarden_core::model::mitigation::Outcomes;
use fleetwarden_core::model::mitigation::view::CheckTask;
use fleetwarden_core::model::mitigation::view::Finding;
use fleetwarden_core::model::mitigation::view::Task;
use fleetwarden_core::model::mitigation::view::Violation;

/// A task as it is answered.
pub(crate) fn task(item: &Item) -> Task {
    let text = |name| item.get_text(name).map(ToOwned::to_owned);
    let is_of_alarms = item.get_text(attribute::PROFILE).is_some();
    let count = if is_of_alarms {
        Some(violations(item).len() as u64)
    } else {
        item.get_number(attribute::FINDINGS).and_then(|count| u64::try_from(count).ok())
    };
    let checks = if is_of_alarms { BTreeMap::new() } else { checks(item) };
    let outcomes = checks.values().filter_map(|check| check.outcomes).reduce(plus);
    Task {
        task_id: text(attribute::TASK_ID).unwrap_or_default(),
        state: text(attribute::STATE).unwrap_or_default(),
        reason: text(attribute::REASON),
        origin: text(attribute::ORIGIN),
        rule: text(attribute::RULE),
        audit_task_id: text(attribute::AUDIT_TASK_ID),
        checks,
        profile: text(attribute::PROFILE),
        behavior: text(attribute::BEHAVIOR),
        actions: if is_of_alarms {
            item.get_json(attribute::ACTIONS).unwrap_or_default()
        } else {
            Vec::new()
        },
        release_after_seconds: item.get_number(attribute::RELEASE_AFTER),
        count,
        left_out: item.get_number(attribute::LEFT_OUT).and_then(|count| u64::try_from(count).ok()),
        outcomes,
        grades: item.get_json(attribute::GRADES).unwrap_or_default(),
        guards: item.get_json(attribute::GUARDS).unwrap_or_default(),
        canary: None,
        impact: item.get_json(attribute::IMPACT),
        decided_at: text(attribute::DECIDED_AT),
        held_until: text(attribute::UNTIL),
        started_at: text(attribute::STARTED_AT),
        ended_at: text(attribute::ENDED_AT),
    }
}

/// What a task does, by check.
fn checks(item: &Item) -> BTreeMap<String, CheckTask> {
    let mut actions: BTreeMap<String, Vec<String>> = item.get_json(attribute::ACTIONS).unwrap_or_default();
    let outcomes: BTreeMap<String, Outcomes> = item.get_json(attribute::STATISTICS).unwrap_or_default();
    let check = |(name, target): (String, Target)| {
        let count = target.count();
        let actions = actions.remove(&name).unwrap_or_default();
        let outcomes = outcomes.get(&name).copied();
        let (whole_check, reason_codes) = match target {
            Target::WholeCheck { reason_codes, .. } => (true, reason_codes),
            Target::Findings(_) => (false, Vec::new()),
        };
        (name, CheckTask { actions, whole_check, reason_codes, count, outcomes })
    };
    targets(item).into_iter().map(check).collect()
}

/// The findings that a task names, in the state of the task: nothing else is known of them yet.
pub(crate) fn named_findings(item: &Item, state: &str) -> Vec<Finding> {
    let of_check = |(check, target): (String, Target)| {
        let findings = match target {
            Target::Findings(findings) => findings,
            Target::WholeCheck { .. } => Vec::new(),
        };
        findings.into_iter().map(move |FindingRef { finding_id, key, .. }| Finding {
            finding_id,
            finding_key: Some(key.to_string()),
            check: Some(check.clone()),
            state: state.to_owned(),
            ..Finding::default()
        })
    };
    targets(item).into_iter().flat_map(of_check).collect()
}

/// The violations that a task names, in the state of the task.
pub(crate) fn named_violations(item: &Item, state: &str) -> Vec<Violation> {
    let named = |ViolationRef { violation_id, thing, raised_at }| Violation {
        violation_id,
        thing,
        raised_at: Some(raised_at.rfc3339()),
        state: state.to_owned(),
        ..Violation::default()
    };
    violations(item).into_iter().map(named).collect()
}

fn targets(item: &Item) -> BTreeMap<String, Target> {
    item.get_json(attribute::TARGET).unwrap_or_default()
}

fn violations(item: &Item) -> Vec<ViolationRef> {
    item.get_json(attribute::VIOLATIONS).unwrap_or_default()
}

const fn plus(one: Outcomes, other: Outcomes) -> Outcomes {
    Outcomes {
        total: one.total.saturating_add(other.total),
        succeeded: one.succeeded.saturating_add(other.succeeded),
        failed: one.failed.saturating_add(other.failed),
        skipped: one.skipped.saturating_add(other.skipped),
        canceled: one.canceled.saturating_add(other.canceled),
    }
}
