//! What a page sends: records to export, resources to suppress, findings to mitigate.
//!
//! A rule's mitigations wait across pages until there are as many as a task takes. What waits goes into the
//! continuation, never out early: so the same findings in the same order always make the same tasks, however
//! often triage was interrupted.

use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_core::check::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::CheckMessage;
use fleetwarden_core::message::Export;
use fleetwarden_core::message::ExportMessage;
use fleetwarden_core::message::FindingRecord;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::Past;
use fleetwarden_core::message::PendingMitigation;
use fleetwarden_core::message::Step;
use fleetwarden_core::message::SuppressionMessage;
use fleetwarden_core::message::Tally;
use fleetwarden_core::message::Target;
use fleetwarden_core::mitigation::MAX_FINDINGS;
use fleetwarden_core::mitigation::MAX_REASON_CODES;
use fleetwarden_core::pack;
use fleetwarden_core::pack::Limits;
use fleetwarden_core::policy::Decision;
use fleetwarden_core::policy::Mitigate;
use fleetwarden_core::policy::Outcome;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Suppress;
use fleetwarden_core::resource::ResourceIdentifier;
use fleetwarden_core::suppression;
use fleetwarden_core::suppression::Maker;
use fleetwarden_core::thing::Things;
use serde_json::value::RawValue;

/// How much of a page goes into one message, in bytes: an SQS message with room for its envelope.
const PART: Limits = Limits { entries: usize::MAX, bytes: 900 << 10, overhead: 1 };
/// A record larger than this loses what is not needed to act on it (bytes): CloudWatch Logs took events of
/// 256 KiB for years, and tools that read them may still count on it.
const MAX_RECORD: usize = 240 << 10;
/// How many resources go into one suppression message: at ten calls a second, some seconds of work.
const SUPPRESSIONS: usize = 25;

/// What is to be sent for one check.
pub(crate) struct Outbox<'p> {
    audit: Audit,
    check: CheckName,
    policy: &'p Policy,
    records: Vec<Box<RawValue>>,
    suppressions: Vec<Suppression<'p>>,
    mitigations: Vec<Outgoing>,
    /// Waits until a task is full.
    pub(crate) pending: Vec<PendingMitigation>,
    /// The reason codes of the findings that one task for the whole check takes.
    pub(crate) reason_codes: BTreeSet<String>,
    whole: Option<(&'p str, &'p Mitigate)>,
}

