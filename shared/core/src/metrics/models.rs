//! What a look at the models of ML Detect sees: one line of all, and one for each model.

use super::Dimensions;
use super::Metric;
use super::Record;
use super::line;
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
    let of_model = |model| line(&OfModel { at: report.at, model });
    [line(report)].into_iter().chain(report.models.iter().take(MODELS).map(of_model)).collect()
}

impl Record for ModelsStatus {
    fn at(&self) -> Millis {
        self.at
    }

    fn metrics(&self) -> Vec<Metric> {
        let counts = &self.counts;
        vec![
            Metric::count("Models", self.models.len() + self.left_out),
            Metric::count("ModelsPending", counts.pending_build),
            Metric::count("ModelsActive", counts.active),
            Metric::count("ModelsExpired", counts.expired),
            Metric::count("ModelsWithProblems", counts.with_problems),
            Metric::count("ModelsStarving", counts.starving),
            Metric::count("ProfilesWithoutTargets", self.without_targets.len()),
            Metric::count("ProfilesNotSeen", self.not_seen),
            Metric::count("ModelLooksRefused", self.refused.len()),
        ]
    }
}

/// One model.
struct OfModel<'m> {
    at: Millis,
    model: &'m Model,
}

impl Record for OfModel<'_> {
    fn at(&self) -> Millis {
        self.at
    }

    fn metrics(&self) -> Vec<Metric> {
        let model = self.model;
        let state = match model.status {
            ModelStatus::PendingBuild => Some(0),
            ModelStatus::Active => Some(1),
            ModelStatus::Expired => Some(2),
            ModelStatus::Unknown(_) => None,
        };
        let days = |name, since: Option<Millis>| since.map(|at| Metric::fraction(name, days(at, self.at)));
        let mut metrics = vec![Metric::percent("DatapointsCollected", model.percentage)];
        metrics.extend(state.map(|state| Metric::plain("ModelState", state)));
        metrics.extend(days("DaysInTraining", model.collecting_since));
        metrics.extend(days("DaysSinceRefresh", model.refreshed_at));
        metrics
    }

    fn dimensions(&self) -> Dimensions<'_> {
        Dimensions::by([("Profile", &self.model.profile), ("Behavior", &self.model.behavior)])
    }
}

/// Days, to a tenth.
fn days(from: Millis, to: Millis) -> f64 {
    let tenths = to.seconds().saturating_sub(from.seconds()).max(0) / 8_640;
    let (whole, tenth) = (tenths / 10, tenths % 10);
    format!("{whole}.{tenth}").parse().unwrap_or_default()
}
