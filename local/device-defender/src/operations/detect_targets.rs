//! What security profiles are attached to.
//!
//! Where AWS's documents are silent: attaching twice and detaching what is not attached succeed and change nothing.

use serde_json::{Value, json};

use crate::args::Args;
use crate::detect::targets::{MOST_PROFILES_PER_TARGET, Target};
use crate::failure::Failure;
use crate::operations::detect_profiles::find;
use crate::operations::schedules::listing;
use crate::operations::{EMPTY, Outcome};
use crate::paging::Pager;
use crate::world::World;

/// The target that a request names.
fn target(world: &World, args: &Args) -> Result<Target, Failure> {
    Target::read(args.required("securityProfileTargetArn"), &world.settings, &world.fleet)
}

/// `AttachSecurityProfile`.
pub(crate) fn attach(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("securityProfileName");
    find(world, name)?;
    let target = target(world, args)?;
    let mut others = world.detect.profiles.values().filter(|profile| profile.name != name);
    if others.by_ref().filter(|profile| profile.targets.contains_key(&target)).count()
        >= MOST_PROFILES_PER_TARGET
    {
        return Err(Failure::limit(format!(
            "The target already has {MOST_PROFILES_PER_TARGET} security profiles"
        )));
    }
    let number = world.number();
    if let Some(profile) = world.detect.profiles.get_mut(name) {
        profile.targets.entry(target).or_insert(number);
    }
    Ok(EMPTY.to_owned())
}

/// `DetachSecurityProfile`.
pub(crate) fn detach(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("securityProfileName");
    find(world, name)?;
    let target = target(world, args)?;
    if let Some(profile) = world.detect.profiles.get_mut(name) {
        profile.targets.remove(&target);
    }
    Ok(EMPTY.to_owned())
}

/// `SecurityProfileTarget`.
fn described(world: &World, target: &Target) -> Value {
    json!({ "arn": target.arn(&world.settings) })
}

/// `ListTargetsForSecurityProfile`, in the order in which they were attached.
pub(crate) fn list(world: &mut World, args: &Args) -> Outcome {
    let pager = Pager::new(world.seed(), "ListTargetsForSecurityProfile", &args.0)?;
    let profile = find(world, args.required("securityProfileName"))?;
    let all =
        profile.targets.iter().map(|(target, number)| (((*number).into(), 0), described(world, target)));
    let (page, next) = pager.page(all);
    Ok(listing("securityProfileTargets", page, next))
}

