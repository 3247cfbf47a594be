//! What the account says of its audits: configuration, scheduled audits, audit tasks.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::iot_api::UNREADABLE;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::about;
use fleetwarden_core::api;
use fleetwarden_core::api::notification;
use fleetwarden_core::api::time::millis;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::schedule::Rhythm;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::audits::Watch;
use crate::audits::trouble::Trouble;

/// The largest page of a list.
const PAGE: u32 = 250;

/// The account's configuration of audits. Without a role there never was one.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Configuration {
    role_arn: Option<String>,
    #[serde(rename = "auditNotificationTargetConfigurations")]
    targets: BTreeMap<String, Target>,
    #[serde(rename = "auditCheckConfigurations")]
    checks: BTreeMap<CheckName, Check>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Target {
    #[serde(rename = "targetArn")]
    topic: Option<String>,
    #[serde(rename = "roleArn")]
    role: Option<String>,
    enabled: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Check {
    enabled: bool,
}

impl Configuration {
    pub(super) fn is_enabled(&self, check: &CheckName) -> bool {
        self.checks.get(check).is_some_and(|check| check.enabled)
    }

    /// Whether any audit can find something: of schedules that cannot, nothing else is worth telling.
    pub(super) fn audits_anything(&self) -> bool {
        self.role_arn.is_some() && self.checks.values().any(|check| check.enabled)
    }

    pub(super) fn has_all_enabled(&self) -> bool {
        !self.checks.is_empty() && self.checks.values().all(|check| check.enabled)
    }

    /// The first thing because of which no notification can come: what is behind it does not matter until it is mended.
    /// Of an account without audits, how many scheduled audits wait for some is part of it.
    pub(super) fn trouble(&self, topic: &str, schedules: usize) -> Option<Trouble> {
        if self.role_arn.is_none() {
            return Some(Trouble::NotSetUp { schedules });
        }
        if !self.audits_anything() {
            return Some(Trouble::NoChecks { schedules });
        }
        let target = self.targets.get("SNS");
        let Some((target, arn)) = target.and_then(|target| Some((target, target.topic.as_deref()?))) else {
            return Some(Trouble::NoTarget);
        };
        if arn != topic {
            Some(Trouble::OtherTarget { target: arn.to_owned() })
        } else if !target.enabled {
            Some(Trouble::TargetDisabled)
        } else if target.role.is_none() {
            Some(Trouble::TargetWithoutRole)
        } else {
            None
        }
    }
}

/// A scheduled audit, as the list of them has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Schedule {
    #[serde(rename = "scheduledAuditName")]
    pub(super) name: String,
    frequency: String,
    day_of_week: Option<String>,
    day_of_month: Option<String>,
}

impl Schedule {
    /// On which days it runs. None if the service says so in words that are not known here.
    pub(super) fn rhythm(&self) -> Option<Rhythm> {
        Rhythm::read(&self.frequency, self.day_of_week.as_deref(), self.day_of_month.as_deref())
    }
}

/// Audit tasks.
pub(super) struct Runs {
    pub(super) runs: Vec<Run>,
    /// Whether there are no others that nobody was asked about.
    pub(super) are_all: bool,
}

/// An audit task.
pub(super) struct Run {
    pub(super) task_id: String,
    pub(super) status: String,
    pub(super) schedule: Option<String>,
    pub(super) started: Millis,
    /// How many of its checks failed or were canceled.
    pub(super) failed: u64,
    /// As the service describes it. None if the ledger knows it: then nobody has to ask.
    pub(super) described: Option<Value>,
}

impl Run {
    fn known(task: Task, item: &Item) -> Self {
        Self {
            task_id: task.task_id,
            status: task.task_status,
            schedule: item.get_text("schedule").map(ToOwned::to_owned),
            started: Millis(item.get_number("started_at").unwrap_or_default()),
            failed: item.get_number("failed_checks").and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
            described: None,
        }
    }

    /// From the service's description of the task.
    pub(super) fn read(task_id: &str, answer: Value) -> Self {
        let mut run = Self {
            task_id: task_id.to_owned(),
            status: text(&answer, "taskStatus").unwrap_or_default().to_owned(),
            schedule: text(&answer, "scheduledAuditName").map(ToOwned::to_owned),
            started: answer.get("taskStartTime").and_then(millis).unwrap_or_default(),
            failed: 0,
            described: Some(answer),
        };
        run.failed = run.failures().len() as u64;
        run
    }

    /// Whether it has not ended. A task without a status is damage, and not taken for one that runs.
    pub(super) fn is_running(&self) -> bool {
        !self.status.is_empty() && !notification::has_ended(&self.status)
    }

    fn details(&self) -> impl Iterator<Item = (&String, &Value)> {
        let details = self.described.as_ref().and_then(|answer| answer.get("auditDetails"));
        details.and_then(Value::as_object).into_iter().flatten()
    }

    /// The checks with a status.
    pub(super) fn checks_that_are(&self, status: &str) -> BTreeSet<CheckName> {
        let with = self.details().filter(|(_, check)| text(check, "checkRunStatus") == Some(status));
        with.map(|(name, _)| CheckName::new(name)).collect()
    }

