//! Dimensions.
//!
//! "If you try to create a new dimension with the same token as a dimension that already exists, an exception occurs":
//! a token can be used once, as with audit suppressions.

use serde_json::json;

use crate::args::Args;
use crate::detect::dimensions::{Dimension, MOST_DIMENSIONS};
use crate::failure::Failure;
use crate::operations::schedules::listing;
use crate::operations::{EMPTY, Outcome};
use crate::paging::Pager;
use crate::world::World;

/// `CreateDimension`.
pub(crate) fn create(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("name").to_owned();
    let token = args.required("clientRequestToken").to_owned();
    let dimensions = &world.detect.dimensions;
    let named = dimensions.get(&name);
    if let Some(other) = named.or_else(|| dimensions.values().find(|other| other.token == token)) {
        let words = "A dimension with this name or with this clientRequestToken already exists";
        return Err(Failure::exists(words, other.name.clone(), other.arn.clone()));
    }
    if dimensions.len() >= MOST_DIMENSIONS {
        return Err(Failure::limit(format!("The account already has {MOST_DIMENSIONS} dimensions")));
    }
    let dimension = Dimension {
        number: world.number(),
        arn: world.settings.arn(&format!("dimension/{name}")),
        values: args.read("stringValues")?.unwrap_or_default(),
        token,
        created: world.now(),
        modified: world.now(),
        name,
    };
    let answer = json!({ "name": dimension.name, "arn": dimension.arn }).to_string();
    world.detect.dimensions.insert(dimension.name.clone(), dimension);
    Ok(answer)
}

fn missing(name: &str) -> Failure {
    Failure::not_found(format!("Dimension {name} does not exist"))
}

/// `UpdateDimension`: the whole list of values is replaced.
pub(crate) fn update(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("name");
    let now = world.now();
    let dimension = world.detect.dimensions.get_mut(name).ok_or_else(|| missing(name))?;
    dimension.values = args.read("stringValues")?.unwrap_or_default();
    dimension.modified = now;
    Ok(dimension.describe().to_string())
}

/// `DescribeDimension`.
pub(crate) fn describe(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("name");
    let dimension = world.detect.dimensions.get(name).ok_or_else(|| missing(name))?;
    Ok(dimension.describe().to_string())
}

/// `ListDimensions`, in the order of their creation.
pub(crate) fn list(world: &mut World, args: &Args) -> Outcome {
    let pager = Pager::new(world.seed(), "ListDimensions", &args.0)?;
    let dimensions = world.detect.dimensions.values();
    let (page, next) = pager
        .page(dimensions.map(|dimension| ((dimension.number.into(), 0), dimension.name.as_str().into())));
    Ok(listing("dimensionNames", page, next))
}

/// `DeleteDimension`. It must be in no behavior; deleting what is not there succeeds: the operation declares no other
/// answer.
pub(crate) fn delete(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("name");
    if let Some(profile) = world.detect.users_of_dimension(name).next() {
        return Err(Failure::invalid(format!(
            "Dimension {name} is used by security profile {}",
            profile.name
        )));
    }
    world.detect.dimensions.remove(name);
    Ok(EMPTY.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::harness::Desk;

    fn create(desk: &Desk, name: &str, token: &str) -> (u16, Value) {
        let body = json!({ "type": "TOPIC_FILTER", "stringValues": ["a/+/b"], "clientRequestToken": token });
        desk.call("POST", &format!("/dimensions/{name}"), &body)
    }

    #[test]
    fn ten_is_the_limit_and_a_token_is_used_once() {
        let desk = Desk::new(10);
        let arn = |name: &str| format!("arn:aws:iot:us-east-1:123456789012:dimension/{name}");
        assert_eq!(create(&desk, "d0", "t0"), (200, json!({ "name": "d0", "arn": arn("d0") })));
        for (name, token) in [("d0", "t0"), ("d0", "u"), ("other", "t0")] {
            let (status, answer) = create(&desk, name, token);
            assert_eq!((status, &answer["resourceId"]), (409, &json!("d0")), "{name} {token}");
        }
        for number in (1..10).rev() {
            assert_eq!(create(&desk, &format!("d{number}"), &format!("t{number}")).0, 200);
        }
        assert_eq!(create(&desk, "more", "more").0, 410);
        let names = ["d0", "d9", "d8", "d7", "d6", "d5", "d4", "d3", "d2", "d1"];
        assert_eq!(desk.listed("/dimensions", "maxResults=3", "dimensionNames"), names);
        desk.ok("DELETE", "/dimensions/d0", &Value::Null);
        desk.ok("DELETE", "/dimensions/d0", &Value::Null);
        assert_eq!(create(&desk, "d0", "t0").0, 200);
    }

    #[test]
    fn an_update_replaces_the_values() {
        let desk = Desk::new(10);
        create(&desk, "d", "t");
        desk.advance(1_000);
        let updated = desk.ok("PATCH", "/dimensions/d", &json!({ "stringValues": ["x/#", "y"] }));
        let wanted = json!({
            "name": "d",
            "arn": "arn:aws:iot:us-east-1:123456789012:dimension/d",
            "type": "TOPIC_FILTER",
            "stringValues": ["x/#", "y"],
            "creationDate": 1_700_000_000.0,
            "lastModifiedDate": 1_700_000_001.0,
        });
        assert_eq!(updated, wanted);
        assert_eq!(desk.ok("GET", "/dimensions/d", &Value::Null), wanted);
        assert_eq!(desk.call("GET", "/dimensions/none", &Value::Null).0, 404);
        assert_eq!(desk.call("PATCH", "/dimensions/none", &json!({ "stringValues": ["x"] })).0, 404);
        assert_eq!(desk.call("PATCH", "/dimensions/d", &json!({ "stringValues": [] })).0, 400);
    }

    #[test]
    fn what_is_used_cannot_be_deleted() {
        let desk = Desk::new(10);
        create(&desk, "d", "t");
        create(&desk, "e", "u");
        let narrowed = |name: &str| json!({ "metric": "aws:num-messages-sent", "metricDimension": { "dimensionName": name } });
        let mut behavior = narrowed("d");
        behavior["name"] = "b".into();
        desk.ok("POST", "/security-profiles/p", &json!({ "behaviors": [behavior] }));
        desk.ok("POST", "/security-profiles/q", &json!({ "additionalMetricsToRetainV2": [narrowed("e")] }));
        for (dimension, profile) in [("d", "p"), ("e", "q")] {
            let path = format!("/dimensions/{dimension}");
            let (status, answer) = desk.call("DELETE", &path, &Value::Null);
            assert_eq!((status, answer["message"].as_str().unwrap().contains(profile)), (400, true));
            let users = desk.listed(
                "/security-profiles",
                &format!("dimensionName={dimension}"),
                "securityProfileIdentifiers",
            );
            assert_eq!(users.iter().map(|user| &user["name"]).collect::<Vec<_>>(), [profile]);
            let nothing = json!({ "deleteBehaviors": true, "deleteAdditionalMetricsToRetain": true });
            desk.ok("PATCH", &format!("/security-profiles/{profile}"), &nothing);
            desk.ok("DELETE", &path, &Value::Null);
        }
    }
}
