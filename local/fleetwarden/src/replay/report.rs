//! The result of a replay, as tools read it and as the tables are made from it.

use super::alarms::{AlarmReplay, AlarmTally};
use super::changes::Side;
use super::damage::Damage;
use super::disposition::{Change, Disposition};
use super::distinct::Distinct;
use super::guards::{GuardReport, GuardTally};
use super::tally::{AlarmCounts, AuditTally, Counts, PolicyTally, RuleTally};
use super::{Plan, Replay};
use fleetwarden_core::model::finding::FindingKey;
use fleetwarden_core::model::severity::Severity;
use fleetwarden_core::policy::{AlarmRule, Mode, Policy, Rule};
use serde::Serialize;

/// The result of a replay.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report<'p> {
    /// What was replayed, as it was given.
    pub(crate) archive: String,
    pub(crate) objects: u64,
    pub(crate) findings: u64,
    pub(crate) policy: PolicyReport<'p>,
    /// By audit, under this policy, the earliest first.
    pub(crate) audits: Vec<AuditTally>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) against: Option<Against<'p>>,
    /// What the rules on alarms did; none if the archive has none of these days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) alarms: Option<AlarmReport<'p>>,
    pub(crate) damage: Damage,
}

/// Alarms, and what a policy did with them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AlarmReport<'p> {
    /// How many were decided on.
    pub(crate) alarms: u64,
    /// How many joined an incident: no rule is asked about them.
    pub(crate) in_incidents: u64,
    pub(crate) totals: AlarmCounts,
    /// By the day on which they began, the earliest first.
    pub(crate) days: Vec<DayReport>,
    /// In the policy's order; at the end what no rule took.
    pub(crate) rules: Vec<AlarmRuleReport<'p>>,
    /// The rules that took nothing.
    pub(crate) took_nothing: Vec<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) against: Option<AlarmsAgainst<'p>>,
}

/// The alarms that began on a day, in UTC.
#[derive(Debug, Serialize)]
pub(crate) struct DayReport {
    pub(crate) day: String,
    #[serde(flatten)]
    pub(crate) counts: AlarmCounts,
}

/// A rule on alarms and what it took.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AlarmRuleReport<'p> {
    /// None for what no rule decided.
    pub(crate) rule: Option<&'p str>,
    /// What it means to do.
    pub(crate) does: Disposition,
    /// Whether it decides, or is in shadow.
    pub(crate) live: bool,
    #[serde(flatten)]
    pub(crate) counts: AlarmCounts,
}

/// What changes to another policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AlarmsAgainst<'p> {
    pub(crate) totals: AlarmCounts,
    /// How many alarms change.
    pub(crate) changed: u64,
    /// How many need a lookup under both policies, so that nobody can say whether they change.
    pub(crate) not_comparable: u64,
    /// Every way in which alarms change: for pipelines that fail on one.
    pub(crate) kinds: Vec<Change>,
    /// By behavior and pair of rules, the most consequential first.
    pub(crate) by_behavior: Vec<BehaviorChange<'p>>,
}

/// Alarms of one behavior that change in the same way.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BehaviorChange<'p> {
    pub(crate) change: Change,
    pub(crate) profile: String,
    pub(crate) behavior: String,
    pub(crate) from: Decided<'p>,
    pub(crate) to: Decided<'p>,
    pub(crate) alarms: u64,
    /// Different devices.
    pub(crate) devices: Distinct,
    /// The device of the last one.
    pub(crate) thing: Option<String>,
    /// When that began.
    pub(crate) raised_at: String,
}

/// A policy and what it did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PolicyReport<'p> {
    pub(crate) file: String,
    pub(crate) hash: &'p str,
    pub(crate) mode: Mode,
    pub(crate) totals: Counts,
    /// In the policy's order; at the end what no rule took, and what Device Defender had suppressed.
    pub(crate) rules: Vec<RuleReport<'p>>,
    /// The rules that took nothing.
    pub(crate) took_nothing: Vec<&'p str>,
    /// What budgets and approvals would have held of the findings and alarms that it mitigates.
    pub(crate) guards: GuardReport<'p>,
}

