//! The alerts on models: a problem that starts or persists, one that is fixed, and a call that is refused.
//!
//! One alert is on one kind of problem of one profile, with all behaviors for which it is due. When many profiles have the
//! same problem at once, one alert is on all of them: then the cause is in none of them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::Kind;
use fleetwarden_core::alert::Subject;
use fleetwarden_core::alert::notices::Due;
use fleetwarden_core::alert::notices::Notices;
use fleetwarden_core::digest::Digest;
use fleetwarden_core::model::ml::ModelStatus;
use fleetwarden_core::model::ml::ModelsStatus;
use fleetwarden_core::model::ml::NOTE;
use fleetwarden_core::model::ml::Problem;
use fleetwarden_core::model::severity::AlertSeverity;
use fleetwarden_core::text;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::Text;

use crate::plan::EXPIRED;

/// More profiles with one kind of problem are one alert.
const PROFILES: usize = 10;
/// How many models an alert names.
const NAMED: usize = 20;

/// A call that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blind {
    operation: String,
    code: String,
    pub(crate) message: String,
}

/// What one run has found.
pub(crate) struct Seen<'r> {
    pub(crate) account: &'r str,
    pub(crate) region: &'r str,
    pub(crate) now: Millis,
    /// All security profiles that there are, if they were listed.
    pub(crate) names: Option<BTreeSet<&'r str>>,
    /// Whether all training summaries were read.
    pub(crate) are_summed: bool,
    /// The profiles that were visited.
    pub(crate) looked_at: &'r BTreeSet<String>,
    /// Whether there was time for everything.
    pub(crate) is_complete: bool,
    pub(crate) report: &'r ModelsStatus,
    pub(crate) blind: &'r [Blind],
}

/// A problem with an alert that is due.
struct DueProblem<'r> {
    profile: &'r str,
    behavior: &'r str,
    words: Text,
    due: Due,
}

impl Blind {
    pub(crate) fn of(error: &Error) -> Self {
        tracing::warn!(error.name = error.name(), %error, "AWS IoT refused a call of the model status");
        let (operation, code) = match error {
            Error::Aws { operation, code, .. } => ((*operation).to_owned(), code.clone()),
            _ => ("its work".to_owned(), error.name().to_owned()),
        };
        Self { operation, code, message: error.to_string() }
    }
}

fn key(kind: Kind, profile: &str, behavior: &str) -> String {
    format!("{} {profile} {behavior}", kind.as_str())
}

/// The identity of the problem that a behavior alarms often.
pub(crate) fn alarms_often(profile: &str, behavior: &str) -> String {
    key(Kind::ModelAlarmsOften, profile, behavior)
}

/// Records the problems of a run, and adds the alerts that are due.
pub(crate) fn notice(notices: &mut Notices, run: &Seen<'_>) {
    let mut due: BTreeMap<Kind, Vec<DueProblem<'_>>> = BTreeMap::new();
    for (profile, behavior, problem, outlook) in problems(run.report) {
        if let Some(since) = notices.notice(&key(problem.kind(), profile, behavior), run.now) {
            let words = text!("{}.{}", problem, outlook);
            due.entry(problem.kind()).or_default().push(DueProblem { profile, behavior, words, due: since });
        }
    }
    for (kind, models) in due {
        let mut by_profile: BTreeMap<&str, Vec<DueProblem<'_>>> = BTreeMap::new();
        let profiles: BTreeSet<&str> = models.iter().map(|model| model.profile).collect();
        if profiles.len() > PROFILES {
            notices.add(alert(kind, None, &models, run));
            continue;
        }
        for model in models {
            by_profile.entry(model.profile).or_default().push(model);
        }
        for (profile, models) in by_profile {
            notices.add(alert(kind, Some(profile), &models, run));
        }
    }
    for blind in run.blind {
        let about = format!("blind {} {}", blind.operation, blind.code);
        if let Some(due) = notices.notice(&about, run.now) {
            notices.add(blind_alert(blind, due, run));
        }
    }
    fixed(notices, run);
}

