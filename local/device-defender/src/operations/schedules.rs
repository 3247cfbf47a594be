//! The operations on scheduled audits.

use serde_json::{Value, json};

use crate::args::{Args, known_check};
use crate::checks::Check;
use crate::failure::Failure;
use crate::operations::{EMPTY, Outcome};
use crate::paging::Pager;
use crate::schedules::Schedule;
use crate::world::World;
use fleetwarden_core::model::schedule::Rhythm;

/// Device Defender quotas: scheduled audits.
const MOST_SCHEDULES: usize = 5;

/// The checks that a request targets: known, enabled, at least one, each once.
pub(crate) fn target_checks(world: &World, args: &Args) -> Result<Vec<Check>, Failure> {
    let names: Vec<String> = args.read("targetCheckNames")?.unwrap_or_default();
    if names.is_empty() {
        return Err(Failure::invalid("targetCheckNames must name at least one check"));
    }
    let mut checks = Vec::new();
    for name in names {
        let check = known_check(&name, "targetCheckNames")?;
        if !world.configuration.enabled(check) {
            return Err(Failure::invalid(format!("targetCheckNames: {name} is not enabled for the account")));
        }
        if !checks.contains(&check) {
            checks.push(check);
        }
    }
    Ok(checks)
}

/// `CreateScheduledAudit`.
pub(crate) fn create(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("scheduledAuditName").to_owned();
    let arn = world.settings.arn(&format!("scheduledaudit/{name}"));
    if world.schedules.contains_key(&name) {
        return Err(Failure::exists("A scheduled audit with this name already exists", name, arn));
    }
    let mut schedule = Schedule {
        number: world.number(),
        arn: arn.clone(),
        frequency: args.required("frequency").to_owned(),
        day_of_month: args.text("dayOfMonth").map(str::to_owned),
        day_of_week: args.text("dayOfWeek").map(str::to_owned),
        checks: target_checks(world, args)?,
        rhythm: Rhythm::Daily,
        due: 0,
    };
    schedule.plan(world.now())?;
    if world.schedules.len() >= MOST_SCHEDULES {
        return Err(Failure::limit(format!("The account already has {MOST_SCHEDULES} scheduled audits")));
    }
    world.schedules.insert(name, schedule);
    Ok(json!({ "scheduledAuditArn": arn }).to_string())
}

fn missing(name: &str) -> Failure {
    Failure::not_found(format!("Scheduled audit {name} does not exist"))
}

/// `UpdateScheduledAudit`.
pub(crate) fn update(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("scheduledAuditName");
    let mut schedule = world.schedules.get(name).cloned().ok_or_else(|| missing(name))?;
    if let Some(frequency) = args.text("frequency") {
        frequency.clone_into(&mut schedule.frequency);
    }
    if let Some(day) = args.text("dayOfMonth") {
        schedule.day_of_month = Some(day.to_owned());
    }
    if let Some(day) = args.text("dayOfWeek") {
        schedule.day_of_week = Some(day.to_owned());
    }
    if args.0.contains_key("targetCheckNames") {
        schedule.checks = target_checks(world, args)?;
    }
    if ["frequency", "dayOfMonth", "dayOfWeek"].iter().any(|member| args.0.contains_key(*member)) {
        schedule.plan(world.now())?;
    }
    let arn = schedule.arn.clone();
    world.schedules.insert(name.to_owned(), schedule);
    Ok(json!({ "scheduledAuditArn": arn }).to_string())
}

/// `DescribeScheduledAudit`.
pub(crate) fn describe(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("scheduledAuditName");
    let schedule = world.schedules.get(name).ok_or_else(|| missing(name))?;
    let mut described = schedule.describe(name);
    if let Some(described) = described.as_object_mut() {
        let names: Vec<&str> = schedule.checks.iter().map(|check| check.name()).collect();
        described.insert("targetCheckNames".to_owned(), names.into());
    }
    Ok(described.to_string())
}

/// `ListScheduledAudits`.
pub(crate) fn list(world: &mut World, args: &Args) -> Outcome {
    let pager = Pager::new(world.seed(), "ListScheduledAudits", &args.0)?;
    let all =
        world.schedules.iter().map(|(name, schedule)| ((schedule.number.into(), 0), schedule.describe(name)));
    let (page, next) = pager.page(all);
    Ok(listing("scheduledAudits", page, next))
}

/// `DeleteScheduledAudit`.
pub(crate) fn delete(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("scheduledAuditName");
    world.schedules.remove(name).map(|_| EMPTY.to_owned()).ok_or_else(|| missing(name))
}

