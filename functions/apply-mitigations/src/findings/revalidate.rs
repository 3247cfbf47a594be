//! Right before its start each mitigation is decided on again, whatever its message says.
//!
//! A message is a request: it can be forged, and it can have waited for weeks outside of the windows, for room or on a
//! dead-letter queue, while a device became protected, left a group, or a rule was changed. So each finding is looked up
//! again with all that the policy asks for, and the policy of now decides as it would have at the audit. What it does
//! not mitigate with the same actions does not start, and neither does what is unknown. The hash of the policy that
//! decided is no shortcut: the message says it, and what stands behind a finding changes under the same policy, too.
//!
//! What is mitigated is read as well, so that it can be put back: what is not known does not start, and a resource that is
//! gone, or a policy that is full, is left out.
//!
//! It costs a call a finding (`DescribeAuditFinding`, 25 a second for the account), one or two for the state before, and
//! what the policy wants to know of things. `ListAuditFindings` would give 250 findings a call, but not these: a group of 25 can stand on any page, and
//! its 10 calls a second are what triage lives on.
//!
//! The past of a finding (first seen, times seen, first suppressed) is what only the message says: Device Defender gives
//! each audit's finding a new id, and the check's history is an object of all its findings, too large to read for each
//! task. A false past can have a rule of this policy take a finding earlier than its `olderThan` or `seenAtLeast` says,
//! with the actions of that rule, and nothing else: what is protected, gone, suppressed or of another audit stays out
//! whatever its past.

use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::impact::guard::Asked;
use fleetwarden_aws::impact::guard::DeviceGuard;
use fleetwarden_aws::registry::Registry;
use fleetwarden_aws::states::About;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Target;
use fleetwarden_core::model::mitigation::before::Befores;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::severity::Severity;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::DeviceLimits;
use fleetwarden_core::policy::Hold;
use fleetwarden_core::policy::InGroups;
use fleetwarden_core::policy::Outcome;
use fleetwarden_core::policy::Subject;
use fleetwarden_core::policy::used_by_many;
use fleetwarden_core::timestamp::Millis;

use super::Findings;
use super::describe::Described;
use super::describe::describe_finding;
use crate::admission::calendar;
use crate::before;
use crate::devices::NOT_COUNTED;
use crate::refusals::Unable;
use crate::work::Decided;
use crate::work::LeftOut;
use crate::work::Revalidated;
use crate::work::Why;
use crate::work::time_left;

/// Decides on a mitigation again.
///
/// # Errors
/// If a finding cannot be looked up.
pub(super) async fn revalidate(
    findings: &Findings,
    request: &MitigationRequest,
    deadline: Millis,
) -> Result<Revalidated<MitigationRequest>, Error> {
    let left = time_left(deadline, findings.clock.now());
    match tokio::time::timeout(left, Box::pin(decide(findings, request))).await {
        Ok(decided) => decided,
        Err(_) => Ok(Revalidated::Unknown("no time is left to decide on it again".to_owned())),
    }
}

