//! The canary of a rule: of what it mitigates of a check in an audit, the first few go alone, and the rest only if nothing
//! happens to them. The ledger says which task goes first ([`fleetwarden_aws::mitigations::Canary`]); here is whose turn it
//! is, and which findings go first. What happens to them is seen in [`watch`](crate::watch).
//!
//! Triage sends the findings with the lowest risk as one request, and all others as the rest. That is a wish: a request
//! that says nothing of a canary, because another policy decided, takes the place that is free.
//!
//! Which goes first of those ([`order`]), and which devices behind them are connected ([`connections`]), is asked right before
//! the claim.

mod connections;
mod order;

use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::mitigations::Canary;
use fleetwarden_aws::mitigations::ConnectedThings;
use fleetwarden_aws::mitigations::Stage;
use fleetwarden_aws::mitigations::Stop;
use fleetwarden_core::message::CanaryPart;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Step;
use fleetwarden_core::message::Target;
use fleetwarden_core::policy;
use fleetwarden_core::policy::StopIf;
use fleetwarden_core::timestamp::Millis;

pub(crate) use self::connections::lost;
use crate::backoff::PATIENCE_SECONDS;
use crate::findings::Findings;
use crate::work::Decided;
use crate::work::Turn;
use crate::work::time_left;

/// What a request has to do now because of its rule's canary. `waits_since` is since when it waits for that, if it does.
pub(crate) async fn turn(
    findings: &Findings,
    request: &MitigationRequest,
    waits_since: Option<Millis>,
) -> Result<Turn, Error> {
    let Some(canary) = of(findings, request) else { return Ok(Turn::Free) };
    let Findings { mitigations, clock, .. } = findings;
    let own = request.task_id();
    let a_day_ago = clock.now().plus_seconds(-PATIENCE_SECONDS);
    let mut known = mitigations.canary(request).await?;
    if let Some(running) =
        known.as_ref().filter(|known| known.stage == Stage::Running && known.task_id != own)
        && mitigations.never_starts(running, a_day_ago).await?
    {
        let void = Canary { stage: Stage::Void, ..running.clone() };
        known = Some(mitigations.change_canary(request, running, void, clock.now()).await?);
    }
    let of = match (request.canary, &known) {
        (Some(CanaryPart::First { of }), _) => of,
        (_, Some(known)) => known.of.max(request.count()),
        (_, None) => request.count(),
    };
    let is_free = match &known {
        // The message of those that are to go first may have been lost, or never sent.
        None => {
            request.canary != Some(CanaryPart::Rest) || waits_since.is_some_and(|since| since <= a_day_ago)
        }
        Some(known) => known.stage == Stage::Void,
    };
    if is_free {
        known = Some(mitigations.take_canary(request, of, known.as_ref(), clock.now()).await?);
    }
    Ok(match known {
        Some(known) => match known.stage {
            Stage::Running if known.task_id == own => {
                Turn::First { of, most: canary.count(of), first: known.first }
            }
            Stage::Running | Stage::Void => Turn::Wait(Stop::Canary(Some(known))),
            Stage::Passed => Turn::Rest,
            Stage::Stopped if known.task_id == own => Turn::Free,
            Stage::Stopped => Turn::Stopped(known.why()),
        },
        None => Turn::Wait(Stop::Canary(None)),
    })
}

/// Gives the place away of a task that has nothing to mitigate.
pub(crate) async fn leave(findings: &Findings, request: &MitigationRequest) -> Result<(), Error> {
    if of(findings, request).is_none() {
        return Ok(());
    }
    let Some(known) = findings.mitigations.canary(request).await? else { return Ok(()) };
    if known.stage == Stage::Running && known.task_id == request.task_id() {
        let void = Canary { stage: Stage::Void, ..known.clone() };
        findings.mitigations.change_canary(request, &known, void, findings.clock.now()).await?;
    }
    Ok(())
}