/// Resources that one rule suppresses until the same end.
struct Suppression<'p> {
    rule: &'p str,
    suppress: &'p Suppress,
    expires_at: Option<i64>,
    resources: Vec<ResourceIdentifier>,
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
        Self {
            audit: message.audit.clone(),
            check: message.check.clone(),
            policy,
            records: Vec::new(),
            suppressions: Vec::new(),
            mitigations: Vec::new(),
            pending: resume.pending,
            reason_codes: resume.reason_codes.into_iter().collect(),
            whole: policy.takes_whole_check(&message.check),
        }
    }

    /// Takes a finding with its decision.
    pub(crate) fn add(
        &mut self,
        record: &FindingRecord<'_>,
        decision: &Decision<'p, '_>,
    ) -> Result<(), Error> {
        self.records.push(raw(record)?);
        let rule = decision.rule.unwrap_or_default();
        match (decision.outcome, record.finding.identifier()) {
            (Outcome::Suppress(suppress), Some(resource)) => {
                self.suppress(rule, suppress, decision.ends_at(), resource);
            }
            (Outcome::Mitigate(mitigate), _) => self.mitigate(rule, mitigate, record)?,
            (Outcome::Suppress(_) | Outcome::Suppressed | Outcome::Report(_), _) => {}
        }
        Ok(())
    }

    fn suppress(
        &mut self,
        rule: &'p str,
        suppress: &'p Suppress,
        expires_at: Option<i64>,
        resource: &ResourceIdentifier,
    ) {
        let room = |of: &&mut Suppression<'_>| {
            of.rule == rule && of.expires_at == expires_at && of.resources.len() < SUPPRESSIONS
        };
        if let Some(of) = self.suppressions.iter_mut().find(room) {
            of.resources.push(resource.clone());
        } else {
            let resources = vec![resource.clone()];
            self.suppressions.push(Suppression { rule, suppress, expires_at, resources });
        }
    }

    fn mitigate(&mut self, rule: &str, mitigate: &Mitigate, record: &FindingRecord<'_>) -> Result<(), Error> {
        let FindingRecord { finding, key, first_seen, times_seen, first_suppressed, .. } = *record;
        // A task for a whole check names its findings by reason code: what has none goes by its id.
        if let (Some(_), Some(code)) = (self.whole, &finding.reason_code) {
            if !self.reason_codes.contains(code) {
                self.reason_codes.insert(code.clone());
            }
            return Ok(());
        }
        let past = Some(Past { first_seen, times_seen, first_suppressed });
        let finding = FindingRef { finding_id: finding.finding_id.clone(), key, past };
        let policy = self.policy.hash();
        let same = |pending: &PendingMitigation| pending.rule == rule && pending.policy == policy;
        if !self.pending.iter().any(same) {
            self.pending.push(self.decided(rule, mitigate));
        }
        let Some(pending) = self.pending.iter_mut().find(|pending| same(pending)) else {
            return Ok(());
        };
        pending.findings.push(finding);
        if pending.findings.len() < MAX_FINDINGS {
            return Ok(());
        }
        let findings = std::mem::take(&mut pending.findings);
        let decided = pending.clone();
        self.mitigations.push(self.mitigation(decided, Target::Findings(findings))?);
        Ok(())
    }

    /// The messages of a page. What waits for more stays.
    pub(crate) fn page(&mut self, page: u32) -> Result<Messages, Error> {
        let records = std::mem::take(&mut self.records);
        let mut messages =
            Messages { mitigation: std::mem::take(&mut self.mitigations), ..Messages::default() };
        for (part, run) in (0..).zip(pack::runs(&records, PART, |record| record.get().len())) {
            let findings = run.iter().map(AsRef::as_ref).collect();
            messages.finding.push(self.export(Export::Page { page, part, findings })?);
        }
        for Suppression { rule, suppress, expires_at, resources } in std::mem::take(&mut self.suppressions) {
            messages.suppression.push(json(&SuppressionMessage {
                audit: self.audit.clone(),
                check: self.check.clone(),
                rule: rule.to_owned(),
                mode: self.policy.mode(),
                expires_at,
                description: suppression::description(Maker::Rule(rule), suppress),
                resources,
            })?);
        }
        Ok(messages)
    }

    /// The messages at the end of a check: what still waits, and the mitigation of the whole check.
    pub(crate) fn end(&mut self, tally: Tally) -> Result<Messages, Error> {
        let mut mitigation = Vec::new();
        for mut pending in std::mem::take(&mut self.pending) {
            let findings = std::mem::take(&mut pending.findings);
            if !findings.is_empty() {
                mitigation.push(self.mitigation(pending, Target::Findings(findings))?);
            }
        }
        if let Some((rule, mitigate)) = self.whole {
            let codes: Vec<String> = std::mem::take(&mut self.reason_codes).into_iter().collect();
            let count = tally.values().map(|counts| counts.mitigated).sum();
            for reason_codes in codes.chunks(MAX_REASON_CODES) {
                let target = Target::WholeCheck { reason_codes: reason_codes.to_vec(), count };
                mitigation.push(self.mitigation(self.decided(rule, mitigate), target)?);
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
        }
    }

    fn mitigation(&self, decided: PendingMitigation, target: Target) -> Result<Outgoing, Error> {
        let PendingMitigation { rule, policy, mode, actions, .. } = decided;
        let (audit, check) = (self.audit.clone(), self.check.clone());
        let (origin, policy) = (Origin::Rule(rule), Some(policy));
        let request = MitigationRequest { audit, check, origin, mode, policy, actions, target };
        json(&MitigationMessage::new(request, Step::Start))
    }
}

/// A record's text. One that is far too large loses its related resources, its additional information, and all of
/// its things but their names.
fn raw(record: &FindingRecord<'_>) -> Result<Box<RawValue>, Error> {
    let wrong = |e: serde_json::Error| Error::Input(format!("finding {}: {e}", record.finding.finding_id));
    let text = serde_json::value::to_raw_value(record).map_err(wrong)?;
    if text.get().len() <= MAX_RECORD {
        return Ok(text);
    }
    let mut finding = record.finding.clone();
    finding.related.clear();
    finding.reason = finding.reason.map(|reason| reason.chars().take(1000).collect());
    if let Some(resource) = &mut finding.resource {
        resource.additional_info.clear();
    }
    let mut things = record.things.clone();
    if let Things::Known(things) = &mut things {
        for thing in things {
            (thing.described, thing.groups) = (None, None);
        }
    }
    let decision = record.decision.brief();
    let record = FindingRecord { finding: &finding, things: &things, decision: &decision, ..record.clone() };
    serde_json::value::to_raw_value(&record).map_err(wrong)
}

fn json(message: &impl serde::Serialize) -> Result<Outgoing, Error> {
    serde_json::to_string(message).map(Outgoing::from).map_err(|e| Error::Input(e.to_string()))
}
