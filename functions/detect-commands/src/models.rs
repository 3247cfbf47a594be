//! Models of ML behaviors: when a change loses one, and whether devices are enough to train one.

use std::collections::BTreeSet;

use fleetwarden_aws::profile_devices::ProfileDevices;
use fleetwarden_aws::profile_devices::Target;
use fleetwarden_behaviors::FEWEST_DATAPOINTS;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_core::api::time::millis;
use fleetwarden_core::untrusted::shown;
use serde_json::Value;
use serde_json::json;

/// Datapoints of a device in 14 days, one each five minutes: no metric has more.
pub(crate) const MOST_OF_EACH: u64 = 4_032;
/// How long a model lasts without its daily refresh, in days.
const KEPT_DAYS: i64 = 30;

/// The behaviors that a model judges.
pub(crate) fn models(behaviors: Option<&Value>) -> Vec<&Value> {
    let behaviors = behaviors.and_then(Value::as_array).into_iter().flatten();
    behaviors.filter(|behavior| is_model(behavior)).collect()
}

fn is_model(behavior: &Value) -> bool {
    behavior.pointer("/criteria/mlDetectionConfig").is_some_and(Value::is_object)
}

/// Whether a behavior goes on with the model of another: a change of its confidence or its counts needs no new one.
fn keeps(behavior: &Value, model: &Value) -> bool {
    let operator = |of: &Value| {
        let operator = of.pointer("/metricDimension/operator").and_then(Value::as_str);
        operator.unwrap_or("IN").to_owned()
    };
    let dimension = |of: &Value| of.pointer("/metricDimension/dimensionName").cloned();
    is_model(behavior)
        && behavior.get("name") == model.get("name")
        && behavior.get("metric") == model.get("metric")
        && dimension(behavior) == dimension(model)
        && (dimension(model).is_none() || operator(behavior) == operator(model))
}

/// The names of behaviors.
pub(crate) fn names(behaviors: &[&Value]) -> String {
    let name = |behavior: &&Value| behavior.get("name").and_then(Value::as_str).map(shown);
    behaviors.iter().filter_map(name).map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}

/// Asks for the models of profiles, and for the devices that train them.
#[derive(Clone, Copy)]
pub(crate) struct Models<'a> {
    pub(crate) service: &'a Service,
    pub(crate) devices: &'a ProfileDevices,
}

