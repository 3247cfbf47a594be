//! What an audit that ended has to be for this account: names of the service's alphabet, and a start that can be. Pure.

use std::time::Duration;

use fleetwarden_core::api::notification::AuditEnded;
use fleetwarden_core::api::notification::CheckEnded;
use fleetwarden_core::ids::AuditTaskId;
use fleetwarden_core::ids::InvalidId;
use fleetwarden_core::ids::names;
use fleetwarden_core::message::Audit;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;

/// How far ahead of our clock an audit may have begun: clocks differ, but not by a day.
const AHEAD: Duration = Duration::from_hours(24);

/// The audit that a notification or a description names.
///
/// # Errors
/// The path of the member that the service of this account cannot have sent, and what is wrong with it.
pub(crate) fn validate(
    ended: &AuditEnded,
    account: &str,
    region: &str,
    now: Millis,
) -> Result<Audit, String> {
    let wrong = |path: &str, what: String| Err(format!("{path} of the audit notification: {what}"));
    if ended.account_id != account {
        return wrong("accountId", format!("this is account {account}, not '{}'", shown(&ended.account_id)));
    }
    let task_id = match ended.task_id.parse::<AuditTaskId>() {
        Ok(task_id) => task_id,
        Err(invalid) => return wrong("taskId", invalid.to_string()),
    };
    if let Some(name) = ended.scheduled_audit_name.as_deref().filter(|name| !names::is_name(name)) {
        return wrong(
            "scheduledAuditName",
            format!("'{}' is not the name of a scheduled audit", shown(name)),
        );
    }
    if !(0..=now.plus(AHEAD).0).contains(&ended.task_start_time.0) {
        let Millis(start) = ended.task_start_time;
        return wrong("taskStartTime", format!("{start} is not the start of an audit in epoch milliseconds"));
    }
    for (at, CheckEnded { check, .. }) in ended.audit_details.iter().enumerate() {
        if !names::is_check_name(check.as_str()) {
            let what = format!("'{}' is not a check name", shown(check.as_str()));
            return wrong(&format!("auditDetails[{at}].checkName"), what);
        }
    }
    let own = |invalid: InvalidId| format!("the function's own settings: {invalid}");
    Ok(Audit {
        account: account.parse().map_err(own)?,
        region: region.parse().map_err(own)?,
        task_id,
        schedule: ended.scheduled_audit_name.clone(),
        started_at: ended.task_start_time,
    })
}
