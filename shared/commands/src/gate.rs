//! The gate before a mitigation that a person or a workflow asks for, as far as it is the same for whatever is mitigated.

use fleetwarden_aws::Error;
use fleetwarden_aws::fleet;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::Spend;
use fleetwarden_aws::mitigations::Stop;
use fleetwarden_aws::registry::Registry;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::Budget;
use fleetwarden_core::policy::InGroups;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::policy::used_by_many;
use fleetwarden_core::timestamp::Millis;

use crate::failure::Failure;

/// The name of a failure: something of it is protected.
pub const PROTECTED: &str = "Protected";
/// The name of a failure: whether something of it is protected is unknown.
pub const UNKNOWN: &str = "ProtectionUnknown";

/// The name of a failure: mitigation is paused.
pub const PAUSED: &str = "Paused";

/// The name of a failure: a budget has no room.
pub const OVER_BUDGET: &str = "OverBudget";

/// The name of a failure: a person has rejected it, or nobody has approved it in time.
pub const REJECTED: &str = "Rejected";

/// What blocks a mitigation.
#[derive(Debug)]
pub struct Blocked {
    /// The failure's name.
    pub name: &'static str,
    /// Why.
    pub why: String,
}

/// Lets a resource pass only if it is known that nothing protects it. `nameless_may_be` says whether one that names nothing
/// may be protected.
///
/// # Errors
/// What blocks it.
pub async fn check_protection(
    policy: &Policy,
    identifier: &ResourceIdentifier,
    registry: &Registry,
    nameless_may_be: bool,
) -> Result<(), Blocked> {
    let unknown = |why: String| Err(Blocked { name: UNKNOWN, why });
    if identifier.is_empty() {
        return if nameless_may_be {
            unknown("the finding names no resource that is known, so that it may be protected".to_owned())
        } else {
            Ok(())
        };
    }
    let wants = |things: &Things| policy.protection(identifier, things).err().unwrap_or_default();
    check_protection_of(policy, identifier, &registry.look_up(Some(identifier), wants).await)
}

/// As [`check_protection`], with what is known of the things behind the resource.
///
/// # Errors
/// What blocks it.
pub fn check_protection_of(
    policy: &Policy,
    identifier: &ResourceIdentifier,
    things: &Things,
) -> Result<(), Blocked> {
    let label = identifier.label();
    match policy.protection(identifier, things) {
        Ok(None) => Ok(()),
        Ok(Some(protection)) => {
            Err(Blocked { name: PROTECTED, why: format!("{label} is protected, by {protection}") })
        }
        Err(_) => {
            let why = if let Things::Unknown { unknown } = things { unknown } else { "it was not asked for" };
            let why = format!("it is unknown whether what is behind {label} is protected: {why}");
            Err(Blocked { name: UNKNOWN, why })
        }
    }
}

/// Refuses a command if anything of it is blocked.
///
/// # Errors
/// All of it, under one name.
pub fn refuse_blocked(blocked: &[Blocked]) -> Result<(), Failure> {
    // What is protected stays so, whatever is known another time.
    let Some(Blocked { name, .. }) =
        blocked.iter().find(|blocked| blocked.name == PROTECTED).or(blocked.first())
    else {
        return Ok(());
    };
    let what = blocked.iter().map(|blocked| blocked.why.as_str()).collect::<Vec<_>>().join("\n");
    Err(Failure::Refused { name, what })
}

/// Lets it pass only while mitigation is not paused. The claim of a start asks by itself: this is for what claims nothing.
///
/// # Errors
/// `Paused`, with who paused and why; or if the ledger does not answer.
pub async fn check_pause(mitigations: &Mitigations) -> Result<(), Failure> {
    match mitigations.pause().await? {
        None => Ok(()),
        Some(pause) => Err(stopped(&Stop::Paused(pause))),
    }
}

/// What a command asks to mitigate in one way.
#[derive(Debug)]
pub struct Wanted<'w> {
    /// The mitigation actions.
    pub actions: &'w [String],
    /// How many findings or violations.
    pub count: u64,
    /// Their ids. Empty: of a whole check they are not known.
    pub ids: Vec<&'w str>,
}

