//! Audit suppressions: one for each check and resource.
//!
//! Where AWS's documents are silent the choice is the strict one: exactly one of `expirationDate` and
//! `suppressIndefinitely: true` must be given, an expiry must be in the future, an expired suppression is gone
//! from every answer, and a token can be used once. Updating and listing follow the documents.

use serde_json::{Value, json};

use crate::args::Args;
use crate::checks::Check;
use crate::clock::seconds;
use crate::failure::{Code, Failure};
use crate::operations::schedules::listing;
use crate::operations::{EMPTY, Outcome};
use crate::paging::Pager;
use crate::resource::ResourceIdentifier;
use crate::world::World;

/// When a suppression ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    Never,
    At(i64),
}

/// A suppression.
#[derive(Debug, Clone)]
pub(crate) struct Suppression {
    number: u32,
    resource: ResourceIdentifier,
    expires: Expiry,
    description: Option<String>,
    token: String,
}

impl Suppression {
    /// Whether it still suppresses.
    pub(crate) fn active(&self, at: i64) -> bool {
        match self.expires {
            Expiry::Never => true,
            Expiry::At(expires) => expires > at,
        }
    }

    fn describe(&self, check: Check) -> Value {
        let mut described = json!({
            "checkName": check.name(),
            "resourceIdentifier": self.resource,
            "suppressIndefinitely": self.expires == Expiry::Never,
        });
        if let Some(described) = described.as_object_mut() {
            if let Expiry::At(expires) = self.expires {
                described.insert("expirationDate".to_owned(), json!(seconds(expires)));
            }
            if let Some(description) = &self.description {
                described.insert("description".to_owned(), description.as_str().into());
            }
        }
        described
    }
}

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
    let token = args.required("clientRequestToken").to_owned();
    let now = world.now();
    let key = (check, key);
    let stands = |key| world.suppressions.get(key).is_some_and(|found| found.active(now));
    let used = stands(&key)
        || world.suppression_tokens.get(&token).is_some_and(|other| {
            stands(other) && world.suppressions.get(other).is_some_and(|found| found.token == token)
        });
    if used {
        // A suppression has neither id nor ARN to name.
        return Err(Failure::new(
            Code::ResourceAlreadyExists,
            "An audit suppression for this check and resource, or with this clientRequestToken, already exists",
        ));
    }
    if world.settings.most_suppressions.is_some_and(|most| world.suppressions.len() >= most) {
        return Err(Failure::limit("The account has as many audit suppressions as it may have"));
    }
    world.suppression_tokens.insert(token.clone(), key.clone());
    let suppression = Suppression {
        number: world.number(),
        resource,
        expires,
        description: args.text("description").map(str::to_owned),
        token,
    };
    world.suppressions.insert(key, suppression);
    Ok(EMPTY.to_owned())
}

fn missing() -> Failure {
    Failure::not_found("There is no audit suppression for this check and resource")
}

/// `DescribeAuditSuppression`.
pub(crate) fn describe(world: &mut World, args: &Args) -> Outcome {
    let (check, key, _) = subject(args)?;
    let now = world.now();
    let found = world.suppressions.get(&(check, key)).filter(|suppression| suppression.active(now));
    found.map(|suppression| suppression.describe(check).to_string()).ok_or_else(missing)
}

/// `UpdateAuditSuppression`. Check and resource are its key and stay.
pub(crate) fn update(world: &mut World, args: &Args) -> Outcome {
    let (check, key, _) = subject(args)?;
    let expires = expiry(world, args)?;
    let now = world.now();
    let found = world.suppressions.get_mut(&(check, key));
    let suppression = found.filter(|suppression| suppression.active(now)).ok_or_else(missing)?;
    if let Some(expires) = expires {
        suppression.expires = expires;
    }
    if let Some(description) = args.text("description") {
        suppression.description = Some(description.to_owned());
    }
    Ok(EMPTY.to_owned())
}

/// `ListAuditSuppressions`, by expiration date; those without one come last, or first when descending.
pub(crate) fn list(world: &mut World, args: &Args) -> Outcome {
    let check = args.check("checkName")?;
    let resource: Option<ResourceIdentifier> = args.read("resourceIdentifier")?;
    let ascending = args.flag("ascendingOrder").unwrap_or(true);
    let pager = Pager::new(world.seed(), "ListAuditSuppressions", &args.0)?;
    let now = world.now();
    let matching = world
        .suppressions
        .iter()
        .filter(|((of, _), suppression)| suppression.active(now) && check.is_none_or(|check| check == *of))
        .filter(|((of, key), _)| {
            let kind = of.facts().kind;
            resource.as_ref().is_none_or(|resource| resource.key(kind).is_ok_and(|wanted| wanted == *key))
        })
        .map(|((check, _), suppression)| {
            let expires = match suppression.expires {
                Expiry::Never => u64::MAX,
                Expiry::At(expires) => expires.unsigned_abs(),
            };
            let major = if ascending { expires } else { u64::MAX - expires };
            ((major, u64::from(suppression.number)), (*check, suppression))
        });
    let (page, next) = pager.page(matching);
    let page = page.into_iter().map(|(check, suppression)| suppression.describe(check)).collect();
    Ok(listing("suppressions", page, next))
}

/// `DeleteAuditSuppression`. Deleting what is not there succeeds: the operation declares no other answer.
pub(crate) fn delete(world: &mut World, args: &Args) -> Outcome {
    let (check, key, _) = subject(args)?;
    world.suppressions.remove(&(check, key));
    Ok(EMPTY.to_owned())
}
