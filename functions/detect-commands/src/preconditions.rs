//! What of a change only the account shows: what is wrong with it, what it would lose, and what to know about it. Each
//! change costs the calls that it needs.

use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_core::api::input::Fault;
use fleetwarden_core::api::own::TRY_ON;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;
use serde_json::Value;
use serde_json::json;

use crate::behaviors::Judged;
use crate::behaviors::judge;
use crate::models;
use crate::models::Models;
use crate::models::targets;
use crate::trial::Trial;
use crate::trial::try_on;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// The profile as it is now, if the change is about one.
    pub(crate) profile: Option<Value>,
    /// What the change would destroy, or what is surely not meant.
    pub(crate) loses: Vec<String>,
    /// What is said beside the answer.
    pub(crate) notes: Vec<String>,
    /// The result of a trial.
    pub(crate) trial: Option<Trial>,
}

impl Checked {
    /// Everything that has to be confirmed, as one sentence.
    pub(crate) fn loses(&self) -> Option<String> {
        (!self.loses.is_empty()).then(|| self.loses.join("; and "))
    }

    /// Adds the result of a trial. `attached` is whether the behaviors are at work when the change is done.
    fn take(&mut self, trial: Trial, at_work: bool) {
        self.notes.extend(trial.notes());
        match trial.danger() {
            Some(danger) if at_work => self.loses.push(danger),
            danger => self.notes.extend(danger),
        }
        self.trial = Some(trial);
    }
}

/// Checks changes against the account.
#[derive(Clone, Copy)]
pub(crate) struct Preconditions<'a> {
    pub(crate) service: &'a Service,
    pub(crate) models: Models<'a>,
}

impl Preconditions<'_> {
    /// Checks whether a change can be made, and what it does.
    pub(crate) async fn check(&self, command: &Command, deadline: Millis) -> Result<Checked, Failure> {
        match command.operation.name {
            "CreateSecurityProfile" => self.check_creation(command, deadline).await,
            "UpdateSecurityProfile" => self.check_update(command, deadline).await,
            "DeleteSecurityProfile" => self.check_deletion(command).await,
            "AttachSecurityProfile" => self.check_attachment(command, deadline).await,
            "DetachSecurityProfile" => {
                let profile = self.profile(command).await?;
                let target = command.text("securityProfileTargetArn");
                let notes = self.models.when_detached(&profile, target).await?.into_iter().collect();
                Ok(Checked { profile: Some(profile), notes, ..Checked::default() })
            }
            "DeleteCustomMetric" => self.is_unused(command, "metricName", "metricName", "metric").await,
            "DeleteDimension" => self.is_unused(command, "name", "dimensionName", "dimension").await,
            _ => Ok(Checked::default()),
        }
    }

    async fn check_creation(&self, command: &Command, deadline: Millis) -> Result<Checked, Failure> {
        let judged = self.judged(command.input.get("behaviors")).await?;
        let mut checked = Checked::default();
        if let Some(trial) = try_on(self.service, command, &judged, deadline).await? {
            checked.take(trial, false);
        }
        let models = models::models(command.input.get("behaviors"));
        if !models.is_empty() && checked.trial.is_none() {
            let devices = fleetwarden_behaviors::FEWEST_DATAPOINTS.div_ceil(models::MOST_OF_EACH);
            checked.notes.push(format!(
                "the models of {} need 25000 datapoints each in 14 days: at least {devices} devices that report every 5 \
                 minutes",
                models::names(&models)
            ));
        }
        Ok(checked)
    }

    async fn check_update(&self, command: &Command, deadline: Millis) -> Result<Checked, Failure> {
        let given = command.input.get("behaviors");
        let judged = self.judged(given).await?;
        let profile = self.profile(command).await?;
        let mut checked = Checked::default();
        if given.is_some() || command.flag("deleteBehaviors") {
            checked.loses.extend(self.models.lost_by_update(&profile, &judged.given).await?);
        }
        if command.own.contains_key(TRY_ON) {
            let judged =
                if given.is_some() { Some(judged) } else { self.known(&profile, &mut checked).await? };
            if let Some(judged) = judged
                && let Some(trial) = try_on(self.service, command, &judged, deadline).await?
            {
                let at_work = !targets(self.service, &profile).await?.is_empty();
                checked.take(trial, at_work);
            }
        }
        checked.profile = Some(profile);
        Ok(checked)
    }

    async fn check_deletion(&self, command: &Command) -> Result<Checked, Failure> {
        let name = json!({"securityProfileName": command.text("securityProfileName")});
        // To delete what is not there succeeds.
        let profile = self.service.ask_if_there("DescribeSecurityProfile", name).await?;
        let mut checked = Checked::default();
        if let Some(profile) = &profile {
            checked.loses.extend(self.models.lost_by_deletion(profile).await?);
        }
        checked.profile = profile;
        Ok(checked)
    }

    async fn check_attachment(&self, command: &Command, deadline: Millis) -> Result<Checked, Failure> {
        let profile = self.profile(command).await?;
        let mut checked = Checked::default();
        if command.own.contains_key(TRY_ON)
            && let Some(judged) = self.known(&profile, &mut checked).await?
            && let Some(trial) = try_on(self.service, command, &judged, deadline).await?
        {
            checked.take(trial, true);
        }
        let of_each = checked.trial.as_ref().and_then(Trial::of_each_model);
        let target = command.text("securityProfileTargetArn");
        checked.notes.extend(self.models.too_few(&profile, target, of_each).await?);
        checked.profile = Some(profile);
        Ok(checked)
    }

    /// The profile that a command names.
    async fn profile(&self, command: &Command) -> Result<Value, Failure> {
        let name = json!({"securityProfileName": command.text("securityProfileName")});
        self.service.ask("DescribeSecurityProfile", name).await
    }

    /// The behaviors of a command, all of them valid.
    async fn judged(&self, given: Option<&Value>) -> Result<Judged, Failure> {
        let Some(Value::Array(given)) = given else { return Ok(Judged::default()) };
        judge(self.service, given).await?.map_err(Failure::Input)
    }

    /// The behaviors that a profile has. What the service took and is not understood here cannot be tried.
    async fn known(&self, profile: &Value, checked: &mut Checked) -> Result<Option<Judged>, Failure> {
        let behaviors = profile.get("behaviors").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        match judge(self.service, behaviors).await? {
            Ok(judged) => Ok(Some(judged)),
            Err(faults) => {
                let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
                checked.notes.push(format!("the profile cannot be tried: {}", told.join("; ")));
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
    ) -> Result<Checked, Failure> {
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
            return Ok(Checked::default());
        }
        let what =
            format!("security profiles use the {what}: {}; take it out of them first", users.join(", "));
        Err(Failure::Input(vec![Fault { path: format!("$.{member}"), what }]))
    }
}
