//! The report of alarms: which devices are in alarm, what their metrics did, what was done about it, and whether the
//! models work.
//!
//! `detect-commands` gathers it, and gives it as JSON, Markdown or a page of HTML that needs nothing else.

mod chart;
mod sections;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::Serialize;

use super::html;
use super::markdown;
use super::page::Page;
use crate::model::alarm::Confidence;
use crate::model::alarm::CriteriaType;
use crate::model::alarm::Verification;
use crate::model::ml::Model;
use crate::timestamp::Millis;

/// The alarms of an account in a region: those of now, and what happened in a period up to now.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlarmReport {
    /// 12 digits.
    pub account: String,
    /// As `us-east-1`.
    pub region: String,
    /// When the period began, epoch milliseconds.
    pub since: Millis,
    /// When the report was made, epoch milliseconds: the end of the period.
    pub made_at: Millis,
    /// Sums, by [`AlarmReport::sum`].
    pub totals: AlarmTotals,
    /// Alarms that last, worst first (`ListActiveViolations`).
    pub active: Vec<ActiveAlarm>,
    /// Incidents that last, and those of the period, newest first.
    pub incidents: Vec<IncidentReport>,
    /// What happened in the period, by behavior, the most alarms first (`ListViolationEvents`).
    pub behaviors: Vec<BehaviorReport>,
    /// What the metric of some devices did around their alarms (`ListMetricValues`).
    pub series: Vec<Series>,
    /// Devices whose alarms begin and end again and again.
    pub flapping: Vec<Flapping>,
    /// What was done about alarms in the period, newest first.
    pub actions: Vec<DeviceAction>,
    /// The models, those that need somebody first.
    pub models: Vec<ModelReport>,
    /// What could not be found out, and why: a report with gaps says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<String>,
}

/// Sums of the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlarmTotals {
    /// Alarms that last.
    pub active: u64,
    /// Devices that they are about.
    pub devices: u64,
    /// Alarms that began in the period.
    pub raised: u64,
    /// Alarms that were cleared in the period.
    pub cleared: u64,
    /// Alarms that were invalidated in the period.
    pub invalidated: u64,
    /// Incidents that last.
    pub incidents: u64,
    /// Devices that flap.
    pub flapping: u64,
    /// Devices that were mitigated in the period.
    pub mitigated: u64,
    /// Devices that were released in the period.
    pub released: u64,
}

/// An alarm that lasts.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveAlarm {
    /// The violation.
    pub violation_id: String,
    /// The thing's name, or a client id: any text.
    pub thing: String,
    /// The security profile.
    pub profile: String,
    /// The behavior.
    pub behavior: String,
    /// The metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// How the behavior is judged.
    pub criteria: CriteriaType,
    /// How sure a model was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// When it began, epoch milliseconds.
    pub raised_at: Millis,
    /// What was measured last, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is expected, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What people said of it.
    pub verification: Verification,
    /// The incident that it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// What was decided or done last, in a word or two; none if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

/// Many devices that alarmed on one behavior at once.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IncidentReport {
    /// Its id.
    pub id: String,
    /// The security profile.
    pub profile: String,
    /// The behavior.
    pub behavior: String,
    /// How many devices.
    pub devices: u64,
    /// Of how many that the profile watches, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub population: Option<u64>,
    /// The first of its alarms, epoch milliseconds.
    pub first_at: Millis,
    /// When it ended, epoch milliseconds. None: it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Millis>,
    /// What a person decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
}

/// What happened on a behavior in the period.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BehaviorReport {
    /// The security profile.
    pub profile: String,
    /// The behavior.
    pub behavior: String,
    /// Devices that alarmed.
    pub devices: u64,
    /// Alarms that began.
    pub raised: u64,
    /// Alarms that were cleared.
    pub cleared: u64,
    /// Alarms that were invalidated.
    pub invalidated: u64,
    /// Alarms of which people said something.
    pub verified: u64,
    /// Of these, alarms that were false.
    pub false_positives: u64,
    /// How long an alarm lasted that was cleared, in seconds: half of them longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_seconds_to_clear: Option<i64>,
}

/// What a metric of a device did around its alarm.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// The thing's name, or a client id.
    pub thing: String,
    /// The security profile.
    pub profile: String,
    /// The behavior.
    pub behavior: String,
    /// The metric.
    pub metric: String,
    /// What was measured, by time: epoch milliseconds and value.
    pub points: Vec<(Millis, f64)>,
    /// The least value that is expected, if there is one: that of the profile, or of the model's band.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The greatest value that is expected, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// When the alarm began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raised_at: Option<Millis>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Millis>,
}

