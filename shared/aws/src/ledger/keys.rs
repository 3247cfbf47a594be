//! The partition keys of the ledger's items, all in one place.

use fleetwarden_core::digest::Digest;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::model::alarm::BehaviorKey;
use fleetwarden_core::model::alarm::SeriesKey;
use fleetwarden_core::model::resource::ResourceIdentifier;

const WORDS: &str = "suppression-words#";
/// The beginning of the keys of [`suppression`].
pub const SUPPRESSION: &str = "suppression#";

/// An audit: its summary (`sk` `audit`) and a run record for each check (`sk` `check#NAME`).
pub fn audit(audit: &Audit) -> String {
    audit_task(&audit.task_id)
}

/// As [`audit`], for an audit of which only the task is known.
pub fn audit_task(task_id: &str) -> String {
    format!("audit#{task_id}")
}

/// The state of the watch on audits (`sk` `latest`, as JSON in `memory`).
pub fn audit_watch() -> String {
    "audit-watch".to_owned()
}

/// The notification that an audit ended, handled once.
pub fn notification(audit: &Audit) -> String {
    format!("audit-notification#{}", audit.task_id)
}

/// A record that is parked, by a hash of its content, so that a retry does not park it again.
pub fn parked(digest: &str) -> String {
    format!("parked#{digest}")
}

/// The triage of a check from a page on, after this many restarts: its claim, and what it leaves (`sk` `step`).
pub fn triage(audit: &Audit, check: &CheckName, restarts: u32, page: u32) -> String {
    format!("triage#{}#{check}#{restarts}#{page}", audit.task_id)
}

/// Adding what is missing to a log stream that an earlier delivery began, by a hash of the events.
pub fn log_stream(stream: &str, digest: &str) -> String {
    format!("log-stream#{stream}#{digest}")
}

/// A check across audits: its latest history (`sk` `latest`) and the latest audit that has looked at it (`sk`
/// `audit`).
pub fn history(check: &CheckName) -> String {
    format!("history#{check}")
}

/// An alert by its id.
pub fn alert(id: &str) -> String {
    format!("alert#{id}")
}

/// The rules whose mitigations cannot start (`sk` `latest`, as JSON in `kept`).
pub fn refusals() -> String {
    "mitigation-refusals".to_owned()
}

/// How many things the fleet or a thing group has (`sk` `size`).
pub fn size(group: Option<&str>) -> String {
    group.map_or_else(|| "fleet".to_owned(), |group| format!("fleet#{group}"))
}

/// What is spent of a budget of the policy (`sk` `latest`).
pub fn budget(key: &str) -> String {
    format!("budget#{key}")
}

/// The switch that stops all mitigation (`sk` `latest`).
pub fn pause() -> String {
    "mitigation-pause".to_owned()
}

/// The tasks whose findings of a check the next audit looks at (`sk` the task).
pub fn verification(check: &CheckName) -> String {
    format!("verification#{check}")
}

/// A mitigation task (`sk` `task`) and its findings (`sk` `finding#ID`).
pub fn mitigation(task_id: &str) -> String {
    format!("mitigation#{task_id}")
}

/// The one mitigation of a finding, so that two tasks never take the same one (`sk` `mitigation`).
pub fn finding(finding_id: &str) -> String {
    format!("finding#{finding_id}")
}

/// A violation (`sk` `life`), and the chain of messages by which one of its raises waits (`sk` `round#TIME`).
pub fn alarm(violation_id: &str) -> String {
    format!("alarm#{violation_id}")
}

/// The alarms of a device and behavior (`sk` `series`).
pub fn alarm_series(series: &SeriesKey) -> String {
    format!("alarm-series#{series}")
}

/// The violations that are in alarm, in 16 parts (`sk`: the violation's id).
pub fn open_alarms(part: u8) -> String {
    format!("alarms-open#{part:x}")
}

/// How many devices alarm on a behavior (`sk` `BUCKET#SHARD`).
pub fn alarm_counts(behavior: &BehaviorKey) -> String {
    format!("alarm-counts#{behavior}")
}

/// The latest incident of a behavior (`sk` `latest`).
pub fn behavior_incident(behavior: &BehaviorKey) -> String {
    format!("behavior-incident#{behavior}")
}

/// All incidents (`sk`: the incident's id).
pub fn incidents() -> String {
    "alarm-incidents".to_owned()
}

/// The violations of an incident (`sk`: the violation's id).
pub fn incident_members(incident_id: &str) -> String {
    format!("incident-members#{incident_id}")
}

/// The alert on an incident, with all that belongs to it.
pub fn incident_alert(incident_id: &str) -> String {
    format!("incident-alert#{incident_id}")
}

/// What a security profile watches (`sk` `population`).
pub fn profile(profile: &str) -> String {
    format!("profile#{profile}")
}

/// The debt of suppressions (`sk` `latest`, as JSON in `debt`).
pub fn debt() -> String {
    "debt".to_owned()
}

/// The operator's words on the suppressions of a maker, `rule NAME` or `standing NAME` (`sk`: the text as it stands
/// in the description; in `original` as it was written). They do not expire: a suppression may not expire either.
pub fn words(maker: &str) -> String {
    format!("{WORDS}{maker}")
}

/// What rules have done to the suppression of a resource for a check (`sk` `suppression`).
pub fn suppression(check: &CheckName, resource: &ResourceIdentifier) -> String {
    format!("{SUPPRESSION}{}", resource.add_to(Digest::new("suppressed").part(check.as_str())).hex())
}

/// The maker in a key of [`words`].
pub fn maker_of_words(pk: &str) -> Option<&str> {
    pk.strip_prefix(WORDS)
}

/// The review that reconciles standing suppressions, if it takes more than one step (`sk` `latest`: the review's slot
/// in `slot`, the time of its last step in `step_at`).
pub fn keeping_review() -> String {
    "keeping-review".to_owned()
}

/// The state of the watch on alarms (`sk` `latest`, as JSON in `kept`).
pub fn alarm_watch() -> String {
    "alarm-watch".to_owned()
}

/// A look of a function that runs by schedule, done once.
pub fn look(function: &str, slot: &str) -> String {
    format!("look#{function}#{slot}")
}

/// The state of the watch on models (`sk` `latest`, as JSON in `kept`).
pub fn model_watch() -> String {
    "model-watch".to_owned()
}

/// The status of all models (`sk` `latest`, as JSON in `status`).
pub fn model_status() -> String {
    "model-status".to_owned()
}

/// What is known of the models of a security profile (`sk` `latest`, as JSON in `models`).
pub fn models(profile: &str) -> String {
    format!("models#{profile}")
}

/// One step of a review of suppressions.
pub fn review(slot: &str, step: u32) -> String {
    format!("review#{slot}#{step}")
}