async fn decide(
    findings: &Findings,
    request: &MitigationRequest,
) -> Result<Revalidated<MitigationRequest>, Error> {
    let hash = findings.policy.hash();
    let asked = match &request.target {
        Target::Findings(asked) => asked,
        Target::WholeCheck { .. } => {
            return Ok(Revalidated::Known(match findings.policy.takes_whole_check(&request.check) {
                Some((rule, mitigate)) if mitigate.actions == request.actions => {
                    held_by_another(findings, request, rule)?
                        .map_or_else(|| Decided::all(request), Decided::none)
                }
                _ => Decided::none(format!("policy {hash} does not mitigate the whole check in this way")),
            }));
        }
    };
    // What is not wanted needs no action.
    let mut changes = None;
    let mut befores = Befores::default();
    let registry = findings.registry.open();
    let mut guard = DeviceGuard::new(findings.registry.impacts());
    let (mut wanted, mut left_out, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut worst: Option<Severity> = None;
    let mut in_groups = InGroups::default();
    let budgets = || findings.policy.budgets_of(request.origin.rule(), &request.actions);
    for finding in asked.iter().filter(|finding| seen.insert(&finding.finding_id)) {
        let why = match unwanted(findings, request, finding, &registry).await? {
            Judged::Not(why) => Why::Changed(why),
            Judged::Wanted { resource, things, limits, severity, for_budgets } => {
                if changes.is_none() {
                    match before::judge(findings.states.changes(&request.actions).await) {
                        Ok(Ok(of_actions)) => changes = Some(of_actions),
                        Ok(Err(why)) => return Ok(Revalidated::Never(Unable::Action, why)),
                        Err(unread) => return Ok(unread.into()),
                    }
                }
                let changes = changes.get_or_insert_default();
                let (resource, things) = (resource.as_deref(), things.as_deref());
                let about = About { finding_id: &finding.finding_id, resource, things };
                let asked = before::judge_of(NOT_COUNTED, guard.ask(about, changes, limits).await);
                match asked {
                    Ok(Asked::Passes(known)) => {
                        let things = things.or(known.as_deref());
                        let about = About { things, ..about };
                        match before::judge(findings.states.read(&mut befores, about, changes).await) {
                            Ok(Ok(())) => {
                                worst = Some(worst.map_or(severity, |worst| worse(worst, severity)));
                                wanted.push(finding.clone());
                                in_groups.add(budgets(), &finding.finding_id, &for_budgets);
                                continue;
                            }
                            Ok(Err(why)) => Why::Changed(why),
                            Err(unread) => return Ok(unread.into()),
                        }
                    }
                    Ok(Asked::Over(why)) => Why::Devices(why),
                    Ok(Asked::NotSaid(why)) => return Ok(Revalidated::Never(Unable::Devices, why)),
                    Err(unread) => return Ok(unread.into()),
                }
            }
        };
        left_out.push(LeftOut { part: finding.clone(), why });
    }
    let (befores, in_groups) = (Some(befores), Some(in_groups));
    let (impact, guards) = guard.sum();
    if left_out.is_empty() {
        let severity = worst;
        return Ok(Revalidated::Known(Decided {
            befores,
            severity,
            impact,
            in_groups,
            guards,
            ..Decided::all(request)
        }));
    }
    let (count, of) = (left_out.len(), seen.len());
    let reasons: Vec<String> =
        left_out.iter().map(|out| format!("{}: {}", out.part.finding_id, out.why.text())).collect();
    let reason =
        format!("policy {hash} does not mitigate {count} of {of} in this way: {}", reasons.join("; "));
    let target = Some(wanted).filter(|wanted| !wanted.is_empty()).map(Target::Findings);
    let severity = worst;
    let decided =
        Decided { target, left_out, befores, severity, impact, in_groups, guards, ..Decided::none(reason) };
    Ok(Revalidated::Known(decided))
}

/// Whether a finding is to be mitigated.
enum Judged {
    /// As it was decided.
    Wanted {
        /// What it is about.
        resource: Option<Box<ResourceIdentifier>>,
        /// The things behind it, if the policy asked for them.
        things: Option<Vec<String>>,
        /// How bad it is.
        severity: Severity,
        /// How many devices its rule lets a mitigation concern.
        limits: DeviceLimits,
        /// The things behind it with their groups, if budgets of groups asked for them.
        for_budgets: Things,
    },
    /// Not, and why.
    Not(String),
}

/// Whether a finding is to be mitigated as it was decided.
async fn unwanted(
    findings: &Findings,
    request: &MitigationRequest,
    finding: &FindingRef,
    registry: &Registry,
) -> Result<Judged, Error> {
    let Some(past) = finding.past else { return Ok(Judged::Not("its past is not known".to_owned())) };
    let (found, at) = match describe_finding(&findings.iot, request, &finding.finding_id).await? {
        Described::Found(found, at) => (found, at),
        Described::Not(why) => return Ok(Judged::Not(why.to_owned())),
    };
    let subject = Subject {
        finding: &found,
        account: &findings.registry.account,
        region: &findings.registry.region,
        at: at.unwrap_or(request.audit.started_at),
        first_seen: past.first_seen,
        times_seen: past.times_seen,
        first_suppressed: past.first_suppressed,
        things: &Things::NotAsked,
    };
    let wants = |things: &Things| findings.policy.decide(&Subject { things, ..subject.clone() }).wanted;
    let things = registry.look_up(found.identifier(), wants).await;
    let subject = Subject { things: &things, ..subject.clone() };
    let decision = findings.policy.decide(&subject);
    let unknown = if let Things::Unknown { unknown } = &things { unknown } else { "it was not looked up" };
    let rule = decision.rule.unwrap_or_default();
    let mut limits = DeviceLimits::Default;
    let why = match (decision.held, decision.outcome) {
        (Some(Hold::ProtectedBy(protection)), _) => Some(format!("it is protected by {protection}")),
        (Some(Hold::ProtectionUnknown), _) => Some(format!("whether it is protected is unknown: {unknown}")),
        (Some(Hold::RuleUnknown(rule)), _) => Some(format!("rule {rule} cannot be evaluated: {unknown}")),
        (None, Outcome::Mitigate(mitigate)) if mitigate.actions == request.actions => {
            limits = mitigate.devices;
            held_by_another(findings, request, rule)?
        }
        (None, Outcome::Mitigate(_)) => Some(format!("rule {rule} mitigates it with other actions")),
        (None, Outcome::Suppressed) => Some("it is suppressed".to_owned()),
        (None, _) if rule.is_empty() => Some("no rule takes it".to_owned()),
        (None, outcome) => Some(format!("rule {rule} says {} now", outcome.word())),
    };
    if let Some(why) = why {
        return Ok(Judged::Not(why));
    }
    let for_budgets = things_for_budgets(findings, request, found.identifier(), registry).await;
    Ok(Judged::Wanted {
        things: names(&for_budgets).or_else(|| names(&things)),
        resource: found.identifier().cloned().map(Box::new),
        limits,
        severity: found.severity,
        for_budgets,
    })
}

/// The things behind a finding with their groups, as far as budgets of groups ask for them and somebody can know. What the
/// policy has asked for is not asked again.
async fn things_for_budgets(
    findings: &Findings,
    request: &MitigationRequest,
    resource: Option<&ResourceIdentifier>,
    registry: &Registry,
) -> Things {
    let wants =
        |things: &Things| findings.policy.budgets_want(request.origin.rule(), &request.actions, things);
    if wants(&Things::NotAsked).is_nothing() || used_by_many(resource) {
        return Things::NotAsked;
    }
    registry.look_up(resource, wants).await
}

/// Why the rule that mitigates it now holds it, if it is another one than the message says: the guards of that one are asked, and
/// this one may have windows, an approval, a canary or a budget of its own.
fn held_by_another(
    findings: &Findings,
    request: &MitigationRequest,
    rule: &str,
) -> Result<Option<String>, Error> {
    if request.origin.rule() == Some(rule) {
        return Ok(None);
    }
    let policy = &findings.policy;
    let calendar = calendar(policy, Some(rule), &request.actions)?;
    if let Some(closed) = calendar.and_then(|calendar| calendar.closed(findings.clock.now())) {
        return Ok(Some(format!("rule {rule} mitigates it now, and it is {}", closed.reason)));
    }
    let guards = [
        ("an approval", policy.approval_of(Some(rule)).is_some()),
        ("a canary", policy.canary_of(rule).is_some()),
        ("a budget", policy.budgets().iter().any(|budget| budget.rules.iter().any(|of| of == rule))),
    ];
    let own = guards.into_iter().find(|(_, has)| *has);
    Ok(own.map(|(guard, _)| format!("rule {rule} mitigates it now, and has {guard} of its own")))
}

/// The worse of two severities. One that is not known is worse than any.
fn worse(one: Severity, other: Severity) -> Severity {
    if one == Severity::Unknown || other == Severity::Unknown { Severity::Unknown } else { one.min(other) }
}

/// The names of things, if they are known.
fn names(things: &Things) -> Option<Vec<String>> {
    match things {
        Things::Known(known) => Some(known.iter().map(|thing| thing.name.clone()).collect()),
        Things::Unknown { .. } | Things::NotAsked => None,
    }
}
