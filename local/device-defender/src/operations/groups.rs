//! Thing groups: what one is, and the things in it.

use serde_json::{Value, json};

use crate::args::Args;
use crate::clock::seconds;
use crate::failure::Failure;
use crate::fleet::groups::{above, description};
use crate::fleet::things::Thing;
use crate::operations::Outcome;
use crate::operations::schedules::listing;
use crate::operations::things::names;
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

/// `ListThingsInThingGroup`: the things in it directly, or with `recursive` also those in the groups below it.
pub(crate) fn things(world: &mut World, args: &Args) -> Outcome {
    let name = find(world, args)?;
    let pager = Pager::new(world.seed(), "ListThingsInThingGroup", &args.0)?;
    let recursive = args.flag("recursive").unwrap_or(false);
    let members = world.fleet.members(name, recursive, pager.after.map(Thing::at));
    let (page, next) = pager.cut(members.map(|thing| (thing.key(), thing)));
    Ok(listing("things", names(world, page), next))
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
    fn groups_that_were_ordered_exist_and_hold_nothing() {
        let desk =
            Desk::with(Settings { thing_groups: Some(vec!["quarantine".to_owned()]), ..Settings::default() });
        assert_eq!(desk.ok("GET", "/thing-groups/quarantine/things", &Value::Null), json!({ "things": [] }));
        let none = |path: &str| desk.call("GET", path, &Value::Null).0;
        assert_eq!((none("/thing-groups/other"), none("/thing-groups/other/things")), (404, 404));
        assert_eq!((none("/thing-groups/a%20b"), none("/things/a%2Fb/thing-groups")), (400, 400));
    }
}
