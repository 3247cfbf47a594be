//! Audit suppressions: one for each check and resource.
//!
//! Where AWS's documents are silent the choice is the strict one: exactly one of `expirationDate` and
//! `suppressIndefinitely: true` must be given, an expiry must be in the future, and a token can be used once. One
//! that has ended suppresses nothing and stays in every answer until it is deleted; [`Settings::lapsed_stay`] has
//! it the other way.
//!
//! [`Settings::lapsed_stay`]: crate::settings::Settings::lapsed_stay

use std::sync::Arc;

use crate::args::Args;
use crate::checks::Check;
use crate::failure::{Code, Failure};
use crate::operations::schedules::listing;
use crate::operations::{EMPTY, Outcome};
use crate::paging::{Key, Pager};
use crate::resource::ResourceIdentifier;
use crate::suppressions::{Expiry, Listed, Suppression};
use crate::world::World;

/// The suppression that a request is about: check, key, and the resource as it was named.
fn subject(args: &Args) -> Result<(Check, String, ResourceIdentifier), Failure> {
    let check = args.check("checkName")?.ok_or_else(Failure::internal)?;
    let resource: ResourceIdentifier = args.read("resourceIdentifier")?.ok_or_else(Failure::internal)?;
    let key = resource.key(check.facts().kind).map_err(|member| {
        Failure::invalid(format!("resourceIdentifier.{member} is required for {}", check.name()))
    })?;
    Ok((check, key, resource))
}

/// When a suppression ends, from the two members that say so. None: neither was given.
fn expiry(world: &World, args: &Args) -> Result<Option<Expiry>, Failure> {
    match (args.time("expirationDate"), args.flag("suppressIndefinitely")) {
        (Some(_), Some(true)) => {
            Err(Failure::invalid("expirationDate must not be given when suppressIndefinitely is true"))
        }
        (Some(at), _) if at <= world.now() => Err(Failure::invalid("expirationDate must be in the future")),
        (Some(at), _) => Ok(Some(Expiry::At(at))),
        (None, Some(true)) => Ok(Some(Expiry::Never)),
        (None, Some(false)) => {
            Err(Failure::invalid("expirationDate is required when suppressIndefinitely is false"))
        }
        (None, None) => Ok(None),
    }
}

/// `CreateAuditSuppression`. It acts from the next audit on.
pub(crate) fn create(world: &mut World, args: &Args) -> Outcome {
    let (check, key, resource) = subject(args)?;
    let expires = expiry(world, args)?
        .ok_or_else(|| Failure::invalid("Either expirationDate or suppressIndefinitely must be given"))?;
    let token = args.required("clientRequestToken");
    if world.suppressions.get(check, &key).is_some() || world.suppressions.has_token(token) {
        // A suppression has neither id nor ARN to name.
        return Err(Failure::new(
            Code::ResourceAlreadyExists,
            "An audit suppression for this check and resource, or with this clientRequestToken, already exists",
        ));
    }
    if world.settings.most_suppressions.is_some_and(|most| world.suppressions.len() >= most) {
        return Err(Failure::limit("The account has as many audit suppressions as it may have"));
    }
    let suppression = Suppression {
        resource: serde_json::to_string(&resource).map_err(|_| Failure::internal())?.into(),
        expires,
        description: args.text("description").map(Arc::from),
        token: Some(token.into()),
    };
    let number = world.number();
    world.suppressions.add(check, &key, number, suppression);
    Ok(EMPTY.to_owned())
}

fn missing() -> Failure {
    Failure::not_found("There is no audit suppression for this check and resource")
}

/// `DescribeAuditSuppression`.
pub(crate) fn describe(world: &mut World, args: &Args) -> Outcome {
    let (check, key, _) = subject(args)?;
    let found = world.suppressions.get(check, &key);
    found.map(|listed| listed.describe().to_string()).ok_or_else(missing)
}

/// `UpdateAuditSuppression`. Check and resource are its key and stay.
pub(crate) fn update(world: &mut World, args: &Args) -> Outcome {
    let (check, key, _) = subject(args)?;
    let expires = expiry(world, args)?;
    world.suppressions.get(check, &key).ok_or_else(missing)?;
    world.suppressions.update(check, &key, |suppression| {
        suppression.expires = expires.unwrap_or(suppression.expires);
        if let Some(description) = args.text("description") {
            suppression.description = Some(description.into());
        }
    });
    Ok(EMPTY.to_owned())
}

