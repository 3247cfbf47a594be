//! Scheduled audits: stored, validated, and run when the operator says so.

use serde_json::{Value, json};

use crate::args::{Args, known_check};
use crate::checks::Check;
use crate::failure::Failure;
use crate::operations::{EMPTY, Outcome};
use crate::paging::Pager;
use crate::world::World;

/// Device Defender quotas: scheduled audits.
const MOST_SCHEDULES: usize = 5;

/// A scheduled audit.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    number: u32,
    arn: String,
    frequency: String,
    day_of_month: Option<String>,
    day_of_week: Option<String>,
    pub(crate) checks: Vec<Check>,
}

impl Schedule {
    fn describe(&self, name: &str) -> Value {
        let mut described = json!({
            "scheduledAuditName": name,
            "scheduledAuditArn": self.arn,
            "frequency": self.frequency,
        });
        if let Some(described) = described.as_object_mut() {
            for (member, day) in [("dayOfMonth", &self.day_of_month), ("dayOfWeek", &self.day_of_week)] {
                if let Some(day) = day {
                    described.insert(member.to_owned(), day.as_str().into());
                }
            }
        }
        described
    }

    /// Each frequency needs its day, and must not carry over the other's from before an update.
    fn check_days(&mut self) -> Result<(), Failure> {
        let needs = |member| {
            Err(Failure::invalid(format!("{member} is required when frequency is {}", self.frequency)))
        };
        match self.frequency.as_str() {
            "WEEKLY" | "BIWEEKLY" if self.day_of_week.is_none() => return needs("dayOfWeek"),
            "MONTHLY" if self.day_of_month.is_none() => return needs("dayOfMonth"),
            "WEEKLY" | "BIWEEKLY" => self.day_of_month = None,
            "MONTHLY" => self.day_of_week = None,
            _ => (self.day_of_month, self.day_of_week) = (None, None),
        }
        Ok(())
    }
}

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
    };
    schedule.check_days()?;
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
    schedule.check_days()?;
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