/// A page of a list. The token is left out on the last page.
pub(crate) fn listing(member: &str, page: Vec<Value>, next: Option<String>) -> String {
    listing_with(member, page, "nextToken", next)
}

/// A page of a list that has another name for its token.
pub(crate) fn listing_with(member: &str, page: Vec<Value>, token: &str, next: Option<String>) -> String {
    let mut answer = serde_json::Map::new();
    answer.insert(member.to_owned(), page.into());
    if let Some(next) = next {
        answer.insert(token.to_owned(), next.into());
    }
    Value::Object(answer).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::checks::Check;
    use crate::harness::Desk;

    const DAY_MS: u64 = 86_400_000;

    /// The days on which a schedule has run. The desk's clock begins on 2023-11-14, a Tuesday, at 22:13.
    fn runs(frequency: &Value, days: u64) -> Vec<String> {
        let desk = Desk::new(10);
        desk.enable();
        let mut body = json!({ "targetCheckNames": [Check::LoggingDisabled.name()] });
        body.as_object_mut().unwrap().extend(frequency.as_object().unwrap().clone());
        desk.ok("POST", "/audit/scheduledaudits/s", &body);
        desk.advance(days * DAY_MS);
        let state = desk.state();
        let messages = desk.service.take_messages();
        let audits = state["audits"].as_array().unwrap();
        assert_eq!(messages.len(), audits.len());
        let run = |audit: &Value| {
            let id = audit["taskId"].as_str().unwrap();
            let task = desk.ok("GET", &format!("/audit/tasks/{id}"), &Value::Null);
            assert_eq!(
                (&task["taskType"], &task["scheduledAuditName"]),
                (&json!("SCHEDULED_AUDIT_TASK"), &json!("s"))
            );
            let began = task["taskStartTime"].as_f64().unwrap();
            let text = fleetwarden_core::timestamp::Millis(crate::clock::from_seconds(began)).rfc3339();
            text.strip_suffix("T06:00:00Z").unwrap().to_owned()
        };
        audits.iter().map(run).collect()
    }

    #[test]
    fn the_clock_runs_what_is_due() {
        assert_eq!(runs(&json!({ "frequency": "DAILY" }), 2), ["2023-11-15", "2023-11-16"]);
        let weekly = json!({ "frequency": "WEEKLY", "dayOfWeek": "WED" });
        assert_eq!(runs(&weekly, 14), ["2023-11-15", "2023-11-22"]);
        let biweekly = json!({ "frequency": "BIWEEKLY", "dayOfWeek": "TUE" });
        assert_eq!(runs(&biweekly, 40), ["2023-11-21", "2023-12-05", "2023-12-19"]);
        let monthly = json!({ "frequency": "MONTHLY", "dayOfMonth": "30" });
        assert_eq!(runs(&monthly, 90), ["2023-11-30", "2023-12-30", "2024-01-30"]);
        let last = json!({ "frequency": "MONTHLY", "dayOfMonth": "LAST" });
        assert_eq!(runs(&last, 48), ["2023-11-30", "2023-12-31"]);
        assert!(runs(&json!({ "frequency": "MONTHLY", "dayOfMonth": "14" }), 29).is_empty());
    }

    #[test]
    fn what_would_be_forgotten_by_now_does_not_run() {
        let all = runs(&json!({ "frequency": "DAILY" }), 3_000);
        assert_eq!(all.len(), 90);
    }

    #[test]
    fn an_update_moves_the_next_run_and_a_deletion_ends_it() {
        let desk = Desk::new(10);
        desk.enable();
        let body = json!({ "frequency": "DAILY", "targetCheckNames": [Check::LoggingDisabled.name()] });
        desk.ok("POST", "/audit/scheduledaudits/s", &body);
        desk.advance(DAY_MS);
        let count = || desk.state()["audits"].as_array().unwrap().len();
        assert_eq!(count(), 1);
        let other = json!({ "frequency": "WEEKLY", "dayOfWeek": "MON" });
        desk.ok("PATCH", "/audit/scheduledaudits/s", &other);
        desk.advance(4 * DAY_MS);
        assert_eq!(count(), 1);
        desk.advance(DAY_MS);
        assert_eq!(count(), 2);
        desk.ok("DELETE", "/audit/scheduledaudits/s", &Value::Null);
        desk.advance(14 * DAY_MS);
        assert_eq!(count(), 2);
    }
}
