//! The actions of a mitigation in a dry run or in `observe`: what AWS would refuse at the start is refused here too.

use std::collections::BTreeMap;

use fleetwarden_core::api::input::Fault;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::action::ActionKind;
use serde_json::Value;
use serde_json::json;

use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_commands::Service;

/// Checks each action: it has to exist, and to be for the check that it is named for.
pub(crate) async fn check_actions(service: &Service, command: &Command) -> Result<(), Failure> {
    let mapping = command.input.get("auditCheckToActionsMapping").and_then(Value::as_object);
    let named = mapping.into_iter().flatten().flat_map(|(check, names)| {
        let names = names.as_array().into_iter().flatten().filter_map(Value::as_str).enumerate();
        names.map(move |(at, name)| (check, at, name))
    });
    let mut known: BTreeMap<&str, Option<Value>> = BTreeMap::new();
    let mut faults = Vec::new();
    for (check, at, name) in named {
        if !known.contains_key(name) {
            let action =
                service.ask_if_there("DescribeMitigationAction", json!({"actionName": name})).await?;
            known.insert(name, action);
        }
        let action = known.get(name).and_then(Option::as_ref);
        if let Some(what) = misfit(&CheckName::new(check), name, action) {
            faults.push(Fault { path: format!("$.auditCheckToActionsMapping.{check}[{at}]"), what });
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Failure::Input(faults)) }
}

/// Why an action does nothing for a check. What AWS does not document may be right.
fn misfit(check: &CheckName, name: &str, action: Option<&Value>) -> Option<String> {
    let Some(action) = action else {
        return Some(format!("there is no mitigation action '{name}'; CreateMitigationAction makes it"));
    };
    let kind = action.get("actionType")?;
    let kind = ActionKind::ALL.into_iter().find(|known| kind == known.as_str())?;
    if check.takes(kind) != Some(false) {
        return None;
    }
    let kinds: Vec<&str> = check.actions().iter().map(|kind| kind.as_str()).collect();
    Some(format!("'{name}' is {kind}; {check} takes {}", kinds.join(", ")))
}
