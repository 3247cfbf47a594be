//! Security profiles: the behaviors that are expected of devices, whom to alert, and which metrics to keep.

use std::collections::BTreeMap;

use fleetwarden_behaviors::{Behaviors, Stream};
use serde_json::{Map, Value, json};

use crate::clock::seconds;
use crate::detect::targets::Target;

/// A security profile.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    /// Its place in the order of creation.
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) arn: String,
    /// 1, and one more with each update.
    pub(crate) version: i64,
    /// Epoch milliseconds.
    pub(crate) created: i64,
    /// Epoch milliseconds.
    pub(crate) modified: i64,
    /// What `CreateSecurityProfile` and `UpdateSecurityProfile` set.
    pub(crate) content: Content,
    /// What it is attached to, each with its place in the order of attachments.
    pub(crate) targets: BTreeMap<Target, u32>,
}

/// What a request sets of a profile.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    pub(crate) description: Option<String>,
    /// The behaviors as they were given.
    pub(crate) given: Vec<Value>,
    /// The same behaviors, read.
    pub(crate) behaviors: Behaviors,
    /// `alertTargets`: the kind of target, then its ARN and role.
    pub(crate) alert_targets: Map<String, Value>,
    /// `additionalMetricsToRetain`.
    pub(crate) retained_names: Vec<String>,
    /// `additionalMetricsToRetainV2`.
    pub(crate) retained_given: Vec<Value>,
    /// Both lists of metrics to retain, read.
    pub(crate) retained: Vec<Stream>,
    /// `metricsExportConfig`.
    pub(crate) export: Option<Value>,
}

impl Profile {
    /// The metrics whose values are kept: those of its behaviors, and those to retain beside them.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &Stream> {
        let own = self.content.behaviors.iter().map(fleetwarden_behaviors::Behavior::stream);
        own.chain(&self.content.retained)
    }

    /// The ARN of the SNS topic for its alerts.
    pub(crate) fn topic(&self) -> Option<&str> {
        self.content.alert_targets.get("SNS")?.get("alertTargetArn")?.as_str()
    }

    /// `SecurityProfileIdentifier`.
    pub(crate) fn identifier(&self) -> Value {
        json!({ "name": self.name, "arn": self.arn })
    }

    /// The answer of `DescribeSecurityProfile`. What is not set is left out.
    pub(crate) fn describe(&self) -> Value {
        let Content { description, given, alert_targets, retained_names, retained_given, export, .. } =
            &self.content;
        let mut described = Map::new();
        let mut put = |name: &str, value: Value| {
            let empty = value.is_null()
                || value.as_array().is_some_and(Vec::is_empty)
                || value.as_object().is_some_and(Map::is_empty);
            if !empty {
                described.insert(name.to_owned(), value);
            }
        };
        put("securityProfileName", self.name.as_str().into());
        put("securityProfileArn", self.arn.as_str().into());
        put("securityProfileDescription", description.as_deref().into());
        put("behaviors", given.as_slice().into());
        put("alertTargets", Value::Object(alert_targets.clone()));
        put("additionalMetricsToRetain", retained_names.as_slice().into());
        put("additionalMetricsToRetainV2", retained_given.as_slice().into());
        put("version", self.version.into());
        put("creationDate", seconds(self.created).into());
        put("lastModifiedDate", seconds(self.modified).into());
        put("metricsExportConfig", export.clone().unwrap_or_default());
        Value::Object(described)
    }
}
