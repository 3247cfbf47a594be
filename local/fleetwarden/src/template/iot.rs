//! The template's `AWS::IoT::*` resources, which the Device Defender endpoint creates in place of AWS.
//!
//! The emulator refuses a template with a type that it does not know. So each such resource is replaced by an
//! empty one with the same logical id and condition, and what its properties refer to (topics, roles) is
//! asked of the emulator's own CloudFormation by way of outputs: nothing of its functions is rebuilt here.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A resource without an effect, so that whoever depends on the one it stands for still can.
const PLACEHOLDER: &str = "AWS::CloudFormation::WaitConditionHandle";

/// Types that the emulator does not know, and that nothing here needs.
const UNKNOWN: [&str; 1] = ["AWS::Logs::QueryDefinition"];

/// How the keys of the added outputs begin.
const OWN: &str = "LocalIot";

/// One `AWS::IoT::*` resource of the template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resource {
    /// Its logical id.
    pub(crate) id: String,
    /// Its type, such as `AWS::IoT::MitigationAction`.
    pub(crate) kind: String,
    /// Its properties. Where an intrinsic function stood is `{"Output": key}`.
    properties: Value,
}

/// The property that names a resource of each type, and is what `Ref` gives of it.
///
/// Source: "Return values" of each type in the CloudFormation template reference.
const NAMED_BY: [(&str, &str); 5] = [
    ("AWS::IoT::CustomMetric", "MetricName"),
    ("AWS::IoT::Dimension", "Name"),
    ("AWS::IoT::MitigationAction", "ActionName"),
    ("AWS::IoT::ScheduledAudit", "ScheduledAuditName"),
    ("AWS::IoT::SecurityProfile", "SecurityProfileName"),
];

/// Takes the `AWS::IoT::*` resources out of the template and asks for their values by outputs. Each stands behind those
/// that it refers to.
pub(crate) fn take(template: &mut Value) -> Result<Vec<Resource>> {
    let lists = list_parameters(template);
    let names = names(template);
    let resources = template.get_mut("Resources").and_then(Value::as_object_mut);
    let mut taken = Vec::new();
    let mut outputs = Map::new();
    for (id, resource) in resources.context("the template has no resources")? {
        let kind = resource.get("Type").and_then(Value::as_str).unwrap_or_default().to_owned();
        if UNKNOWN.contains(&kind.as_str()) {
            *resource = placeholder(resource.get("Condition").cloned());
            continue;
        }
        if !kind.starts_with("AWS::IoT::") {
            continue;
        }
        let condition = resource.get("Condition").cloned();
        let mut properties = resource.get("Properties").cloned().unwrap_or_default();
        let mut asked = Asked {
            id,
            condition: condition.as_ref(),
            outputs: &mut outputs,
            lists: &lists,
            names: &names,
            next: 0,
        };
        // The resource itself, so that a condition which is not met is seen as a missing output.
        asked.output(json!("true"));
        asked.walk(&mut properties);
        *resource = placeholder(condition);
        taken.push(Resource { id: id.clone(), kind, properties });
    }
    // A profile names custom metrics and dimensions, and nothing names a profile.
    taken.sort_by_key(|resource| resource.kind == "AWS::IoT::SecurityProfile");
    if !outputs.is_empty() {
        let all = template.as_object_mut().context("the template is no mapping")?;
        let declared = all.entry("Outputs").or_insert_with(|| json!({}));
        declared.as_object_mut().context("the template's outputs are no mapping")?.extend(outputs);
    }
    Ok(taken)
}

/// What stands in a resource's place.
fn placeholder(condition: Option<Value>) -> Value {
    let mut members = Map::from_iter([("Type".to_owned(), Value::from(PLACEHOLDER))]);
    members.extend(condition.map(|condition| ("Condition".to_owned(), condition)));
    Value::Object(members)
}

impl Resource {
    /// The properties with their values, or nothing when the resource's condition is not met.
    pub(crate) fn resolved(&self, outputs: &BTreeMap<String, String>) -> Option<Value> {
        outputs.get(&key(&self.id, 0))?;
        Some(fill(&self.properties, outputs).unwrap_or_else(|| json!({})))
    }
}

struct Asked<'a> {
    id: &'a str,
    condition: Option<&'a Value>,
    outputs: &'a mut Map<String, Value>,
    /// Parameters that are lists.
    lists: &'a BTreeSet<String>,
    /// The names of the resources that are taken out, by logical id.
    names: &'a BTreeMap<String, Value>,
    /// The number of the next output.
    next: u32,
}

