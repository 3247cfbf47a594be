//! Thing groups: what one is, and the things in it.

use serde_json::{Value, json};

use crate::args::Args;
use crate::clock::seconds;
use crate::failure::Failure;
use crate::fleet::groups::{above, description};
use crate::fleet::things::Thing;
use crate::operations::schedules::listing;
use crate::operations::things::names;
use crate::operations::{EMPTY, Outcome};
use crate::paging::Pager;
use crate::random::{domain, fingerprint, uuid};
use crate::world::World;

fn arn(world: &World, name: &str) -> String {
    world.settings.arn(&format!("thinggroup/{name}"))
}

/// `GroupNameAndArn`.
pub(crate) fn identified(world: &World, name: &str) -> Value {
    json!({ "groupName": name, "groupArn": arn(world, name) })
}

/// The name of the group that a request names, if there is such a group.
fn find<'a>(world: &World, args: &'a Args) -> Result<&'a str, Failure> {
    let name = args.required("thingGroupName");
    let found = world.fleet.has_group(name).then_some(name);
    found.ok_or_else(|| Failure::not_found(format!("Thing group {name} does not exist")))
}

/// `DescribeThingGroup`. All groups are as old as the fleet, and none is dynamic.
pub(crate) fn describe(world: &mut World, args: &Args) -> Outcome {
    let name = find(world, args)?;
    let mut metadata = json!({ "creationDate": seconds(world.fleet.epoch_ms) });
    let above = above(name);
    if let (Some(metadata), Some(parent)) = (metadata.as_object_mut(), above.last()) {
        metadata.insert("parentGroupName".to_owned(), (*parent).into());
        let path: Value = above.iter().map(|name| identified(world, name)).collect();
        metadata.insert("rootToParentThingGroups".to_owned(), path);
    }
    let properties =
        description(name).map_or_else(|| json!({}), |text| json!({ "thingGroupDescription": text }));
    Ok(json!({
        "thingGroupName": name,
        "thingGroupId": uuid(world.seed(), domain::GROUP_ID, fingerprint(name.as_bytes())),
        "thingGroupArn": arn(world, name),
        "version": 1,
        "thingGroupProperties": properties,
        "thingGroupMetadata": metadata,
    })
    .to_string())
}

/// `ListThingGroups`: the groups whose parent is `parentGroup`, or without one those that have no parent; with `recursive`
/// also those below them. Without `parentGroup` and `recursive` all groups, as the AWS CLI's example has it.
pub(crate) fn list(world: &mut World, args: &Args) -> Outcome {
    let pager = Pager::new(world.seed(), "ListThingGroups", &args.0)?;
    let parent = args.text("parentGroup");
    if let Some(parent) = parent.filter(|parent| !world.fleet.has_group(parent)) {
        return Err(Failure::not_found(format!("Thing group {parent} does not exist")));
    }
    let recursive = args.flag("recursive").unwrap_or(parent.is_none());
    let prefix = args.text("namePrefixFilter").unwrap_or_default();
    let is_below = |name: &str| {
        let above = above(name);
        if recursive {
            parent.is_none_or(|parent| above.contains(&parent))
        } else {
            above.last().copied() == parent
        }
    };
    let groups = world.fleet.group_names().into_iter();
    let groups = groups.filter(|name| name.starts_with(prefix) && is_below(name));
    let (page, next) = pager.page(groups.map(|name| ((fingerprint(name.as_bytes()), 0), name)));
    Ok(listing("thingGroups", page.into_iter().map(|name| identified(world, name)).collect(), next))
}

/// `ListThingsInThingGroup`: the things in it directly, or with `recursive` also those in the groups below it.
pub(crate) fn things(world: &mut World, args: &Args) -> Outcome {
    let name = find(world, args)?;
    let pager = Pager::new(world.seed(), "ListThingsInThingGroup", &args.0)?;
    let recursive = args.flag("recursive").unwrap_or(false);
    let members = world.fleet.members(name, recursive, pager.after.map(Thing::at));
    let (page, next) = pager.cut(members.map(|thing| (thing.key(), thing)));
    Ok(listing("things", names(world, page), next))
}