/// A device whose alarms on a behavior begin and end again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Flapping {
    /// The thing's name, or a client id.
    pub thing: String,
    /// The security profile.
    pub profile: String,
    /// The behavior.
    pub behavior: String,
    /// How often an alarm began in the period.
    pub raised: u64,
    /// When one began last, epoch milliseconds.
    pub latest_at: Millis,
}

/// Something that was done about an alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceAction {
    /// When, epoch milliseconds.
    pub at: Millis,
    /// `mitigated`, `released`, `verified`, `mitigation-failed`.
    pub what: String,
    /// The thing's name, or a client id.
    pub thing: String,
    /// The security profile.
    pub profile: String,
    /// The behavior.
    pub behavior: String,
    /// Who asked for it: `rule NAME`, or `a command`.
    pub by: String,
    /// The mitigation task, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
}

/// The model of a behavior.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelReport {
    /// The security profile.
    pub profile: String,
    /// The behavior.
    pub behavior: String,
    /// `PENDING_BUILD`, `ACTIVE`, `EXPIRED`, or a word that is new (`modelStatus`).
    pub status: String,
    /// `datapointsCollectionPercentage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percentage: Option<f64>,
    /// When it was built last, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refreshed_at: Option<Millis>,
    /// Whether somebody has to look.
    pub needs_attention: bool,
    /// What is to be expected of it, or wrong with it, in words.
    pub outlook: String,
}

impl From<&Model> for ModelReport {
    /// The model in the words of its status: what is wrong with it, and what is to be expected of it.
    fn from(model: &Model) -> Self {
        let wrong = model.problems.iter().map(|problem| format!("{}.", problem.words()));
        let words: Vec<String> = wrong.chain([model.outlook.clone()]).collect();
        Self {
            profile: model.profile.clone(),
            behavior: model.behavior.clone(),
            status: model.status.as_str().to_owned(),
            percentage: Some(model.percentage),
            refreshed_at: model.refreshed_at,
            needs_attention: !model.problems.is_empty() || !model.forecast.is_good(),
            outlook: words.join(" "),
        }
    }
}

impl Series {
    /// What was measured.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        self.points.iter().map(|(_, value)| *value)
    }

    /// Whether a value is expected.
    pub(super) fn expects(&self, value: f64) -> bool {
        self.low.is_none_or(|low| value >= low) && self.high.is_none_or(|high| value <= high)
    }
}

impl ActiveAlarm {
    /// What active alarms are sorted by: what people said, alone or with many, how sure, how long.
    fn rank(&self) -> (u8, bool, Reverse<Option<Confidence>>, Millis, String) {
        let said = match self.verification {
            Verification::TruePositive => 0,
            Verification::Unknown => 1,
            Verification::BenignPositive => 2,
            Verification::FalsePositive => 3,
        };
        // What a rule of the profile says is as sure as a model can be.
        let sure = self.confidence.or(Some(Confidence::High));
        (said, self.incident.is_some(), Reverse(sure), self.raised_at, self.violation_id.clone())
    }
}

impl AlarmReport {
    /// Brings everything in order, the worst first, and sums it up.
    pub fn sum(&mut self) {
        self.active.sort_by_cached_key(ActiveAlarm::rank);
        self.incidents.sort_by_key(|incident| (incident.ended_at.is_some(), Reverse(incident.first_at)));
        self.behaviors.sort_by_key(|behavior| Reverse(behavior.raised));
        self.flapping.sort_by_key(|flapping| Reverse(flapping.raised));
        self.actions.sort_by_key(|action| Reverse(action.at));
        self.models.sort_by_key(|model| !model.needs_attention);
        let of = |what: &str| {
            let devices =
                self.actions.iter().filter(|action| action.what == what).map(|action| &action.thing);
            devices.collect::<BTreeSet<_>>().len() as u64
        };
        let sum = |count: fn(&BehaviorReport) -> u64| self.behaviors.iter().map(count).sum();
        self.totals = AlarmTotals {
            active: self.active.len() as u64,
            devices: self.active.iter().map(|alarm| &alarm.thing).collect::<BTreeSet<_>>().len() as u64,
            raised: sum(|behavior| behavior.raised),
            cleared: sum(|behavior| behavior.cleared),
            invalidated: sum(|behavior| behavior.invalidated),
            incidents: self.incidents.iter().filter(|incident| incident.ended_at.is_none()).count() as u64,
            flapping: self.flapping.len() as u64,
            mitigated: of("mitigated"),
            released: of("released"),
        };
    }

    /// The report as Markdown.
    pub fn markdown(&self) -> String {
        markdown::render(&Page::of_alarms(self))
    }

    /// The report as a page of HTML, which asks for nothing from elsewhere and runs no script.
    pub fn html(&self) -> String {
        html::render(&Page::of_alarms(self))
    }
}
