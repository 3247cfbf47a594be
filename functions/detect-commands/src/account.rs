//! What a change does that only a look at the account tells: what is wrong with it, what it would lose, what has to be
//! known about it. Each change costs the looks that it needs.

use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_core::api::input::Fault;
use fleetwarden_core::api::own::TRY_ON;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;
use serde_json::Value;
use serde_json::json;

use crate::DetectCommands;
use crate::behaviors::Judged;
use crate::models;
use crate::trial::Trial;

/// What a look has found.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// The profile as it is now, if the change is about one.
    pub(crate) profile: Option<Value>,
    /// What the change would destroy, or what nobody can have meant by it.
    pub(crate) loses: Vec<String>,
    /// What is said beside the answer.
    pub(crate) notes: Vec<String>,
    /// What came of a trial.
    pub(crate) trial: Option<Trial>,
}

impl Look {
    /// Everything that has to be confirmed, as one sentence.
    pub(crate) fn loses(&self) -> Option<String> {
        (!self.loses.is_empty()).then(|| self.loses.join("; and "))
    }

    /// Takes what came of a trial. `attached` is whether the behaviors are at work when the change is done.
    fn take(&mut self, trial: Trial, at_work: bool) {
        self.notes.extend(trial.notes());
        match trial.danger() {
            Some(danger) if at_work => self.loses.push(danger),
            danger => self.notes.extend(danger),
        }
        self.trial = Some(trial);
    }
}

impl DetectCommands {
    /// Looks whether a change can be made, and what it does.
    pub(crate) async fn look(&self, command: &Command, deadline: Millis) -> Result<Look, Failure> {
        match command.operation.name {
            "CreateSecurityProfile" => self.look_at_creation(command, deadline).await,
            "UpdateSecurityProfile" => self.look_at_update(command, deadline).await,
            "DeleteSecurityProfile" => self.look_at_deletion(command).await,
            "AttachSecurityProfile" => self.look_at_attachment(command, deadline).await,
            "DetachSecurityProfile" => {
                let profile = self.profile(command).await?;
                let target = command.text("securityProfileTargetArn");
                let notes = self.when_detached(&profile, target).await?.into_iter().collect();
                Ok(Look { profile: Some(profile), notes, ..Look::default() })
            }
            "DeleteCustomMetric" => self.is_unused(command, "metricName", "metricName", "metric").await,
            "DeleteDimension" => self.is_unused(command, "name", "dimensionName", "dimension").await,
            _ => Ok(Look::default()),
        }
    }

    async fn look_at_creation(&self, command: &Command, deadline: Millis) -> Result<Look, Failure> {
        let judged = self.judged(command.input.get("behaviors")).await?;
        let mut look = Look::default();
        if let Some(trial) = self.try_on(command, &judged, deadline).await? {
            look.take(trial, false);
        }
        let models = models::models(command.input.get("behaviors"));
        if !models.is_empty() && look.trial.is_none() {
            let devices = fleetwarden_behaviors::FEWEST_DATAPOINTS.div_ceil(models::MOST_OF_EACH);
            look.notes.push(format!(
                "the models of {} need 25000 datapoints each in 14 days: at least {devices} devices that report every 5 \
                 minutes",
                models::names(&models)
            ));
        }
        Ok(look)
    }

    async fn look_at_update(&self, command: &Command, deadline: Millis) -> Result<Look, Failure> {
        let given = command.input.get("behaviors");
        let judged = self.judged(given).await?;
        let profile = self.profile(command).await?;
        let mut look = Look::default();
        if given.is_some() || command.flag("deleteBehaviors") {
            look.loses.extend(self.lost_by_update(&profile, &judged.given).await?);
        }
        if command.own.contains_key(TRY_ON) {
            let judged = if given.is_some() { Some(judged) } else { self.known(&profile, &mut look).await? };
            if let Some(judged) = judged
                && let Some(trial) = self.try_on(command, &judged, deadline).await?
            {
                let at_work = !self.targets(&profile).await?.is_empty();
                look.take(trial, at_work);
            }
        }
        look.profile = Some(profile);
        Ok(look)
    }

    async fn look_at_deletion(&self, command: &Command) -> Result<Look, Failure> {
        let name = json!({"securityProfileName": command.text("securityProfileName")});
        // To delete what is not there succeeds.
        let profile = self.service.ask_if_there("DescribeSecurityProfile", name).await?;
        let mut look = Look::default();
        if let Some(profile) = &profile {
            look.loses.extend(self.lost_by_deletion(profile).await?);
        }
        look.profile = profile;
        Ok(look)
    }

    async fn look_at_attachment(&self, command: &Command, deadline: Millis) -> Result<Look, Failure> {
        let profile = self.profile(command).await?;
        let mut look = Look::default();
        if command.own.contains_key(TRY_ON)
            && let Some(judged) = self.known(&profile, &mut look).await?
            && let Some(trial) = self.try_on(command, &judged, deadline).await?
        {
            look.take(trial, true);
        }
        let of_each = look.trial.as_ref().and_then(Trial::of_each_model);
        let target = command.text("securityProfileTargetArn");
        look.notes.extend(self.too_few(&profile, target, of_each).await?);
        look.profile = Some(profile);
        Ok(look)
    }

    /// The profile that a command names.
    async fn profile(&self, command: &Command) -> Result<Value, Failure> {
        let name = json!({"securityProfileName": command.text("securityProfileName")});
        self.service.ask("DescribeSecurityProfile", name).await
    }

    /// The behaviors of a command, all of them valid.
    async fn judged(&self, given: Option<&Value>) -> Result<Judged, Failure> {
        let Some(Value::Array(given)) = given else { return Ok(Judged::default()) };
        self.judge(given).await?.map_err(Failure::Input)
    }

    /// The behaviors that a profile has. What the service took and is not understood here cannot be tried.
    async fn known(&self, profile: &Value, look: &mut Look) -> Result<Option<Judged>, Failure> {
        let behaviors = profile.get("behaviors").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        match self.judge(behaviors).await? {
            Ok(judged) => Ok(Some(judged)),
            Err(faults) => {
                let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
                look.notes.push(format!("the profile cannot be tried: {}", told.join("; ")));
                Ok(None)
            }
        }
    }

    /// "You must first remove the custom metric from all security profiles it's a part of", and so for a dimension.
    async fn is_unused(
        &self,
        command: &Command,
        member: &'static str,
        filter: &str,
        what: &str,
    ) -> Result<Look, Failure> {
        let listed = self.service.ask_all("ListSecurityProfiles", json!({filter: command.text(member)}));
        let users = match listed.await {
            Ok(users) => users,
            // To delete what is not there succeeds.
            Err(failure) if failure.name() == "ResourceNotFoundException" => Vec::new(),
            Err(failure) => return Err(failure),
        };
        let name = |user: &Value| Some(format!("'{}'", shown(user.get("name")?.as_str()?)));
        let users: Vec<String> = users.iter().filter_map(name).collect();
        if users.is_empty() {
            return Ok(Look::default());
        }
        let what =
            format!("security profiles use the {what}: {}; take it out of them first", users.join(", "));
        Err(Failure::Input(vec![Fault { path: format!("$.{member}"), what }]))
    }
}
