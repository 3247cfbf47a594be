//! `AlarmIncident`: a person ends an incident of alarms, and says what becomes of its members.
//!
//! The end is written first: as long as the incident lasts, a member that is decided on is only held again. After a crash in
//! between, members stay undecided until the command is repeated; a repeat sends each member again, and none is mitigated
//! twice.

use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::alarms::Incident;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_aws::queue::Queue;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::calls::answer;
use fleetwarden_commands::diff::change;
use fleetwarden_commands::dry_run::described;
use fleetwarden_core::message::alarm::AlarmMessage;
use fleetwarden_core::message::alarm::Settle;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::State;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

/// The decision that has the policy decide on each member.
const MITIGATE: &str = "mitigate";
/// For how long incidents are looked for, in seconds: as long as the ledger keeps them.
const KEPT_SECONDS: i64 = 400 * 86_400;

/// Ends incidents by the decision of a person.
pub(crate) struct Incidents<'a> {
    pub(crate) alarms: &'a Alarms,
    /// The alarm queue, made when it is needed.
    pub(crate) queue: &'a (dyn Fn() -> Queue + Send + Sync),
    pub(crate) clock: &'a Clock,
}

impl Incidents<'_> {
    /// `AlarmIncident`.
    pub(crate) async fn end(&self, command: &Command) -> Result<Box<RawValue>, Failure> {
        let (id, decision) = (command.text("incidentId"), command.text("decision"));
        let now = self.clock.now();
        if command.dry_run {
            return self.would_end(command, now).await;
        }
        let ended = self.alarms.end_incident(id, Some(decision), now).await?.ok_or_else(|| missing(id))?;
        is_decided(&ended, decision)?;
        let settled = if decision == MITIGATE { self.settle_members(id, now).await? } else { 0 };
        tracing::info!(incident.id = id, decision, settled, "a person ended the incident");
        answer(&json!({"incident": ended, "settled": settled}))
    }

    async fn would_end(&self, command: &Command, now: Millis) -> Result<Box<RawValue>, Failure> {
        let (id, decision) = (command.text("incidentId"), command.text("decision"));
        let incidents = self.alarms.incidents(now.plus_seconds(-KEPT_SECONDS)).await?;
        let incident = incidents.into_iter().find(|incident| incident.id == id).ok_or_else(|| missing(id))?;
        if incident.ended_at.is_some() {
            is_decided(&incident, decision)?;
            return described(command, Vec::new(), None);
        }
        let raised = self.alarms.members(id).await?.iter().filter_map(to_settle).count();
        let settles = if decision == MITIGATE { raised } else { 0 };
        let changes = vec![
            change("$.endedAt", &Value::Null, &now.rfc3339().into()),
            change("$.decision", &Value::Null, &decision.into()),
            change("$.settled", &0.into(), &settles.into()),
        ];
        described(command, changes, None)
    }

    /// Has each member that is still in alarm decided on. Says how many there are.
    async fn settle_members(&self, id: &str, now: Millis) -> Result<usize, Failure> {
        let members = self.alarms.members(id).await?;
        let message = |(violation_id, raised_at): (String, Millis)| {
            let settle = Settle { violation_id, raised_at, not_before: now, round: None, devices: None };
            let body = serde_json::to_string(&AlarmMessage::Settle(settle));
            body.map(Outgoing::from).map_err(|e| Error::Input(e.to_string()))
        };
        let messages: Vec<Outgoing> =
            members.iter().filter_map(to_settle).map(message).collect::<Result<_, Error>>()?;
        (self.queue)().send(&messages).await?;
        Ok(messages.len())
    }
}

/// A member that is still in alarm.
fn to_settle(life: &Life) -> Option<(String, Millis)> {
    let raised_at = life.raised_at?;
    (life.state() == Some(State::Raised)).then(|| (life.alarm.violation_id.clone(), raised_at))
}

fn missing(id: &str) -> Failure {
    let what = format!("AlarmIncident: there is no incident '{id}'");
    Failure::Refused { name: "ResourceNotFoundException", what }
}

/// An incident that is over stays as it was decided.
fn is_decided(incident: &Incident, decision: &str) -> Result<(), Failure> {
    if incident.decision.as_deref() == Some(decision) {
        return Ok(());
    }
    let at = incident.ended_at.map(Millis::rfc3339).unwrap_or_default();
    let by = match &incident.decision {
        Some(other) => format!("by the decision '{other}'"),
        None => "by itself".to_owned(),
    };
    let what = format!("AlarmIncident: the incident has ended at {at}, {by}");
    Err(Failure::Refused { name: "IncidentEnded", what })
}
