//! Audit findings: list, describe, and what is related to one.

use serde_json::{Value, json};

use crate::args::Args;
use crate::audits::Status;
use crate::checks::Check;
use crate::failure::Failure;
use crate::findings::{Finding, Times};
use crate::operations::Outcome;
use crate::operations::schedules::listing;
use crate::paging::{Key, Pager};
use crate::resource::ResourceIdentifier;
use crate::world::World;

/// What `ListAuditFindings` is asked for.
struct Filter {
    audits: Vec<u32>,
    check: Option<Check>,
    resource: Option<ResourceIdentifier>,
    suppressed: Option<bool>,
}

/// `ListAuditFindings`. A page costs what it holds, wherever in a million findings it is.
pub(crate) fn list(world: &mut World, args: &Args) -> Outcome {
    let audits = match (args.text("taskId"), args.period()?) {
        (Some(_), Some(_)) => {
            return Err(Failure::invalid("taskId must not be given together with startTime and endTime"));
        }
        (None, None) => {
            return Err(Failure::invalid("Either taskId or startTime and endTime must be given"));
        }
        // An audit that nobody knows has no findings: the operation declares no ResourceNotFoundException.
        (Some(id), None) => world.audit(id).map(|(number, _)| number).into_iter().collect(),
        (None, Some((start, end))) => world
            .audits
            .iter()
            .filter(|(_, audit)| audit.status != Status::InProgress)
            .filter(|(_, audit)| (start..=end).contains(&audit.ends))
            .map(|(number, _)| *number)
            .collect(),
    };
    let filter = Filter {
        audits,
        check: args.check("checkName")?,
        resource: args.read("resourceIdentifier")?,
        suppressed: args.flag("listSuppressedFindings"),
    };
    let pager = Pager::new(world.seed(), "ListAuditFindings", &args.0)?;
    let (page, next) = pager.cut(matching(world, &filter, pager.after));
    let findings = page.into_iter().filter_map(|finding| world.finding(finding, Times::Seconds)).collect();
    Ok(listing("findings", findings, next))
}

/// The findings that match, in order, from the one behind `after` on.
fn matching<'a>(
    world: &'a World,
    filter: &'a Filter,
    after: Option<Key>,
) -> impl Iterator<Item = (Key, Finding)> + 'a {
    let runs = filter.audits.iter().flat_map(move |number| {
        let checks = world.audits.get(number).into_iter().flat_map(|audit| &audit.checks);
        checks.map(move |(check, run)| (*number, *check, run))
    });
    runs.filter(|(_, check, _)| filter.check.is_none_or(|wanted| wanted == *check)).flat_map(
        move |(audit, check, run)| {
            let major = (u64::from(audit) << 8) | u64::from(check.number());
            let mut positions = run.positions(filter.suppressed);
            if let Some(resource) = &filter.resource {
                let at = resource
                    .key(check.facts().kind)
                    .ok()
                    .and_then(|key| world.fleet.resolve(check, &key))
                    .and_then(|(resource, version)| {
                        let position = run.position_of(resource)?;
                        let (entry, _) = run.finding(position)?;
                        (entry.version == version).then_some(position)
                    });
                positions = at.filter(|at| positions.contains(at)).map_or(0..0, |at| at..at + 1);
            }
            match after {
                Some((after, _)) if major < after => positions = 0..0,
                Some((after, minor)) if major == after => {
                    let next = u32::try_from(minor).unwrap_or(u32::MAX).saturating_add(1);
                    positions.start = positions.start.max(next);
                }
                _ => {}
            }
            positions.map(move |position| ((major, u64::from(position)), Finding { audit, check, position }))
        },
    )
}

/// The finding with the id that a request names.
pub(crate) fn find(world: &World, id: &str) -> Option<Finding> {
    let finding = Finding::from_id(world.seed(), id)?;
    let run = world.audits.get(&finding.audit)?.checks.get(&finding.check)?;
    run.finding(finding.position).map(|_| finding)
}

fn missing(id: &str) -> Failure {
    Failure::not_found(format!("Audit finding {id} does not exist"))
}

/// `DescribeAuditFinding`.
pub(crate) fn describe(world: &mut World, args: &Args) -> Outcome {
    let id = args.required("findingId");
    let finding = find(world, id).and_then(|finding| world.finding(finding, Times::Seconds));
    let finding: Value = finding.ok_or_else(|| missing(id))?;
    Ok(json!({ "finding": finding }).to_string())
}

/// `ListRelatedResourcesForAuditFinding`.
pub(crate) fn related(world: &mut World, args: &Args) -> Outcome {
    let id = args.required("findingId");
    let finding = find(world, id).ok_or_else(|| missing(id))?;
    let run = world.audits.get(&finding.audit).and_then(|audit| audit.checks.get(&finding.check));
    let (entry, _) = run.and_then(|run| run.finding(finding.position)).ok_or_else(|| missing(id))?;
    let pager = Pager::new(world.seed(), "ListRelatedResourcesForAuditFinding", &args.0)?;
    let all = (0..world.fleet.related_count(finding.check, entry))
        .map(|position| ((position.into(), 0), world.fleet.related(finding.check, entry, position)));
    let (page, next) = pager.page(all);
    Ok(listing("relatedResources", page, next))
}
