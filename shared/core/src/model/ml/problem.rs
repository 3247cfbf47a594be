//! What can be wrong with a model, from what one look saw of it.

use serde::Deserialize;
use serde::Serialize;

use super::DAY_SECONDS;
use super::DAYS;
use super::Model;
use super::ModelStatus;
use crate::timestamp::Millis;
use crate::untrusted::Piece;
use crate::untrusted::Text;

/// A model is built once a day: the day after the fourteenth is still in time.
const BUILD_SECONDS: i64 = (DAYS + 1) * DAY_SECONDS;
/// A model is refreshed once a day: two days without are one refresh missed for certain.
const REFRESH_SECONDS: i64 = 2 * DAY_SECONDS;
/// How long before a model expires people are told.
const WARNING_SECONDS: i64 = 7 * DAY_SECONDS;
/// Of fewer devices a share says nothing.
const FEWEST_DEVICES: u64 = 5;
/// What alarms for too many devices is over when it alarms for so much less than the limit: a share that moves around
/// the limit is one problem.
const CALM: f64 = 0.8;

/// Something that is wrong with a model or its profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "problem", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Problem {
    /// It has not been built, though collection began long ago.
    NotBuilt {
        /// When collection began; of a behavior that collected nothing, since when its profile is known.
        since: Millis,
        /// Whether anything was collected.
        collected: bool,
    },
    /// It has not been refreshed for two days.
    NotRefreshed {
        /// Its last refresh.
        refreshed_at: Millis,
    },
    /// It will expire.
    ExpiresSoon {
        /// When.
        expires_at: Millis,
    },
    /// It has expired.
    Expired {
        /// Its last refresh, if there was one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        refreshed_at: Option<Millis>,
    },
    /// It alarms for so many devices that it must be the model.
    AlarmsOften {
        /// How many devices are in alarm.
        in_alarm: u64,
        /// Of how many.
        devices: u64,
        /// The share that is stated as the limit, 0 to 1.
        limit: f64,
    },
    /// The profile has no targets: no device is watched, and its models expire.
    NoTargets {
        /// How many it had when it was last seen with any. 0: it was never seen with one.
        had: u64,
    },
}

/// What judges a model besides what the service says of it.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// When the profile was created or first seen.
    pub known_since: Millis,
    /// Whether the profile has targets. A paused profile collects nothing, and that is no problem of its models.
    pub has_targets: bool,
    /// The share of devices in alarm from which the model is taken to be bad, 0 to 1.
    pub limit: f64,
    /// Whether it was taken to be bad at the last look.
    pub alarmed_often: bool,
    /// The time of the look.
    pub now: Millis,
}

/// What is wrong with a model.
pub fn problems(model: &Model, subject: &Subject) -> Vec<Problem> {
    let training = training(model, subject);
    training.into_iter().chain(alarms_often(model, subject)).collect()
}

fn training(model: &Model, subject: &Subject) -> Option<Problem> {
    let passed = |at: Millis| subject.now.seconds().saturating_sub(at.seconds());
    match (&model.status, model.refreshed_at) {
        (ModelStatus::Expired, refreshed_at) => Some(Problem::Expired { refreshed_at }),
        (ModelStatus::PendingBuild, _) => {
            let since = model.collecting_since.unwrap_or(subject.known_since);
            let late = subject.has_targets && passed(since) > BUILD_SECONDS;
            late.then_some(Problem::NotBuilt { since, collected: model.collecting_since.is_some() })
        }
        (_, Some(refreshed_at)) => {
            let expires_at = model.expires_at().filter(|at| passed(*at) > -WARNING_SECONDS);
            let late = subject.has_targets && passed(refreshed_at) > REFRESH_SECONDS;
            let expires = expires_at.map(|expires_at| Problem::ExpiresSoon { expires_at });
            expires.or_else(|| late.then_some(Problem::NotRefreshed { refreshed_at }))
        }
        (_, None) => None,
    }
}

fn alarms_often(model: &Model, subject: &Subject) -> Option<Problem> {
    let devices = model.devices.filter(|devices| *devices >= FEWEST_DEVICES)?;
    let limit = if subject.alarmed_often { subject.limit * CALM } else { subject.limit };
    let over = model.share_in_alarm()? > limit;
    over.then_some(Problem::AlarmsOften { in_alarm: model.in_alarm, devices, limit: subject.limit })
}

impl Piece for Problem {
    fn text(&self) -> Text {
        Text::made(self.words())
    }
}

