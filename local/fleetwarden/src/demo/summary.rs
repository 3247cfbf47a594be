//! Both sides put together: what the endpoint found and had done to it, and what Fleetwarden says it did.
//!
//! *Lost* is a finding of an audit that is not in the findings log, or a decision without its effect. *Done
//! twice* is a finding that is there more than once, or an effect more than its decisions ask for.

use super::exported::{Exported, ExportedByCheck};
use super::guards::Account as Guards;
use super::truth::{Done, Found};
use serde::Serialize;
use std::collections::BTreeMap;

/// One audit, from both sides.
#[derive(Debug)]
pub(crate) struct Observed {
    /// The audit's task id.
    pub(crate) task: String,
    /// What the endpoint found.
    pub(crate) found: Found,
    /// What the findings log says.
    pub(crate) exported: Exported,
    /// Findings that are not mitigated although a rule wanted it, each with a reason.
    pub(crate) left_out: u64,
    /// What had been done to the fleet before.
    pub(crate) before: Done,
    /// What had been done to the fleet when all was quiet again.
    pub(crate) after: Done,
    /// From the start of the audit until all was quiet.
    pub(crate) seconds: f64,
}

impl Observed {
    /// On how many findings of a check every action succeeded, since the audit began.
    pub(crate) fn confirmed(&self, check: &str) -> u64 {
        let of = |done: &Done| done.confirmed.get(check).copied().unwrap_or_default();
        of(&self.after).saturating_sub(of(&self.before))
    }
}

/// One audit in the summary.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Audit {
    task_id: String,
    findings: u64,
    already_suppressed: u64,
    /// Decided.
    suppress_decided: u64,
    mitigate_decided: u64,
    reported: u64,
    /// Done: suppressions that were made, and findings on which Device Defender says that every action succeeded.
    suppressed: u64,
    mitigated: u64,
    /// Decided and not done, for a reason that the ledger has.
    left_out: u64,
    lost: u64,
    duplicates: u64,
    fleet_changes: u64,
    seconds: f64,
}

/// The whole run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    mode: &'static str,
    audits: Vec<Audit>,
    lost: u64,
    duplicates: u64,
    parked: BTreeMap<String, u64>,
    fleet_changes: u64,
    suppressions: u64,
    mitigation_tasks: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    would_have: Option<WouldHave>,
    killed: Vec<String>,
    calls: BTreeMap<String, u64>,
    throttled: u64,
    archive_objects: u64,
    report_faults: Vec<String>,
    /// The scenes of guards, if they were played.
    #[serde(skip_serializing_if = "Option::is_none")]
    guards: Option<Guards>,
    seconds: f64,
}

/// What observe mode would have done in the first audit.
#[derive(Debug, Serialize)]
struct WouldHave {
    suppress: u64,
    mitigate: u64,
}

/// What the summary cannot read from the audits.
#[derive(Debug)]
pub(crate) struct Rest {
    /// Whether the policy was in observe mode.
    pub(crate) observe: bool,
    /// Messages on each dead-letter queue that is not empty.
    pub(crate) parked: BTreeMap<String, u64>,
    /// Functions that were killed on the way.
    pub(crate) killed: Vec<String>,
    /// Objects of findings in the archive.
    pub(crate) archive_objects: u64,
    /// Where the review of suppressions or the report of the last audit does not agree with the endpoint.
    pub(crate) report_faults: Vec<String>,
    /// The scenes of guards, if they were played.
    pub(crate) guards: Option<Guards>,
    /// From the start of the stack to its end.
    pub(crate) seconds: f64,
}

