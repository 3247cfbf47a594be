//! A profile tried on things before it watches any: its behaviors are evaluated on what the things have reported.
//!
//! Device Defender tells of a threshold that is wrong only when its alarms come, or do not. The metric values of a few
//! things tell it before; only what a model would do cannot be told, because the models are the service's own.

mod read;
mod run;

use fleetwarden_behaviors::Behavior;
use fleetwarden_behaviors::Datapoint;
use fleetwarden_behaviors::FEWEST_DATAPOINTS;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_core::api::own::TRY_HOURS;
use fleetwarden_core::api::own::TRY_ON;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;
use serde_json::Value;
use serde_json::json;

use crate::behaviors::Judged;
use crate::trial::read::Reader;
use crate::trial::run::never;
use crate::trial::run::run;

/// As long as Detect keeps metrics, in hours.
pub(crate) const KEPT_HOURS: i64 = 336;

/// What came of it.
#[derive(Debug)]
pub(crate) struct Trial {
    things: Vec<String>,
    hours: i64,
    /// Whether all that is kept of the period was read.
    complete: bool,
    behaviors: Vec<Tried>,
}

/// What came of one behavior.
#[derive(Debug)]
struct Tried {
    name: String,
    metric: String,
    /// As `behaviorCriteriaType` names it. None: there are no criteria.
    criteria: Option<&'static str>,
    /// How many of the things had datapoints.
    things: u64,
    datapoints: u64,
    windows: u64,
    violating: u64,
    alarms: u64,
    verdict: Verdict,
}

/// In a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Some of it is in violation.
    Some,
    /// None of it is.
    Quiet,
    /// Each thing nearly always is.
    Everything,
    /// It cannot alarm.
    Nothing(&'static str),
    /// It cannot be told.
    Untried,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Some => "some",
            Self::Quiet => "quiet",
            Self::Everything => "everything",
            Self::Nothing(_) => "nothing",
            Self::Untried => "untried",
        }
    }
}

/// Tries behaviors on the things that the command names, if it names any.
pub(crate) async fn try_on(
    service: &Service,
    command: &Command,
    judged: &Judged,
    deadline: Millis,
) -> Result<Option<Trial>, Failure> {
    let Some(Value::Array(things)) = command.own.get(TRY_ON) else { return Ok(None) };
    let mut things: Vec<String> = things.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
    things.sort_unstable();
    things.dedup();
    let hours = command.own.get(TRY_HOURS).and_then(Value::as_i64).unwrap_or(KEPT_HOURS);
    let mut reader = Reader::new(service, hours, deadline)?;
    let mut tried: Vec<Option<Tried>> = judged.behaviors.iter().map(|_| None).collect();
    for at in 0..judged.behaviors.len() {
        let (Some(behavior), Some(None)) = (judged.behaviors.get(at), tried.get(at)) else { continue };
        // One stream at a time: what several things report in 14 days is much.
        let values = reader.values(behavior, &things).await?;
        let alike = judged.behaviors.iter().enumerate();
        for (at, behavior) in alike.filter(|(_, other)| other.stream() == behavior.stream()) {
            let (Some(given), Some(place)) = (judged.given.get(at), tried.get_mut(at)) else { continue };
            *place = Some(Tried::new(behavior, given, judged, &values));
        }
    }
    let complete = reader.is_complete();
    Ok(Some(Trial { things, hours, complete, behaviors: tried.into_iter().flatten().collect() }))
}

impl Tried {
    fn new(behavior: &Behavior, given: &Value, judged: &Judged, values: &[Vec<Datapoint>]) -> Self {
        let expectation = behavior.criteria().map(|criteria| &criteria.expectation);
        let datapoints = values.iter().map(|values| values.len() as u64).sum();
        let can_be_tried = expectation.is_some_and(|expectation| !expectation.is_model());
        let ran = if can_be_tried { run(given, &judged.types, values) } else { run::Ran::default() };
        let verdict = match expectation {
            None => Verdict::Untried,
            Some(expectation) if expectation.is_model() => Verdict::Untried,
            Some(expectation) => match never(expectation) {
                Some(why) => Verdict::Nothing(why),
                None if datapoints == 0 => {
                    Verdict::Nothing("none of the things has a datapoint of its metric")
                }
                None if ran.always => Verdict::Everything,
                None if ran.violating == 0 => Verdict::Quiet,
                None => Verdict::Some,
            },
        };
        Self {
            name: behavior.name().to_owned(),
            metric: given.get("metric").and_then(Value::as_str).unwrap_or_default().to_owned(),
            criteria: expectation.map(fleetwarden_behaviors::Expectation::criteria_type),
            things: values.iter().filter(|values| !values.is_empty()).count() as u64,
            datapoints,
            windows: ran.windows,
            violating: ran.violating,
            alarms: ran.alarms,
            verdict,
        }
    }

