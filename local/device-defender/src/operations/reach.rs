//! What is behind a policy and a CA certificate, and whether a thing is connected.

use serde_json::{Value, json};

use crate::args::Args;
use crate::clock::seconds;
use crate::failure::{Code, Failure};
use crate::fleet::connections::Connection;
use crate::operations::Outcome;
use crate::operations::resources::status;
use crate::operations::schedules::listing_with;
use crate::paging::Pager;
use crate::world::World;

/// `ListTargetsForPolicy`: the ARNs of certificates and thing groups.
pub(crate) fn targets(world: &mut World, args: &Args) -> Outcome {
    let name = args.required("policyName");
    let found = world.fleet.policy_named(name);
    let (index, _) = found.ok_or_else(|| Failure::not_found(format!("Policy {name} does not exist")))?;
    let pager = Pager::new(world.seed(), "ListTargetsForPolicy", &args.0)?;
    let fleet = &world.fleet;
    let group = fleet.group_under(index).map(|group| ((0, 0), format!("thinggroup/{group}")));
    let certificates = fleet
        .certificates_under(index)
        .map(|certificate| ((1, certificate.into()), format!("cert/{}", fleet.device_id(certificate))));
    let (page, next) = pager.page(group.into_iter().chain(certificates));
    let page = page.into_iter().map(|resource| Value::from(world.settings.arn(&resource))).collect();
    Ok(listing_with("targets", page, "nextMarker", next))
}

/// `ListCertificatesByCA`. It declares no error for a CA certificate that does not exist: that one has signed nothing.
pub(crate) fn signed(world: &mut World, args: &Args) -> Outcome {
    let fleet = &world.fleet;
    let authority = fleet.authority(args.required("caCertificateId"));
    let pager = Pager::new(world.seed(), "ListCertificatesByCA", &args.0)?;
    let ascending = args.flag("ascendingOrder").unwrap_or(false);
    let signed = authority.into_iter().flat_map(|authority| fleet.signed_by(authority)).map(|index| {
        let made = fleet.device_created(index).unsigned_abs();
        let key = (if ascending { made } else { u64::MAX - made }, index.into());
        (key, index)
    });
    let (page, next) = pager.page(signed);
    let certificate = |index| {
        let id = fleet.device_id(index);
        json!({
            "certificateArn": world.settings.arn(&format!("cert/{id}")),
            "certificateId": id,
            "status": status(&fleet.devices, index),
            "certificateMode": "DEFAULT",
            "creationDate": seconds(fleet.device_created(index)),
        })
    };
    Ok(listing_with("certificates", page.into_iter().map(certificate).collect(), "nextMarker", next))
}

/// `GetThingConnectivityData`. Of a thing that was never connected it says no more than that it is not.
pub(crate) fn connectivity(world: &mut World, args: &Args) -> Outcome {
    if !world.fleet.indexed {
        return Err(Failure::new(Code::IndexNotReady, "The index AWS_Things is not ready"));
    }
    let name = args.required("thingName");
    let thing = world.fleet.thing_named(name);
    let thing = thing.ok_or_else(|| Failure::not_found(format!("Thing {name} does not exist")))?;
    Ok(match world.fleet.connection(thing) {
        Connection::Never => json!({ "thingName": name, "connected": false }),
        Connection::Since { connected, at, reason } => json!({
            "thingName": name,
            "connected": connected,
            "timestamp": seconds(at),
            "disconnectReason": reason,
            "clientId": name,
            "keepAliveDuration": 1_200,
            "cleanSession": true,
        }),
    }
    .to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::checks::Check;
    use crate::harness::Desk;

    #[test]
    fn a_policy_has_targets_and_a_ca_has_signed_certificates() {
        let desk = Desk::new(300);
        let name = "device-policy-0";
        let mut targets = Vec::new();
        let mut marker = String::new();
        loop {
            let page = desk.ok("POST", &format!("/policy-targets/{name}?pageSize=2{marker}"), &Value::Null);
            targets.extend(page["targets"].as_array().unwrap().clone());
            let Some(next) = page["nextMarker"].as_str() else { break };
            marker = format!("&marker={next}");
        }
        assert!(targets.len() > 3);
        assert!(targets[0].as_str().unwrap().ends_with(":thinggroup/lab"), "{targets:?}");
        assert!(targets[1..].iter().all(|target| target.as_str().unwrap().contains(":cert/")));
        assert_eq!(desk.call("POST", "/policy-targets/none", &Value::Null).0, 404);
        let ca = &desk.audit(Check::CaRevoked)[0]["nonCompliantResource"]["resourceIdentifier"];
        let path = format!("/certificates-by-ca/{}", ca["caCertificateId"].as_str().unwrap());
        let signed = desk.listed(&path, "isAscendingOrder=true&pageSize=7", "certificates");
        assert!(
            signed.len() > 7 && signed.iter().map(|one| one["creationDate"].as_f64().unwrap()).is_sorted()
        );
        let mut back = desk.listed(&path, "", "certificates");
        back.reverse();
        assert_eq!(back.len(), signed.len());
        let none = format!("/certificates-by-ca/{}", "a".repeat(64));
        assert!(desk.listed(&none, "", "certificates").is_empty());
    }

    #[test]
    fn a_connection_is_as_it_was_ordered() {
        let desk = Desk::new(300);
        let thing = desk.ok("GET", "/things", &Value::Null)["things"][0]["thingName"].clone();
        let name = thing.as_str().unwrap();
        let ask = |name: &str| desk.call("POST", &format!("/things/{name}/connectivity-data"), &Value::Null);
        for connected in [false, true] {
            let order = json!({ "thingName": name, "connected": connected });
            desk.ok("POST", "/_control/connections", &order);
            let (_, told) = ask(name);
            assert_eq!((&told["thingName"], &told["connected"]), (&thing, &json!(connected)));
            assert!(told["timestamp"].is_number());
        }
        desk.ok("POST", "/_control/things", &json!({ "thingName": "new" }));
        assert_eq!(ask("new"), (200, json!({ "thingName": "new", "connected": false })));
        assert_eq!(ask("none").0, 404);
        desk.ok("POST", "/_control/index", &json!({ "ready": false }));
        assert_eq!(ask(name).0, 400);
        desk.ok("POST", "/_control/index", &json!({ "ready": true }));
        assert_eq!(ask(name).0, 200);
    }
}