/// The things behind a resource with their groups, as far as budgets of groups ask for them and somebody can know.
pub async fn things_for_budgets(
    policy: &Policy,
    actions: &[String],
    resource: Option<&ResourceIdentifier>,
    registry: &Registry,
) -> Things {
    let wants = |things: &Things| policy.budgets_want(None, actions, things);
    if wants(&Things::NotAsked).is_nothing() || used_by_many(resource) {
        return Things::NotAsked;
    }
    registry.look_up(resource, wants).await
}

/// The budgets that a task of a command counts in. A share counts where the ledger knows of how many things it is one.
/// `in_groups`: what counts in the budgets of groups. None: nobody knows, and all counts.
///
/// # Errors
/// If the ledger does not answer.
pub async fn spends(
    policy: &Policy,
    ledger: &Ledger,
    (wanted, in_groups): (&[Wanted<'_>], Option<&InGroups>),
    now: Millis,
) -> Result<Vec<Spend>, Failure> {
    let count_of = |budget: &Budget, wanted: &Wanted<'_>| match (&budget.group, in_groups) {
        (Some(group), Some(in_groups)) => in_groups.count(group, wanted.ids.iter().copied()),
        _ => wanted.count,
    };
    let count = |budget: &Budget| {
        let counts = wanted.iter().filter(|wanted| budget.concerns(None, wanted.actions));
        counts.fold(0_u64, |sum, wanted| sum.saturating_add(count_of(budget, wanted)))
    };
    let counting: Vec<(&Budget, u64)> = policy
        .budgets()
        .iter()
        .map(|budget| (budget, count(budget)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let sizes = fleet::known(ledger, counting.iter().map(|(budget, _)| *budget), now).await?;
    let spend = |(budget, count): (&Budget, u64)| Spend::new(budget, sizes.of(budget)).of(count);
    Ok(counting.into_iter().map(spend).collect())
}

/// Lets it pass only if its budgets have room now. The claim of a start asks by itself: this is for what claims nothing.
///
/// # Errors
/// `OverBudget`, with when there is room; or if the ledger does not answer.
pub async fn check_budgets(
    mitigations: &Mitigations,
    id: &str,
    spends: &[Spend],
    now: Millis,
) -> Result<(), Failure> {
    match mitigations.over_budget(id, spends, 0, now).await? {
        None => Ok(()),
        Some(over) => Err(stopped(&Stop::OverBudget(over))),
    }
}

/// Why a command's task never starts: a person has rejected it, or nobody has approved it in time.
pub fn rejected(id: &str) -> Failure {
    let what =
        format!("the task '{id}' is rejected: MitigationShow says by whom and why; give a taskId of its own");
    Failure::Refused { name: REJECTED, what }
}

/// Why a command is not done that a guard stops.
pub fn stopped(stop: &Stop) -> Failure {
    match stop {
        Stop::OverBudget(_) => Failure::Refused { name: OVER_BUDGET, what: stop.reason() },
        Stop::NotApproved => Error::Later(stop.reason()).into(),
        // No command is part of a canary.
        Stop::Canary(_) => Failure::Aws(Error::Later(stop.reason())),
        Stop::Paused(pause) => {
            let what = format!("{}. MitigationResume ends the pause", pause.why());
            Failure::Refused { name: PAUSED, what }
        }
    }
}

/// Lets it pass only while the policy's windows and those of its actions are open.
///
/// # Errors
/// `OutsideWindow`, with the time of the next opening.
pub fn check_windows(policy: &Policy, actions: &[String], now: Millis) -> Result<(), Failure> {
    let calendar = policy.calendar_of(None, actions).map_err(|unknown| Error::Later(unknown.what))?;
    match calendar.and_then(|calendar| calendar.closed(now)) {
        None => Ok(()),
        Some(closed) => Err(Failure::Refused { name: "OutsideWindow", what: closed.reason }),
    }
}