    fn is_model(&self) -> bool {
        self.criteria == Some("MACHINE_LEARNING")
    }
}

impl Trial {
    /// For the answer.
    pub(crate) fn json(&self) -> Value {
        let behaviors = self.behaviors.iter().map(|tried| {
            let mut told = json!({
                "name": tried.name, "metric": tried.metric, "criteriaType": tried.criteria,
                "things": tried.things, "datapoints": tried.datapoints, "verdict": tried.verdict.word(),
            });
            let more = if tried.is_model() {
                let each = self.of_each(tried);
                json!({"expectedOfEachIn14Days": each, "neededIn14Days": FEWEST_DATAPOINTS})
            } else if let Verdict::Nothing(why) = tried.verdict {
                json!({"why": why})
            } else {
                json!({
                    "windows": tried.windows, "violating": tried.violating, "alarms": tried.alarms,
                    "share": share(tried.violating, tried.windows),
                })
            };
            if let (Some(told), Value::Object(more)) = (told.as_object_mut(), more) {
                told.extend(more);
            }
            told
        });
        let behaviors: Vec<Value> = behaviors.collect();
        json!({"things": self.things, "hours": self.hours, "complete": self.complete, "behaviors": behaviors})
    }

    /// What of it is surely not meant; nothing if there is none.
    pub(crate) fn danger(&self) -> Option<String> {
        let dangers = self.behaviors.iter().filter_map(|tried| {
            let name = shown(&tried.name);
            match tried.verdict {
                Verdict::Everything => Some(format!(
                    "'{name}' would alarm on everything: {} of {} windows of {} things are in violation, and \
                     {} alarms would have begun in {} hours",
                    tried.violating, tried.windows, tried.things, tried.alarms, self.hours
                )),
                Verdict::Nothing(why) => Some(format!("'{name}' would alarm on nothing: {why}")),
                _ => None,
            }
        });
        let dangers: Vec<String> = dangers.collect();
        (!dangers.is_empty()).then(|| dangers.join("; "))
    }

    /// Of the sparsest behavior that a model judges, how many datapoints a device has in 14 days. None: there is none.
    pub(crate) fn of_each_model(&self) -> Option<u64> {
        self.behaviors.iter().filter(|tried| tried.is_model()).map(|tried| self.of_each(tried)).min()
    }

    /// What is said beside the figures.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = Vec::new();
        for tried in self.behaviors.iter().filter(|tried| tried.is_model()) {
            let each = self.of_each(tried);
            let devices = match FEWEST_DATAPOINTS.checked_add(each.saturating_sub(1)) {
                Some(sum) if each > 0 => format!("{} devices like these are needed", sum / each),
                _ => "these devices report nothing".to_owned(),
            };
            notes.push(format!(
                "'{}' cannot be tried, because its model is Device Defender's own. It needs {FEWEST_DATAPOINTS} \
                 datapoints in 14 days, of all devices of its targets together; each of the {} things that were tried \
                 has {each} in 14 days: {devices}",
                shown(&tried.name),
                self.things.len()
            ));
        }
        if self.behaviors.iter().any(|tried| tried.criteria == Some("STATISTICAL")) {
            notes.push(format!(
                "a percentile is that of the {} things that were tried, not of the fleet",
                self.things.len()
            ));
        }
        if !self.complete {
            notes.push(
                "not all metric values could be read in time: give fewer things or a smaller tryHours"
                    .to_owned(),
            );
        }
        notes
    }

    /// How many datapoints a device has in 14 days, as far as the things tell.
    fn of_each(&self, tried: &Tried) -> u64 {
        let things = u64::try_from(self.things.len().max(1)).unwrap_or(1);
        let hours = u64::try_from(self.hours.max(1)).unwrap_or(1);
        tried.datapoints.saturating_mul(KEPT_HOURS.unsigned_abs()) / (things * hours)
    }
}

/// A share, to four places.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    let of_ten_thousand = (part.saturating_mul(10_000) + whole / 2) / whole;
    f64::from(u32::try_from(of_ten_thousand).unwrap_or(10_000)) / 10_000.0
}
