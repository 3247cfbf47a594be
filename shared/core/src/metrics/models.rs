//! The metrics of a look at the models of ML Detect: one line of all, and one for each model.

use serde_json::Value;
use serde_json::json;

use super::NAMESPACE;
use crate::model::ml::Model;
use crate::model::ml::ModelStatus;
use crate::model::ml::ModelsStatus;
use crate::timestamp::Millis;

/// How many models have metrics of their own, the worst first: each is two dimensions and four metrics, and they cost.
const MODELS: usize = 500;

/// The metric lines of a look.
///
/// By `Profile` and `Behavior`: `ModelState` (0 not built, 1 active, 2 expired), `DatapointsCollected` (percent),
/// `DaysInTraining` and, of a model that was built, `DaysSinceRefresh`.
pub fn model_lines(report: &ModelsStatus) -> Vec<String> {
    let counts = &report.counts;
    let all: [(&str, &str, Value); 9] = [
        ("Models", "Count", (report.models.len() + report.left_out).into()),
        ("ModelsPending", "Count", counts.pending_build.into()),
        ("ModelsActive", "Count", counts.active.into()),
        ("ModelsExpired", "Count", counts.expired.into()),
        ("ModelsInTrouble", "Count", counts.in_trouble.into()),
        ("ModelsStarving", "Count", counts.starving.into()),
        ("ProfilesWithoutTargets", "Count", report.without_targets.len().into()),
        ("ProfilesNotSeen", "Count", report.not_seen.into()),
        ("ModelLooksRefused", "Count", report.refused.len().into()),
    ];
    let of_model = |model: &Model| {
        let mut values = vec![("DatapointsCollected", "Percent", model.percentage.into())];
        let state = match model.status {
            ModelStatus::PendingBuild => Some(0),
            ModelStatus::Active => Some(1),
            ModelStatus::Expired => Some(2),
            ModelStatus::Unknown(_) => None,
        };
        values.extend(state.map(|state| ("ModelState", "None", state.into())));
        values.extend(model.collecting_since.map(|at| ("DaysInTraining", "None", days(at, report.at))));
        values.extend(model.refreshed_at.map(|at| ("DaysSinceRefresh", "None", days(at, report.at))));
        line(report.at, &[("Profile", &model.profile), ("Behavior", &model.behavior)], &values)
    };
    [line(report.at, &[], &all)].into_iter().chain(report.models.iter().take(MODELS).map(of_model)).collect()
}

fn days(from: Millis, to: Millis) -> Value {
    let tenths = to.seconds().saturating_sub(from.seconds()).max(0) / 8_640;
    let (whole, tenth) = (tenths / 10, tenths % 10);
    format!("{whole}.{tenth}").parse::<f64>().unwrap_or_default().into()
}

fn line(at: Millis, dimensions: &[(&str, &str)], values: &[(&str, &str, Value)]) -> String {
    let metrics: Vec<Value> =
        values.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    let mut line = json!({"_aws": {
        "Timestamp": at.0,
        "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [names], "Metrics": metrics}],
    }});
    if let Some(members) = line.as_object_mut() {
        members.extend(dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
        members.extend(values.iter().map(|(name, _, value)| ((*name).to_owned(), value.clone())));
    }
    line.to_string()
}