impl Problem {
    /// How bad it is, worst first.
    pub const fn rank(&self) -> u8 {
        match self {
            Self::Expired { .. } => 0,
            Self::ExpiresSoon { .. } => 1,
            Self::NoTargets { .. } => 2,
            Self::AlarmsOften { .. } => 3,
            Self::NotBuilt { .. } => 4,
            Self::NotRefreshed { .. } => 5,
        }
    }

    /// What is wrong, for people: a sentence without its end.
    pub fn words(&self) -> String {
        match self {
            Self::NotBuilt { since, collected: true } => {
                format!("not built, though collection began {}", since.rfc3339())
            }
            Self::NotBuilt { since, collected: false } => {
                format!("not built, and no datapoint has been collected; known since {}", since.rfc3339())
            }
            Self::NotRefreshed { refreshed_at } => format!("not refreshed since {}", refreshed_at.rfc3339()),
            Self::ExpiresSoon { expires_at } => {
                format!("expires {} if it is not refreshed before", expires_at.rfc3339())
            }
            Self::Expired { refreshed_at: Some(at) } => format!("expired; last refreshed {}", at.rfc3339()),
            Self::Expired { refreshed_at: None } => "expired; it was never built".to_owned(),
            Self::AlarmsOften { in_alarm, devices, limit } => {
                format!("{in_alarm} of {devices} devices in alarm, more than {:.0} %", limit * 100.0)
            }
            Self::NoTargets { had: 0 } => "no targets: no device is watched".to_owned(),
            Self::NoTargets { had } => format!("lost its targets ({had} before): no device is watched"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ml::Forecast;

    const NOW: Millis = Millis(1_795_392_000_000);

    fn ago(days: i64) -> Millis {
        NOW.plus_seconds(-days * DAY_SECONDS)
    }

    fn model(status: ModelStatus, since: Option<Millis>, refreshed_at: Option<Millis>) -> Model {
        Model {
            profile: "lights".into(),
            behavior: "sent".into(),
            metric: None,
            confidence: None,
            status,
            percentage: 0.0,
            collected: 0,
            collecting_since: since,
            refreshed_at,
            devices: Some(10),
            in_alarm: 0,
            forecast: Forecast::NoDatapoints,
            outlook: String::new(),
            problems: vec![],
        }
    }

    fn subject() -> Subject {
        Subject {
            known_since: NOW,
            has_targets: true,
            limit: 0.2,
            alarmed_often: false,
            now: NOW.plus_seconds(1),
        }
    }

    fn words(model: &Model, subject: Subject) -> String {
        problems(model, &subject).iter().map(Problem::words).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn each_state_of_training_has_its_problem_from_its_day_on() {
        let pending = |days| words(&model(ModelStatus::PendingBuild, Some(ago(days)), None), subject());
        assert_eq!(pending(14), "");
        assert_eq!(pending(15), "not built, though collection began 2026-11-08T00:00:00Z");
        let active = |days| words(&model(ModelStatus::Active, Some(ago(99)), Some(ago(days))), subject());
        let told = [1, 2, 22, 23, 40].map(active).join("\n");
        insta::assert_snapshot!(told);
        let expired = model(ModelStatus::Expired, Some(ago(99)), None);
        assert_eq!(words(&expired, subject()), "expired; it was never built");
        let silent = Subject { known_since: NOW.plus_seconds(-16 * DAY_SECONDS), ..subject() };
        let never = model(ModelStatus::PendingBuild, None, None);
        assert_eq!(
            words(&never, silent),
            "not built, and no datapoint has been collected; known since 2026-11-07T00:00:00Z"
        );
    }

    #[test]
    fn a_paused_profile_is_no_problem_of_its_models_until_they_expire() {
        let paused = Subject { has_targets: false, ..subject() };
        assert_eq!(words(&model(ModelStatus::PendingBuild, Some(ago(20)), None), paused), "");
        assert_eq!(words(&model(ModelStatus::Active, Some(ago(20)), Some(ago(20))), paused), "");
        assert_ne!(words(&model(ModelStatus::Active, Some(ago(40)), Some(ago(25))), paused), "");
    }

    #[test]
    fn a_share_around_the_limit_is_one_problem() {
        let alarms = |devices, in_alarm, alarmed_often| {
            let model = Model { devices, in_alarm, ..model(ModelStatus::Active, None, None) };
            words(&model, Subject { alarmed_often, ..subject() })
        };
        assert_eq!(alarms(Some(100), 20, false), "");
        assert_eq!(alarms(Some(100), 21, false), "21 of 100 devices in alarm, more than 20 %");
        assert_ne!(alarms(Some(100), 17, true), "");
        assert_eq!(alarms(Some(100), 16, true), "");
        assert_eq!(alarms(Some(4), 4, false), "");
        assert_eq!(alarms(None, 4, false), "");
    }
}
