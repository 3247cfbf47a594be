//! What it takes to put a resource back into its state before a mitigation: decided by that state and the present one. Pure.
//!
//! Each part of a state is looked at by itself: as it was, there is nothing to do; as the mitigation leaves it, it is put
//! back; and what is neither was changed since, which only force puts back. So an undo that died half way goes on.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::states::CaNow;
use crate::states::PolicyNow;
use fleetwarden_core::model::mitigation::before::LoggingOptions;
use fleetwarden_core::model::mitigation::before::LoggingRole;
use fleetwarden_core::model::mitigation::before::State;
use fleetwarden_core::timestamp::Millis;

/// What a mitigation leaves certificates in.
const INACTIVE: &str = "INACTIVE";
/// What people set who trust a certificate no more.
const REVOKED: &str = "REVOKED";
/// A version that was made later than so long after a task's end is not the task's, in seconds.
const LATEST_SECONDS: i64 = 60;

/// The present state of a resource. None: there is no such resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Now {
    Certificate(Option<String>),
    CaCertificate(Option<CaNow>),
    Policy(Option<PolicyNow>),
    Thing(Option<BTreeSet<String>>),
    Logging(Option<LoggingOptions>, Option<LoggingRole>),
}

/// One call that puts something back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Certificate(String),
    CaCertificate { status: Option<String>, auto_registration: Option<String> },
    DefaultVersion(String),
    DeleteVersion(String),
    Leave(String),
    Join(String),
    Logging(LoggingOptions),
    FirstLogging(LoggingRole),
}

/// What is to be done about a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nothing: it is as it was before.
    Same,
    /// These calls, in order.
    Steps(Vec<Step>),
    /// Nothing, and why.
    Refused(String),
}

impl Step {
    /// In words: the operation, and what it sets.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Certificate(status) => format!("UpdateCertificate {status}"),
            Self::CaCertificate { status, auto_registration } => {
                let set = [status.as_deref(), auto_registration.as_deref()].into_iter().flatten();
                format!("UpdateCACertificate {}", set.collect::<Vec<_>>().join(" "))
            }
            Self::DefaultVersion(version) => format!("SetDefaultPolicyVersion {version}"),
            Self::DeleteVersion(version) => format!("DeletePolicyVersion {version}"),
            Self::Leave(group) => format!("RemoveThingFromThingGroup {group}"),
            Self::Join(group) => format!("AddThingToThingGroup {group}"),
            Self::Logging(LoggingOptions { disabled: true, .. }) => {
                "SetV2LoggingOptions disableAllLogs".to_owned()
            }
            Self::Logging(options) => {
                format!("SetV2LoggingOptions {}", options.level.as_deref().unwrap_or_default())
            }
            Self::FirstLogging(options) => format!("SetLoggingOptions {}", options.level),
        }
    }
}

/// What puts a resource back. `ended_at` is the end of the task.
pub(crate) fn plan(before: &State, now: &Now, ended_at: Option<Millis>, force: bool) -> Plan {
    match (before, now) {
        (State::Certificate { status }, Now::Certificate(Some(now))) => certificate(status, now, force),
        (State::CaCertificate { status, auto_registration }, Now::CaCertificate(Some(now))) => {
            authority(status, auto_registration.as_deref(), now, force)
        }
        (State::Policy { default_version, versions }, Now::Policy(Some(now))) => {
            policy((default_version, versions), now, ended_at, force)
        }
        (State::Thing { groups, adds, overrides }, Now::Thing(Some(now))) => {
            thing(groups, adds, now, *overrides || force)
        }
        (State::Logging { options, first, sets }, Now::Logging(now, first_now)) => {
            logging((options.as_ref(), first.as_ref()), (now.as_ref(), first_now.as_ref()), sets, force)
        }
        _ => Plan::Refused("it does not exist any more".to_owned()),
    }
}

fn steps(steps: Vec<Step>) -> Plan {
    if steps.is_empty() { Plan::Same } else { Plan::Steps(steps) }
}

/// What a status is put back to, if it is. Or why it is not.
fn status(before: &str, now: &str, force: bool) -> Result<Option<String>, String> {
    match () {
        () if now == before => Ok(None),
        () if before != "ACTIVE" && before != INACTIVE => {
            Err(format!("it was {before}, which no call sets again"))
        }
        () if now == REVOKED => Err("it was revoked since: force does not change that either".to_owned()),
        () if now == INACTIVE || force => Ok(Some(before.to_owned())),
        () => Err(format!("it was changed since: the mitigation left it {INACTIVE}, and it is {now}")),
    }
}

fn certificate(before: &str, now: &str, force: bool) -> Plan {
    match status(before, now, force) {
        Ok(status) => steps(status.map(Step::Certificate).into_iter().collect()),
        Err(why) => Plan::Refused(why),
    }
}