impl Asked<'_> {
    fn walk(&mut self, value: &mut Value) {
        if let Some([condition, yes, no]) =
            value.get_mut("Fn::If").and_then(Value::as_array_mut).map(Vec::as_mut_slice)
        {
            let (mut yes, mut no) = (yes.take(), no.take());
            let chosen = self.output(json!({ "Fn::If": [condition.take(), "true", "false"] }));
            self.walk(&mut yes);
            self.walk(&mut no);
            *value = json!({ "If": [chosen, yes, no] });
            return;
        }
        match value {
            Value::Object(members) if is_function(members) => {
                let name = members.get("Ref").and_then(Value::as_str).unwrap_or_default();
                if let Some(named) = self.names.get(name) {
                    *value = named.clone();
                    return self.walk(value);
                }
                // An output is one text.
                *value = if name == "AWS::NoValue" {
                    json!({ "Nothing": true })
                } else if let Some([by, joined]) =
                    members.get("Fn::Split").and_then(Value::as_array).map(Vec::as_slice)
                {
                    json!({ "List": self.output(joined.clone()), "By": by })
                } else if self.lists.contains(name) {
                    let joined = json!({ "Fn::Join": [",", value] });
                    json!({ "List": self.output(joined), "By": "," })
                } else {
                    json!({ "Output": self.output(value.clone()) })
                };
            }
            Value::Object(members) => members.values_mut().for_each(|member| self.walk(member)),
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item)),
            _ => {}
        }
    }

    fn output(&mut self, value: Value) -> String {
        let key = key(self.id, self.next);
        self.next += 1;
        let mut output = Map::from_iter([("Value".to_owned(), value)]);
        output.extend(self.condition.map(|condition| ("Condition".to_owned(), condition.clone())));
        self.outputs.insert(key.clone(), Value::Object(output));
        key
    }
}

fn key(id: &str, number: u32) -> String {
    format!("{OWN}{id}{number}")
}

/// Whether an output was asked for here and is none of the template's own.
pub(crate) fn is_own(output: &str) -> bool {
    output.starts_with(OWN)
}

/// The names of the resources that only the endpoint knows, by logical id.
fn names(template: &Value) -> BTreeMap<String, Value> {
    let resources = template.get("Resources").and_then(Value::as_object).into_iter().flatten();
    resources
        .filter_map(|(id, resource)| {
            let kind = resource.get("Type")?.as_str()?;
            let (_, property) = NAMED_BY.iter().find(|(named, _)| *named == kind)?;
            Some((id.clone(), resource.pointer(&format!("/Properties/{property}"))?.clone()))
        })
        .collect()
}

/// The parameters whose value is a list.
fn list_parameters(template: &Value) -> BTreeSet<String> {
    let parameters = template.get("Parameters").and_then(Value::as_object);
    let is_list = |parameter: &Value| {
        let kind = parameter.get("Type").and_then(Value::as_str).unwrap_or_default();
        kind == "CommaDelimitedList" || kind.starts_with("List<")
    };
    let lists = parameters.into_iter().flatten().filter(|(_, parameter)| is_list(parameter));
    lists.map(|(name, _)| name.clone()).collect()
}

fn is_function(members: &Map<String, Value>) -> bool {
    members.len() == 1 && members.keys().all(|name| name == "Ref" || name.starts_with("Fn::"))
}

