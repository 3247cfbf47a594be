//! The first gate: every mitigation passes [`admit`] before it starts, and nothing starts without it.
//!
//! Whatever may stop, delay or forbid a mitigation and needs no call belongs here: the limits of one
//! task, the policy's windows and the mode; budgets, the pause and approvals are asked with the claim. A
//! question that is not answered is no consent: it holds or refuses. The mode comes last, so that observing asks
//! every question here and can say what would have happened. Whether the policy still mitigates each finding is asked
//! of the service, after this and right before a start (`revalidate`).
//!
//! Only what a rule decided is started here. A command starts its task itself, after a gate of its own, so a message
//! that has one started is not from it.

use fleetwarden_aws::Error;
use fleetwarden_core::ids::names::is_name;
use fleetwarden_core::message::MitigationRequest;
use fleetwarden_core::message::Origin;
use fleetwarden_core::message::Target;
use fleetwarden_core::message::alarm::AlarmMitigationRequest;
use fleetwarden_core::model::mitigation::MAX_FINDINGS;
use fleetwarden_core::model::mitigation::MAX_REASON_CODES;
use fleetwarden_core::model::mitigation::MAX_VIOLATIONS;
use fleetwarden_core::policy::Calendar;
use fleetwarden_core::policy::Closed;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;

/// How many actions a check can have (`auditCheckToActionsMapping`).
const MAX_ACTIONS: usize = 5;
/// What we take as the longest reason code.
const MAX_REASON_CODE: usize = 128;

/// Whether a mitigation may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Go,
    /// The mode is `observe`: everything is done but the start, and what would have been is said.
    Observe {
        /// No window is open: it would wait, or be refused. None: it would have started.
        closed: Option<Closed>,
    },
    /// Not now: it is asked again later.
    Hold {
        /// Why, and until when.
        closed: Closed,
    },
    /// No window opens for over a year: people are alerted once for a rule of an audit, and the message is parked.
    Shut {
        /// Why.
        closed: Closed,
    },
    /// Never: people are alerted, and the message is parked.
    Refuse {
        /// Why.
        reason: String,
    },
}

/// Decides on one mitigation. `account` is the account of the function, `policy_mode` what the policy allows
/// now, `calendar` the windows that the request has to keep, if there are any.
pub fn admit(
    request: &MitigationRequest,
    account: &str,
    policy_mode: Mode,
    calendar: Option<&Calendar<'_>>,
    now: Millis,
) -> Admission {
    if let Err(reason) = request.check_account(account).and_then(|()| within_limits(request)) {
        return Admission::Refuse { reason };
    }
    if let Origin::Command(_) = request.origin {
        let reason = "a command starts its task itself: its message can only be a follow-up".to_owned();
        return Admission::Refuse { reason };
    }
    gate(request.mode, policy_mode, calendar, now)
}

/// Decides on one mitigation of alarms, as [`admit`] on one of findings. `region` is the region of the function.
pub fn admit_alarms(
    request: &AlarmMitigationRequest,
    (account, region): (&str, &str),
    policy_mode: Mode,
    calendar: Option<&Calendar<'_>>,
    now: Millis,
) -> Admission {
    let limits = || {
        within_actions(&request.actions)?;
        count("violations", request.violations.len(), MAX_VIOLATIONS)
    };
    if let Err(reason) = request.check_place(account, region).and_then(|()| limits()) {
        return Admission::Refuse { reason };
    }
    if let Origin::Command(_) = request.origin {
        let reason = "a command starts its task itself: its message can only be a follow-up".to_owned();
        return Admission::Refuse { reason };
    }
    gate(request.mode, policy_mode, calendar, now)
}

/// What the policy of now says of acting now: its windows, and at last the mode.
pub(crate) fn gate(
    decided: Mode,
    policy_mode: Mode,
    calendar: Option<&Calendar<'_>>,
    now: Millis,
) -> Admission {
    let closed = calendar.and_then(|calendar| calendar.closed(now));
    match (decided.safer(policy_mode), closed) {
        (Mode::Enforce, None) => Admission::Go,
        (Mode::Enforce, Some(closed)) if closed.opens.is_some() => Admission::Hold { closed },
        (Mode::Enforce, Some(closed)) => Admission::Shut { closed },
        (Mode::Observe, closed) => Admission::Observe { closed },
    }
}

/// The windows of the policy, of a rule and of actions. Their zones were there when the function started: were they not, nothing
/// could say that a window is open.
pub(crate) fn calendar<'p>(
    policy: &'p Policy,
    rule: Option<&str>,
    actions: &[String],
) -> Result<Option<Calendar<'p>>, Error> {
    policy.calendar_of(rule, actions).map_err(|unknown| Error::Later(unknown.what))
}

/// The limits of one task (`StartAuditMitigationActionsTask`). Triage keeps them; what does not is not its.
fn within_limits(request: &MitigationRequest) -> Result<(), String> {
    within_actions(&request.actions)?;
    match &request.target {
        Target::Findings(findings) => {
            count("findings", findings.len(), MAX_FINDINGS)?;
            match findings.iter().position(|finding| !is_name(&finding.finding_id)) {
                Some(bad) => Err(format!("findings[{bad}] has no finding id of the service")),
                None => Ok(()),
            }
        }
        Target::WholeCheck { reason_codes, .. } => {
            count("reason codes", reason_codes.len(), MAX_REASON_CODES)?;
            match reason_codes.iter().position(|code| !(1..=MAX_REASON_CODE).contains(&code.len())) {
                Some(bad) => Err(format!("reasonCodes[{bad}] is empty or too long")),
                None => Ok(()),
            }
        }
    }
}

fn within_actions(actions: &[String]) -> Result<(), String> {
    count("actions", actions.len(), MAX_ACTIONS)?;
    match actions.iter().position(|name| !is_name(name)) {
        Some(bad) => Err(format!("actions[{bad}] is no name of a mitigation action")),
        None => Ok(()),
    }
}

fn count(what: &str, is: usize, most: usize) -> Result<(), String> {
    if (1..=most).contains(&is) {
        return Ok(());
    }
    Err(format!("{is} {what}: one mitigation task takes 1 to {most}"))
}