/// What a request names by its name, by its ARN, or by both when they agree.
fn named<'a>(world: &World, args: &'a Args, kind: &str) -> Result<&'a str, Failure> {
    let member = if kind == "thing" { "thing" } else { "thingGroup" };
    let prefix = world.settings.arn(&format!("{kind}/"));
    let (name, arn) = (args.text(&format!("{member}Name")), args.text(&format!("{member}Arn")));
    let by_arn = arn.map(|arn| {
        let name = arn.strip_prefix(&prefix);
        name.ok_or_else(|| {
            Failure::invalid(format!("{member}Arn is not the ARN of a {kind} of this account and region"))
        })
    });
    match (name, by_arn.transpose()?) {
        (Some(name), Some(other)) if name != other => {
            Err(Failure::invalid(format!("{member}Name and {member}Arn name two of them")))
        }
        (Some(name), _) | (None, Some(name)) => Ok(name),
        (None, None) => Err(Failure::invalid(format!("{member}Name or {member}Arn must be given"))),
    }
}

/// The thing and the group of a request, if there are both.
fn membership<'a>(world: &World, args: &'a Args) -> Result<(Thing, &'a str), Failure> {
    let (group, name) = (named(world, args, "thinggroup")?, named(world, args, "thing")?);
    if !world.fleet.has_group(group) {
        return Err(Failure::not_found(format!("Thing group {group} does not exist")));
    }
    let thing = world.fleet.thing_named(name);
    let thing = thing.ok_or_else(|| Failure::not_found(format!("Thing {name} does not exist")))?;
    Ok((thing, group))
}

/// `AddThingToThingGroup`. A thing that is in the group stays in it.
pub(crate) fn add(world: &mut World, args: &Args) -> Outcome {
    let (thing, group) = membership(world, args)?;
    let overrides = args.flag("overrideDynamicGroups").unwrap_or(false);
    join(world, thing, group, overrides)?;
    Ok(EMPTY.to_owned())
}

/// Puts a thing into a group. Who is in a dynamic one its query says, not a call.
fn join(world: &mut World, thing: Thing, group: &str, overrides: bool) -> Result<(), Failure> {
    if world.fleet.dynamic.contains(group) {
        return Err(Failure::invalid(format!("Thing group {group} is dynamic")));
    }
    world.fleet.join(thing, group, overrides).map_err(|trouble| Failure::invalid(trouble.words().1))?;
    Ok(())
}

/// `UpdateThingGroupsForThing`. Nothing is changed if one of the groups is not there.
pub(crate) fn update(world: &mut World, args: &Args) -> Outcome {
    let name = args.text("thingName").ok_or_else(|| Failure::invalid("thingName must be given"))?;
    let thing = world.fleet.thing_named(name);
    let thing = thing.ok_or_else(|| Failure::not_found(format!("Thing {name} does not exist")))?;
    let of = |member: &str| Ok::<Vec<String>, Failure>(args.read(member)?.unwrap_or_default());
    let (adds, removes) = (of("thingGroupsToAdd")?, of("thingGroupsToRemove")?);
    for group in adds.iter().chain(&removes) {
        if !world.fleet.has_group(group) {
            return Err(Failure::not_found(format!("Thing group {group} does not exist")));
        }
    }
    for group in &removes {
        world.fleet.leave(thing, group);
    }
    let overrides = args.flag("overrideDynamicGroups").unwrap_or(false);
    for group in &adds {
        join(world, thing, group, overrides)?;
    }
    Ok(EMPTY.to_owned())
}

