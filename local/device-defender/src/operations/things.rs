//! What is behind a device certificate: its things, and what is known of them.

use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::failure::Failure;
use crate::fleet::things::Thing;
use crate::operations::Outcome;
use crate::operations::groups::identified;
use crate::operations::schedules::listing;
use crate::paging::Pager;
use crate::random::fingerprint;
use crate::world::World;
use fleetwarden_core::api::shape::HEXADECIMAL;

/// The device certificate that a principal is. None for an IAM or Cognito identity, which may have things at
/// AWS and has none in this fleet.
fn certificate(world: &World, principal: &str) -> Result<Option<u32>, Failure> {
    let invalid = || Err(Failure::invalid(format!("principal: {principal} is not a valid principal")));
    if !principal.starts_with("arn:") {
        // A Cognito identity is its region and a UUID.
        return match principal.split_once(':') {
            Some((region, id)) if !region.is_empty() && id.len() == 36 => Ok(None),
            _ => invalid(),
        };
    }
    let mut parts = principal.splitn(6, ':').skip(2);
    let (service, resource) = (parts.next(), parts.nth(2).unwrap_or_default());
    match (service, resource.strip_prefix("cert/")) {
        (Some("iot"), Some(id)) if id.len() == 64 && (HEXADECIMAL.matches)(id) => {
            let own = principal.strip_suffix(resource) == Some(&format!("{}:", world.fleet.arn_prefix));
            let found = world.fleet.device(id).filter(|_| own);
            found
                .map(Some)
                .ok_or_else(|| Failure::not_found("The certificate given in the principal does not exist."))
        }
        (Some("iam" | "sts"), None) if !resource.is_empty() => Ok(None),
        _ => invalid(),
    }
}

/// `ListPrincipalThings`.
pub(crate) fn of_principal(world: &mut World, args: &Args) -> Outcome {
    let certificate = certificate(world, args.required("principal"))?;
    let pager = Pager::new(world.seed(), "ListPrincipalThings", &args.0)?;
    let things = certificate.into_iter().flat_map(|certificate| world.fleet.things_of(certificate));
    let (page, next) = pager.page(things.map(|thing| (thing.key(), thing)));
    Ok(listing("things", names(world, page), next))
}

/// The names of things, for an answer.
pub(crate) fn names(world: &World, things: Vec<Thing>) -> Vec<Value> {
    things.into_iter().map(|thing| world.fleet.thing_name(thing).into()).collect()
}

/// The thing that a request names.
fn find(world: &World, args: &Args) -> Result<Thing, Failure> {
    let name = args.required("thingName");
    let thing = world.fleet.thing_named(name);
    thing.ok_or_else(|| Failure::not_found(format!("Thing {name} does not exist")))
}