impl Summary {
    /// Puts the audits together, in the order in which they ran.
    pub(crate) fn new(observed: &[Observed], rest: Rest) -> Self {
        let mode = if rest.observe { "observe" } else { "enforce" };
        let audits: Vec<Audit> =
            (1..).zip(observed).map(|(number, observed)| audit(observed, number, rest.observe)).collect();
        let last = observed.last().map(|observed| observed.after.clone()).unwrap_or_default();
        let first = observed.first().map(|observed| observed.exported.sum()).unwrap_or_default();
        Self {
            mode,
            lost: audits.iter().map(|audit| audit.lost).sum(),
            duplicates: audits.iter().map(|audit| audit.duplicates).sum(),
            audits,
            parked: rest.parked,
            fleet_changes: last.changes,
            suppressions: last.suppressions,
            mitigation_tasks: last.tasks,
            would_have: rest
                .observe
                .then_some(WouldHave { suppress: first.suppress, mitigate: first.mitigate }),
            killed: rest.killed,
            calls: last.calls,
            throttled: last.throttled,
            archive_objects: rest.archive_objects,
            report_faults: rest.report_faults,
            guards: rest.guards,
            seconds: rest.seconds,
        }
    }

    /// What went wrong, one line each. None is a good run.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.lost > 0 {
            faults.push(format!("{} lost: a finding or an effect is missing", self.lost));
        }
        if self.duplicates > 0 {
            faults.push(format!("{} done twice", self.duplicates));
        }
        for (queue, count) in &self.parked {
            faults.push(format!("{count} parked on the dead-letter queue {queue}"));
        }
        if self.mode == "observe" && (self.fleet_changes > 0 || self.suppressions > 0) {
            faults.push("observe mode has changed the fleet or its suppressions".to_owned());
        }
        faults.extend(self.report_faults.iter().cloned());
        faults.extend(self.guards.iter().flat_map(Guards::faults));
        faults
    }

    /// The last line of the run.
    pub(crate) fn verdict(&self) -> String {
        let would = self.would_have.as_ref().map(|would| {
            format!(
                "; observe mode: would have suppressed {} and mitigated {}",
                would.suppress, would.mitigate
            )
        });
        let findings: u64 = self.audits.iter().map(|audit| audit.findings).sum();
        let done = |of: fn(&Audit) -> u64| self.audits.iter().map(of).sum::<u64>();
        format!(
            "{findings} findings in {} audits, {} suppressed, {} mitigated and confirmed, {} left out, {} lost, {} done twice, {} \
             changes of the fleet, {:.1} s{}",
            self.audits.len(),
            done(|audit| audit.suppressed),
            done(|audit| audit.mitigated),
            done(|audit| audit.left_out),
            self.lost,
            self.duplicates,
            self.fleet_changes,
            self.seconds,
            would.unwrap_or_default()
        )
    }
}

fn audit(observed: &Observed, number: u64, observe: bool) -> Audit {
    let sum = observed.exported.sum();
    let (mut lost, mut duplicates) = findings(observed);
    let suppressions = observed.after.suppressions.saturating_sub(observed.before.suppressions);
    let mitigated = observed.after.mitigated.saturating_sub(observed.before.mitigated);
    // Observe mode decides the same and does nothing of it.
    let asked = if observe { ExportedByCheck::default() } else { sum };
    let to_mitigate = asked.mitigate.saturating_sub(observed.left_out);
    for (done, asked) in [(suppressions, asked.suppress), (mitigated, to_mitigate)] {
        lost += asked.saturating_sub(done);
        duplicates += done.saturating_sub(asked);
    }
    // An action that does not cure its finding is rightly repeated by the next audit, once each.
    let repeats = |done: &Done, once_each: u64| -> u64 {
        done.repeats.iter().map(|times| times.saturating_sub(once_each)).sum()
    };
    let before = repeats(&observed.before, number);
    duplicates += repeats(&observed.after, number).saturating_sub(before);
    Audit {
        task_id: observed.task.clone(),
        findings: observed.found.all(),
        already_suppressed: sum.already_suppressed,
        suppress_decided: sum.suppress,
        mitigate_decided: sum.mitigate,
        reported: sum.reported,
        suppressed: suppressions,
        left_out: observed.left_out,
        mitigated: observed.found.checks.keys().map(|check| observed.confirmed(check)).sum(),
        lost,
        duplicates,
        fleet_changes: observed.after.changes.saturating_sub(observed.before.changes),
        seconds: observed.seconds,
    }
}

