//! What a page sends: its records to export, findings to suppress and to mitigate.
//!
//! A rule's mitigations wait across pages until there are as many as a task takes. What waits goes into the
//! continuation, never out early because of a deadline: so the same findings in the same order always make the same
//! tasks, however often triage was interrupted. If more waits than a continuation can hold, the fullest group goes:
//! that depends on the findings, too, and on nothing else.

pub(crate) mod text;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::CanaryPart;
use fleetwarden_core::message::CheckMessage;
use fleetwarden_core::message::Export;
use fleetwarden_core::message::ExportMessage;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::PendingCanary;
use fleetwarden_core::message::PendingMitigation;
use fleetwarden_core::message::Step;
use fleetwarden_core::message::SuppressionMessage;
use fleetwarden_core::message::Tally;
use fleetwarden_core::message::Target;
use fleetwarden_core::model::finding::Finding;
use fleetwarden_core::model::mitigation::MAX_REASON_CODES;
use fleetwarden_core::policy::Decision;
use fleetwarden_core::policy::Mitigate;
use fleetwarden_core::policy::Outcome;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Suppress;

use crate::recording::Part;

/// How many findings go into one suppression message: at ten calls a second, some seconds of work.
const SUPPRESSIONS: usize = 25;
/// How much may wait, in bytes. A continuation is an item of the ledger (400 KB at most), in which the counts can take
/// 130 KB.
const MAX_PENDING: usize = 192 << 10;
/// What a waiting finding or group takes as JSON besides its names, in bytes: rounded up.
const PENDING_OVERHEAD: usize = 200;
/// How many reason codes a task for the whole check is made from, and how long each is, in bytes. A finding with
/// another one goes by its id.
const MAX_CODES: usize = 100;
const MAX_CODE: usize = 256;

/// What is to be sent for one check.
pub(crate) struct Outbox<'p> {
    audit: Audit,
    check: CheckName,
    policy: &'p Policy,
    suppressions: Vec<Suppression<'p>>,
    mitigations: Vec<Outgoing>,
    /// Waits until a task is full.
    pub(crate) pending: Vec<PendingMitigation>,
    /// How much that is, in bytes.
    pending_bytes: usize,
    /// The reason codes of the findings that one task for the whole check takes.
    pub(crate) reason_codes: BTreeSet<String>,
    /// The rule that takes the whole check in one task.
    whole: Option<(&'p str, &'p Mitigate)>,
    /// Some of what one task would take was decided on otherwise before, or may have been sent by its id.
    is_disputed: bool,
    /// What was counted before.
    tally: Tally,
}

/// Findings whose resources one rule suppresses until the same end.
struct Suppression<'p> {
    rule: &'p str,
    suppress: &'p Suppress,
    expires_at: Option<i64>,
    findings: Vec<FindingRef>,
}

/// The messages of a page, by queue.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    pub(crate) finding: Vec<Outgoing>,
    pub(crate) suppression: Vec<Outgoing>,
    pub(crate) mitigation: Vec<Outgoing>,
}

impl<'p> Outbox<'p> {
    /// An empty one for what a policy decides.
    pub(crate) fn new(message: &CheckMessage, policy: &'p Policy) -> Self {
        let resume = message.resume.clone().unwrap_or_default();
        let may_be_whole = resume.can_take_whole_check(policy.hash());
        Self {
            is_disputed: !may_be_whole && !resume.reason_codes.is_empty(),
            pending_bytes: resume.pending.iter().map(pending_bytes).sum(),
            audit: message.audit.clone(),
            check: message.check.clone(),
            policy,
            suppressions: Vec::new(),
            mitigations: Vec::new(),
            pending: resume.pending,
            reason_codes: resume.reason_codes.into_iter().collect(),
            whole: policy.takes_whole_check(&message.check).filter(|_| may_be_whole),
            tally: resume.tally,
        }
    }

    /// Takes what is decided to be done about a finding.
    pub(crate) fn add(
        &mut self,
        finding: &Finding,
        reference: FindingRef,
        decision: &Decision<'p, '_>,
    ) -> Result<(), Error> {
        let rule = decision.rule.unwrap_or_default();
        match (decision.outcome, finding.identifier()) {
            (Outcome::Suppress(suppress), Some(_)) => {
                self.suppress(rule, suppress, decision.ends_at(), reference);
            }
            (Outcome::Mitigate(mitigate), _) => {
                self.mitigate(rule, mitigate, finding, reference)?;
            }
            (Outcome::Suppress(_) | Outcome::Suppressed | Outcome::Report(_), _) => {}
        }
        Ok(())
    }

