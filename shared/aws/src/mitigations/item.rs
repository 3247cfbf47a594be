//! What the ledger knows of mitigations: its kinds of item, all named here.
//!
//! | `pk` | `sk` | what it is |
//! |---|---|---|
//! | `mitigation#TASK` | `task` | one mitigation: what was asked for, its [`State`], how it ended |
//! | `mitigation#TASK` | `finding#ID` | what became of one finding of an ended task, action by action |
//! | `mitigation#TASK` | `violation#ID` | what became of one violation of an ended task, and of its release |
//! | `audit#AUDIT` | `canary#CHECK#RULE` | which task goes first of a rule, and what came of it ([`canary`](super::canary)) |
//! | `audit#AUDIT` | `mitigation#CHECK#TASK` | that the task works on findings of this check and audit, and how many ended well |
//! | `mitigation#TASK` | `before#KIND#NAME` | the state of a resource before the start |
//! | `mitigation#TASK` | `before` | how far these states are read, and that all of them are |
//! | `mitigation#TASK` | `approval` | what a person is asked to approve, and what came of it ([`approvals`](super::approvals)) |
//! | `mitigation#TASK` | `undo` | who undid the task, when and why, and who works on it (`mitigation-commands`) |
//! | `mitigation#TASK` | `undo#KIND#NAME` | what came of putting a resource back |
//! | `mitigation#TASK` | `results#CHECK` | how far the findings of an ended task are written, while there is more |
//! | `mitigation#TASK` | `round#start`, `round#follow#CHECK`, … | which message of a waiting step goes on |
//! | `finding#ID` | `mitigation` | whose the finding is: its claim, so that no two tasks take the same one |
//! | `violation#ID` | `mitigation` | the same for a violation, and of which of its raises |
//! | `verification#CHECK` | `TASK` | a task that the next audit of the check looks at ([`verification`](super::verification)) |
//! | `budget#KEY` | `latest` | what is spent of a budget ([`budgets`](super::budgets)) |
//! | `mitigation-pause` | `latest` | the switch that stops all mitigation ([`pause`](crate::pause)) |
//!
//! Operators read them, and so does whoever undoes a mitigation. Times are RFC 3339, structures are JSON.

use std::collections::BTreeMap;

use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::Target;
use fleetwarden_core::message::alarm::ViolationRef;
use fleetwarden_core::timestamp::Millis;

use super::Settled;
use crate::ledger::Item;
use crate::ledger::keys;

/// The names of the attributes, besides `pk`, `sk` and `expires_at`.
pub mod attribute {
    /// The state of a task, of a claim, or of a finding's mitigation.
    pub const STATE: &str = "state";
    /// Why it is in that state, where that needs a word.
    pub const REASON: &str = "reason";
    /// How many findings or violations of the request it leaves out, for this reason.
    pub const LEFT_OUT: &str = "left_out";
    /// The mitigation task.
    pub const TASK_ID: &str = "task_id";
    /// The audit task.
    pub const AUDIT_TASK_ID: &str = "audit_task_id";
    /// The check; of a command that has several, all of them with commas between them.
    pub const CHECK: &str = "check";
    /// Who asked for it: `rule` or `command`.
    pub const ORIGIN: &str = "origin";
    /// The rule that decided, if one did.
    pub const RULE: &str = "rule";
    /// A hash of the command, by which a repeat is told from another one of the same task id.
    pub const COMMAND_HASH: &str = "command_hash";
    /// The mitigation actions, in order: of a task by check, of a finding with what became of each.
    pub const ACTIONS: &str = "actions";
    /// What the task works on, by check.
    pub const TARGET: &str = "target";
    /// On how many findings.
    pub const FINDINGS: &str = "findings";
    /// When the windows open for which it is held.
    pub const UNTIL: &str = "until";
    /// When it was claimed, held, superseded, refused, or given up.
    pub const DECIDED_AT: &str = "decided_at";
    /// When it was started.
    pub const STARTED_AT: &str = "started_at";
    /// When it ended.
    pub const ENDED_AT: &str = "ended_at";
    /// How many findings succeeded and failed, by check.
    pub const STATISTICS: &str = "statistics";
    /// Of the findings of a check and audit that a task works on, how many succeeded.
    pub const SUCCEEDED: &str = "succeeded";
    /// And how many did not.
    pub const FAILED: &str = "failed";
    /// The finding's id in its audit.
    pub const FINDING_ID: &str = "finding_id";
    /// The finding's identity across audits.
    pub const FINDING_KEY: &str = "finding_key";
    /// How far the findings of an ended task are written, or the states before a task are read.
    pub const MARK: &str = "mark";
    /// What the finding is about, as the service names it.
    pub const RESOURCE: &str = "resource";
    /// Whether the next audit found a mitigated finding again.
    pub const VERDICT: &str = "verdict";
    /// The audit that has looked at a mitigated finding, or at all of a task.
    pub const VERIFIED_BY: &str = "verified_by";
    /// The things behind a finding, as far as they were known when its task ended.
    pub const THINGS: &str = "things";
    /// The security profile.
    pub const PROFILE: &str = "profile";
    /// The behavior.
    pub const BEHAVIOR: &str = "behavior";
    /// The violations that a task works on, with their devices.
    pub const VIOLATIONS: &str = "violations";
    /// A violation's id.
    pub const VIOLATION_ID: &str = "violation_id";
    /// When the violation began, in milliseconds since the epoch: which of its raises.
    pub const RAISED_AT: &str = "raised_at";
    /// The thing.
    pub const THING: &str = "thing";
    /// The state of a resource before the start.
    pub const BEFORE: &str = "before";
    /// The groups that a task has put the thing into.
    pub const GROUPS: &str = "groups";
    /// After how many seconds without an alarm the thing is taken out of these groups.
    pub const RELEASE_AFTER: &str = "release_after_seconds";
    /// What came of the release: `released`, `kept`, or `undone` by a person.
    pub const RELEASE: &str = "release";
    /// What the guards said when the task was claimed or held.
    pub const GUARDS: &str = "guards";
    /// How hard it is to take back each action of a claimed task, by its name.
    pub const GRADES: &str = "grades";
    /// How many devices a claimed task concerns, if a guard has asked.
    pub const IMPACT: &str = "impact";
    /// The keys of the budgets that the task counts in.
    pub const BUDGETS: &str = "budgets";
    /// The number of the message by which a step waits.
    pub const ROUND: &str = "round_number";
    /// Which of the messages with this number goes on.
    pub const ROUND_ID: &str = "round_id";
}