/// `ListSecurityProfilesForTarget`, in the order in which they were attached; with `recursive` also those of the
/// groups below it.
pub(crate) fn profiles(world: &mut World, args: &Args) -> Outcome {
    let pager = Pager::new(world.seed(), "ListSecurityProfilesForTarget", &args.0)?;
    let wanted = target(world, args)?;
    let recursive = args.flag("recursive").unwrap_or(false);
    let attached =
        world.detect.profiles.values().flat_map(|profile| {
            profile.targets.iter().map(move |(target, number)| (profile, target, *number))
        });
    let of_target = attached.filter(|(_, target, _)| target.is_within(&wanted, recursive));
    let all = of_target.map(|(profile, target, number)| {
        let mapping = json!({
            "securityProfileIdentifier": profile.identifier(),
            "target": described(world, target),
        });
        ((number.into(), 0), mapping)
    });
    let (page, next) = pager.page(all);
    Ok(listing("securityProfileTargetMappings", page, next))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::harness::Desk;

    const PREFIX: &str = "arn:aws:iot:us-east-1:123456789012";

    fn path(profile: &str, target: &str) -> String {
        format!("/security-profiles/{profile}/targets?securityProfileTargetArn={PREFIX}:{target}")
    }

    fn create(desk: &Desk, names: &[&str]) {
        for name in names {
            desk.ok("POST", &format!("/security-profiles/{name}"), &json!({}));
        }
    }

    fn profiles(desk: &Desk, target: &str, more: &str) -> Vec<String> {
        let query = format!("securityProfileTargetArn={PREFIX}:{target}{more}");
        let listed = desk.listed("/security-profiles-for-target", &query, "securityProfileTargetMappings");
        let named = listed.iter().map(|one| {
            let arn = one["target"]["arn"].as_str().unwrap();
            let name = one["securityProfileIdentifier"]["name"].as_str().unwrap();
            format!("{name} {}", arn.strip_prefix(PREFIX).unwrap())
        });
        named.collect()
    }

    #[test]
    fn a_target_has_five_profiles_at_most() {
        let desk = Desk::new(10);
        create(&desk, &["a", "b", "c", "d", "e", "f"]);
        for name in ["a", "b", "c", "d", "e", "a", "e"] {
            assert_eq!(desk.ok("PUT", &path(name, "all/things"), &Value::Null), json!({}));
        }
        assert_eq!(desk.call("PUT", &path("f", "all/things"), &Value::Null).0, 410);
        desk.ok("PUT", &path("f", "all/registered-things"), &Value::Null);
        desk.ok("DELETE", "/security-profiles/b", &Value::Null);
        desk.ok("PUT", &path("f", "all/things"), &Value::Null);
        let names = ["a", "c", "d", "e", "f"].map(|name| format!("{name} :all/things"));
        assert_eq!(profiles(&desk, "all/things", "&maxResults=2&recursive=true"), names);
        desk.ok("DELETE", &path("f", "all/things"), &Value::Null);
        desk.ok("DELETE", &path("f", "all/things"), &Value::Null);
        assert_eq!(profiles(&desk, "all/things", ""), names[..4]);
        assert_eq!(profiles(&desk, "all/registered-things", ""), ["f :all/registered-things"]);
    }

    #[test]
    fn groups_below_are_asked_for_or_not() {
        let desk = Desk::new(10);
        create(&desk, &["a", "b"]);
        for (name, group) in [("a", "production-north"), ("b", "fleet"), ("b", "lab"), ("a", "critical")] {
            desk.ok("PUT", &path(name, &format!("thinggroup/{group}")), &Value::Null);
        }
        assert_eq!(profiles(&desk, "thinggroup/fleet", ""), ["b :thinggroup/fleet"]);
        let all = ["a :thinggroup/production-north", "b :thinggroup/fleet", "b :thinggroup/lab"];
        assert_eq!(profiles(&desk, "thinggroup/fleet", "&recursive=true&maxResults=1"), all);
        assert_eq!(profiles(&desk, "thinggroup/production", "&recursive=true"), all[..1]);
        assert!(profiles(&desk, "thinggroup/production", "&recursive=false").is_empty());
        let targets = desk.listed("/security-profiles/b/targets", "maxResults=1", "securityProfileTargets");
        assert_eq!(
            targets,
            ["fleet", "lab"].map(|group| json!({ "arn": format!("{PREFIX}:thinggroup/{group}") }))
        );
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let desk = Desk::new(10);
        create(&desk, &["a"]);
        for (method, target, status) in [
            ("PUT", path("none", "all/things"), 404),
            ("DELETE", path("none", "all/things"), 404),
            ("PUT", path("a", "thinggroup/none"), 404),
            ("DELETE", path("a", "thinggroup/none"), 404),
            ("PUT", path("a", "thing/device-0000000"), 400),
            ("PUT", "/security-profiles/a/targets".to_owned(), 400),
            ("GET", "/security-profiles/none/targets".to_owned(), 404),
            (
                "GET",
                format!("/security-profiles-for-target?securityProfileTargetArn={PREFIX}:thinggroup/x"),
                404,
            ),
            ("GET", "/security-profiles-for-target?securityProfileTargetArn=x".to_owned(), 400),
        ] {
            assert_eq!(desk.call(method, &target, &Value::Null).0, status, "{method} {target}");
        }
    }
}