    /// The checks that failed, were canceled or carry an error, and how.
    pub(super) fn failures(&self) -> BTreeMap<CheckName, String> {
        let failure = |(name, check): (&String, &Value)| {
            let status = text(check, "checkRunStatus").filter(|s| matches!(*s, "FAILED" | "CANCELED"));
            let how = text(check, "errorCode").or(status)?;
            Some((CheckName::new(name), how.to_owned()))
        };
        self.details().filter_map(failure).collect()
    }

    /// The notification that Device Defender should have sent.
    ///
    /// # Errors
    /// What the description lacks.
    pub(super) fn notification(&self, account: &str) -> Result<String, String> {
        let described = self.described.as_ref().unwrap_or(&Value::Null);
        Ok(notification::from_description(account, &self.task_id, described)?.to_string())
    }
}

/// An audit task, as the list of them has it: neither its start nor its schedule.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Task {
    pub(super) task_id: String,
    task_status: String,
}

impl Watch<'_> {
    pub(super) async fn configuration(&self) -> Result<Configuration, Error> {
        self.ask("DescribeAccountAuditConfiguration", json!({})).await
    }

    pub(super) async fn schedules(&self) -> Result<Vec<Schedule>, Error> {
        self.list("ListScheduledAudits", "scheduledAudits", json!({})).await
    }

    /// The checks of a scheduled audit; none of one that is gone by now.
    pub(super) async fn checks_of(&self, schedule: &str) -> Result<Vec<CheckName>, Error> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Described {
            target_check_names: Vec<CheckName>,
        }
        let described = self.ask("DescribeScheduledAudit", json!({"scheduledAuditName": schedule})).await;
        Ok(if_there::<Described>(described)?.unwrap_or_default().target_check_names)
    }

    /// The audit tasks that began since then.
    pub(super) async fn tasks(&self, from: Millis) -> Result<Vec<Task>, Error> {
        if from.seconds() >= self.now.seconds() {
            return Ok(Vec::new());
        }
        let window = json!({"startTime": from.seconds(), "endTime": self.now.seconds()});
        self.list("ListAuditTasks", "tasks", window).await
    }

    /// What there is to know of audit tasks. Those that the ledger does not know are asked for, as many as there is
    /// time for: what is left out is known to the ledger by a later look.
    pub(super) async fn runs(&self, tasks: Vec<Task>, known: &BTreeMap<String, Item>) -> Result<Runs, Error> {
        let (mut runs, mut asked) = (Vec::with_capacity(tasks.len()), 0);
        for task in tasks {
            if let Some(item) = known.get(&task.task_id) {
                runs.push(Run::known(task, item));
                continue;
            }
            asked += 1;
            if asked > self.most {
                continue;
            }
            let described = self.ask("DescribeAuditTask", json!({"taskId": task.task_id})).await;
            runs.extend(if_there(described)?.map(|answer| Run::read(&task.task_id, answer)));
        }
        Ok(Runs { runs, are_all: asked <= self.most })
    }

    /// What the ledger has of audit tasks.
    pub(super) async fn known(
        &self,
        tasks: impl Iterator<Item = &str>,
    ) -> Result<BTreeMap<String, Item>, Error> {
        let keys: Vec<(String, &str)> = tasks.map(|task| (about::audit_task(task), "audit")).collect();
        let items = self.ledger.get_all(&keys).await?.into_iter();
        Ok(items.filter_map(|item| Some((item.get_text("task_id")?.to_owned(), item))).collect())
    }

    async fn ask<T: DeserializeOwned>(&self, name: &'static str, input: Value) -> Result<T, Error> {
        let operation = api::audit(name).map_err(Error::Input)?;
        let answer = self.iot.call(operation, &members(input)).await?;
        serde_json::from_str(answer.get()).map_err(|error| unlike(name, &error.to_string()))
    }

    async fn list<T: DeserializeOwned>(
        &self,
        name: &'static str,
        entries: &str,
        input: Value,
    ) -> Result<Vec<T>, Error> {
        let mut input = members(input);
        input.insert("maxResults".to_owned(), PAGE.into());
        let (mut all, mut pages) = (Vec::new(), Pages::default());
        loop {
            let mut page: Value = self.ask(name, Value::Object(input.clone())).await?;
            let more = page.get_mut(entries).map_or_else(|| json!([]), Value::take);
            all.extend(serde_json::from_value::<Vec<T>>(more).map_err(|e| unlike(name, &e.to_string()))?);
            let token = text(&page, "nextToken").map(ToOwned::to_owned);
            pages.turn(token).map_err(|endless| unlike(name, &endless.to_string()))?;
            let Some(token) = pages.token() else { return Ok(all) };
            input.insert("nextToken".to_owned(), token.into());
        }
    }
}

fn if_there<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Error::Aws { code, .. }) if code == "ResourceNotFoundException" => Ok(None),
        Err(error) => Err(error),
    }
}

fn unlike(operation: &'static str, what: &str) -> Error {
    let message = format!("the answer is not what it should be: {what}");
    Error::Aws { operation, on: "the account".into(), code: UNREADABLE.into(), message }
}

fn members(input: Value) -> Map<String, Value> {
    match input {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn text<'v>(value: &'v Value, member: &str) -> Option<&'v str> {
    value.get(member).and_then(Value::as_str)
}
