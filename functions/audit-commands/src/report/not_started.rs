//! What the ledger knows of the mitigations of an audit: who asked for those that were started, and those that were not.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_core::message::Audit;
use fleetwarden_core::model::mitigation::Outcomes;
use fleetwarden_core::report::MitigationReport;
use fleetwarden_core::report::NotStarted;
use fleetwarden_core::report::NotStartedReport;
use fleetwarden_core::timestamp::Millis;

use crate::report::sources::Sources;
use fleetwarden_commands::Failure;
use fleetwarden_commands::sources::cut;

/// How many tasks of an audit are looked up: 20 calls.
const LOOKED_UP: usize = 2000;
/// How many that were not started are in the report.
const TASKS: usize = 50;
/// The longest reason, in characters.
const REASON: usize = 500;
/// The states of what Device Defender has no task of: those first that need somebody.
const STATES: [State; 8] = [
    State::Refused,
    State::GivenUp,
    State::Lost,
    State::Held,
    State::Rejected,
    State::Claimed,
    State::Superseded,
    State::Observed,
];

impl Sources<'_> {
    /// Fills in who asked for what was started, and what was not. `listed` is every task that the service has.
    pub(super) async fn not_started(
        &self,
        audit: &Audit,
        listed: &BTreeSet<String>,
        started: &mut [MitigationReport],
        report: &mut NotStartedReport,
        confirmed: &mut Option<Outcomes>,
    ) -> Result<(), Failure> {
        report.unknown = true;
        let ledger = (self.ledger)();
        let of_audit = Mitigations::new(ledger.clone()).of_audit(audit).await?;
        let ended = of_audit.iter().filter_map(|task| task.confirmed);
        *confirmed = Some(ended.fold(Outcomes::default(), |sum, of| Outcomes {
            succeeded: sum.succeeded.saturating_add(of.succeeded),
            failed: sum.failed.saturating_add(of.failed),
            ..sum
        }));
        let of_audit: BTreeSet<String> = of_audit.into_iter().map(|task| task.task_id).collect();
        let all = of_audit.len();
        let mut ids: BTreeSet<String> = of_audit.into_iter().take(LOOKED_UP).collect();
        if all > LOOKED_UP {
            let why = format!("only {LOOKED_UP} of {all} are looked up; the ledger has them all");
            self.gap("mitigations that were not started", why);
        }
        ids.extend(started.iter().map(|task| task.task_id.clone()));
        let keys: Vec<(String, &str)> = ids.iter().map(|id| (keys::mitigation(id), "task")).collect();
        let items = if keys.is_empty() { Vec::new() } else { ledger.get_all(&keys).await? };
        let found = |(pk, _): &(String, _)| items.iter().find(|item| item.get_text("pk") == Some(pk));
        let items: BTreeMap<&str, &Item> =
            ids.iter().zip(&keys).filter_map(|(id, key)| Some((id.as_str(), found(key)?))).collect();
        for task in started {
            let known = items.get(task.task_id.as_str());
            task.by = Some(known.map_or_else(|| "others".to_owned(), |item| by(item)));
        }
        let aside = items.iter().filter(|(id, _)| !listed.contains(**id));
        let mut aside: Vec<(usize, NotStarted)> = aside.filter_map(|(id, item)| read(id, item)).collect();
        for (_, task) in &aside {
            *report.states.entry(task.state.clone()).or_default() += 1;
        }
        aside.sort_by_key(|(rank, task)| (*rank, Reverse(task.decided_at)));
        report.tasks = aside.into_iter().take(TASKS).map(|(_, task)| task).collect();
        report.unknown = false;
        Ok(())
    }
}

/// A task that is in no state of one that was started, with the rank of its state.
fn read(task_id: &str, item: &Item) -> Option<(usize, NotStarted)> {
    let state = State::of(item)?;
    let rank = STATES.into_iter().position(|of| of == state)?;
    let time = |name| item.get_text(name).and_then(Millis::parse);
    let since = if state == State::Lost { attribute::ENDED_AT } else { attribute::DECIDED_AT };
    let findings = item.get_number(attribute::FINDINGS).and_then(|n| u64::try_from(n).ok());
    Some((
        rank,
        NotStarted {
            task_id: task_id.to_owned(),
            state: state.as_str().to_owned(),
            reason: item.get_text(attribute::REASON).map(|reason| cut(reason, REASON)),
            until: time(attribute::UNTIL),
            decided_at: time(since),
            by: by(item),
            actions: item.get_json(attribute::ACTIONS).unwrap_or_default(),
            findings: findings.unwrap_or_default(),
        },
    ))
}

/// Who asked for a task.
fn by(item: &Item) -> String {
    let rule = item.get_text(attribute::RULE);
    rule.map_or_else(|| "a command".to_owned(), |rule| format!("rule {rule}"))
}
