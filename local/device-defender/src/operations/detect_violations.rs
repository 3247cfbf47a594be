//! Violations: those that last, their events, what people say of them, and the metric values behind them.

use fleetwarden_behaviors::{Dimension, DimensionOperator, Metric, Stream};
use serde_json::json;

use crate::args::Args;
use crate::clock::seconds;
use crate::detect::simulate::listed;
use crate::detect::violations::Filter;
use crate::detect::watching::oldest_value;
use crate::failure::Failure;
use crate::operations::schedules::listing;
use crate::operations::{EMPTY, Outcome};
use crate::paging::Pager;
use crate::world::World;

/// `listSuppressedAlerts` is taken as `listSuppressedFindings` of audits is: true gives suppressed ones only, false
/// the others only, and without it all are given.
fn filter(args: &Args) -> Filter<'_> {
    Filter {
        thing: args.text("thingName"),
        profile: args.text("securityProfileName"),
        kind: args.text("behaviorCriteriaType"),
        suppressed: args.flag("listSuppressedAlerts"),
        verification: args.text("verificationState"),
    }
}

/// `ListActiveViolations`, the newest first by their start.
pub(crate) fn active(world: &mut World, args: &Args) -> Outcome {
    if let Some(profile) = args.text("securityProfileName") {
        known(world, profile)?;
    }
    let pager = Pager::new(world.seed(), "ListActiveViolations", &args.0)?;
    let filter = filter(args);
    let (page, next) = pager.cut(world.watching.violations.active(&filter, pager.after));
    Ok(listing("activeViolations", page, next))
}

/// Refuses a profile that does not exist.
pub(crate) fn known(world: &World, profile: &str) -> Result<(), Failure> {
    let exists = world.detect.profiles.contains_key(profile);
    exists
        .then_some(())
        .ok_or_else(|| Failure::not_found(format!("Security profile {profile} does not exist")))
}

/// `ListViolationEvents`, the newest first. What is older than 30 days is gone.
pub(crate) fn events(world: &mut World, args: &Args) -> Outcome {
    let period = args.period()?.unwrap_or_default();
    let pager = Pager::new(world.seed(), "ListViolationEvents", &args.0)?;
    let filter = filter(args);
    let (page, next) = pager.cut(world.watching.violations.events(period, &filter, pager.after));
    Ok(listing("violationEvents", page, next))
}

/// `PutVerificationStateOnViolation`. It declares no not-found, so an unknown violation is an invalid request.
pub(crate) fn verify(world: &mut World, args: &Args) -> Outcome {
    let (id, state) = (args.required("violationId"), args.required("verificationState"));
    let description = args.text("verificationStateDescription");
    if world.watching.violations.verify(id, state, description) {
        return Ok(EMPTY.to_owned());
    }
    Err(Failure::invalid(format!("violationId: violation {id} does not exist")))
}

/// `ListMetricValues`, the newest first. A device or a metric that nobody watches has no values; a metric or a
/// dimension that does not exist is not found.
pub(crate) fn values(world: &mut World, args: &Args) -> Outcome {
    let (start, end) = args.period()?.unwrap_or_default();
    if start < oldest_value(world.now()) {
        return Err(Failure::invalid("startTime must not be more than 14 days ago"));
    }
    let pager = Pager::new(world.seed(), "ListMetricValues", &args.0)?;
    let stream = stream(world, args)?;
    let kind = stream.metric.kind();
    let source = world.source(stream);
    let thing = args.required("thingName");
    let device = world.fleet.device_named(thing);
    let values = device.map(|device| world.watching.values(device, thing, &source, (start, end)));
    let data = values.unwrap_or_default().into_iter().map(|datapoint| {
        let at = datapoint.at().0;
        let key = (u64::MAX - u64::try_from(at).unwrap_or(0), 0);
        (key, json!({ "timestamp": seconds(at), "value": listed(datapoint.value(), kind) }))
    });
    let (page, next) = pager.page(data);
    Ok(listing("metricDatumList", page, next))
}

fn stream(world: &World, args: &Args) -> Result<Stream, Failure> {
    let name = args.required("metricName");
    let metric = Metric::named(name, |name| world.detect.metric_type(name))
        .ok_or_else(|| Failure::not_found(format!("Metric {name} does not exist")))?;
    let operator = args.0.get("dimensionValueOperator").cloned();
    let Some(dimension) = args.text("dimensionName") else {
        if operator.is_some() {
            return Err(Failure::invalid("dimensionValueOperator must be given together with dimensionName"));
        }
        return Ok(Stream { metric, dimension: None });
    };
    if !world.detect.dimensions.contains_key(dimension) {
        return Err(Failure::not_found(format!("Dimension {dimension} does not exist")));
    }
    if !metric.takes_dimension() {
        return Err(Failure::invalid(format!("dimensionName must not be given for metric {name}")));
    }
    let operator = operator.map(serde_json::from_value::<DimensionOperator>).and_then(Result::ok);
    let dimension = Dimension { name: dimension.into(), operator: operator.unwrap_or_default() };
    Ok(Stream { metric, dimension: Some(dimension) })
}
