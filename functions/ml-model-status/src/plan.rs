//! What needs no service: from training summaries to models with their forecasts and problems, and to the status.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use aws_sdk_iot::operation::describe_security_profile::DescribeSecurityProfileOutput;
use aws_sdk_iot::types::BehaviorModelTrainingSummary;
use fleetwarden_aws::clock::millis;
use fleetwarden_core::model::alarm::Confidence;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::Source;
use fleetwarden_core::model::ml;
use fleetwarden_core::model::ml::Counts;
use fleetwarden_core::model::ml::Forecast;
use fleetwarden_core::model::ml::Model;
use fleetwarden_core::model::ml::ModelStatus;
use fleetwarden_core::model::ml::ModelsStatus;
use fleetwarden_core::model::ml::NOTE;
use fleetwarden_core::model::ml::Sample;
use fleetwarden_core::model::ml::Subject;
use fleetwarden_core::model::ml::WithoutTargets;
use fleetwarden_core::timestamp::Millis;

use crate::snapshot::Profile;

/// How many profiles are named that there was no time for.
const NAMED: usize = 20;

/// The training of each behavior, by profile.
pub(crate) type Trainings = BTreeMap<String, BTreeMap<String, Training>>;

/// The training of one behavior, as the service reports it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Training {
    pub(crate) behavior: String,
    status: ModelStatus,
    percentage: f64,
    since: Option<Millis>,
    refreshed_at: Option<Millis>,
}

/// The trainings of all profiles, by profile. A summary without its names is ignored.
pub(crate) fn trainings(summaries: Vec<BehaviorModelTrainingSummary>) -> Trainings {
    let mut all = Trainings::new();
    for summary in summaries {
        let (Some(profile), Some(behavior)) = (summary.security_profile_name, summary.behavior_name) else {
            continue;
        };
        let training = Training {
            behavior: behavior.clone(),
            status: ModelStatus::read(summary.model_status.as_ref().map_or("", |status| status.as_str())),
            percentage: summary
                .datapoints_collection_percentage
                .filter(|n| n.is_finite())
                .unwrap_or_default(),
            since: summary.training_data_collection_start_date.as_ref().map(millis),
            refreshed_at: summary.last_model_refresh_date.as_ref().map(millis),
        };
        all.entry(profile).or_default().insert(behavior, training);
    }
    all
}

/// The outlook of a model that has expired.
pub(crate) const EXPIRED: &str = "An expired model is not built again: create a new security profile.";

/// How many devices are in alarm, by profile and behavior.
fn devices_in_alarm(open: &[Life]) -> BTreeMap<(&str, &str), u64> {
    let mut things: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for alarm in open.iter().map(|life| &life.alarm).filter(|alarm| alarm.source == Source::DeviceDefender) {
        if let Some(thing) = &alarm.thing {
            things.entry((&alarm.profile, &alarm.behavior)).or_default().insert(thing);
        }
    }
    things.into_iter().map(|(behavior, things)| (behavior, things.len() as u64)).collect()
}

/// The model of a behavior. Adds the sample of this run to those of its profile.
fn model(name: &str, training: &Training, profile: &mut Profile, in_alarm: u64, subject: Subject) -> Model {
    let behavior = profile.behaviors.entry(training.behavior.clone()).or_default();
    let collected = ml::datapoints(training.percentage);
    ml::add_sample(&mut behavior.samples, Sample { at: subject.now, collected });
    let forecast = match training.status {
        // What has expired is never built again, however much is collected.
        ModelStatus::Expired => Forecast::NoDatapoints,
        _ => ml::forecast(&behavior.samples, training.since, profile.devices),
    };
    let outlook = match training.status {
        ModelStatus::Expired => EXPIRED.to_owned(),
        _ => forecast.words(),
    };
    let mut model = Model {
        profile: name.to_owned(),
        behavior: training.behavior.clone(),
        metric: behavior.metric.clone(),
        confidence: behavior.confidence,
        status: training.status.clone(),
        percentage: training.percentage,
        collected,
        collecting_since: training.since,
        refreshed_at: training.refreshed_at,
        devices: profile.devices,
        in_alarm,
        forecast,
        outlook,
        problems: Vec::new(),
    };
    model.problems = ml::problems(&model, &subject);
    model
}