/// The attributes of a thing.
fn attributes(world: &World, thing: Thing) -> Map<String, Value> {
    let attributes = world.fleet.attributes(thing).into_iter();
    attributes.map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// What is the same in `DescribeThing` and in `ListThings`.
fn outline(world: &World, thing: Thing) -> Value {
    let name = world.fleet.thing_name(thing);
    let mut outline = json!({
        "thingArn": world.settings.arn(&format!("thing/{name}")),
        "thingName": name,
        "attributes": attributes(world, thing),
        "version": 1,
    });
    if let (Some(outline), Some(kind)) = (outline.as_object_mut(), world.fleet.thing_type(thing)) {
        outline.insert("thingTypeName".to_owned(), kind.into());
    }
    outline
}

/// `ListThings`. A name of an attribute without a value says nothing to look for, nor a value without a name.
pub(crate) fn list(world: &mut World, args: &Args) -> Outcome {
    let pager = Pager::new(world.seed(), "ListThings", &args.0)?;
    let kind = args.text("thingTypeName");
    let attribute = match (args.text("attributeName"), args.text("attributeValue")) {
        (Some(name), Some(value)) => Some((name, value)),
        (None, None) => None,
        _ => return Err(Failure::invalid("attributeName and attributeValue must be given together")),
    };
    let prefix = args.flag("usePrefixAttributeValue").unwrap_or(false);
    let fleet = &world.fleet;
    let has = |thing: Thing, name: &str, wanted: &str| {
        let matches = |value: &str| value == wanted || (prefix && value.starts_with(wanted));
        fleet.attributes(thing).into_iter().any(|(known, value)| known == name && matches(value))
    };
    let things = fleet.things_after(pager.after.map(Thing::at)).filter(|thing| {
        kind.is_none_or(|kind| fleet.thing_type(*thing) == Some(kind))
            && attribute.is_none_or(|(name, value)| has(*thing, name, value))
    });
    let (page, next) = pager.cut(things.map(|thing| (thing.key(), thing)));
    Ok(listing("things", page.into_iter().map(|thing| outline(world, thing)).collect(), next))
}

/// `ListThingPrincipals`: the certificates that a thing is attached to.
pub(crate) fn principals(world: &mut World, args: &Args) -> Outcome {
    let thing = find(world, args)?;
    let pager = Pager::new(world.seed(), "ListThingPrincipals", &args.0)?;
    let certificates = world.fleet.certificates_of(thing).into_iter();
    let (page, next) = pager.page(certificates.map(|index| ((index.into(), 0), index)));
    let arn = |index| world.settings.arn(&format!("cert/{}", world.fleet.device_id(index))).into();
    Ok(listing("principals", page.into_iter().map(arn).collect(), next))
}

/// `DescribeThing`. The default client id is the name, as AWS advises.
pub(crate) fn describe(world: &mut World, args: &Args) -> Outcome {
    let thing = find(world, args)?;
    let mut described = outline(world, thing);
    if let Some(described) = described.as_object_mut() {
        described.insert("defaultClientId".to_owned(), world.fleet.thing_name(thing).into());
        described.insert("thingId".to_owned(), world.fleet.thing_id(thing).into());
    }
    Ok(described.to_string())
}

/// `ListThingGroupsForThing`: the groups that it is in directly. A group keeps its place in the list when the
/// thing is added to another one between two pages.
pub(crate) fn groups(world: &mut World, args: &Args) -> Outcome {
    let thing = find(world, args)?;
    let pager = Pager::new(world.seed(), "ListThingGroupsForThing", &args.0)?;
    let groups = world.fleet.groups_of(thing).into_iter();
    let (page, next) = pager.page(groups.map(|name| ((fingerprint(name.as_bytes()), 0), name)));
    Ok(listing("thingGroups", page.into_iter().map(|name| identified(world, name)).collect(), next))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::checks::Check;
    use crate::harness::Desk;

    fn arn(certificate: &Value) -> String {
        format!("arn:aws:iot:us-east-1:123456789012:cert/{}", certificate.as_str().unwrap())
    }

    /// The things behind a finding, one a page.
    fn behind(desk: &Desk, finding: &Value) -> Vec<String> {
        let principal = arn(&finding["nonCompliantResource"]["resourceIdentifier"]["deviceCertificateId"]);
        let (mut things, mut query) = (Vec::new(), "maxResults=1".to_owned());
        loop {
            let (status, page) = desk.principal_things(&principal, &query);
            assert_eq!(status, 200, "{page}");
            things
                .extend(page["things"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().into()));
            match page["nextToken"].as_str() {
                Some(token) => query = format!("maxResults=1&nextToken={token}"),
                None => return things,
            }
        }
    }

    fn groups(desk: &Desk, thing: &str) -> Vec<String> {
        let listed = desk.ok("GET", &format!("/things/{thing}/thing-groups"), &Value::Null);
        let groups = listed["thingGroups"].as_array().unwrap();
        groups.iter().map(|group| group["groupName"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_mitigation_adds_shows_and_stays_behind_the_same_certificate() {
        let desk = Desk::new(400);
        let findings = desk.audit(Check::DeviceShared);
        desk.action("move", &json!({ "addThingsToThingGroupParams": { "thingGroupNames": ["quarantine"] } }));
        let things: Vec<String> = findings[..10].iter().flat_map(|finding| behind(&desk, finding)).collect();
        assert!(things.len() > 10);
        let before: Vec<Vec<String>> = things.iter().map(|thing| groups(&desk, thing)).collect();
        assert_eq!(desk.call("GET", "/thing-groups/quarantine", &Value::Null).0, 404);
        desk.mitigate("t", &findings[..10], Check::DeviceShared, &["move"]);
        desk.advance(1_000);
        for (thing, before) in things.iter().zip(before) {
            let mut after = groups(&desk, thing);
            assert!(!before.contains(&"quarantine".to_owned()));
            after.retain(|group| group != "quarantine");
            after.sort();
            assert_eq!(after.len(), before.len());
            assert!(after.iter().all(|group| before.contains(group)));
        }
        assert_eq!(desk.state()["fleet"]["groups"]["quarantine"], things.len());
        let listed = desk.ok("GET", "/thing-groups/quarantine/things?maxResults=250", &Value::Null);
        assert_eq!(listed["things"], json!(things));
    }

    #[test]
    fn principals_are_certificates_of_this_fleet_or_have_nothing() {
        let desk = Desk::new(50);
        let finding = &desk.audit(Check::DeviceShared)[0];
        let id = finding["nonCompliantResource"]["resourceIdentifier"]["deviceCertificateId"].clone();
        let own = arn(&id);
        let status = |principal: &str| desk.principal_things(principal, "").0;
        assert_eq!(status(&own), 200);
        for absent in
            [arn(&json!("a".repeat(64))), own.replace("us-east-1", "eu-west-1"), own.replace("1234", "4321")]
        {
            assert_eq!(status(&absent), 404, "{absent}");
        }
        for other in [
            "us-east-1:b3f8e2a1-0c4d-4e5f-8a9b-0123456789ab",
            "arn:aws:iam::123456789012:role/Operator",
            "arn:aws:sts::123456789012:assumed-role/Operator/me",
        ] {
            assert_eq!(desk.principal_things(other, ""), (200, json!({ "things": [] })));
        }
        for bad in [
            "",
            "x",
            id.as_str().unwrap(),
            "arn:aws:iot",
            &own[..own.len() - 1],
            &own.replace("cert/", "cacert/"),
        ] {
            assert_eq!(status(bad), 400, "{bad}");
        }
        let (status, refusal) = desk.call("GET", "/principals/things", &Value::Null);
        assert!(status == 400 && refusal["message"].as_str().unwrap().contains("'principal'"));
    }
}
