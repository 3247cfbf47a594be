//! The actions of a mitigation of alarms: each has to be there, and to add things to groups. Detect takes no other.

use fleetwarden_aws::states::Change;
use fleetwarden_aws::states::Changes;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;
use fleetwarden_commands::calls::is;
use fleetwarden_commands::calls::members;
use fleetwarden_commands::calls::value;
use fleetwarden_core::api;
use fleetwarden_core::api::input::Fault;
use fleetwarden_core::model::action::ActionKind;
use fleetwarden_core::model::mitigation::approval::ExplainedAction;
use fleetwarden_core::model::mitigation::grade::Grade;
use fleetwarden_core::untrusted::shown;
use serde_json::Value;
use serde_json::json;

/// An action that adds things to groups.
#[derive(Debug)]
pub(crate) struct Action {
    /// Its name.
    pub(crate) name: String,
    groups: Vec<String>,
    overrides: bool,
    /// How hard it is to take it back.
    pub(crate) grade: Grade,
}

impl Action {
    /// It as it is explained to a person who approves.
    pub(crate) fn explained(&self) -> ExplainedAction {
        let (kind, groups) = (ActionKind::AddThingsToThingGroup.as_str(), self.groups.join(","));
        let does = format!("{kind} thingGroupNames={groups} overrideDynamicGroups={}", self.overrides);
        ExplainedAction { name: self.name.clone(), does, grade: self.grade }
    }
}

/// What actions change.
pub(crate) fn changes(actions: &[Action]) -> Changes {
    let change = |Action { name, groups, overrides, .. }: &Action| {
        (name.clone(), Change::Groups { groups: groups.clone(), overrides: *overrides })
    };
    actions.iter().map(change).collect()
}

/// Reads and checks each action of a command.
pub(crate) async fn read_actions(service: &Service, command: &Command) -> Result<Vec<Action>, Failure> {
    let names = command.input.get("actions").and_then(Value::as_array).into_iter().flatten();
    let (mut actions, mut faults) = (Vec::new(), Vec::new());
    for (at, name) in names.filter_map(Value::as_str).enumerate() {
        match action(service, name).await? {
            Ok(action) => actions.push(action),
            Err(what) => faults.push(Fault { path: format!("$.actions[{at}]"), what }),
        }
    }
    if faults.is_empty() { Ok(actions) } else { Err(Failure::Input(faults)) }
}

async fn action(service: &Service, name: &str) -> Result<Result<Action, String>, Failure> {
    let describe = api::audit("DescribeMitigationAction");
    let describe = describe.map_err(|what| Failure::Refused { name: "UnknownCommand", what })?;
    let described = service.iot.call(describe, &members(json!({"actionName": name}))).await;
    let action = match described {
        Ok(action) => value(&action),
        Err(error) if is(&error, "ResourceNotFoundException") => {
            let name = shown(name);
            return Ok(Err(format!(
                "there is no mitigation action '{name}'; CreateMitigationAction makes it"
            )));
        }
        Err(error) => return Err(error.into()),
    };
    let wanted = ActionKind::AddThingsToThingGroup.as_str();
    let kind = action.get("actionType").and_then(Value::as_str).unwrap_or_default();
    if kind != wanted {
        let (name, kind) = (shown(name), shown(kind));
        return Ok(Err(format!("'{name}' is {kind}; a mitigation of alarms takes {wanted} only")));
    }
    let groups = action.pointer("/actionParams/addThingsToThingGroupParams/thingGroupNames");
    let groups = groups.and_then(Value::as_array).into_iter().flatten();
    let groups = groups.filter_map(Value::as_str).map(ToOwned::to_owned).collect();
    let overrides = action.pointer("/actionParams/addThingsToThingGroupParams/overrideDynamicGroups");
    let overrides = overrides.and_then(Value::as_bool).unwrap_or(false);
    Ok(Ok(Action { name: name.to_owned(), groups, overrides, grade: Grade::of_described(&action) }))
}