/// Records what a description says of a profile's behaviors.
pub(crate) fn describe(profile: &mut Profile, described: &DescribeSecurityProfileOutput) {
    if let Some(created) = described.creation_date() {
        profile.known_since = Some(millis(created));
    }
    for behavior in described.behaviors() {
        let model = behavior.criteria().and_then(|criteria| criteria.ml_detection_config());
        let Some(model) = model else { continue };
        let known = profile.behaviors.entry(behavior.name.clone()).or_default();
        known.metric.clone_from(&behavior.metric);
        known.confidence = match model.confidence_level.as_str() {
            "LOW" => Some(Confidence::Low),
            "MEDIUM" => Some(Confidence::Medium),
            "HIGH" => Some(Confidence::High),
            _ => None,
        };
    }
}

/// What a run has found of all profiles.
pub(crate) struct Found<'r> {
    pub(crate) at: Millis,
    pub(crate) limit: f64,
    /// The names of all security profiles.
    pub(crate) names: &'r [String],
    pub(crate) profiles: &'r BTreeMap<String, Profile>,
    pub(crate) models: Vec<Model>,
    /// The profiles that there was no time for.
    pub(crate) left: &'r [String],
    /// The calls that were refused.
    pub(crate) refused: Vec<String>,
    /// Whether training summaries are missing.
    pub(crate) incomplete: bool,
}

/// The status of all models, those with problems first.
pub(crate) fn status(found: Found<'_>) -> ModelsStatus {
    let without = found.profiles.iter().filter(|(_, profile)| !profile.has_targets());
    let mut counts = Counts::default();
    found.models.iter().for_each(|model| counts.count(model));
    let mut status = ModelsStatus {
        at: found.at,
        profiles: found.names.len(),
        ml_profiles: found.profiles.len(),
        not_seen: found.left.len(),
        not_seen_names: found.left.iter().take(NAMED).cloned().collect(),
        incomplete: found.incomplete,
        refused: found.refused,
        counts,
        limit: found.limit,
        without_targets: without
            .map(|(name, profile)| WithoutTargets { profile: name.clone(), had: profile.had })
            .collect(),
        models: found.models,
        left_out: 0,
        note: NOTE.to_owned(),
    };
    status.sort();
    status
}

/// The models of all behaviors, each with the problems that it has now. `alarmed_often` says of a behavior whether it
/// alarmed often in the run before.
pub(crate) fn models(
    trainings: &Trainings,
    profiles: &mut BTreeMap<String, Profile>,
    open: &[Life],
    (limit, now): (f64, Millis),
    alarmed_often: impl Fn(&str, &str) -> bool,
) -> Vec<Model> {
    let in_alarm = devices_in_alarm(open);
    let mut models = Vec::new();
    for (name, trainings) in trainings {
        let Some(profile) = profiles.get_mut(name) else { continue };
        profile.behaviors.retain(|behavior, _| trainings.contains_key(behavior));
        for training in trainings.values() {
            let subject = Subject {
                known_since: profile.known_since.unwrap_or(now),
                has_targets: profile.has_targets(),
                limit,
                alarmed_often: alarmed_often(name, &training.behavior),
                now,
            };
            let devices = in_alarm.get(&(name.as_str(), training.behavior.as_str()));
            models.push(model(name, training, profile, devices.copied().unwrap_or_default(), subject));
        }
    }
    models
}

/// The order in which profiles are visited: first those that the last run had no time for.
pub(crate) fn order<'t>(trainings: &'t Trainings, first: Option<&str>) -> Vec<&'t String> {
    let from = first.map_or(0, |first| trainings.keys().take_while(|name| name.as_str() < first).count());
    trainings.keys().skip(from).chain(trainings.keys().take(from)).collect()
}
