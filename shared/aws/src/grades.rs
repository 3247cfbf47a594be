//! What mitigation actions do, and how hard that is to take back, by their names: each is described once for a process and
//! ten minutes, or now where an approval depends on it.
//!
//! What cannot be taken back waits for a person. So an action that cannot be looked up is an error, and one that is missing
//! is told from it.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use aws_sdk_iot::Client;
use aws_sdk_iot::operation::describe_mitigation_action::DescribeMitigationActionOutput as Described;
use aws_sdk_iot::types::AddThingsToThingGroupParams;
use fleetwarden_core::model::action::ActionKind;
use fleetwarden_core::model::mitigation::approval::ExplainedAction;
use fleetwarden_core::model::mitigation::grade::Grade;
use fleetwarden_core::model::mitigation::grade::Params;
use fleetwarden_core::timestamp::Millis;

use crate::Error;

/// How long a grade is valid: an action can be changed, in seconds.
const VALID_SECONDS: i64 = 600;

/// The grades of actions, by name.
pub type GradesByAction = BTreeMap<String, Grade>;

/// The grades of mitigation actions, with those that this process knows.
#[derive(Clone, Debug)]
pub struct Grades {
    iot: Client,
    known: Arc<Mutex<HashMap<String, (Millis, ExplainedAction)>>>,
}

impl Grades {
    /// By this client.
    pub fn new(iot: Client) -> Self {
        Self { iot, known: Arc::default() }
    }

    /// What these actions do, in order, as it was known at most ten minutes ago. Or which of them there is not.
    ///
    /// # Errors
    /// If one cannot be looked up.
    pub async fn of(
        &self,
        actions: &[String],
        now: Millis,
    ) -> Result<Result<Vec<ExplainedAction>, String>, Error> {
        self.explain(actions, Some(now.plus_seconds(-VALID_SECONDS)), now).await
    }

    /// As [`of`](Self::of), looked up now.
    ///
    /// # Errors
    /// If one cannot be looked up.
    pub async fn of_now(
        &self,
        actions: &[String],
        now: Millis,
    ) -> Result<Result<Vec<ExplainedAction>, String>, Error> {
        self.explain(actions, None, now).await
    }

    async fn explain(
        &self,
        actions: &[String],
        since: Option<Millis>,
        now: Millis,
    ) -> Result<Result<Vec<ExplainedAction>, String>, Error> {
        let mut explained = Vec::with_capacity(actions.len());
        for action in actions {
            match self.of_action(action, since, now).await {
                Ok(action) => explained.push(action),
                Err(error) if error.is_code("ResourceNotFoundException") => {
                    return Ok(Err(format!("there is no mitigation action '{action}'")));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Ok(explained))
    }

    async fn of_action(
        &self,
        action: &str,
        since: Option<Millis>,
        now: Millis,
    ) -> Result<ExplainedAction, Error> {
        let fresh = |(at, _): &&(Millis, ExplainedAction)| since.is_some_and(|since| *at > since);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, explained)) = known().get(action).filter(fresh) {
            return Ok(explained.clone());
        }
        let described = self.iot.describe_mitigation_action().action_name(action).send().await;
        let described = described.map_err(Error::aws("DescribeMitigationAction", action))?;
        let explained =
            ExplainedAction { name: action.to_owned(), does: does(&described), grade: grade(&described) };
        known().insert(action.to_owned(), (now, explained.clone()));
        Ok(explained)
    }
}

/// The grades of actions, by name.
#[must_use]
pub fn by_action(explained: &[ExplainedAction]) -> GradesByAction {
    explained.iter().map(|action| (action.name.clone(), action.grade)).collect()
}

/// What an action does: its type and its parameters, in words that change with either.
fn does(described: &Described) -> String {
    let kind = described.action_type().map_or("an unknown type", |kind| kind.as_str());
    let Some(of) = described.action_params() else { return kind.to_owned() };
    let mut params = Vec::new();
    let mut param = |name: &str, value: &str| params.push(format!("{name}={value}"));
    if let Some(of) = of.update_device_certificate_params() {
        param("action", of.action().as_str());
    }
    if let Some(of) = of.update_ca_certificate_params() {
        param("action", of.action().as_str());
    }
    if let Some(of) = of.add_things_to_thing_group_params() {
        param("thingGroupNames", &of.thing_group_names().join(","));
        param(
            "overrideDynamicGroups",
            if of.override_dynamic_groups() == Some(true) { "true" } else { "false" },
        );
    }
    if let Some(of) = of.replace_default_policy_version_params() {
        param("templateName", of.template_name().as_str());
    }
    if let Some(of) = of.enable_io_t_logging_params() {
        param("roleArnForLogging", of.role_arn_for_logging());
        param("logLevel", of.log_level().as_str());
    }
    if let Some(of) = of.publish_finding_to_sns_params() {
        param("topicArn", of.topic_arn());
    }
    std::iter::once(kind.to_owned()).chain(params).collect::<Vec<_>>().join(" ")
}

/// The grade of an action as it is described.
fn grade(described: &Described) -> Grade {
    let kind = described.action_type().and_then(|kind| ActionKind::of(kind.as_str()));
    let of = described.action_params();
    let device = of.and_then(|of| of.update_device_certificate_params()).map(|of| of.action().as_str());
    let authority = of.and_then(|of| of.update_ca_certificate_params()).map(|of| of.action().as_str());
    let groups = of.and_then(|of| of.add_things_to_thing_group_params());
    let overrides = groups.and_then(AddThingsToThingGroupParams::override_dynamic_groups);
    let policy = of.and_then(|of| of.replace_default_policy_version_params());
    let params = Params {
        certificate: device.or(authority),
        overrides_dynamic_groups: overrides.unwrap_or_default(),
        policy_template: policy.map(|of| of.template_name().as_str()),
    };
    Grade::of(kind, params)
}