/// The message by which a task that goes first is watched.
pub(crate) async fn watch(
    findings: &Findings,
    request: &MitigationRequest,
) -> Result<Option<MitigationMessage>, Error> {
    if of(findings, request).is_none() {
        return Ok(None);
    }
    let known = findings.mitigations.canary(request).await?;
    let is_own =
        known.is_some_and(|known| known.task_id == request.task_id() && known.stage == Stage::Running);
    Ok(is_own.then(|| MitigationMessage::new(request.clone(), Step::Watch)))
}

/// What a request would do because of its rule's canary, in the mode that only observes. The first ones are named as triage
/// has ordered them.
pub(crate) fn would(findings: &Findings, request: &MitigationRequest) -> Option<String> {
    let canary = of(findings, request)?;
    let watched = policy::lasting(canary.watch_seconds.saturating_mul(1000));
    Some(match (request.canary, &request.target) {
        (Some(CanaryPart::First { of }), Target::Findings(all)) => {
            let most = canary.count(of);
            let first: Vec<&str> = all.iter().take(most).map(|finding| finding.finding_id.as_str()).collect();
            format!(
                "{} of {of} would go first as the canary and be watched for {watched}, those with the lowest severity, unless \
                 their devices are connected: {}; the rest would wait for that",
                first.len(),
                first.join(", ")
            )
        }
        _ => format!("would wait until the canary of its rule was watched for {watched}"),
    })
}

/// The canary of a request's rule in the policy of now.
fn of<'f>(findings: &'f Findings, request: &MitigationRequest) -> Option<&'f policy::Canary> {
    findings.policy.canary_of(request.origin.rule()?)
}

/// How many of the findings of a request go at once.
pub(crate) fn at_once(findings: &Findings, request: &MitigationRequest) -> u64 {
    let count = request.count();
    match (of(findings, request), request.canary) {
        (Some(canary), Some(CanaryPart::First { of })) => count.min(canary.count(of) as u64),
        _ => count,
    }
}

/// Divides what is to be mitigated: what goes first, those before the others whose devices are not connected, and requests
/// for the rest, which are new and no larger than a task may be.
pub(crate) async fn divide(
    findings: &Findings,
    request: &MitigationRequest,
    decided: Decided<MitigationRequest>,
    (most, first): (usize, &[String]),
    deadline: Millis,
) -> (Decided<MitigationRequest>, Vec<MitigationRequest>) {
    let decided = match decided.target {
        Some(Target::Findings(wanted)) if first.is_empty() && wanted.len() > most => {
            let parts: BTreeSet<String> = wanted.iter().map(|finding| finding.finding_id.clone()).collect();
            let befores = decided.befores.as_ref().map(|befores| befores.of(&parts)).unwrap_or_default();
            let first = if watches_connections(findings, request) {
                order::Goes::Connected
            } else {
                order::Goes::NotConnected
            };
            let wanted = order::by_connection(findings, request, (wanted, first), &befores, deadline).await;
            Decided { target: Some(Target::Findings(wanted)), ..decided }
        }
        _ => decided,
    };
    let of_a_task =
        findings.policy.most_of_a_task(request.origin.rule().unwrap_or_default(), &request.actions);
    split(request, decided, (most, first), of_a_task)
}

/// Whether the loss of a connection stops the rest.
fn watches_connections(findings: &Findings, request: &MitigationRequest) -> bool {
    of(findings, request).is_some_and(|canary| canary.stop_if.contains(&StopIf::Disconnected))
}

/// The things behind what goes first that are connected, if their loss stops the rest. An answer that does not come is an
/// error: then nothing starts.
pub(crate) async fn watched(
    findings: &Findings,
    request: &MitigationRequest,
    decided: &Decided<MitigationRequest>,
    deadline: Millis,
) -> Result<Option<ConnectedThings>, Error> {
    let (true, Some(Target::Findings(first))) = (watches_connections(findings, request), &decided.target)
    else {
        return Ok(None);
    };
    let parts: BTreeSet<String> = first.iter().map(|finding| finding.finding_id.clone()).collect();
    let befores = decided.befores.as_ref().map(|befores| befores.of(&parts)).unwrap_or_default();
    let asked = connections::connected(findings, request, &parts, &befores);
    let left = time_left(deadline, findings.clock.now());
    let asked = tokio::time::timeout(left, Box::pin(asked)).await;
    asked.unwrap_or_else(|_| Err(Error::Later("the time was up".to_owned())))
}

