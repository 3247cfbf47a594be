//! What there is beside things: certificates, policies and role aliases.
//!
//! AWS lists them by the time they were made, and does not say which way when it is not asked: here the newest
//! come first. Policies and role aliases are as old as their numbers say.

use serde_json::{Value, json};

use crate::args::Args;
use crate::clock::seconds;
use crate::fleet::examine::has;
use crate::fleet::flag;
use crate::fleet::names::policy_name;
use crate::operations::Outcome;
use crate::operations::schedules::listing_with;
use crate::paging::Pager;
use crate::world::World;

/// A page of `count` things, of which the first is the oldest. None of these lists ever changes, so the place in
/// the list is the key.
fn marked(
    world: &World,
    operation: &str,
    args: &Args,
    (member, count): (&str, usize),
    item: impl Fn(usize) -> Option<Value>,
) -> Outcome {
    let pager = Pager::new(world.seed(), operation, &args.0)?;
    let ascending = args.flag("ascendingOrder").unwrap_or(false);
    let first = pager.after.map_or(0, |(place, _)| place.saturating_add(1));
    let place = |place: u64| usize::try_from(place).ok().filter(|place| *place < count);
    let places = (first..).map_while(place).map(|place| ((place as u64, 0), place));
    let (page, next) = pager.cut(places);
    let at = |place: usize| if ascending { place } else { count.saturating_sub(place + 1) };
    let page = page.into_iter().filter_map(|place| item(at(place))).collect();
    Ok(listing_with(member, page, "nextMarker", next))
}

/// The status of a certificate.
pub(crate) fn status(certificates: &[u8], index: u32) -> &'static str {
    match () {
        () if has(certificates, index, flag::ACTIVE) => "ACTIVE",
        () if has(certificates, index, flag::WITHDRAWN) => "REVOKED",
        () => "INACTIVE",
    }
}

/// `ListCertificates`.
pub(crate) fn certificates(world: &mut World, args: &Args) -> Outcome {
    let (fleet, all) = (&world.fleet, world.fleet.devices_by_age());
    marked(world, "ListCertificates", args, ("certificates", all.len()), |place| {
        let index = *all.get(place)?;
        let id = fleet.device_id(index);
        Some(json!({
            "certificateArn": world.settings.arn(&format!("cert/{id}")),
            "certificateId": id,
            "status": status(&fleet.devices, index),
            "certificateMode": "DEFAULT",
            "creationDate": seconds(fleet.device_created(index)),
        }))
    })
}

/// `ListCACertificates`. None was registered with a provisioning template.
pub(crate) fn authorities(world: &mut World, args: &Args) -> Outcome {
    let fleet = &world.fleet;
    let mut all: Vec<u32> = (0..u32::try_from(fleet.authorities.len()).unwrap_or(u32::MAX)).collect();
    all.sort_by_key(|index| (fleet.authority_created(*index), *index));
    if args.text("templateName").is_some() {
        all.clear();
    }
    marked(world, "ListCACertificates", args, ("certificates", all.len()), |place| {
        let index = *all.get(place)?;
        let id = fleet.authority_id(index);
        Some(json!({
            "certificateArn": world.settings.arn(&format!("cacert/{id}")),
            "certificateId": id,
            "status": status(&fleet.authorities, index),
            "creationDate": seconds(fleet.authority_created(index)),
        }))
    })
}

/// `ListPolicies`.
pub(crate) fn policies(world: &mut World, args: &Args) -> Outcome {
    marked(world, "ListPolicies", args, ("policies", world.fleet.policies.len()), |place| {
        let name = policy_name(u32::try_from(place).ok()?);
        let arn = world.settings.arn(&format!("policy/{name}"));
        Some(json!({ "policyName": name, "policyArn": arn }))
    })
}

/// `ListRoleAliases`.
pub(crate) fn aliases(world: &mut World, args: &Args) -> Outcome {
    let all = world.fleet.aliases();
    marked(world, "ListRoleAliases", args, ("roleAliases", all.len()), |place| {
        all.get(place).map(|name| name.as_str().into())
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use crate::checks::Check;
    use crate::harness::Desk;

    #[test]
    fn every_list_goes_both_ways_and_in_pages_of_any_size() {
        let desk = Desk::new(300);
        for (path, member) in [
            ("/certificates", "certificates"),
            ("/cacertificates", "certificates"),
            ("/policies", "policies"),
            ("/role-aliases", "roleAliases"),
        ] {
            let all = desk.listed(path, "isAscendingOrder=true&pageSize=250", member);
            let distinct: BTreeSet<String> = all.iter().map(Value::to_string).collect();
            assert!(distinct.len() == all.len() && all.len() > 3, "{path}");
            for size in [1, 7, 250] {
                let mut back = desk.listed(path, &format!("pageSize={size}"), member);
                back.reverse();
                assert_eq!(back, all, "{path}");
            }
            if member == "certificates" {
                let dates = all.iter().map(|one| one["creationDate"].as_f64().unwrap());
                assert!(dates.is_sorted());
            }
            let (status, refusal) = desk.call("GET", &format!("{path}?marker=made+up"), &Value::Null);
            assert!(status == 400 && refusal["message"].as_str().unwrap().contains("marker"), "{refusal}");
        }
    }

    #[test]
    fn what_audits_name_is_listed() {
        let desk = Desk::new(300);
        let certificates = desk.listed("/certificates", "pageSize=250", "certificates");
        for finding in desk.audit(Check::DeviceRevoked) {
            let id = &finding["nonCompliantResource"]["resourceIdentifier"]["deviceCertificateId"];
            assert!(certificates.iter().any(|one| one["certificateId"] == *id));
        }
        let names = desk.listed("/policies", "pageSize=250", "policies");
        for finding in desk.audit(Check::PolicyPermissive) {
            let version = &finding["nonCompliantResource"]["resourceIdentifier"]["policyVersionIdentifier"];
            assert!(names.iter().any(|one| one["policyName"] == version["policyName"]));
            let name = version["policyName"].as_str().unwrap();
            let policy = desk.ok("GET", &format!("/policies/{name}"), &Value::Null);
            assert_eq!(policy["defaultVersionId"], version["policyVersionId"]);
            assert!(policy["policyDocument"].as_str().unwrap().contains("iot:*"));
        }
        let aliases = desk.listed("/role-aliases", "", "roleAliases");
        for finding in desk.audit(Check::AliasUnused) {
            let arn = &finding["nonCompliantResource"]["resourceIdentifier"]["roleAliasArn"];
            let name = arn.as_str().unwrap().rsplit('/').next().unwrap();
            assert!(aliases.contains(&json!(name)));
        }
        for absent in ["device-policy-0001", "device-policy-999999", "other"] {
            assert_eq!(desk.call("GET", &format!("/policies/{absent}"), &Value::Null).0, 404);
        }
        assert!(desk.listed("/cacertificates", "templateName=none", "certificates").is_empty());
    }
}