/// The sort keys of the findings of an ended task: what they begin with, and what comes after all of them.
pub const RESULTS: (&str, &str) = ("finding#", "finding$");
/// The origin of what a command asks for.
pub(super) const COMMAND: &str = "command";

/// Where a mitigation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its findings are its own; it is about to start, or waits for that.
    Claimed,
    /// It would have been started, but the mode is `observe`.
    Observed,
    /// It waits for the policy's windows to open. It has no finding of its own meanwhile.
    Held,
    /// It is not needed any more: a later audit of the check has looked at what is still there, other tasks have all
    /// of its findings, or the policy of now does not want it.
    Superseded,
    /// It runs, and a follow-up is on its way.
    Started,
    /// It ended, and every action succeeded.
    Completed,
    /// It ended, and some actions failed.
    Failed,
    /// Somebody canceled it.
    Canceled,
    /// It was started, and how it ended is not known: the service does not know it any more, or says after 90 days
    /// that it still runs.
    Lost,
    /// It can never start, or a command's start failed.
    Refused,
    /// A person rejected it, or nobody approved it in time: it never starts.
    Rejected,
    /// It could not start for a day, or was held for 90 days.
    GivenUp,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Claimed,
        Self::Observed,
        Self::Held,
        Self::Superseded,
        Self::Started,
        Self::Completed,
        Self::Failed,
        Self::Canceled,
        Self::Lost,
        Self::Refused,
        Self::Rejected,
        Self::GivenUp,
    ];
    /// Those of a task that has certainly not been started, and may be.
    pub(super) const WAITING: [Self; 4] = [Self::Observed, Self::Held, Self::Refused, Self::GivenUp];
    /// Those of a task that may be superseded, or is.
    pub(super) const SUPERSEDABLE: [Self; 5] =
        [Self::Observed, Self::Held, Self::Refused, Self::GivenUp, Self::Superseded];
    /// Those of a task that may be started, or may have been by somebody who died right after.
    pub(super) const BEFORE_START: [Self; 5] =
        [Self::Claimed, Self::Observed, Self::Held, Self::Refused, Self::GivenUp];

    /// Those that a task has until it is known to have started. What is superseded never starts, unless two
    /// copies of its message are handled at the same moment: then what the service says counts.
    pub const WITHOUT_START: [Self; 6] =
        [Self::Claimed, Self::Observed, Self::Held, Self::Refused, Self::GivenUp, Self::Superseded];

    /// Those of a task before its end at the service is known, but for that it has started. What is rejected never starts,
    /// unless somebody was between its claim and its start when it was held again: then what the service says counts.
    pub(super) fn before_end() -> Vec<Self> {
        [Self::WITHOUT_START.as_slice(), &[Self::Rejected]].concat()
    }

    /// Whether the task has ended at the service, in whatever way.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled | Self::Lost)
    }

    /// The word in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Observed => "observed",
            Self::Held => "held",
            Self::Superseded => "superseded",
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::GivenUp => "given-up",
        }
    }

    /// The state of an item.
    pub fn of(item: &Item) -> Option<Self> {
        let word = item.get_text(attribute::STATE)?;
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// The item of a task with what of its requests is its own, one a check. What may be malformed has no requests: it
/// is written out only where it is parked.
pub(super) fn task(
    id: &str,
    requests: &[MitigationRequest],
    settled: &Settled<'_, MitigationRequest>,
    now: Millis,
) -> Item {
    let item = state(id, settled.state, settled.reason, settled.until, now);
    let Some(first) = requests.first() else { return item };
    let checks: Vec<&str> = requests.iter().map(|request| request.check.as_str()).collect();
    let actions: BTreeMap<&CheckName, &Vec<String>> =
        requests.iter().map(|request| (&request.check, &request.actions)).collect();
    let targets: BTreeMap<&CheckName, &Target> =
        requests.iter().map(|request| (&request.check, &request.target)).collect();
    let count: u64 = requests.iter().map(MitigationRequest::count).sum();
    origin(item, &first.origin)
        .text(attribute::AUDIT_TASK_ID, &first.audit.task_id)
        .text(attribute::CHECK, checks.join(", "))
        .json(attribute::ACTIONS, &actions)
        .json(attribute::TARGET, &targets)
        .number(attribute::FINDINGS, i64::try_from(count).unwrap_or(i64::MAX))
}

/// The item of a task with where it stands.
pub(super) fn state(
    id: &str,
    state: State,
    reason: Option<&str>,
    until: Option<Millis>,
    now: Millis,
) -> Item {
    let item = Item::new(&keys::mitigation(id), "task", now)
        .text(attribute::TASK_ID, id)
        .text(attribute::STATE, state.as_str())
        .text(attribute::DECIDED_AT, now.rfc3339());
    let texts =
        [(attribute::REASON, reason.map(ToOwned::to_owned)), (attribute::UNTIL, until.map(Millis::rfc3339))];
    texts.into_iter().fold(item, |item, (name, value)| match value {
        Some(value) => item.text(name, value),
        None => item,
    })
}

/// Adds who asked for a task.
pub(super) fn origin(item: Item, origin: &Origin) -> Item {
    match origin {
        Origin::Rule(rule) => item.text(attribute::ORIGIN, "rule").text(attribute::RULE, rule),
        Origin::Command(_) => item.text(attribute::ORIGIN, COMMAND),
    }
}

/// The violations of a task, as its item has them.
pub(crate) fn violations(task: &Item) -> Vec<ViolationRef> {
    let violations = task.get_text(attribute::VIOLATIONS).unwrap_or_default();
    serde_json::from_str(violations).unwrap_or_default()
}

/// The findings of a task, as its item has them.
pub(crate) fn findings(task: &Item) -> Vec<FindingRef> {
    let targets = task.get_text(attribute::TARGET).unwrap_or_default();
    let targets: BTreeMap<CheckName, Target> = serde_json::from_str(targets).unwrap_or_default();
    let of = |target| match target {
        Target::Findings(findings) => findings,
        Target::WholeCheck { .. } => Vec::new(),
    };
    targets.into_values().flat_map(of).collect()
}

/// Whether the item of a task has a request, with its check, actions and target.
pub(super) fn asks(task: &Item, request: &MitigationRequest) -> bool {
    let of = |name| task.get_text(name).unwrap_or_default();
    let targets: BTreeMap<CheckName, Target> =
        serde_json::from_str(of(attribute::TARGET)).unwrap_or_default();
    let actions: BTreeMap<CheckName, Vec<String>> =
        serde_json::from_str(of(attribute::ACTIONS)).unwrap_or_default();
    targets.get(&request.check) == Some(&request.target)
        && actions.get(&request.check) == Some(&request.actions)
}

/// The claim of a finding by a task.
pub(super) fn claim(task_id: &str, finding: &FindingRef, state: State, now: Millis) -> Item {
    Item::new(&keys::finding(&finding.finding_id), "mitigation", now)
        .text(attribute::TASK_ID, task_id)
        .text(attribute::STATE, state.as_str())
        .text(attribute::FINDING_KEY, finding.key.to_string())
}