/// A rule and what it took.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RuleReport<'p> {
    /// None for what no rule decided.
    pub(crate) rule: Option<&'p str>,
    /// What it means to do.
    pub(crate) does: Disposition,
    /// Whether it decides, or is in shadow.
    pub(crate) live: bool,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// Different findings.
    pub(crate) distinct: Distinct,
}

/// Another policy, and what changes to it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Against<'p> {
    pub(crate) policy: PolicyReport<'p>,
    /// How many findings change.
    pub(crate) changed: u64,
    /// How many need a lookup under both policies, so that nobody can say whether they change.
    pub(crate) not_comparable: u64,
    /// By pair of rules, the most consequential first.
    pub(crate) by_rule: Vec<RuleChange<'p>>,
    /// The most consequential.
    pub(crate) by_finding: Vec<FindingChange<'p>>,
}

/// What a policy makes of a finding.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Decided<'p> {
    pub(crate) rule: Option<&'p str>,
    pub(crate) disposition: Disposition,
}

/// Findings that change in the same way.
#[derive(Debug, Serialize)]
pub(crate) struct RuleChange<'p> {
    pub(crate) change: Change,
    pub(crate) from: Decided<'p>,
    pub(crate) to: Decided<'p>,
    pub(crate) findings: u64,
    /// Different findings.
    pub(crate) distinct: Distinct,
    /// Different resources.
    pub(crate) resources: Distinct,
}

/// A finding that changes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FindingChange<'p> {
    pub(crate) change: Change,
    pub(crate) severity: Severity,
    pub(crate) check: String,
    pub(crate) resource: String,
    pub(crate) reason_code: Option<String>,
    pub(crate) key: FindingKey,
    pub(crate) from: Decided<'p>,
    pub(crate) to: Decided<'p>,
    /// In how many audits it changes so.
    pub(crate) findings: u64,
    /// The last of these.
    pub(crate) task_id: String,
    /// When that began.
    pub(crate) audit_started_at: String,
}

impl<'p> Report<'p> {
    /// The report of a replay of `archive` through the policy files of these names.
    pub(crate) fn new(replay: Replay<'p>, archive: String, file: String, other_file: Option<String>) -> Self {
        let Replay { plan, objects, findings, audits, mut tally, other, mut alarms, damage } = replay;
        // Budgets count both.
        tally.guards.merge(std::mem::replace(&mut alarms.tally.guards, GuardTally::new(plan.policy)));
        let policy = PolicyReport::new(plan, plan.policy, &tally, file);
        let against = plan.against.zip(other).map(|(other, (mut tally, changes))| {
            if let Some((of_alarms, _)) = &mut alarms.other {
                tally.guards.merge(std::mem::replace(&mut of_alarms.guards, GuardTally::new(other)));
            }
            let policy = PolicyReport::new(plan, other, &tally, other_file.unwrap_or_default());
            let decided = |policy: &'p Policy, side: Side| Decided {
                rule: policy.rules().get(side.rule).map(Rule::name),
                disposition: side.disposition,
            };
            let Plan { policy: first, .. } = plan;
            let by_rule = changes.sorted().into_iter().map(|(pair, tally)| RuleChange {
                change: pair.change,
                from: decided(first, pair.from),
                to: decided(other, pair.to),
                findings: tally.findings,
                distinct: tally.distinct.clone(),
                resources: tally.resources.clone(),
            });
            let by_finding = changes.named().into_iter().map(|(changed, example)| FindingChange {
                change: changed.change,
                severity: changed.severity,
                check: example.check.clone(),
                resource: example.resource.clone(),
                reason_code: example.reason_code.clone(),
                key: changed.key,
                from: decided(first, changed.from),
                to: decided(other, changed.to),
                findings: example.findings,
                task_id: example.task_id.clone(),
                audit_started_at: example.last_audit.rfc3339(),
            });
            Against {
                policy,
                changed: changes.pairs.values().map(|tally| tally.findings).sum(),
                not_comparable: changes.unknown,
                by_rule: by_rule.collect(),
                by_finding: by_finding.collect(),
            }
        });
        let alarms = AlarmReport::new(plan, &alarms);
        Self { archive, objects, findings, policy, audits: audits.into_sorted(), against, alarms, damage }
    }
}

