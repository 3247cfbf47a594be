//! Mitigation actions: one kind of change each, with its parameters.

use serde_json::{Value, json};

use crate::checks::Action;

/// A mitigation action.
#[derive(Debug, Clone)]
pub(crate) struct MitigationAction {
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) role: String,
    pub(crate) kind: Action,
    pub(crate) params: Value,
    pub(crate) created: i64,
    pub(crate) modified: i64,
}

impl MitigationAction {
    /// The thing groups that things are added to.
    pub(crate) fn groups(&self) -> Vec<String> {
        let names = self.params.pointer("/addThingsToThingGroupParams/thingGroupNames");
        names.and_then(|names| serde_json::from_value(names.clone()).ok()).unwrap_or_default()
    }

    /// Whether a thing leaves a dynamic group where it is in as many groups as may be.
    pub(crate) fn overrides(&self) -> bool {
        let overrides = self.params.pointer("/addThingsToThingGroupParams/overrideDynamicGroups");
        overrides.and_then(Value::as_bool).unwrap_or(false)
    }

    /// The role and the level of logging.
    pub(crate) fn logging(&self) -> (&str, &str) {
        let of = |member: &str| {
            let value = self.params.pointer(&format!("/enableIoTLoggingParams/{member}"));
            value.and_then(Value::as_str).unwrap_or_default()
        };
        (of("roleArnForLogging"), of("logLevel"))
    }

    /// The topic that findings are published to.
    pub(crate) fn topic(&self) -> String {
        let topic = self.params.pointer("/publishFindingToSnsParams/topicArn");
        topic.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// `MitigationAction`, as the definition of a task holds it.
    pub(crate) fn definition(&self) -> Value {
        json!({ "name": self.name, "id": self.id, "roleArn": self.role, "actionParams": self.params })
    }
}