/// All problems: profile, behavior, problem, and what to add to it.
fn problems(report: &ModelsStatus) -> impl Iterator<Item = (&str, &str, Problem, Text)> {
    let of_models = report.models.iter().flat_map(|model| {
        model.problems.iter().map(|problem| {
            let outlook = match problem {
                Problem::AlarmsOften { .. } => Text::default(),
                _ if model.status == ModelStatus::Expired => text!(" {}", Text::own(EXPIRED)),
                _ => text!(" {}", model.forecast),
            };
            (model.profile.as_str(), model.behavior.as_str(), problem.clone(), outlook)
        })
    });
    let of_profiles = report.without_targets.iter().map(|without| {
        (without.profile.as_str(), "", Problem::NoTargets { had: without.had }, Text::default())
    });
    of_models.chain(of_profiles)
}

/// Adds the alert on what is fixed. A problem that only changed its kind, because it got worse or because the profile is
/// paused, is not.
fn fixed(notices: &mut Notices, run: &Seen<'_>) {
    let is_looked_at = |key: &str| {
        let mut parts = key.splitn(3, ' ');
        let (kind, profile) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let is_gone = run.names.as_ref().is_some_and(|names| !names.contains(profile));
        match kind {
            "blind" => run.is_complete,
            _ if kind == Kind::ProfileWithoutTargets.as_str() => is_gone || run.looked_at.contains(profile),
            _ => run.are_summed,
        }
    };
    let with_problems: BTreeSet<(&str, &str)> = problems(run.report)
        .filter(|(.., problem, _)| problem.kind() != Kind::ModelAlarmsOften)
        .map(|(profile, behavior, ..)| (profile, behavior))
        .collect();
    let mut lines = Vec::new();
    let mut about = Digest::new("models recovered");
    for (key, since) in notices.over(run.now, is_looked_at) {
        let parts: Vec<&str> = key.splitn(3, ' ').collect();
        let [kind, profile, behavior] = parts.as_slice() else { continue };
        let is_training = *kind != Kind::ModelAlarmsOften.as_str() && *kind != "blind";
        if is_training
            && (with_problems.contains(&(profile, behavior)) || with_problems.contains(&(profile, "")))
        {
            continue;
        }
        about = about.part(&key).part(&since.0.to_string());
        let of = of(profile, behavior);
        let what = if *kind == "blind" {
            text!("`{}` answers again", profile)
        } else if run.names.as_ref().is_some_and(|names| !names.contains(profile)) {
            text!("{}: {} is over, because the security profile was deleted", of, kind)
        } else {
            text!("{}: {} is over", of, kind)
        };
        lines.push(text!("- {} (since {})", what, since));
    }
    if lines.is_empty() {
        return;
    }
    let title = match lines.len() {
        1 => Text::own("A problem with an ML Detect model is over"),
        many => text!("{} problems with ML Detect models are over", many),
    };
    notices.add(Alert {
        kind: Kind::ModelRecovered,
        severity: AlertSeverity::Low,
        about: about.hex(),
        thread: "models".into(),
        title,
        description: text!("{}{}", place(run), named(&lines)),
        next_steps: vec!["Nothing is left to do.".into()],
        subject: Subject::Log,
    });
}