impl<'p> PolicyReport<'p> {
    fn new(plan: Plan<'_>, policy: &'p Policy, tally: &PolicyTally<'p>, file: String) -> Self {
        let of_rules = policy.rules().iter().zip(&tally.rules).map(|(rule, tally)| RuleReport {
            rule: Some(rule.name()),
            does: Disposition::meant_by(rule),
            live: rule.is_live(),
            counts: tally.counts,
            distinct: tally.distinct.clone(),
        });
        let rest = tally.rules.get(policy.rules().len()..).unwrap_or_default();
        let of_none = [Disposition::Report, Disposition::AlreadySuppressed].into_iter().zip(rest).map(
            |(does, tally)| {
                let RuleTally { counts, distinct } = tally.clone();
                RuleReport { rule: None, does, live: true, counts, distinct }
            },
        );
        let rules: Vec<_> = of_rules.chain(of_none).collect();
        let nothing = |rule: &&RuleReport<'p>| rule.counts.all() + rule.counts.shadow == 0;
        let took_nothing = rules.iter().filter(nothing).filter_map(|rule| rule.rule).collect();
        Self {
            file,
            hash: policy.hash(),
            mode: policy.mode(),
            totals: tally.total(),
            rules,
            took_nothing,
            guards: tally.guards.report(plan),
        }
    }
}

impl<'p> AlarmReport<'p> {
    fn new(plan: Plan<'p>, replay: &AlarmReplay<'p>) -> Option<Self> {
        if replay.alarms + replay.incidents == 0 {
            return None;
        }
        let rules = AlarmRuleReport::all(plan.policy, &replay.tally);
        let nothing = |rule: &&AlarmRuleReport<'p>| rule.counts.0.all() + rule.counts.0.shadow == 0;
        let took_nothing = rules.iter().filter(nothing).filter_map(|rule| rule.rule).collect();
        let days = replay.days.iter();
        let days = days.map(|(day, counts)| DayReport { day: day.clone(), counts: AlarmCounts(*counts) });
        let against = plan.against.zip(replay.other.as_ref()).map(|(other, (tally, changes))| {
            let decided = |policy: &'p Policy, side: Side| Decided {
                rule: policy.alarm_rules().get(side.rule).map(AlarmRule::name),
                disposition: side.disposition,
            };
            let mut kinds: Vec<_> = changes.kinds().collect();
            kinds.dedup();
            let by_behavior = changes.named().map(|(of, tally)| BehaviorChange {
                change: of.change,
                profile: of.profile.clone(),
                behavior: of.behavior.clone(),
                from: decided(plan.policy, of.from),
                to: decided(other, of.to),
                alarms: tally.alarms,
                devices: tally.devices.clone(),
                thing: tally.last.1.clone(),
                raised_at: tally.last.0.rfc3339(),
            });
            AlarmsAgainst {
                totals: AlarmCounts(tally.total()),
                changed: changes.changed,
                not_comparable: changes.unknown,
                kinds,
                by_behavior: by_behavior.collect(),
            }
        });
        Some(Self {
            alarms: replay.alarms,
            in_incidents: replay.incidents,
            totals: AlarmCounts(replay.tally.total()),
            days: days.collect(),
            rules,
            took_nothing,
            against,
        })
    }
}

impl<'p> AlarmRuleReport<'p> {
    /// The rules of a policy, and at the end what none of them took.
    fn all(policy: &'p Policy, tally: &AlarmTally<'p>) -> Vec<Self> {
        let rules = policy
            .alarm_rules()
            .iter()
            .map(|rule| (Some(rule.name()), Disposition::meant_by_alarm(rule), rule.is_live()));
        let all = rules.chain([(None, Disposition::Report, true)]).zip(&tally.rules);
        all.map(|((rule, does, live), tally)| Self { rule, does, live, counts: AlarmCounts(tally.counts) })
            .collect()
    }
}