/// `RemoveThingFromThingGroup`. A thing that is not in the group stays out of it.
pub(crate) fn remove(world: &mut World, args: &Args) -> Outcome {
    let (thing, group) = membership(world, args)?;
    world.fleet.leave(thing, group);
    Ok(EMPTY.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use crate::harness::Desk;
    use crate::settings::Settings;

    fn things(desk: &Desk, group: &str, query: &str) -> Vec<Value> {
        desk.listed(&format!("/thing-groups/{group}/things"), query, "things")
    }

    #[test]
    fn pages_of_any_size_give_every_thing_once() {
        let desk = Desk::new(400);
        let all = things(&desk, "fleet", "recursive=true&maxResults=250");
        for size in [1, 7, 25, 249] {
            assert_eq!(things(&desk, "fleet", &format!("recursive=true&maxResults={size}")), all);
        }
        let distinct: BTreeSet<&str> = all.iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(distinct.len(), all.len());
        let sizes = desk.state()["fleet"]["groups"].clone();
        let direct = |name: &str| things(&desk, name, "recursive=false").len();
        for (name, size) in sizes.as_object().unwrap() {
            assert_eq!(size, direct(name), "{name}");
        }
        let below: usize =
            ["fleet", "lab", "production", "production-north", "production-south"].map(direct).iter().sum();
        assert_eq!(below, all.len());
    }

    #[test]
    fn a_group_knows_its_parents() {
        let desk = Desk::new(10);
        let of = |name: &str| desk.ok("GET", &format!("/thing-groups/{name}"), &Value::Null);
        let metadata = &of("production-north")["thingGroupMetadata"];
        assert_eq!(metadata["parentGroupName"], "production");
        let arn = |name: &str| format!("arn:aws:iot:us-east-1:123456789012:thinggroup/{name}");
        assert_eq!(
            metadata["rootToParentThingGroups"],
            json!([
                { "groupName": "fleet", "groupArn": arn("fleet") },
                { "groupName": "production", "groupArn": arn("production") },
            ])
        );
        assert_eq!(of("critical")["thingGroupMetadata"], json!({ "creationDate": 1_700_000_000.0 }));
    }

    #[test]
    fn a_thing_is_put_into_a_group_and_taken_out_of_it() {
        let desk =
            Desk::with(Settings { thing_groups: Some(vec!["quarantine".to_owned()]), ..Settings::default() });
        let thing = things(&desk, "production", "")[0].clone();
        let put = |verb: &str, group: &str, thing: &Value| {
            let body = json!({ "thingGroupName": group, "thingName": thing });
            desk.call("PUT", &format!("/thing-groups/{verb}"), &body).0
        };
        let (add, remove) = ("addThingToThingGroup", "removeThingFromThingGroup");
        for (verb, count) in [(add, 1), (add, 1), (remove, 0), (remove, 0)] {
            assert_eq!(put(verb, "quarantine", &thing), 200);
            assert_eq!(things(&desk, "quarantine", "").len(), count);
        }
        assert_eq!(put(add, "lab", &thing), 400, "another group of the same hierarchy");
        for verb in [add, remove] {
            assert_eq!((put(verb, "none", &thing), put(verb, "quarantine", &json!("none"))), (404, 404));
            assert_eq!(put(verb, "quarantine", &Value::Null), 400);
        }
        let arn = |resource: &str| format!("arn:aws:iot:us-east-1:123456789012:{resource}");
        let thing = thing.as_str().unwrap();
        let by_arn = |group: &str, other: &str| {
            let body = json!({ "thingGroupArn": group, "thingArn": arn(&format!("thing/{thing}")), "thingName": other });
            desk.call("PUT", &format!("/thing-groups/{add}"), &body).0
        };
        assert_eq!(by_arn(&arn("thinggroup/quarantine"), thing), 200);
        assert_eq!(
            (by_arn(&arn("thing/quarantine"), thing), by_arn(&arn("thinggroup/quarantine"), "x")),
            (400, 400)
        );
    }

    #[test]
    fn groups_that_were_ordered_exist_and_hold_nothing() {
        let desk =
            Desk::with(Settings { thing_groups: Some(vec!["quarantine".to_owned()]), ..Settings::default() });
        assert_eq!(desk.ok("GET", "/thing-groups/quarantine/things", &Value::Null), json!({ "things": [] }));
        let none = |path: &str| desk.call("GET", path, &Value::Null).0;
        assert_eq!((none("/thing-groups/other"), none("/thing-groups/other/things")), (404, 404));
        assert_eq!((none("/thing-groups/a%20b"), none("/things/a%2Fb/thing-groups")), (400, 400));
    }
}