fn authority(before: &str, registers: Option<&str>, (now, registers_now): &CaNow, force: bool) -> Plan {
    let status = match status(before, now, force) {
        Ok(status) => status,
        Err(why) => return Plan::Refused(why),
    };
    let differs = registers.is_some() && registers != registers_now.as_deref();
    if differs && !force {
        let (before, now) = (registers.unwrap_or_default(), registers_now.as_deref().unwrap_or_default());
        return Plan::Refused(format!(
            "its auto-registration was changed since: it was {before}, and it is {now}"
        ));
    }
    let auto_registration = registers.filter(|_| differs).map(ToOwned::to_owned);
    if status.is_none() && auto_registration.is_none() {
        return Plan::Same;
    }
    Plan::Steps(vec![Step::CaCertificate { status, auto_registration }])
}

/// The version that the mitigation made is the one that was not there before and was made by the end of its task. If there
/// are several, nobody can say which it is.
fn policy(
    (default, versions): (&str, &BTreeSet<String>),
    now: &PolicyNow,
    ended_at: Option<Millis>,
    force: bool,
) -> Plan {
    let latest = ended_at.map_or(Millis(i64::MIN), |ended_at| ended_at.plus_seconds(LATEST_SECONDS));
    let made = now.versions.iter().filter(|(version, made)| !versions.contains(*version) && **made <= latest);
    let made: Vec<&String> = made.map(|(version, _)| version).collect();
    let made = if let [made] = made.as_slice() { Some(*made) } else { None };
    let delete = made.cloned().map(Step::DeleteVersion);
    if now.default_version == default {
        return steps(delete.into_iter().collect());
    }
    if !now.versions.contains_key(default) {
        return Plan::Refused(format!("version {default}, the default before, was deleted since"));
    }
    if made != Some(&now.default_version) && !force {
        return Plan::Refused(format!(
            "it was changed since: its default is version {}, which the mitigation did not make",
            now.default_version
        ));
    }
    Plan::Steps([Step::DefaultVersion(default.to_owned())].into_iter().chain(delete).collect())
}

/// Groups that neither the mitigation nor the state before knows are left alone: a thing may be in any other.
fn thing(
    groups: &BTreeSet<String>,
    adds: &BTreeMap<String, Vec<String>>,
    now: &BTreeSet<String>,
    joins: bool,
) -> Plan {
    let added: BTreeSet<&String> = adds.values().flatten().collect();
    let missing: Vec<String> = groups.difference(now).cloned().collect();
    if !missing.is_empty() && !joins {
        return Plan::Refused(format!(
            "it was changed since: it was in {}, which the mitigation did not take it out of",
            missing.join(", ")
        ));
    }
    let leaves = added.into_iter().filter(|group| now.contains(*group)).cloned().map(Step::Leave);
    steps(leaves.chain(missing.into_iter().map(Step::Join)).collect())
}

