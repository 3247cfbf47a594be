//! Mitigation actions: one kind of change each, with its parameters.

use serde_json::{Map, Value, json};

use crate::actions::MitigationAction;
use crate::args::Args;
use crate::checks::Action;
use crate::clock::seconds;
use crate::failure::Failure;
use crate::operations::schedules::listing;
use crate::operations::{EMPTY, Outcome};
use crate::paging::{Pager, newest_first};
use crate::random::{domain, uuid};
use crate::world::World;

/// Device Defender quotas: mitigation actions.
const MOST_ACTIONS: usize = 100;

/// The member of `actionParams` for each kind of action.
const PARAMS: [(&str, Action); 6] = [
    ("updateDeviceCertificateParams", Action::DeviceCertificate),
    ("updateCACertificateParams", Action::CaCertificate),
    ("addThingsToThingGroupParams", Action::AddThings),
    ("replaceDefaultPolicyVersionParams", Action::ReplacePolicy),
    ("enableIoTLoggingParams", Action::EnableLogging),
    ("publishFindingToSnsParams", Action::Publish),
];

/// The kind of action that the parameters are for. There must be exactly one.
fn kind(params: &Map<String, Value>) -> Result<Action, Failure> {
    let mut given = PARAMS.iter().filter(|(member, _)| params.contains_key(*member));
    let (Some((_, kind)), None) = (given.next(), given.next()) else {
        return Err(Failure::invalid("actionParams must hold exactly one type of parameters"));
    };
    let level = params.get("enableIoTLoggingParams").and_then(|params| params.get("logLevel"));
    if level.and_then(Value::as_str) == Some("DISABLED") {
        return Err(Failure::invalid("actionParams.enableIoTLoggingParams.logLevel must not be DISABLED"));
    }
    Ok(*kind)
}

/// `CreateMitigationAction`.
pub(crate) fn create(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("actionName").to_owned();
    let params: Map<String, Value> = args.read("actionParams")?.unwrap_or_default();
    let kind = kind(&params)?;
    if let Some(action) = world.actions.get(&name) {
        let (id, arn) = (action.id.clone(), action.arn.clone());
        return Err(Failure::exists("A mitigation action with this name already exists", id, arn));
    }
    if world.actions.len() >= MOST_ACTIONS {
        return Err(Failure::limit(format!("The account already has {MOST_ACTIONS} mitigation actions")));
    }
    let number = world.number();
    let action = MitigationAction {
        number,
        id: uuid(world.seed(), domain::ACTION, number.into()),
        arn: world.settings.arn(&format!("mitigationaction/{name}")),
        role: args.required("roleArn").to_owned(),
        kind,
        params: Value::Object(params),
        created: world.now(),
        modified: world.now(),
        name,
    };
    let answer = json!({ "actionArn": action.arn, "actionId": action.id }).to_string();
    world.actions.insert(action.name.clone(), action);
    Ok(answer)
}

fn missing(name: &str) -> Failure {
    Failure::not_found(format!("Mitigation action {name} does not exist"))
}

/// `UpdateMitigationAction`. Tasks that run keep the definition that they started with.
pub(crate) fn update(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("actionName");
    let now = world.now();
    let action = world.actions.get_mut(name).ok_or_else(|| missing(name))?;
    if let Some(params) = args.read::<Map<String, Value>>("actionParams")? {
        action.kind = kind(&params)?;
        action.params = Value::Object(params);
    }
    if let Some(role) = args.text("roleArn") {
        role.clone_into(&mut action.role);
    }
    action.modified = now;
    Ok(json!({ "actionArn": action.arn, "actionId": action.id }).to_string())
}

/// `DescribeMitigationAction`.
pub(crate) fn describe(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("actionName");
    let action = world.actions.get(name).ok_or_else(|| missing(name))?;
    Ok(json!({
        "actionName": action.name,
        "actionType": action.kind.name(),
        "actionArn": action.arn,
        "actionId": action.id,
        "roleArn": action.role,
        "actionParams": action.params,
        "creationDate": seconds(action.created),
        "lastModifiedDate": seconds(action.modified),
    })
    .to_string())
}

/// `ListMitigationActions`, the newest first as in the AWS CLI's examples.
pub(crate) fn list(world: &mut World, args: &Args) -> Outcome {
    let pager = Pager::new(world.seed(), "ListMitigationActions", &args.0)?;
    let matching = world
        .actions
        .values()
        .filter(|action| args.text("actionType").is_none_or(|kind| kind == action.kind.name()))
        .map(|action| {
            let listed = json!({
                "actionName": action.name,
                "actionArn": action.arn,
                "creationDate": seconds(action.created),
            });
            (newest_first(action.number), listed)
        });
    let (page, next) = pager.page(matching);
    Ok(listing("actionIdentifiers", page, next))
}

/// `DeleteMitigationAction`. Deleting what is not there succeeds: the operation declares no other answer.
#[expect(clippy::unnecessary_wraps, reason = "every operation has this signature")]
pub(crate) fn delete(world: &mut World, args: &Args) -> Outcome {
    world.actions.remove(args.required("actionName"));
    Ok(EMPTY.to_owned())
}
