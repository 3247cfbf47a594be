//! One pass over all suppressions, and beside it one over the findings that they hid: the two lists have rates of
//! their own.

use std::collections::BTreeMap;

use fleetwarden_aws::Error;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::ids::check::KNOWN;
use fleetwarden_core::model::resource::NonCompliantResource;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::SuppressionReview;
use crate::calls::Budget;
use crate::calls::List;
use crate::calls::PAGE;
use crate::calls::endless;
use crate::look;
use crate::memory::Known;
use crate::memory::seconds;
use crate::plan;
use crate::plan::Target;
use crate::plan::Verdict;
use crate::resources::key;
use crate::state::Hidden;
use crate::state::Kept;
use crate::state::LastAudit;
use crate::state::Listing;
use crate::state::State;
use crate::state::Surplus;

/// The days back in which audits are looked for, a stretch at a time: the newest come first. The service keeps 90.
const STRETCHES: [i64; 5] = [0, 2, 8, 35, 89];
/// How many audits are looked at for the last one of each check.
const AUDITS: usize = 100;
/// How many suppressions that nobody wants any more a review takes up, some six hours of deletions: a million would not
/// fit into the function's memory. The next review finds the others.
const SURPLUS: usize = 200_000;
const SUPPRESSIONS: &str = "ListAuditSuppressions";
const FINDINGS: &str = "ListAuditFindings";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Suppressions {
    #[serde(default)]
    suppressions: Vec<Suppression>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Suppression {
    check_name: CheckName,
    resource_identifier: ResourceIdentifier,
    expiration_date: Option<f64>,
    suppress_indefinitely: Option<bool>,
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Findings {
    #[serde(default)]
    findings: Vec<Finding>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    non_compliant_resource: Option<NonCompliantResource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Audit {
    task_start_time: f64,
    #[serde(default)]
    audit_details: BTreeMap<CheckName, Details>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Details {
    check_run_status: String,
    non_compliant_resources_count: u64,
    suppressed_non_compliant_resources_count: u64,
}

/// Which findings of a check to list.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) task: &'a str,
    pub(crate) check: &'a CheckName,
    pub(crate) suppressed: bool,
}

/// What suppressions are judged by.
struct Judged<'a> {
    targets: &'a [Target<'a>],
    kept: &'a [Kept],
    /// How many that nobody wants any more are taken up.
    surplus: usize,
    now: u32,
}

impl SuppressionReview {
    /// Goes on with both lists. False if the next invocation has to go on.
    pub(crate) async fn read(&self, state: &mut State, budget: &Budget) -> Result<bool, Error> {
        let State { listing, hidden, standing, audits, read_at, kept_by, .. } = state;
        // The review that keeps deletes them, also under a policy that has nothing standing any more.
        let surplus = if kept_by.is_some() { 0 } else { SURPLUS };
        let by =
            Judged { targets: &plan::targets(&self.policy), kept: standing, surplus, now: seconds(*read_at) };
        let (listed, looked) =
            tokio::join!(self.list(listing, &by, budget), self.look_at_hidden(hidden, audits, budget));
        let looked = looked.unwrap_or_else(|error| {
            // What suppressions hide is told, not acted on: a review without it is better than none.
            state.gaps.push(format!("what suppressions hid: {error}"));
            hidden.left.clear();
            hidden.unknown = true;
            true
        });
        Ok(listed? && looked)
    }

    async fn list(&self, listing: &mut Listing, by: &Judged<'_>, budget: &Budget) -> Result<bool, Error> {
        while !listing.done {
            if budget.is_over() {
                return Ok(false);
            }
            let mut input = json!({"maxResults": PAGE});
            if let (Some(token), Some(members)) = (listing.at.token(), input.as_object_mut()) {
                members.insert("nextToken".into(), token.into());
            }
            let page: Suppressions = self.paced(SUPPRESSIONS, input).await?;
            listing.pages += 1;
            for suppression in page.suppressions {
                note(listing, by, suppression);
            }
            listing.done = !listing.at.turn(page.next_token).map_err(endless(SUPPRESSIONS))?;
        }
        Ok(true)
    }

    async fn look_at_hidden(
        &self,
        hidden: &mut Hidden,
        audits: &BTreeMap<CheckName, LastAudit>,
        budget: &Budget,
    ) -> Result<bool, Error> {
        while let Some(check) = hidden.left.last().cloned() {
            if budget.is_over() {
                return Ok(false);
            }
            let Some(audit) = audits.get(&check) else {
                hidden.left.pop();
                continue;
            };
            let wanted = Wanted { task: &audit.task, check: &check, suppressed: true };
            hidden.keys.extend(self.findings(wanted, &mut hidden.at).await?);
            hidden.pages += 1;
            if hidden.at.token().is_none() {
                hidden.left.pop();
                hidden.at = Pages::default();
            }
        }
        Ok(true)
    }

    /// The keys of a page of findings.
    pub(crate) async fn findings(&self, wanted: Wanted<'_>, at: &mut Pages) -> Result<Vec<u128>, Error> {
        let Wanted { task, check, suppressed } = wanted;
        let mut input = json!({
            "taskId": task, "checkName": check, "listSuppressedFindings": suppressed, "maxResults": PAGE,
        });
        if let (Some(token), Some(members)) = (at.token(), input.as_object_mut()) {
            members.insert("nextToken".into(), token.into());
        }
        let page: Findings = self.paced(FINDINGS, input).await?;
        let resources = page.findings.iter().filter_map(|finding| finding.non_compliant_resource.as_ref());
        let keys = resources.map(|resource| key(check, &resource.resource_identifier)).collect();
        at.turn(page.next_token).map_err(endless(FINDINGS))?;
        Ok(keys)
    }

    /// Finds the last audit of each check that came to its end.
    pub(crate) async fn last_audits(
        &self,
        now: Millis,
        budget: &Budget,
    ) -> Result<BTreeMap<CheckName, LastAudit>, Error> {
        let list = List { operation: "ListAuditTasks", entries: "tasks", marked: false };
        let (mut latest, mut seen): (BTreeMap<CheckName, LastAudit>, usize) = (BTreeMap::new(), 0);
        for stretch in STRETCHES.windows(2) {
            let [to, from] = *stretch else { continue };
            let input = json!({
                "startTime": now.seconds() - from * 86_400, "endTime": now.seconds() - to * 86_400,
                "taskStatus": "COMPLETED",
            });
            let Value::Object(input) = input else { continue };
            let mut tasks = Vec::new();
            let take = |task: &Value| {
                tasks.extend(task.get("taskId").and_then(Value::as_str).map(ToOwned::to_owned));
            };
            self.each(list, input, budget, take).await?;
            for task in tasks.into_iter().take(AUDITS.saturating_sub(seen)) {
                seen += 1;
                let audit: Audit = self.paced("DescribeAuditTask", json!({"taskId": task})).await?;
                #[expect(clippy::cast_possible_truncation, reason = "a time of the service")]
                let started = Millis((audit.task_start_time * 1000.0) as i64);
                for (check, details) in audit.audit_details {
                    let ended = details.check_run_status.starts_with("COMPLETED");
                    if ended && latest.get(&check).is_none_or(|other| other.started < started) {
                        let task = task.clone();
                        let (non_compliant, suppressed) = (
                            details.non_compliant_resources_count,
                            details.suppressed_non_compliant_resources_count,
                        );
                        latest.insert(check, LastAudit { task, started, non_compliant, suppressed });
                    }
                }
            }
            if seen >= AUDITS || KNOWN.iter().all(|check| latest.contains_key(&CheckName::new(check))) {
                break;
            }
        }
        Ok(latest)
    }
}

fn note(listing: &mut Listing, by: &Judged<'_>, suppression: Suppression) {
    let Judged { targets, kept, surplus, now } = *by;
    let Suppression { check_name: check, resource_identifier: resource, description, .. } = suppression;
    let description = description.unwrap_or_default();
    let end = look::end(suppression.suppress_indefinitely, suppression.expiration_date);
    let key = key(&check, &resource);
    let source = listing.names.source(&plan::source(&description));
    let known = Known { key, first_seen: now, end, source, check: listing.names.check(&check), flags: 0 };
    listing.seen.push(known);
    listing.sample(&known, || format!("{check} {}", resource.label()));
    let verdict = plan::judge(targets, kept, listing.wanted.get(&key), &check, (&description, end), now);
    let standing = match verdict {
        Verdict::Wanted(is) => {
            listing.wanted.get_mut(&key).into_iter().for_each(|want| want.is = is);
            return;
        }
        Verdict::Other => return,
        Verdict::Left(standing) => Some(standing),
        Verdict::Orphaned => None,
    };
    if listing.surplus.len() < surplus {
        listing.surplus.push(Surplus { standing, check, resource });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Kind;

    #[test]
    fn no_more_is_taken_up_than_memory_holds() {
        let mut listing = Listing::default();
        let by = Judged { targets: &[], kept: &[], surplus: 2, now: 0 };
        for n in 0..3 {
            let suppression = Suppression {
                check_name: CheckName::new(KNOWN[0]),
                resource_identifier: Kind::ClientId.identifier(&n.to_string()),
                expiration_date: None,
                suppress_indefinitely: Some(true),
                description: Some("Fleetwarden: standing gone; for now".into()),
            };
            note(&mut listing, &by, suppression);
        }
        assert_eq!((listing.seen.len(), listing.surplus.len()), (3, 2));
    }
}