/// Findings that are not in the log, and findings that are there too often, check by check.
fn findings(observed: &Observed) -> (u64, u64) {
    let found = &observed.found.checks;
    let exported = &observed.exported.checks;
    let mut lost = 0;
    let mut duplicates = observed.exported.repeated + observed.exported.strange;
    for check in found.keys().chain(exported.keys().filter(|check| !found.contains_key(*check))) {
        let there = found.get(check).copied().unwrap_or_default().all();
        let seen = exported.get(check).copied().unwrap_or_default().all();
        lost += there.saturating_sub(seen);
        duplicates += seen.saturating_sub(there);
    }
    (lost, duplicates)
}

#[cfg(test)]
mod tests {
    use super::super::truth::FoundByCheck;
    use super::*;

    fn observed(found: u64, exported: ExportedByCheck, after: Done) -> Observed {
        let by_check = FoundByCheck { unsuppressed: found, suppressed: 0 };
        Observed {
            task: "t".to_owned(),
            found: Found { checks: [("C".to_owned(), by_check)].into(), ..Default::default() },
            exported: Exported { checks: [("C".to_owned(), exported)].into(), ..Default::default() },
            left_out: 0,
            before: Done::default(),
            after,
            seconds: 1.0,
        }
    }

    fn rest(observe: bool) -> Rest {
        Rest {
            observe,
            parked: BTreeMap::new(),
            killed: Vec::new(),
            archive_objects: 0,
            report_faults: Vec::new(),
            guards: None,
            seconds: 1.0,
        }
    }

    fn decided() -> ExportedByCheck {
        ExportedByCheck { suppress: 2, mitigate: 3, reported: 5, ..Default::default() }
    }

    #[test]
    fn a_good_run_has_no_faults() {
        let confirmed = BTreeMap::from([("C".to_owned(), 2)]);
        let after = Done { suppressions: 2, mitigated: 3, confirmed, changes: 3, ..Default::default() };
        let summary = Summary::new(&[observed(10, decided(), after)], rest(false));
        assert_eq!((summary.lost, summary.duplicates), (0, 0));
        let first = &summary.audits[0];
        assert_eq!((first.mitigate_decided, first.mitigated, first.suppressed), (3, 2, 2));
        assert!(
            summary.verdict().contains("2 suppressed, 2 mitigated and confirmed"),
            "{}",
            summary.verdict()
        );
        assert_eq!(summary.faults(), Vec::<String>::new());
    }

    #[test]
    fn a_missing_finding_a_missing_effect_and_a_second_effect_are_counted() {
        let after = Done { suppressions: 1, mitigated: 4, repeats: vec![2], ..Default::default() };
        let summary = Summary::new(&[observed(11, decided(), after)], rest(false));
        assert_eq!((summary.lost, summary.duplicates), (2, 2));
        assert_eq!(summary.faults().len(), 2);
    }

    #[test]
    fn what_is_left_out_for_a_reason_is_not_lost() {
        let after = Done { suppressions: 2, mitigated: 2, ..Default::default() };
        let observed = Observed { left_out: 1, ..observed(10, decided(), after) };
        let summary = Summary::new(&[observed], rest(false));
        assert_eq!((summary.lost, summary.duplicates, summary.audits[0].left_out), (0, 0, 1));
    }

    #[test]
    fn observe_mode_must_not_do_what_it_decides() {
        let summary = Summary::new(&[observed(10, decided(), Done::default())], rest(true));
        assert_eq!((summary.lost, summary.faults().len()), (0, 0));
        assert_eq!(summary.would_have.as_ref().unwrap().mitigate, 3);
        assert_eq!((summary.audits[0].mitigate_decided, summary.audits[0].mitigated), (3, 0));
        let after = Done { changes: 1, mitigated: 1, ..Default::default() };
        assert_eq!(Summary::new(&[observed(10, decided(), after)], rest(true)).faults().len(), 2);
    }
}
