//! What becomes of a training summary: a model with its forecast and its troubles. Pure.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use aws_sdk_iot::primitives::DateTime;
use aws_sdk_iot::types::BehaviorModelTrainingSummary;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::Source;
use fleetwarden_core::model::ml;
use fleetwarden_core::model::ml::Forecast;
use fleetwarden_core::model::ml::Model;
use fleetwarden_core::model::ml::ModelStatus;
use fleetwarden_core::model::ml::Sample;
use fleetwarden_core::model::ml::Subject;
use fleetwarden_core::timestamp::Millis;

use crate::memory::Profile;

/// The training of one behavior, as the service says it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Training {
    pub(crate) behavior: String,
    status: ModelStatus,
    percentage: f64,
    since: Option<Millis>,
    refreshed_at: Option<Millis>,
}

/// The trainings of all profiles, by profile. A summary without its names says nothing.
pub(crate) fn trainings(
    summaries: Vec<BehaviorModelTrainingSummary>,
) -> BTreeMap<String, BTreeMap<String, Training>> {
    let mut all: BTreeMap<String, BTreeMap<String, Training>> = BTreeMap::new();
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

/// A moment of the API: seconds with a fraction, rounded to milliseconds.
pub(crate) fn millis(at: &DateTime) -> Millis {
    let fraction = i64::from(at.subsec_nanos()).saturating_add(500_000) / 1_000_000;
    Millis(at.secs().saturating_mul(1_000).saturating_add(fraction))
}

/// What is to come of a model that has expired.
pub(crate) const EXPIRED: &str = "An expired model is not built again: create a new security profile.";

/// How many devices are in alarm, by profile and behavior.
pub(crate) fn devices_in_alarm(open: &[Life]) -> BTreeMap<(&str, &str), u64> {
    let mut things: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for alarm in open.iter().map(|life| &life.alarm).filter(|alarm| alarm.source == Source::DeviceDefender) {
        if let Some(thing) = &alarm.thing {
            things.entry((&alarm.profile, &alarm.behavior)).or_default().insert(thing);
        }
    }
    things.into_iter().map(|(behavior, things)| (behavior, things.len() as u64)).collect()
}

/// The model of a behavior. Adds the sample of this look to those of its profile.
pub(crate) fn model(
    name: &str,
    training: &Training,
    profile: &mut Profile,
    in_alarm: u64,
    subject: Subject,
) -> Model {
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
        troubles: Vec::new(),
    };
    model.troubles = ml::troubles(&model, &subject);
    model
}