fn alert(kind: Kind, profile: Option<&str>, models: &[DueProblem<'_>], run: &Seen<'_>) -> Alert {
    let mut about = Digest::new("models");
    for model in models {
        about = about.part(model.profile).part(model.behavior);
        about = about.part(&model.due.since.0.to_string()).part(&model.due.months.to_string());
    }
    let lines: Vec<Text> = models
        .iter()
        .map(|model| text!("- {}: {}", of(model.profile, model.behavior), model.words))
        .collect();
    let of = if let Some(profile) = profile {
        text!("Security profile {}", profile)
    } else {
        let profiles: BTreeSet<&str> = models.iter().map(|model| model.profile).collect();
        text!("{} security profiles", profiles.len())
    };
    let note = if models.iter().any(|model| model.words.to_string().contains("datapoint")) {
        text!("\n\n{}", Text::own(NOTE))
    } else {
        Text::default()
    };
    Alert {
        kind,
        severity: severity(kind),
        about: about.hex(),
        thread: profile.map_or_else(|| "models".to_owned(), |profile| format!("models of {profile}")),
        title: text!("{}: {}", of, what(kind, models.len())),
        description: text!("{}{}{}", place(run), named(&lines), note),
        next_steps: steps(kind).iter().copied().map(Text::own).collect(),
        subject: Subject::Log,
    }
}

fn blind_alert(blind: &Blind, due: Due, run: &Seen<'_>) -> Alert {
    Alert {
        kind: Kind::ModelWatchBlind,
        severity: AlertSeverity::Medium,
        about: format!("{} {} since {}, month {}", blind.operation, blind.code, due.since.0, due.months),
        thread: "models".into(),
        title: text!("`ml-model-status` cannot call {}", blind.operation),
        description: text!("{}The status of ML Detect models is unknown until it can. {}", place(run), blind.message),
        next_steps: vec![
            "If access is denied, allow the call in the role of `ml-model-status`, and look for a deny in a service \
             control policy or a permissions boundary. Otherwise the next run may succeed."
                .into(),
        ],
        subject: Subject::Log,
    }
}

/// A behavior of a profile, or the profile alone.
fn of(profile: &str, behavior: &str) -> Text {
    if behavior.is_empty() { text!("`{}`", profile) } else { text!("`{}` {}", profile, behavior) }
}

fn place(run: &Seen<'_>) -> Text {
    text!("Account {} in {}. ", run.account, run.region)
}

/// The lines, up to a bound.
fn named(lines: &[Text]) -> Text {
    let more =
        lines.len().checked_sub(NAMED).filter(|more| *more > 0).map(|more| text!("- and {} more", more));
    text!("\n{}", Text::joined(lines.iter().take(NAMED).cloned().chain(more), "\n"))
}

const fn severity(kind: Kind) -> AlertSeverity {
    match kind {
        Kind::ModelExpired | Kind::ModelExpiring | Kind::ProfileWithoutTargets => AlertSeverity::High,
        _ => AlertSeverity::Medium,
    }
}

fn what(kind: Kind, models: usize) -> Text {
    let (count, are) = match models {
        1 => (Text::own("a model"), "is"),
        many => (text!("{} models", many), "are"),
    };
    match kind {
        Kind::ModelNotBuilt => text!("{} {} not built in time", count, are),
        Kind::ModelNotRefreshed => text!("{} {} not refreshed", count, are),
        Kind::ModelExpiring => text!("{} {} soon", count, if models == 1 { "expires" } else { "expire" }),
        Kind::ModelExpired => text!("{} {} expired", count, if models == 1 { "has" } else { "have" }),
        Kind::ModelAlarmsOften => {
            text!("{} {} for many devices", count, if models == 1 { "alarms" } else { "alarm" })
        }
        _ => Text::own("no targets"),
    }
}

/// What to do, most important first.
const fn steps(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::ModelNotBuilt | Kind::ModelNotRefreshed => &[
            "See whether the metric arrives: `aws iot list-metric-values` for a device of the targets. A device that sends \
             no metrics, and a topic dimension that few messages match, collect nothing.",
            "Bring the number up as the forecast says: attach the profile to a larger group, or report more often (not \
             more often than every 5 minutes).",
            "If it cannot be reached, replace the behavior by one with a fixed or a statistical threshold. After 30 days \
             without enough datapoints the model is given up.",
        ],
        Kind::ModelExpiring => &[
            "If the profile is detached, attach it again before the model expires: an expired model cannot be brought back.",
            "If it is attached, see whether the metric arrives: `aws iot list-metric-values` for a device of the targets.",
        ],
        Kind::ModelExpired => &[
            "Create a new security profile with the behavior and attach it: an expired model cannot be brought back, and a \
             new one takes 14 days.",
            "Until then use a behavior with a fixed or a statistical threshold.",
        ],
        Kind::ModelAlarmsOften => &[
            "See whether something happened to the fleet (an incident, a new firmware, a new region). If so, the model \
             learns it within 14 days.",
            "If nothing did, mark the alarms as FALSE_POSITIVE, raise the confidence level to HIGH or the number of \
             consecutive datapoints to alarm, or give devices of another kind a security profile of their own.",
        ],
        _ => &[
            "Attach the profile to a thing group (`aws iot attach-security-profile`). A detached profile can be attached \
             again within 30 days; after that its models have expired.",
            "If it was detached on purpose and for good, delete it.",
        ],
    }
}

#[cfg(test)]
mod tests;
