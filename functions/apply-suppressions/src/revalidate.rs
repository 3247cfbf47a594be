//! The policy of now decides on a finding again, right before its resource is suppressed.
//!
//! A message is a request and never an authority: it may have waited in a queue for weeks, another policy may be
//! deployed, or another sender may have sent it. So the finding is looked up, its resource and its check are taken from
//! the service, and the policy decides as it would have at the audit. What it does not suppress with the same end and
//! words is left to the next audit: the history of findings has the terms that triage decided on, and another
//! length would be given twice.

use aws_sdk_iot::types::AuditFinding;
use fleetwarden_aws::Error;
use fleetwarden_aws::clock::millis;
use fleetwarden_aws::findings;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::registry::Registry;
use fleetwarden_core::api;
use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::SuppressionMessage;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::Decision;
use fleetwarden_core::policy::Hold;
use fleetwarden_core::policy::Outcome;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::Subject;
use fleetwarden_core::untrusted::shown;

/// How far apart the start of an audit may be in its notification and in its findings, in milliseconds: one of them may
/// have lost the fraction of its second.
const START_TOLERANCE_MS: u64 = 1_000;

/// What the policy of now says of a finding.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It suppresses this resource as the message asks.
    Suppress(Box<ResourceIdentifier>),
    /// It does not, for this reason.
    Superseded(String),
}

/// What is asked before a finding's resource is suppressed.
pub(crate) struct Revalidation<'h> {
    /// AWS IoT, for findings.
    pub(crate) iot: &'h aws_sdk_iot::Client,
    /// How fast it is called.
    pub(crate) pace: &'h Pace,
    /// What is behind a finding.
    pub(crate) registry: Registry,
    /// What the operator wants now.
    pub(crate) policy: &'h Policy,
}

impl Revalidation<'_> {
    /// Decides on a finding of a message again.
    ///
    /// # Errors
    /// If the finding cannot be looked up, or is another one than the message says: [`Error::Input`].
    pub(crate) async fn verdict(
        &self,
        message: &SuppressionMessage,
        asked: &FindingRef,
    ) -> Result<Verdict, Error> {
        let id = shown(&asked.finding_id);
        let past =
            asked.past.ok_or_else(|| Error::Input(format!("finding {id} of the message has no past")))?;
        let Some(described) = self.describe(asked).await? else {
            return Ok(Verdict::Superseded("the finding no longer exists".to_owned()));
        };
        verify_audit(message, &id, &described)?;
        let finding = findings::finding(described, &message.check, &asked.finding_id);
        let (Some(resource), true) = (finding.identifier(), finding.key() == asked.key) else {
            return Err(Error::Input(format!(
                "finding {id} is not of the check and resource of the message"
            )));
        };
        let subject = Subject {
            finding: &finding,
            account: &message.audit.account,
            region: &message.audit.region,
            at: message.audit.started_at,
            first_seen: past.first_seen,
            times_seen: past.times_seen,
            first_suppressed: past.first_suppressed,
            things: &Things::NotAsked,
        };
        let wants = |things: &Things| self.policy.decide(&Subject { things, ..subject.clone() }).wanted;
        let things = self.registry.look_up(Some(resource), wants).await;
        let subject = Subject { things: &things, ..subject.clone() };
        Ok(match objection(message, &self.policy.decide(&subject), &things) {
            None => Verdict::Suppress(Box::new(resource.clone())),
            Some(why) => Verdict::Superseded(why),
        })
    }

    /// A finding as the service has it; none if it no longer exists.
    async fn describe(&self, asked: &FindingRef) -> Result<Option<AuditFinding>, Error> {
        let name = "DescribeAuditFinding";
        let operation = api::audit(name).map_err(Error::Input)?;
        let describe = self.iot.describe_audit_finding().finding_id(&asked.finding_id);
        let call = async || describe.clone().send().await.map_err(Error::aws(name, &asked.finding_id));
        let described = match self.pace.call(operation, call).await {
            Err(error) if error.is_code("ResourceNotFoundException") => return Ok(None),
            described => described?,
        };
        let id = shown(&asked.finding_id);
        let empty = || Error::Later(format!("{name} on {id}: the answer has no finding"));
        described.finding.map(Some).ok_or_else(empty)
    }
}

/// Why the policy of now does not suppress a finding as the message asks; none if it does.
fn objection(message: &SuppressionMessage, decision: &Decision<'_, '_>, things: &Things) -> Option<String> {
    let rule = decision.rule.unwrap_or_default();
    Some(match (decision.held, decision.outcome) {
        (None, Outcome::Suppress(suppress)) => {
            let same_rule = rule == message.rule;
            if same_rule && decision.ends_at() == message.expires_at && suppress.words == message.words {
                return None;
            }
            format!("rule {rule} suppresses it with another name, end, reason, owner or ticket")
        }
        (Some(Hold::RuleUnknown(rule)), _) => {
            let unknown = if let Things::Unknown { unknown } = things { unknown } else { "not looked up" };
            format!("rule {rule} cannot be evaluated: {unknown}")
        }
        (_, Outcome::Suppressed) => "it is already suppressed".to_owned(),
        _ if rule.is_empty() => "no rule matches it".to_owned(),
        (_, outcome) => format!("rule {rule} says {}", outcome.word()),
    })
}

/// The audit of the message is that of the finding: by its start the policy counts, and a later audit is known.
fn verify_audit(message: &SuppressionMessage, id: &str, described: &AuditFinding) -> Result<(), Error> {
    let audit = &message.audit;
    let same_task = described.task_id() == Some(audit.task_id.as_str());
    let start = described.task_start_time().map(millis);
    let same_start = start.is_some_and(|at| at.0.abs_diff(audit.started_at.0) <= START_TOLERANCE_MS);
    if same_task && same_start {
        return Ok(());
    }
    Err(Error::Input(format!("finding {id} is not of the audit of the message")))
}