/// `ListAuditSuppressions`, by expiration date; those without one come last, or first when descending.
pub(crate) fn list(world: &mut World, args: &Args) -> Outcome {
    let check = args.check("checkName")?;
    let resource: Option<ResourceIdentifier> = args.read("resourceIdentifier")?;
    let ascending = args.flag("ascendingOrder").unwrap_or(true);
    let pager = Pager::new(world.seed(), "ListAuditSuppressions", &args.0)?;
    // A resource has at most one suppression a check: each is looked up, and none searched for.
    let mut of_resource: Vec<(Key, &Listed)> = Vec::new();
    let listed: Box<dyn Iterator<Item = (Key, &Listed)>> = if let Some(resource) = &resource {
        let keys =
            Check::ALL.into_iter().filter_map(|check| Some((check, resource.key(check.facts().kind).ok()?)));
        of_resource.extend(keys.filter_map(|(check, key)| world.suppressions.get_placed(check, &key)));
        of_resource.sort_by_key(|(place, _)| *place);
        if !ascending {
            of_resource.reverse();
        }
        let given = |place: Key| {
            pager.after.is_some_and(|after| if ascending { place <= after } else { place >= after })
        };
        Box::new(of_resource.into_iter().skip_while(move |(place, _)| given(*place)))
    } else {
        world.suppressions.behind(pager.after, ascending)
    };
    let matching = listed.filter(|(_, listed)| check.is_none_or(|check| check == listed.check));
    let (page, next) = pager.cut(matching);
    Ok(listing("suppressions", page.into_iter().map(Listed::describe).collect(), next))
}

/// `DeleteAuditSuppression`. Deleting what is not there succeeds: the operation declares no other answer.
pub(crate) fn delete(world: &mut World, args: &Args) -> Outcome {
    let (check, key, _) = subject(args)?;
    world.suppressions.remove(check, &key);
    Ok(EMPTY.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::{Value, json};

    use crate::checks::Check;
    use crate::harness::Desk;
    use crate::settings::Settings;

    fn listed(desk: &Desk, query: Value) -> Vec<Value> {
        desk.posted("/audit/suppressions/list", query, "suppressions")
    }

    #[test]
    fn many_are_made_at_once_and_paged_without_sorting() {
        let desk = Desk::new(300);
        let order = json!({
            "checkName": Check::DeviceShared.name(), "count": 20_000, "expiresInDays": 90, "description": "many",
        });
        assert_eq!(desk.ok("POST", "/_control/suppressions", &order), json!({ "suppressions": 20_000 }));
        let again = json!({ "checkName": Check::DeviceShared.name(), "count": 1 });
        assert_eq!(desk.call("POST", "/_control/suppressions", &again).0, 409);
        let endless = json!({ "checkName": Check::DeviceAge.name(), "count": 3, "first": 5 });
        desk.ok("POST", "/_control/suppressions", &endless);
        let began = Instant::now();
        let all = listed(&desk, json!({ "maxResults": 250 }));
        assert_eq!(all.len(), 20_003);
        // Sorting at each of the 81 calls would take minutes in a build for tests.
        assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
        let ends = all.iter().map(|one| one["expirationDate"].as_f64().unwrap_or(f64::MAX));
        assert!(ends.is_sorted());
        let mut back = listed(&desk, json!({ "maxResults": 250, "ascendingOrder": false }));
        back.reverse();
        assert_eq!(back, all);
        let of_check = listed(&desk, json!({ "checkName": Check::DeviceAge.name() }));
        assert_eq!(of_check, all[20_000..]);
        let mut wanted = json!({ "resourceIdentifier": of_check[0]["resourceIdentifier"], "maxResults": 1 });
        assert_eq!(listed(&desk, wanted.clone()).len(), 2);
        wanted["ascendingOrder"] = false.into();
        assert_eq!(listed(&desk, wanted)[0], of_check[0]);
        let bad = json!({ "checkName": Check::LoggingDisabled.name(), "count": 1 });
        assert_eq!(desk.call("POST", "/_control/suppressions", &bad).0, 400);
    }

    #[test]
    fn the_lapsed_stay_or_go_as_the_settings_say() {
        for lapsed_stay in [true, false] {
            let desk = Desk::with(Settings { lapsed_stay, ..Settings::default() });
            let order = json!({ "checkName": Check::DeviceShared.name(), "count": 2, "expiresInDays": 2 });
            desk.ok("POST", "/_control/suppressions", &order);
            let first = listed(&desk, json!({}))[0].clone();
            desk.advance(86_400_000 + 1);
            assert_eq!(listed(&desk, json!({})).len(), if lapsed_stay { 2 } else { 1 });
            let key =
                json!({ "checkName": first["checkName"], "resourceIdentifier": first["resourceIdentifier"] });
            let described = desk.call("POST", "/audit/suppressions/describe", &key).0;
            assert_eq!(described, if lapsed_stay { 200 } else { 404 });
        }
    }
}