/// The value with its outputs in place; nothing where the template says `AWS::NoValue`.
fn fill(value: &Value, outputs: &BTreeMap<String, String>) -> Option<Value> {
    match value {
        Value::Object(members) => {
            if let Some(key) = members.get("Output").and_then(Value::as_str) {
                return outputs.get(key).map(|text| Value::from(text.as_str()));
            }
            if let Some(key) = members.get("List").and_then(Value::as_str) {
                let by = members.get("By").and_then(Value::as_str).unwrap_or(",");
                return outputs.get(key).map(|text| text.split(by).map(str::trim).collect());
            }
            if members.contains_key("Nothing") {
                return None;
            }
            if let Some([chosen, yes, no]) = members.get("If").and_then(Value::as_array).map(Vec::as_slice) {
                let met = chosen.as_str().and_then(|key| outputs.get(key)).is_some_and(|text| text == "true");
                return fill(if met { yes } else { no }, outputs);
            }
            let filled = members.iter().filter_map(|(key, value)| Some((key.clone(), fill(value, outputs)?)));
            Some(Value::Object(filled.collect()))
        }
        Value::Array(items) => Some(items.iter().filter_map(|item| fill(item, outputs)).collect()),
        other => Some(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Value {
        json!({ "Resources": {
            "Topic": { "Type": "AWS::SNS::Topic" },
            "Query": { "Type": "AWS::Logs::QueryDefinition", "Condition": "Owned", "Properties": { "Name": "q" } },
            "Account": { "Type": "AWS::IoT::AccountAuditConfiguration", "Condition": "Owned", "DependsOn": "Topic",
                "Properties": { "AccountId": { "Ref": "AWS::AccountId" },
                    "Target": { "Fn::If": ["Loud", { "Arn": { "Ref": "Topic" } }, { "Ref": "AWS::NoValue" }] } } },
        } })
    }

    #[test]
    fn a_resource_is_replaced_and_its_values_are_asked_for() {
        let mut template = template();
        let taken = take(&mut template).unwrap();
        assert_eq!(template["Resources"]["Account"], json!({ "Type": PLACEHOLDER, "Condition": "Owned" }));
        assert_eq!(template["Outputs"].as_object().unwrap().len(), 4);
        assert_eq!(
            template["Outputs"]["LocalIotAccount1"],
            json!({ "Value": { "Ref": "AWS::AccountId" }, "Condition": "Owned" })
        );
        let outputs = |loud: &str| {
            BTreeMap::from([
                ("LocalIotAccount0".to_owned(), "true".to_owned()),
                ("LocalIotAccount1".to_owned(), "123456789012".to_owned()),
                ("LocalIotAccount2".to_owned(), loud.to_owned()),
                ("LocalIotAccount3".to_owned(), "arn:t".to_owned()),
            ])
        };
        let account = taken.first().unwrap();
        assert_eq!(
            account.resolved(&outputs("true")).unwrap(),
            json!({ "AccountId": "123456789012", "Target": { "Arn": "arn:t" } })
        );
        assert_eq!(account.resolved(&outputs("false")).unwrap(), json!({ "AccountId": "123456789012" }));
    }

    #[test]
    fn a_list_comes_back_as_a_list() {
        let mut template = json!({
            "Parameters": { "Checks": { "Type": "CommaDelimitedList" } },
            "Resources": { "S": { "Type": "AWS::IoT::ScheduledAudit", "Properties": { "Names": { "Ref": "Checks" } } } },
        });
        let taken = take(&mut template).unwrap();
        assert_eq!(
            template["Outputs"]["LocalIotS1"]["Value"],
            json!({ "Fn::Join": [",", { "Ref": "Checks" }] })
        );
        let outputs = [("LocalIotS0", "true"), ("LocalIotS1", "A, B")];
        let outputs = outputs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        assert_eq!(taken.first().unwrap().resolved(&outputs).unwrap(), json!({ "Names": ["A", "B"] }));
    }

    #[test]
    fn a_text_that_is_split_comes_back_as_a_list() {
        let mut template = json!({ "Resources": { "P": { "Type": "AWS::IoT::SecurityProfile", "Properties": {
            "TargetArns": { "Fn::If": ["Some", { "Fn::Split": [";", { "Ref": "Targets" }] }, [{ "Fn::Sub": "all" }]] } } } } });
        let taken = take(&mut template).unwrap();
        assert_eq!(template["Outputs"]["LocalIotP2"]["Value"], json!({ "Ref": "Targets" }));
        let outputs = |some: &str| {
            let outputs =
                [("LocalIotP0", "true"), ("LocalIotP1", some), ("LocalIotP2", "a;b"), ("LocalIotP3", "all")];
            outputs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
        };
        let profile = taken.first().unwrap();
        assert_eq!(profile.resolved(&outputs("true")).unwrap(), json!({ "TargetArns": ["a", "b"] }));
        assert_eq!(profile.resolved(&outputs("false")).unwrap(), json!({ "TargetArns": ["all"] }));
    }

    #[test]
    fn what_another_resource_is_called_is_known_and_made_before() {
        let mut template = json!({ "Resources": {
            "A": { "Type": "AWS::IoT::SecurityProfile", "Properties": { "Metric": { "Ref": "M" }, "Dimension": { "Ref": "N" } } },
            "M": { "Type": "AWS::IoT::CustomMetric", "Properties": { "MetricName": "battery" } },
            "N": { "Type": "AWS::IoT::Dimension", "Properties": { "Name": { "Fn::Sub": "${AWS::StackName}-own" } } },
        } });
        let taken = take(&mut template).unwrap();
        let ids: Vec<_> = taken.iter().map(|resource| resource.id.as_str()).collect();
        assert_eq!(ids, ["M", "N", "A"]);
        let outputs = [("LocalIotA0", "true"), ("LocalIotA1", "s-own")];
        let outputs = outputs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let resolved = taken.last().unwrap().resolved(&outputs).unwrap();
        assert_eq!(resolved, json!({ "Metric": "battery", "Dimension": "s-own" }));
    }

    #[test]
    fn a_condition_that_is_not_met_makes_no_resource() {
        let taken = take(&mut template()).unwrap();
        assert_eq!(taken.first().unwrap().resolved(&BTreeMap::new()), None);
    }
}
