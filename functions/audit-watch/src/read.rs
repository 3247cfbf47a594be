//! The calls of a run: AWS IoT at its pace, and the ledger.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::Error;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_aws::iot_api::UNREADABLE;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::pace::Pace;
use fleetwarden_core::api;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::account::Configuration;
use crate::account::Run;
use crate::account::Runs;
use crate::account::Schedule;
use crate::account::Task;
use crate::account::text;
use crate::problem::Problem;

/// How many audit tasks one run describes: a minute's worth at 10 calls a second.
pub const DESCRIBE_LIMIT: usize = 500;
/// The largest page of a list.
const PAGE: u32 = 250;

/// Reads audits from AWS IoT.
pub(crate) struct Reader<'a> {
    pub(crate) iot: &'a IotApi,
    pub(crate) pace: &'a Pace,
    pub(crate) clock: &'a Clock,
    pub(crate) describe_limit: usize,
    /// When no further audit task is described.
    pub(crate) stop_at: Millis,
}

impl Reader<'_> {
    pub(crate) async fn configuration(&self) -> Result<Configuration, Error> {
        self.ask("DescribeAccountAuditConfiguration", json!({})).await
    }

    pub(crate) async fn schedules(&self) -> Result<Vec<Schedule>, Error> {
        self.list("ListScheduledAudits", "scheduledAudits", json!({})).await
    }

    /// The scheduled audits with disabled checks. They are described only if a check is disabled.
    pub(crate) async fn disabled_checks(
        &self,
        configuration: &Configuration,
        schedules: &[Schedule],
    ) -> Result<Vec<Problem>, Error> {
        let mut found = Vec::new();
        if configuration.has_all_enabled() {
            return Ok(found);
        }
        for Schedule { name, .. } in schedules {
            let checks = self.checks_of(name).await?;
            let checks: BTreeSet<_> = checks.into_iter().filter(|c| !configuration.is_enabled(c)).collect();
            if !checks.is_empty() {
                found.push(Problem::DisabledChecks { schedule: name.clone(), checks });
            }
        }
        Ok(found)
    }

    /// The checks of a scheduled audit; none if it was deleted meanwhile.
    async fn checks_of(&self, schedule: &str) -> Result<Vec<CheckName>, Error> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Described {
            target_check_names: Vec<CheckName>,
        }
        let described = self.ask("DescribeScheduledAudit", json!({"scheduledAuditName": schedule})).await;
        Ok(if_there::<Described>(described)?.unwrap_or_default().target_check_names)
    }

    /// The audit tasks that started in a time.
    pub(crate) async fn tasks(&self, from: Millis, to: Millis) -> Result<Vec<Task>, Error> {
        if from.seconds() >= to.seconds() {
            return Ok(Vec::new());
        }
        let window = json!({"startTime": from.seconds(), "endTime": to.seconds()});
        self.list("ListAuditTasks", "tasks", window).await
    }

    /// What is known of audit tasks. Those that the ledger does not have are described, as many as there is time for:
    /// by the next run the ledger has them, and the others are described.
    pub(crate) async fn runs(
        &self,
        tasks: Vec<Task>,
        recorded: &BTreeMap<String, Item>,
    ) -> Result<Runs, Error> {
        let (mut runs, mut described, mut are_all) = (Vec::with_capacity(tasks.len()), 0, true);
        for task in tasks {
            if let Some(item) = recorded.get(&task.task_id) {
                runs.push(Run::recorded(task, item));
                continue;
            }
            if described >= self.describe_limit || self.clock.now() >= self.stop_at {
                are_all = false;
                continue;
            }
            described += 1;
            let answer = self.ask("DescribeAuditTask", json!({"taskId": task.task_id})).await;
            runs.extend(if_there(answer)?.map(|answer| Run::described(&task.task_id, answer)));
        }
        Ok(Runs { runs, are_all })
    }

    async fn ask<T: DeserializeOwned>(&self, name: &'static str, input: Value) -> Result<T, Error> {
        let operation = api::audit(name).map_err(Error::Input)?;
        let input = members(input);
        let answer = self.pace.call(operation, async || self.iot.call(operation, &input).await).await?;
        serde_json::from_str(answer.get()).map_err(|error| unreadable(name, &error.to_string()))
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
            all.extend(serde_json::from_value::<Vec<T>>(more).map_err(|e| unreadable(name, &e.to_string()))?);
            let token = text(&page, "nextToken").map(ToOwned::to_owned);
            pages.turn(token).map_err(|endless| unreadable(name, &endless.to_string()))?;
            let Some(token) = pages.token() else { return Ok(all) };
            input.insert("nextToken".to_owned(), token.into());
        }
    }
}

/// The ledger's items on audits, by audit task.
pub(crate) async fn ledger_items(
    ledger: &Ledger,
    tasks: impl Iterator<Item = &str>,
) -> Result<BTreeMap<String, Item>, Error> {
    let keys: Vec<(String, &str)> = tasks.map(|task| (keys::audit_task(task), "audit")).collect();
    let items = ledger.get_all(&keys).await?.into_iter();
    Ok(items.filter_map(|item| Some((item.get_text("task_id")?.to_owned(), item))).collect())
}

fn if_there<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_code("ResourceNotFoundException") => Ok(None),
        Err(error) => Err(error),
    }
}

fn unreadable(operation: &'static str, what: &str) -> Error {
    let message = format!("the answer is invalid: {what}");
    Error::Aws { operation, on: "the account".into(), code: UNREADABLE.into(), message }
}

fn members(input: Value) -> Map<String, Value> {
    match input {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