    /// Notes that a finding was decided on otherwise before, or may have been sent by its id.
    pub(crate) const fn dispute(&mut self) {
        self.is_disputed |= self.whole.is_some();
    }

    /// Whether one task for the whole check would mitigate also what was decided on otherwise, or what others have.
    pub(crate) const fn is_disputed(&self) -> bool {
        self.is_disputed
    }

    fn suppress(
        &mut self,
        rule: &'p str,
        suppress: &'p Suppress,
        expires_at: Option<i64>,
        finding: FindingRef,
    ) {
        let room = |of: &&mut Suppression<'_>| {
            of.rule == rule && of.expires_at == expires_at && of.findings.len() < SUPPRESSIONS
        };
        if let Some(of) = self.suppressions.iter_mut().find(room) {
            of.findings.push(finding);
        } else {
            let findings = vec![finding];
            self.suppressions.push(Suppression { rule, suppress, expires_at, findings });
        }
    }

    fn mitigate(
        &mut self,
        rule: &str,
        mitigate: &Mitigate,
        found: &Finding,
        finding: FindingRef,
    ) -> Result<(), Error> {
        // A task for a whole check names its findings by reason code: what has none goes by its id.
        if let (Some(_), Some(code)) = (self.whole, &found.reason_code) {
            if self.reason_codes.contains(code) {
                return Ok(());
            }
            if self.reason_codes.len() < MAX_CODES && code.len() <= MAX_CODE {
                self.reason_codes.insert(code.clone());
                return Ok(());
            }
        }
        let policy = self.policy.hash();
        let same = |pending: &PendingMitigation| pending.rule == rule && pending.policy == policy;
        if !self.pending.iter().any(same) {
            let group = self.decided(rule, mitigate);
            self.pending_bytes += pending_bytes(&group);
            self.pending.push(group);
        }
        let Some(at) = self.pending.iter().position(same) else { return Ok(()) };
        let Some(group) = self.pending.get_mut(at) else { return Ok(()) };
        self.pending_bytes += finding_bytes(&finding);
        let rest = match &mut group.canary {
            Some(canary) => canary.take(found.severity, finding),
            None => Some(finding),
        };
        group.findings.extend(rest);
        if group.findings.len() >= self.policy.most_of_a_task(rule, &mitigate.actions) {
            self.flush(at)?;
        }
        while self.pending_bytes > MAX_PENDING {
            let fullest = (0..).zip(&self.pending).max_by_key(|(at, group)| (count(group), Reverse(*at)));
            let Some((fullest, _)) = fullest else { break };
            self.end_group(fullest)?;
        }
        Ok(())
    }

    /// Makes a task of what waits in a group. What may go first stays until the group ends.
    fn flush(&mut self, at: usize) -> Result<(), Error> {
        let Some(group) = self.pending.get_mut(at) else { return Ok(()) };
        let findings = std::mem::take(&mut group.findings);
        let freed: usize = findings.iter().map(finding_bytes).sum();
        self.pending_bytes = self.pending_bytes.saturating_sub(freed);
        let (part, decided) = (group.canary.as_ref().map(|_| CanaryPart::Rest), group.clone());
        if group.canary.is_none() {
            self.pending_bytes = self.pending_bytes.saturating_sub(pending_bytes(group));
            self.pending.remove(at);
        }
        self.mitigations.push(self.mitigation(decided, Target::Findings(findings), part)?);
        Ok(())
    }

    /// Makes tasks of all that waits in a group.
    fn end_group(&mut self, at: usize) -> Result<(), Error> {
        let group = self.pending.remove(at);
        self.pending_bytes = self.pending_bytes.saturating_sub(pending_bytes(&group));
        let tasks = self.tasks(group)?;
        self.mitigations.extend(tasks);
        Ok(())
    }

    /// The tasks of a group: what goes first, and what waits with it.
    fn tasks(&self, mut group: PendingMitigation) -> Result<Vec<Outgoing>, Error> {
        let (canary, findings) = (group.canary.take(), std::mem::take(&mut group.findings));
        let part = canary.as_ref().map(|_| CanaryPart::Rest);
        let first = canary.map(|PendingCanary { of, first }| {
            let first = first.into_iter().map(|(_, finding)| finding).collect();
            (first, Some(CanaryPart::First { of }))
        });
        first
            .into_iter()
            .chain([(findings, part)])
            .filter(|(findings, _)| !findings.is_empty())
            .map(|(findings, part)| self.mitigation(group.clone(), Target::Findings(findings), part))
            .collect()
    }

    /// The messages of a page. What waits for more stays.
    pub(crate) fn page(&mut self, page: u32, parts: &[Part<'_>]) -> Result<Messages, Error> {
        let mut messages =
            Messages { mitigation: std::mem::take(&mut self.mitigations), ..Messages::default() };
        for (part, Part { records, .. }) in (0..).zip(parts) {
            let findings = records.iter().map(|record| &**record).collect();
            messages.finding.push(self.export(Export::Page { page, part, findings })?);
        }
        for Suppression { rule, suppress, expires_at, findings } in std::mem::take(&mut self.suppressions) {
            messages.suppression.push(json(&SuppressionMessage {
                audit: self.audit.clone(),
                check: self.check.clone(),
                rule: rule.to_owned(),
                policy: self.policy.hash().to_owned(),
                mode: self.policy.mode(),
                expires_at,
                words: suppress.words.clone(),
                findings,
            })?);
        }
        Ok(messages)
    }

    /// The messages at the end of a check: what still waits, and the mitigation of the whole check.
    pub(crate) fn end(mut self) -> Result<Messages, Error> {
        let tally = std::mem::take(&mut self.tally);
        let mut mitigation = Vec::new();
        for pending in std::mem::take(&mut self.pending) {
            mitigation.extend(self.tasks(pending)?);
        }
        if let Some((rule, mitigate)) = self.whole {
            let codes: Vec<String> = std::mem::take(&mut self.reason_codes).into_iter().collect();
            let count = tally.values().map(|counts| counts.mitigate).sum();
            for reason_codes in codes.chunks(MAX_REASON_CODES) {
                let target = Target::WholeCheck { reason_codes: reason_codes.to_vec(), count };
                mitigation.push(self.mitigation(self.decided(rule, mitigate), target, None)?);
            }
        }
        let finding = vec![self.export(Export::Summary(tally))?];
        Ok(Messages { finding, suppression: Vec::new(), mitigation })
    }

    fn export(&self, export: Export<'_>) -> Result<Outgoing, Error> {
        json(&ExportMessage { audit: self.audit.clone(), check: self.check.clone(), export })
    }

    /// What the policy has a rule do, without findings so far.
    fn decided(&self, rule: &str, mitigate: &Mitigate) -> PendingMitigation {
        PendingMitigation {
            rule: rule.to_owned(),
            policy: self.policy.hash().to_owned(),
            mode: self.policy.mode(),
            actions: mitigate.actions.clone(),
            findings: Vec::new(),
            canary: mitigate.canary.as_ref().map(|_| PendingCanary::default()),
        }
    }

    fn mitigation(
        &self,
        decided: PendingMitigation,
        target: Target,
        canary: Option<CanaryPart>,
    ) -> Result<Outgoing, Error> {
        let PendingMitigation { rule, policy, mode, actions, .. } = decided;
        let (audit, check) = (self.audit.clone(), self.check.clone());
        let (origin, policy) = (Origin::Rule(rule), Some(policy));
        let request = MitigationRequest { audit, check, origin, mode, policy, actions, target, canary };
        json(&MitigationMessage::new(request, Step::Start))
    }
}

/// How many findings wait in a group.
fn count(group: &PendingMitigation) -> usize {
    group.findings.len() + group.canary.as_ref().map_or(0, |canary| canary.first.len())
}

/// How much a waiting group takes in a continuation, in bytes.
fn pending_bytes(group: &PendingMitigation) -> usize {
    let PendingMitigation { rule, policy, actions, findings, canary, .. } = group;
    let actions: usize = actions.iter().map(|action| action.len() + 3).sum();
    let first = canary.iter().flat_map(|canary| &canary.first).map(|(_, finding)| finding);
    let findings: usize = findings.iter().chain(first).map(finding_bytes).sum();
    PENDING_OVERHEAD + rule.len() + policy.len() + actions + findings
}

/// How much a waiting finding takes in a continuation, in bytes.
const fn finding_bytes(finding: &FindingRef) -> usize {
    PENDING_OVERHEAD + finding.finding_id.len()
}

fn json(message: &impl serde::Serialize) -> Result<Outgoing, Error> {
    serde_json::to_string(message).map(Outgoing::from).map_err(|e| Error::Input(e.to_string()))
}

#[cfg(test)]
mod tests;
