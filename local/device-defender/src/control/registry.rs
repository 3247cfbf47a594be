//! What is ordered of the registry and the fleet index: things, their groups, certificates and connections.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::{Reply, read};
use crate::fleet::groups::is_first;
use crate::fleet::things::{Made, Thing};
use crate::world::World;
use fleetwarden_core::api::shape::NAME_WITH_COLON;

pub(super) fn make_thing(world: &mut World, body: &[u8]) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Order {
        thing_name: String,
        thing_type_name: Option<String>,
        #[serde(default)]
        attributes: BTreeMap<String, String>,
    }
    let Order { thing_name: name, thing_type_name: kind, attributes } = read(body)?;
    if name.len() > 128 || !(NAME_WITH_COLON.matches)(&name) {
        return Err((400, format!("thingName: {name} is not 1 to 128 of {}", NAME_WITH_COLON.text)));
    }
    let made = world.fleet.make_thing(Made { name: name.clone(), kind, attributes });
    made.ok_or_else(|| (409, format!("there is a thing {name} already")))?;
    Ok(json!({ "thingName": name }))
}

fn thing(world: &World, name: &str) -> Result<Thing, (u16, String)> {
    world.fleet.thing_named(name).ok_or_else(|| (404, format!("there is no thing {name}")))
}

pub(super) fn set_membership(world: &mut World, body: &[u8]) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Order {
        thing_name: String,
        thing_group_name: String,
        member: bool,
    }
    let Order { thing_name, thing_group_name: group, member } = read(body)?;
    let thing = thing(world, &thing_name)?;
    let changed = if member {
        world.fleet.join(thing, &group, false).map_err(|trouble| (409, trouble.words().1.to_owned()))? > 0
    } else {
        world.fleet.leave(thing, &group)
    };
    Ok(json!({ "changed": changed }))
}

/// Makes a thing group dynamic. Who is in it is ordered as the membership of any group: no query is evaluated.
pub(super) fn make_dynamic(world: &mut World, body: &[u8]) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Order {
        thing_group_name: String,
    }
    let Order { thing_group_name: name } = read(body)?;
    if is_first(&name) {
        return Err((409, format!("{name} is a static thing group")));
    }
    world.fleet.groups.entry(name.clone()).or_default();
    world.fleet.dynamic.insert(name.clone());
    Ok(json!({ "thingGroupName": name }))
}

pub(super) fn set_connection(world: &mut World, body: &[u8]) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Order {
        thing_name: String,
        connected: bool,
    }
    let Order { thing_name, connected } = read(body)?;
    let (thing, now) = (thing(world, &thing_name)?, world.now());
    world.fleet.connections.insert(thing, (connected, now));
    Ok(json!({ "thingName": thing_name, "connected": connected }))
}

pub(super) fn set_index(world: &mut World, body: &[u8]) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Order {
        ready: bool,
    }
    let Order { ready } = read(body)?;
    world.fleet.indexed = ready;
    Ok(json!({ "ready": ready }))
}

pub(super) fn set_attachment(world: &mut World, body: &[u8]) -> Reply {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Order {
        thing_name: String,
        certificate_id: String,
        attached: bool,
    }
    let Order { thing_name, certificate_id: id, attached } = read(body)?;
    let thing = thing(world, &thing_name)?;
    let certificate =
        world.fleet.device(&id).ok_or_else(|| (404, format!("there is no certificate {id}")))?;
    let changed = world.fleet.certificates_of(thing).contains(&certificate) != attached;
    world.fleet.attach(thing, certificate, attached);
    Ok(json!({ "changed": changed }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::harness::Desk;

    fn names(desk: &Desk, target: &str, member: &str) -> Vec<Value> {
        desk.ok("GET", target, &Value::Null)[member].as_array().unwrap().clone()
    }

    #[test]
    fn things_come_join_leave_and_change_certificates() {
        let desk = Desk::new(50);
        let order = |path: &str, body: &Value| desk.call("POST", &format!("/_control/{path}"), body);
        let made =
            json!({ "thingName": "new:1", "thingTypeName": "sensor", "attributes": { "site": "east" } });
        assert_eq!(order("things", &made).0, 200);
        assert_eq!(order("things", &made).0, 409);
        assert_eq!(order("things", &json!({ "thingName": "a b" })).0, 400);
        let found = names(
            &desk,
            "/things?attributeName=site&attributeValue=ea&usePrefixAttributeValue=true",
            "things",
        );
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0]["thingName"], &found[0]["thingTypeName"]), (&json!("new:1"), &json!("sensor")));
        let whole = "/things?attributeName=site&attributeValue=ea";
        assert!(names(&desk, whole, "things").is_empty());
        assert_eq!(desk.call("GET", "/things?attributeName=site", &Value::Null).0, 400);

        let certificate = names(&desk, "/certificates", "certificates")[0].clone();
        let arn = certificate["certificateArn"].as_str().unwrap();
        let attach = |attached: bool| {
            let id = &certificate["certificateId"];
            order("attachment", &json!({ "thingName": "new:1", "certificateId": id, "attached": attached }))
        };
        let before = desk.principal_things(arn, "").1["things"].clone();
        assert_eq!(attach(true), (200, json!({ "changed": true })));
        assert_eq!(attach(true), (200, json!({ "changed": false })));
        assert_eq!(names(&desk, "/things/new:1/principals", "principals"), [json!(arn)]);
        let things = desk.principal_things(arn, "").1["things"].as_array().unwrap().clone();
        assert_eq!(things.len(), before.as_array().unwrap().len() + 1);
        assert_eq!(attach(false), (200, json!({ "changed": true })));
        assert_eq!(desk.principal_things(arn, "").1["things"], before);

        let old = names(&desk, "/thing-groups/lab/things", "things")[0].clone();
        let member = |name: &Value, group: &str, member: bool| {
            order("membership", &json!({ "thingName": name, "thingGroupName": group, "member": member }))
        };
        assert_eq!(member(&old, "production", true).0, 409);
        for (name, group) in [(old, "lab"), (json!("new:1"), "production-north")] {
            let listed = || {
                names(&desk, &format!("/thing-groups/{group}/things?maxResults=250"), "things")
                    .contains(&name)
            };
            let first = listed();
            for joins in [!first, first] {
                assert_eq!(member(&name, group, joins), (200, json!({ "changed": true })));
                assert_eq!(member(&name, group, joins), (200, json!({ "changed": false })));
                assert_eq!(listed(), joins);
                let state = desk.state()["fleet"]["groups"][group].clone();
                let target = format!("/thing-groups/{group}/things?maxResults=250");
                assert_eq!(state, names(&desk, &target, "things").len());
            }
        }
        assert_eq!(member(&json!("none"), "lab", true).0, 404);
    }

    #[test]
    fn a_thing_leaves_the_certificate_that_it_came_with() {
        let desk = Desk::new(50);
        let thing = names(&desk, "/things", "things")[0]["thingName"].clone();
        let principals = format!("/things/{}/principals", thing.as_str().unwrap());
        let arn = names(&desk, &principals, "principals")[0].clone();
        let id = arn.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        for (attached, count) in [(false, 0), (true, 1)] {
            let body = json!({ "thingName": thing, "certificateId": id, "attached": attached });
            assert_eq!(desk.ok("POST", "/_control/attachment", &body), json!({ "changed": true }));
            assert_eq!(names(&desk, &principals, "principals").len(), count);
        }
        let body = json!({ "thingName": thing, "certificateId": "0", "attached": true });
        assert_eq!(desk.call("POST", "/_control/attachment", &body).0, 404);
    }
}