/// Splits what is to be mitigated as it is ordered. `first` are the findings that an earlier try has chosen: then the rest
/// is on its way.
fn split(
    request: &MitigationRequest,
    decided: Decided<MitigationRequest>,
    (most, first): (usize, &[String]),
    of_a_task: usize,
) -> (Decided<MitigationRequest>, Vec<MitigationRequest>) {
    let Some(Target::Findings(wanted)) = &decided.target else { return (decided, Vec::new()) };
    let mut own: Vec<FindingRef> = wanted
        .iter()
        .filter(|finding| first.is_empty() || first.contains(&finding.finding_id))
        .cloned()
        .collect();
    let mut others = own.split_off(own.len().min(most));
    if !first.is_empty() {
        others.clear();
    }
    let rest = others.chunks(of_a_task.max(1)).map(|others| MitigationRequest {
        target: Target::Findings(others.to_vec()),
        canary: Some(CanaryPart::Rest),
        ..request.clone()
    });
    let rest = rest.collect();
    let target = Some(own).filter(|own| !own.is_empty()).map(Target::Findings);
    (Decided { target, ..decided }, rest)
}

#[cfg(test)]
mod tests {
    use fleetwarden_core::model::finding::FindingKey;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn request(ids: &[String]) -> MitigationRequest {
        let finding =
            |id: &String| FindingRef { finding_id: id.clone(), key: FindingKey([0; 16]), past: None };
        let target = Target::Findings(ids.iter().map(finding).collect());
        let audit = json!({"account": "123456789012", "region": "us-east-1", "taskId": "t", "startedAt": 1});
        serde_json::from_value(json!({
            "audit": audit, "check": "LOGGING_DISABLED_CHECK", "rule": "r", "mode": "enforce", "actions": ["A"],
            "target": target, "canary": {"first": {"of": ids.len()}},
        }))
        .unwrap()
    }

    fn ids(target: Option<&Target>) -> Vec<String> {
        match target {
            Some(Target::Findings(findings)) => findings.iter().map(|f| f.finding_id.clone()).collect(),
            _ => Vec::new(),
        }
    }

    proptest! {
        /// Each finding that is wanted is in one part, the first are the first of the request, and never more than may be. A
        /// retry after the claim goes on with what was chosen, whatever it may be by now, and sends no rest.
        #[test]
        fn each_finding_is_in_one_part(
            count in 1_usize..26, most in 1_usize..26, size in 1_usize..26,
            gone in proptest::collection::btree_set(0_usize..25, 0..25),
        ) {
            let all: Vec<String> = (0..count).map(|n| format!("f-{n:02}")).collect();
            let request = request(&all);
            let (first, rest) = split(&request, Decided::all(&request), (most, &[]), size);
            let own = ids(first.target.as_ref());
            let others: Vec<String> = rest.iter().flat_map(|rest| ids(Some(&rest.target))).collect();
            prop_assert_eq!(own.len(), most.min(count));
            prop_assert_eq!([own.clone(), others].concat(), all.clone());
            for rest in &rest {
                prop_assert!(rest.canary == Some(CanaryPart::Rest) && rest.task_id() != request.task_id());
                prop_assert!((1..=size).contains(&ids(Some(&rest.target)).len()));
            }
            let left: Vec<FindingRef> = match &request.target {
                Target::Findings(all) => {
                    all.iter().enumerate().filter(|(at, _)| !gone.contains(at)).map(|(_, f)| f.clone()).collect()
                }
                Target::WholeCheck { .. } => Vec::new(),
            };
            let target = Some(left).filter(|left| !left.is_empty()).map(Target::Findings);
            let (again, rest) = split(&request, Decided { target, ..Decided::all(&request) }, (most, &own), size);
            let again: BTreeSet<String> = ids(again.target.as_ref()).into_iter().collect();
            prop_assert!(rest.is_empty() && again.is_subset(&own.into_iter().collect()));
        }
    }
}
