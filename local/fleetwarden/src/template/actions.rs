//! The mitigation actions that a template defines: their names and what each does.

use fleetwarden_core::model::action::ActionKind;
use fleetwarden_core::policy::Actions;
use serde_json::Value;

/// The mitigation actions of a template, and the logical ids of those whose names are known only when it is
/// deployed. A parameter counts with its default.
///
/// Source: `AWS::IoT::MitigationAction` of the CloudFormation template reference. `ActionName` may be left out, and
/// `ActionParams` has one member.
pub(crate) fn actions(template: &Value) -> (Actions, Vec<String>) {
    let mut actions = Actions::default();
    let mut unnamed = Vec::new();
    for (id, resource) in template.get("Resources").and_then(Value::as_object).into_iter().flatten() {
        if resource.get("Type").and_then(Value::as_str) != Some("AWS::IoT::MitigationAction") {
            continue;
        }
        let name = resource.pointer("/Properties/ActionName").and_then(|name| text(name, template));
        let params = resource.pointer("/Properties/ActionParams").and_then(Value::as_object);
        let kind = params.and_then(|params| params.keys().find_map(|member| ActionKind::of_params(member)));
        match name {
            Some(name) => {
                actions.kinds.insert(name, kind);
            }
            None => unnamed.push(id.clone()),
        }
    }
    actions.more = !unnamed.is_empty();
    (actions, unnamed)
}

/// A value as text, if it depends on nothing but the defaults of parameters.
fn text(value: &Value, template: &Value) -> Option<String> {
    let default = |name: &str| {
        let parameter = template.get("Parameters")?.get(name)?;
        parameter.get("Default")?.as_str().map(str::to_owned)
    };
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    if let Some(name) = value.get("Ref").and_then(Value::as_str) {
        return default(name);
    }
    let mut rest = value.get("Fn::Sub")?.as_str()?;
    let mut whole = String::new();
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}')?;
        whole += before;
        whole += &default(name)?;
        rest = after;
    }
    Some(whole + rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::yaml;

    #[test]
    fn names_and_kinds_are_read_as_far_as_they_are_known() {
        let template = yaml::read(
            "
Parameters:
  Prefix: { Type: String, Default: Fleet }
  Free: { Type: String }
Resources:
  A: { Type: AWS::IoT::MitigationAction, Properties: { ActionName: Plain, ActionParams: { UpdateCACertificateParams: {} } } }
  B: { Type: AWS::IoT::MitigationAction, Properties: { ActionName: !Ref Prefix, ActionParams: { EnableIoTLoggingParams: {} } } }
  C: { Type: AWS::IoT::MitigationAction, Properties: { ActionName: !Sub '${Prefix}-x', ActionParams: !If [A, {}, {}] } }
  D: { Type: AWS::SQS::Queue }
",
        )
        .unwrap();
        let (found, unnamed) = actions(&template);
        let kinds: Vec<_> = found.kinds.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
        assert_eq!(
            kinds,
            [
                ("Fleet", Some(ActionKind::EnableIotLogging)),
                ("Fleet-x", None),
                ("Plain", Some(ActionKind::UpdateCaCertificate)),
            ]
        );
        assert!(!found.more && unnamed.is_empty());
    }

    #[test]
    fn a_name_that_is_known_only_at_deployment_is_owned_up_to() {
        let template = yaml::read(
            "
Parameters: { Free: { Type: String } }
Resources:
  A: { Type: AWS::IoT::MitigationAction, Properties: { ActionName: !Ref Free } }
  B: { Type: AWS::IoT::MitigationAction, Properties: { ActionName: !Sub '${AWS::StackName}-x' } }
  C: { Type: AWS::IoT::MitigationAction, Properties: {} }
",
        )
        .unwrap();
        let (found, unnamed) = actions(&template);
        assert!(found.more && found.kinds.is_empty());
        assert_eq!(unnamed, ["A", "B", "C"]);
    }

    #[test]
    fn the_template_that_ships_defines_one_action_of_each_kind() {
        let text = include_str!("../../../../template.yaml");
        let (found, unnamed) = actions(&yaml::read(text).unwrap());
        let mut kinds: Vec<_> = found.kinds.values().flatten().copied().collect();
        kinds.sort_unstable();
        assert_eq!(kinds, ActionKind::ALL);
        assert!(unnamed.is_empty());
    }
}
