//! Alarms in the ledger: the life of each violation, the alarms of each device and behavior, and incidents.

use fleetwarden_core::alarm::Action;
use fleetwarden_core::alarm::AlarmEvent;
use fleetwarden_core::alarm::BehaviorKey;
use fleetwarden_core::alarm::Life;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::Serialize;

use crate::Error;
use crate::ledger::Ledger;

/// The alarms in the ledger.
#[derive(Clone, Debug)]
pub struct Alarms {
    ledger: Ledger,
}

/// What the ledger knows of a violation and of what is around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// The violation.
    pub life: Life,
    /// When the alarms of its device and behavior began, oldest first: those of the last days.
    pub raises: Vec<Millis>,
    /// The incident of its behavior that is not over, if there is one.
    pub incident: Option<Incident>,
}

/// Many devices that alarm on one behavior at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// Its id.
    pub id: String,
    /// The security profile.
    pub profile: String,
    /// The behavior.
    pub behavior: String,
    /// How many devices alarmed within the window when it was noticed, and since.
    pub devices: u64,
    /// Of how many that the profile watches, if that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub population: Option<u64>,
    /// The first of its alarms.
    pub first_at: Millis,
    /// The latest of its alarms.
    pub latest_at: Millis,
    /// When it was over. None: it lasts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended_at: Option<Millis>,
    /// What people decided: `mitigate` or `leave`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decision: Option<String>,
}

impl Alarms {
    /// The alarms in this ledger.
    pub const fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }

    /// The ledger that they are in.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Records an event: merges it into its violation's life, the series of its device and behavior, and the count of
    /// devices that alarm. A repeat changes nothing. Gives what is known then.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn hear(&self, _event: &AlarmEvent, _now: Millis) -> Result<Known, Error> {
        Err(Error::Later("not built".into()))
    }

    /// What is known of a violation now.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn known(&self, _violation_id: &str) -> Result<Option<Known>, Error> {
        Err(Error::Later("not built".into()))
    }

    /// How many devices alarm on a behavior within the window that ends now.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn devices_in_alarm(
        &self,
        _behavior: &BehaviorKey,
        _window_seconds: i64,
        _now: Millis,
    ) -> Result<u64, Error> {
        Err(Error::Later("not built".into()))
    }

    /// Records what was decided or done about a violation. The same action again (by `what` and `task_id`) changes
    /// nothing.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn note(&self, _violation_id: &str, _action: &Action) -> Result<(), Error> {
        Err(Error::Later("not built".into()))
    }

    /// The violations that are in alarm as far as the ledger knows.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn open(&self) -> Result<Vec<Life>, Error> {
        Err(Error::Later("not built".into()))
    }

    /// The incidents that last, and those that ended since a moment.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn incidents(&self, _since: Millis) -> Result<Vec<Incident>, Error> {
        Err(Error::Later("not built".into()))
    }

    /// The violations that are part of an incident.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn members(&self, _incident_id: &str) -> Result<Vec<Life>, Error> {
        Err(Error::Later("not built".into()))
    }

    /// Ends an incident. `decision` is what a person said: `mitigate` (decide on each member by the policy) or `leave`.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn end_incident(
        &self,
        _incident_id: &str,
        _decision: Option<&str>,
        _now: Millis,
    ) -> Result<Option<Incident>, Error> {
        Err(Error::Later("not built".into()))
    }
}
