//! One violation: what is known of it, and what was decided and done about it.

use fleetwarden_core::model::alarm::Action;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::Verification;
use fleetwarden_core::timestamp::Millis;

use super::Alarms;
use super::Known;
use super::ROUNDS;
use super::item::LIFE;
use super::item::attribute;
use crate::Error;
use crate::ledger::Item;
use crate::ledger::keys;
use crate::ledger::pause;

impl Alarms {
    /// What is known of a violation now.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn known(&self, violation_id: &str) -> Result<Option<Known>, Error> {
        let Some(life) = self.life(violation_id).await?.value else { return Ok(None) };
        let snapshot = self.read(&life.alarm).await?;
        let life = snapshot.life.value.clone().unwrap_or(life);
        let series = snapshot.series.value.clone().unwrap_or_default();
        Ok(Some(snapshot.known(life, &series)))
    }

    /// Records what was decided or done about a violation. The same action again (by `what` and `task_id`, since the
    /// violation was raised) changes nothing, nor does one of a violation that is not known.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn note(&self, violation_id: &str, action: &Action) -> Result<(), Error> {
        self.note_after(violation_id, action, None).await
    }

    /// The same, where what was done before a moment is not the same action: a decision after an incident is another than
    /// the one before it.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn note_after(
        &self,
        violation_id: &str,
        action: &Action,
        since: Option<Millis>,
    ) -> Result<(), Error> {
        let note = |life: &mut Life| {
            if !life.has_noted(action, since) {
                life.act(action.clone());
            }
        };
        self.change(violation_id, action.at, None, note).await.map(drop)
    }

    /// Records what people said of a violation, or a rule of theirs.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn verified(&self, violation_id: &str, state: Verification, at: Millis) -> Result<(), Error> {
        self.change(violation_id, at, None, |life| life.verify(state, at)).await.map(drop)
    }

    /// Makes a violation part of an incident. One that was raised again meanwhile stays as it is. Gives the violation as
    /// it is then.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn join(
        &self,
        violation_id: &str,
        raised_at: Millis,
        incident_id: &str,
        now: Millis,
    ) -> Result<Option<Life>, Error> {
        let join = |life: &mut Life| {
            if life.raised_at == Some(raised_at) {
                life.incident = Some(incident_id.to_owned());
            }
        };
        self.change(violation_id, now, Some(incident_id), join).await
    }

    /// Changes a violation: reads it, and writes it if it is then another. With an incident, the list of its members is
    /// written too.
    async fn change(
        &self,
        violation_id: &str,
        now: Millis,
        incident: Option<&str>,
        change: impl Fn(&mut Life),
    ) -> Result<Option<Life>, Error> {
        for round in 0..ROUNDS {
            let snapshot = self.life(violation_id).await?;
            let Some(before) = snapshot.value else { return Ok(None) };
            let mut life = before.clone();
            change(&mut life);
            if life == before {
                return Ok(Some(life));
            }
            let mut transaction = self.ledger.transaction();
            let item = Item::new(&keys::alarm(violation_id), LIFE, now).json(attribute::LIFE, &life);
            transaction.put_version(item, snapshot.version);
            if let Some(incident) = incident {
                transaction.put(Item::new(&keys::incident_members(incident), violation_id, now));
            }
            if transaction.send().await? {
                return Ok(Some(life));
            }
            pause(round).await;
        }
        Err(Error::Later(format!("violation {violation_id}: still written by others after {ROUNDS} tries")))
    }
}
