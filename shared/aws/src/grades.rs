//! How hard it is to take mitigation actions back, by their names: each is described once for a process and ten minutes.
//!
//! A grade says something to people, and stops nothing: what cannot be looked up has none.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use aws_sdk_iot::Client;
use aws_sdk_iot::operation::describe_mitigation_action::DescribeMitigationActionOutput as Described;
use aws_sdk_iot::types::AddThingsToThingGroupParams;
use fleetwarden_core::model::action::ActionKind;
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
    known: Arc<Mutex<HashMap<String, (Millis, Grade)>>>,
}

impl Grades {
    /// By this client.
    pub fn new(iot: Client) -> Self {
        Self { iot, known: Arc::default() }
    }

    /// The grades of these actions, without those that cannot be looked up.
    pub async fn of(&self, actions: &[String], now: Millis) -> GradesByAction {
        let mut grades = GradesByAction::new();
        for action in actions {
            if let Some(grade) = self.of_action(action, now).await {
                grades.insert(action.clone(), grade);
            }
        }
        grades
    }

    async fn of_action(&self, action: &str, now: Millis) -> Option<Grade> {
        let fresh = |(at, _): &&(Millis, Grade)| at.plus_seconds(VALID_SECONDS) > now;
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, grade)) = known().get(action).filter(fresh) {
            return Some(*grade);
        }
        let described = self.iot.describe_mitigation_action().action_name(action).send().await;
        match described.map_err(Error::aws("DescribeMitigationAction", action)) {
            Ok(described) => {
                let grade = grade(&described);
                known().insert(action.to_owned(), (now, grade));
                Some(grade)
            }
            Err(error) => {
                tracing::warn!(%error, "how hard the action is to take back is not known");
                None
            }
        }
    }
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
