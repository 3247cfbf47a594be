//! What a review answers, and logs: nobody reads the answer to a schedule. Pure, but for the log line.

use std::collections::BTreeMap;

use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Standing;
use serde_json::Value;
use serde_json::json;

use crate::drift::Drift;
use crate::state::StandingStatus;
use crate::state::State;
use crate::summary::Summary;

/// How many entries of each list an answer has.
const ANSWERED: usize = 1_000;

/// Logs the end of a review.
pub(crate) fn log(policy: &Policy, state: &State, summary: &Summary, alerts: usize) {
    tracing::info!(
        slot = state.slot,
        suppressions = summary.debt.suppressions,
        standing = json!(standing(policy, state)).to_string(),
        gone_from_policy = state.orphans,
        reconciler = state.reconciler,
        alerts,
        "a review ended"
    );
}

/// The answer of a review that has ended.
pub(crate) fn answer(policy: &Policy, state: &State, summary: &Summary, alerts: usize) -> Value {
    let drift: Vec<&Drift> = state.drift.iter().flatten().chain(&state.modified).collect();
    json!({
        "slot": state.slot,
        "dryRun": state.dry_run,
        "mode": policy.mode(),
        "keptBy": state.reconciler,
        "pages": {"suppressions": state.listing.pages, "findings": state.hidden.pages},
        "standing": standing(policy, state),
        "goneFromPolicy": state.orphans,
        "debt": summary.debt,
        "makers": first(&summary.tallies),
        "ending": first(&summary.ending),
        "ended": first(&summary.ended),
        "drift": first(&drift),
        "gaps": state.gaps,
        "alerts": alerts,
    })
}

/// As much of a list as an answer has room for.
fn first<T>(all: &[T]) -> &[T] {
    all.get(..ANSWERED).unwrap_or(all)
}

fn standing<'p>(policy: &'p Policy, state: &State) -> BTreeMap<&'p str, Value> {
    let statuses = policy.standing().iter().zip(&state.standing);
    statuses.map(|(standing, status)| (standing.name(), status_of(standing, status))).collect()
}

/// The status of a standing suppression, without what is empty.
fn status_of(standing: &Standing, status: &StandingStatus) -> Value {
    let mut value = serde_json::to_value(status).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, value| !value.is_null() && *value != Value::Bool(false) && *value != json!({}));
        if !standing.is_live() {
            members.insert("stage".into(), "shadow".into());
        }
    }
    value
}
