//! One policy and its versions.

use serde_json::{Value, json};

use crate::args::Args;
use crate::clock::seconds;
use crate::failure::{Code, Failure};
use crate::fleet::Policy;
use crate::fleet::policies::{Document, Refused};
use crate::operations::{EMPTY, Outcome};
use crate::random::{domain, uuid};
use crate::world::World;

/// The policy of a request.
fn find<'a>(world: &World, args: &'a Args) -> Result<(&'a str, u32, Policy), Failure> {
    let name = args.required("policyName");
    let found = world.fleet.policy_named(name);
    let (index, policy) = found.ok_or_else(|| Failure::not_found(format!("Policy {name} does not exist")))?;
    Ok((name, index, policy))
}

fn refused(name: &str, why: Refused) -> Failure {
    match why {
        Refused::NoPolicy => Failure::not_found(format!("Policy {name} does not exist")),
        Refused::NoVersion => Failure::not_found(format!("Policy {name} has no such version")),
        Refused::Full => Failure::new(
            Code::VersionsLimitExceeded,
            format!("The policy {name} already has the maximum number of versions (5)"),
        ),
        Refused::IsDefault => Failure::new(
            Code::DeleteConflict,
            format!("Cannot delete the default version of the policy {name}"),
        ),
    }
}

/// The number of a request's version. One that is none of ours is none.
fn version(args: &Args) -> u16 {
    args.required("policyVersionId").parse().unwrap_or(0)
}

/// `GetPolicy`, with the document of its default version.
pub(crate) fn get(world: &mut World, args: &Args) -> Outcome {
    let (name, index, policy) = find(world, args)?;
    let versions = world.fleet.versions_of(index);
    let default = versions.as_ref().and_then(|versions| versions.all.get(&policy.default_version));
    let document = default.map(|version| world.fleet.document(version)).unwrap_or_default();
    let created = seconds(world.fleet.policy_created(index));
    let modified = default.map_or(created, |version| seconds(version.created));
    let generation = (u64::from(index) << 16) | u64::from(policy.default_version);
    Ok(json!({
        "policyName": name,
        "policyArn": world.settings.arn(&format!("policy/{name}")),
        "policyDocument": document,
        "defaultVersionId": policy.default_version.to_string(),
        "creationDate": created,
        "lastModifiedDate": modified,
        "generationId": uuid(world.seed(), domain::GENERATION, generation),
    })
    .to_string())
}

/// `ListPolicyVersions`: the newest first.
pub(crate) fn versions(world: &mut World, args: &Args) -> Outcome {
    let (name, index, policy) = find(world, args)?;
    let versions = world.fleet.versions_of(index).ok_or_else(|| refused(name, Refused::NoPolicy))?;
    let version = |(number, version): (&u16, &crate::fleet::policies::Version)| {
        json!({
            "versionId": number.to_string(),
            "isDefaultVersion": *number == policy.default_version,
            "createDate": seconds(version.created),
        })
    };
    let versions: Vec<Value> = versions.all.iter().rev().map(version).collect();
    Ok(json!({ "policyVersions": versions }).to_string())
}

/// `CreatePolicyVersion`.
pub(crate) fn create_version(world: &mut World, args: &Args) -> Outcome {
    let (name, index, _) = find(world, args)?;
    let document = args.required("policyDocument").to_owned();
    let read: Option<Value> = serde_json::from_str(&document).ok();
    if read.is_none_or(|read| read.get("Statement").is_none()) {
        let message = "The policy document is not a JSON object with statements";
        return Err(Failure::new(Code::MalformedPolicy, message));
    }
    let default = args.flag("setAsDefault").unwrap_or(false);
    let now = world.now();
    let number = world.fleet.create_version(index, Document::Given(document.clone()), default, now);
    let number = number.map_err(|why| refused(name, why))?;
    Ok(json!({
        "policyArn": world.settings.arn(&format!("policy/{name}")),
        "policyDocument": document,
        "policyVersionId": number.to_string(),
        "isDefaultVersion": default,
    })
    .to_string())
}

/// `SetDefaultPolicyVersion`.
pub(crate) fn set_default(world: &mut World, args: &Args) -> Outcome {
    let (name, index, _) = find(world, args)?;
    world.fleet.set_default_version(index, version(args)).map_err(|why| refused(name, why))?;
    Ok(EMPTY.to_owned())
}

/// `DeletePolicyVersion`.
pub(crate) fn delete_version(world: &mut World, args: &Args) -> Outcome {
    let (name, index, _) = find(world, args)?;
    world.fleet.delete_version(index, version(args)).map_err(|why| refused(name, why))?;
    Ok(EMPTY.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::harness::Desk;

    #[test]
    fn versions_are_made_chosen_and_deleted() {
        let desk = Desk::new(300);
        let count = |name: &str| {
            let listed = desk.ok("GET", &format!("/policies/{name}/version"), &Value::Null);
            listed["policyVersions"].as_array().unwrap().len()
        };
        let names = desk.listed("/policies", "pageSize=250", "policies");
        let names: Vec<String> =
            names.iter().map(|policy| policy["policyName"].as_str().unwrap().to_owned()).collect();
        let name = names.iter().find(|name| count(name) == 3).unwrap();
        let path = format!("/policies/{name}");
        let before = desk.ok("GET", &path, &Value::Null);
        let document = r#"{"Version":"2012-10-17","Statement":[]}"#;
        let body = json!({ "policyDocument": document });
        let make = |query: &str| desk.call("POST", &format!("{path}/version?{query}"), &body);
        assert_eq!(make("setAsDefault=true").1["policyVersionId"], "4");
        assert_eq!(desk.ok("GET", &path, &Value::Null)["policyDocument"], document);
        assert_eq!((make("").0, make("").0), (200, 409));
        let of = |method: &str, version: &str| {
            desk.call(method, &format!("{path}/version/{version}"), &Value::Null).0
        };
        assert_eq!((of("DELETE", "4"), of("PATCH", "9"), of("PATCH", "3")), (409, 404, 200));
        assert_eq!((of("DELETE", "4"), of("DELETE", "4"), of("DELETE", "5")), (200, 404, 200));
        assert_eq!(desk.ok("GET", &path, &Value::Null), before);
        assert_eq!(count(name), 3);
        let bad = desk.call("POST", &format!("{path}/version"), &json!({ "policyDocument": "no" }));
        assert_eq!(bad.0, 400);
        assert_eq!(desk.call("GET", "/policies/none/version", &Value::Null).0, 404);
    }
}