fn logging(
    (before, first): (Option<&LoggingOptions>, Option<&LoggingRole>),
    (now, first_now): (Option<&LoggingOptions>, Option<&LoggingRole>),
    sets: &LoggingRole,
    force: bool,
) -> Plan {
    let is_left = |options: &LoggingOptions| {
        options.role.as_deref() == Some(&sets.role)
            && options.level.as_deref() == Some(&sets.level)
            && !options.disabled
    };
    let mut calls = Vec::new();
    match (before, now) {
        (before, now) if before == now => {}
        // No call makes them as if they were never set: disabled, they log as little.
        (None, Some(now)) if now.disabled => {}
        (None, Some(now)) if is_left(now) || force => {
            calls.push(Step::Logging(LoggingOptions { disabled: true, ..now.clone() }));
        }
        (Some(before), Some(now)) if is_left(now) || force => calls.push(Step::Logging(before.clone())),
        (Some(before), None) if force => calls.push(Step::Logging(before.clone())),
        _ => {
            return Plan::Refused("the logging options were changed since".to_owned());
        }
    }
    match (first, first_now) {
        (Some(first), now) if Some(first) != now => {
            if !force && now.is_none_or(|now| now.role != sets.role) {
                return Plan::Refused("the older logging options were changed since".to_owned());
            }
            calls.push(Step::FirstLogging(first.clone()));
        }
        _ => {}
    }
    steps(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn refused(plan: &Plan) -> bool {
        matches!(plan, Plan::Refused(_))
    }

    #[test]
    fn a_status_is_put_back_unless_it_was_changed() {
        let to = |before, now, force| certificate(before, now, force);
        assert_eq!(to("ACTIVE", "ACTIVE", false), Plan::Same);
        assert_eq!(to("ACTIVE", "INACTIVE", false), Plan::Steps(vec![Step::Certificate("ACTIVE".into())]));
        assert_eq!(to("INACTIVE", "ACTIVE", true), Plan::Steps(vec![Step::Certificate("INACTIVE".into())]));
        for (before, now, force) in [
            ("INACTIVE", "ACTIVE", false),
            ("ACTIVE", "REVOKED", true),
            ("REVOKED", "INACTIVE", true),
            ("PENDING_TRANSFER", "INACTIVE", true),
        ] {
            assert!(refused(&to(before, now, force)), "{before} {now}");
        }
    }

    #[test]
    fn a_ca_certificate_has_its_registration_as_well() {
        let now = |status: &str, registers: &str| (status.to_owned(), Some(registers.to_owned()));
        let of = |now: &CaNow, force| authority("ACTIVE", Some("ENABLE"), now, force);
        assert_eq!(of(&now("ACTIVE", "ENABLE"), false), Plan::Same);
        let call = Step::CaCertificate { status: Some("ACTIVE".into()), auto_registration: None };
        assert_eq!(of(&now("INACTIVE", "ENABLE"), false), Plan::Steps(vec![call]));
        assert!(refused(&of(&now("INACTIVE", "DISABLE"), false)));
        let both =
            Step::CaCertificate { status: Some("ACTIVE".into()), auto_registration: Some("ENABLE".into()) };
        assert_eq!(of(&now("INACTIVE", "DISABLE"), true), Plan::Steps(vec![both]));
    }

    #[test]
    fn a_policy_gets_its_version_back_and_loses_the_one_that_was_made() {
        let of = |default: &str, made: &[(&str, i64)], force| {
            let versions = made.iter().map(|(version, at)| ((*version).to_owned(), Millis(*at))).collect();
            let now = PolicyNow { default_version: default.to_owned(), versions };
            policy(("2", &set(&["1", "2"])), &now, Some(Millis(100_000)), force)
        };
        let (back, gone) = (Step::DefaultVersion("2".into()), Step::DeleteVersion("3".into()));
        let old = [("1", 0), ("2", 0)];
        let with = |more: &[(&'static str, i64)]| [&old[..], more].concat();
        assert_eq!(of("2", &old, false), Plan::Same);
        assert_eq!(of("3", &with(&[("3", 90_000)]), false), Plan::Steps(vec![back.clone(), gone.clone()]));
        assert_eq!(
            of("2", &with(&[("3", 90_000)]), false),
            Plan::Steps(vec![gone.clone()]),
            "it died in between"
        );
        // Somebody made a version since, and it is the default.
        let more = with(&[("3", 90_000), ("4", 900_000)]);
        assert!(refused(&of("4", &more, false)));
        assert_eq!(of("4", &more, true), Plan::Steps(vec![back.clone(), gone]));
        assert!(refused(&of("4", &with(&[("4", 900_000)]), false)), "the one that was made is deleted");
        assert_eq!(of("4", &with(&[("4", 900_000)]), true), Plan::Steps(vec![back]));
        assert!(refused(&of("3", &[("1", 0), ("3", 90_000)], true)), "the default before is deleted");
        assert_eq!(of("2", &with(&[("3", 1), ("4", 2)]), false), Plan::Same, "which of them, nobody can say");
    }

    #[test]
    fn a_thing_leaves_what_was_added_and_joins_what_it_lost() {
        let adds =
            BTreeMap::from([("A".to_owned(), vec!["q".to_owned()]), ("B".to_owned(), vec!["r".to_owned()])]);
        let of = |now: &[&str], joins| thing(&set(&["lab", "hot"]), &adds, &set(now), joins);
        let (q, r, hot) = (Step::Leave("q".into()), Step::Leave("r".into()), Step::Join("hot".into()));
        assert_eq!(of(&["lab", "hot", "other"], false), Plan::Same);
        assert_eq!(of(&["lab", "hot", "q", "r"], false), Plan::Steps(vec![q.clone(), r.clone()]));
        assert_eq!(of(&["lab", "hot", "r"], false), Plan::Steps(vec![r.clone()]), "it died in between");
        assert!(refused(&of(&["lab", "q", "r"], false)));
        assert_eq!(of(&["lab", "q", "r"], true), Plan::Steps(vec![q, r, hot]));
    }

    #[test]
    fn logging_is_as_it_was_or_disabled_if_it_was_never_set() {
        let sets = LoggingRole { role: "arn:new".into(), level: "INFO".into() };
        let options = |role: &str, level: &str, disabled| LoggingOptions {
            role: Some(role.into()),
            level: Some(level.into()),
            disabled,
        };
        let (left, old) = (options("arn:new", "INFO", false), options("arn:old", "ERROR", true));
        let other = options("arn:other", "WARN", false);
        let of =
            |before: Option<&LoggingOptions>, now, force| logging((before, None), (now, None), &sets, force);
        assert_eq!(of(Some(&old), Some(&old), false), Plan::Same);
        assert_eq!(of(Some(&old), Some(&left), false), Plan::Steps(vec![Step::Logging(old.clone())]));
        assert!(refused(&of(Some(&old), Some(&other), false)));
        assert_eq!(of(Some(&old), Some(&other), true), Plan::Steps(vec![Step::Logging(old.clone())]));
        let off = options("arn:new", "INFO", true);
        assert_eq!(of(None, Some(&left), false), Plan::Steps(vec![Step::Logging(off.clone())]));
        assert_eq!(of(None, Some(&off), false), Plan::Same);
        let first = LoggingRole { role: "arn:first".into(), level: "WARN".into() };
        let of = |now, force| logging((Some(&old), Some(&first)), (Some(&old), now), &sets, force);
        assert_eq!(of(Some(&first), false), Plan::Same);
        assert!(refused(&of(None, false)));
        assert_eq!(of(Some(&sets), false), Plan::Steps(vec![Step::FirstLogging(first.clone())]));
    }
}