impl Models<'_> {
    /// What a deletion of the profile loses.
    pub(crate) async fn lost_by_deletion(&self, profile: &Value) -> Result<Option<String>, Failure> {
        let models = models(profile.get("behaviors"));
        self.lost("to delete the security profile", profile, &models).await
    }

    /// What an update of the profile to these behaviors loses.
    pub(crate) async fn lost_by_update(
        &self,
        profile: &Value,
        behaviors: &[Value],
    ) -> Result<Option<String>, Failure> {
        let mut models = models(profile.get("behaviors"));
        models.retain(|model| !behaviors.iter().any(|behavior| keeps(behavior, model)));
        self.lost("to change or remove these behaviors", profile, &models).await
    }

    async fn lost(&self, what: &str, profile: &Value, models: &[&Value]) -> Result<Option<String>, Failure> {
        if models.is_empty() {
            return Ok(None);
        }
        let name = profile.get("securityProfileName").cloned().unwrap_or_default();
        let listed =
            self.service.ask_all("GetBehaviorModelTrainingSummaries", json!({"securityProfileName": name}));
        let summaries = match listed.await {
            Ok(summaries) => summaries,
            Err(failure) if failure.name() == "ResourceNotFoundException" => Vec::new(),
            Err(failure) => return Err(failure),
        };
        let told = models.iter().map(|model| {
            let name = model.get("name").and_then(Value::as_str).unwrap_or_default();
            let summary = summaries.iter().find(|summary| summary.get("behaviorName") == model.get("name"));
            format!("'{}' ({})", shown(name), summary.map_or("not trained yet".to_owned(), status))
        });
        let told: Vec<String> = told.collect();
        Ok(Some(format!(
            "{what} loses at once the models of {}; a new one takes 14 days and {FEWEST_DATAPOINTS} datapoints",
            told.join(", ")
        )))
    }

    /// When a profile that is taken from a target loses its models; nothing if it has none.
    pub(crate) async fn when_detached(
        &self,
        profile: &Value,
        target: &str,
    ) -> Result<Option<String>, Failure> {
        let models = models(profile.get("behaviors"));
        if models.is_empty() {
            return Ok(None);
        }
        let others = targets(self.service, profile).await?;
        let others = others.iter().filter(|other| *other != target).count();
        let names = names(&models);
        Ok(Some(if others == 0 {
            let lost = self.service.clock.now().plus_seconds(KEPT_DAYS * 86_400).day();
            format!(
                "the models of {names} get no datapoints from now on and are lost after {KEPT_DAYS} days without a \
                 refresh, about {lost}; attach the profile again before, or they cannot be reactivated"
            )
        } else {
            let others =
                if others == 1 { "other target".to_owned() } else { format!("{others} other targets") };
            format!("the models of {names} go on with the datapoints of the {others}")
        }))
    }

    /// Whether the devices of a profile's targets, and of one more, are too few to train its models; nothing if they are
    /// enough, or if there is none. `of_each` is how many datapoints a device has in 14 days.
    pub(crate) async fn too_few(
        &self,
        profile: &Value,
        target: &str,
        of_each: Option<u64>,
    ) -> Result<Option<String>, Failure> {
        let models = models(profile.get("behaviors"));
        if models.is_empty() {
            return Ok(None);
        }
        let each = of_each.unwrap_or(MOST_OF_EACH);
        let needed = if each == 0 { u64::MAX } else { FEWEST_DATAPOINTS.div_ceil(each) };
        let mut targets = targets(self.service, profile).await?;
        if !targets.iter().any(|other| other == target) {
            targets.push(target.to_owned());
        }
        let devices = match self.count(&targets, needed).await {
            Ok(Some(devices)) if devices < needed => devices,
            Ok(_) => return Ok(None),
            // It is advice: the profile can be attached without.
            Err(failure) => {
                return Ok(Some(format!(
                    "it is unknown whether the devices are enough to train a model: {failure}"
                )));
            }
        };
        let how = if of_each.is_some() {
            format!("by what the things that were tried report ({each} datapoints each in 14 days)")
        } else {
            format!("even if each reports every 5 minutes ({each} datapoints in 14 days)")
        };
        let wanted = if each == 0 { "devices that report".to_owned() } else { format!("{needed} devices") };
        if devices == 0 {
            return Ok(Some(format!(
                "the models of {} will never be trained: the profile's targets have no devices",
                names(&models)
            )));
        }
        Ok(Some(format!(
            "the models of {} will never be trained: a model needs {FEWEST_DATAPOINTS} datapoints in 14 days, and the \
             {devices} devices of the profile's targets make {} {how}; it takes {wanted}",
            names(&models),
            devices.saturating_mul(each),
        )))
    }

    /// How many devices targets have, as far as that is below `enough`. None: they cannot be counted.
    async fn count(&self, targets: &[String], enough: u64) -> Result<Option<u64>, Failure> {
        let mut things = BTreeSet::new();
        let mut uncounted = false;
        for arn in targets {
            match Target::of(arn) {
                Target::Group(group) => drop(self.devices.add_group(group, enough, &mut things).await?),
                Target::Registered => drop(self.devices.add_registered(enough, &mut things).await?),
                Target::Everything => {
                    // Clients that are not registered are in no list.
                    uncounted = true;
                    self.devices.add_registered(enough, &mut things).await?;
                }
                Target::Uncounted => uncounted = true,
            }
        }
        let devices = things.len() as u64;
        Ok(if uncounted && devices < enough { None } else { Some(devices) })
    }
}

/// The ARNs of the targets of a profile.
pub(crate) async fn targets(service: &Service, profile: &Value) -> Result<Vec<String>, Failure> {
    let name = profile.get("securityProfileName").cloned().unwrap_or_default();
    let targets = json!({"securityProfileName": name});
    let targets = service.ask_all("ListTargetsForSecurityProfile", targets).await?;
    let arn = |target: &Value| Some(target.get("arn")?.as_str()?.to_owned());
    Ok(targets.iter().filter_map(arn).collect())
}

/// Where a model stands, in words.
fn status(summary: &Value) -> String {
    let status = summary.get("modelStatus").and_then(Value::as_str).unwrap_or("unknown");
    let refreshed = summary.get("lastModelRefreshDate").and_then(millis);
    let percent = summary.get("datapointsCollectionPercentage").and_then(Value::as_f64);
    match (refreshed, percent) {
        (Some(at), _) => format!("{}, refreshed {}", shown(status), at.day()),
        (None, Some(percent)) => format!("{}, {percent:.0} % of the datapoints", shown(status)),
        (None, None) => shown(status),
    }
}
