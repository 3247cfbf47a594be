//! Lists all suppressions, and at the same time the findings that they hid: the two operations have rates of their own.

use std::collections::BTreeMap;

use fleetwarden_aws::Error;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::resource::NonCompliantResource;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::policy::Policy;
use serde::Deserialize;
use serde_json::json;

use crate::iot::Budget;
use crate::iot::Iot;
use crate::iot::PAGE;
use crate::iot::endless;
use crate::plan;
use crate::plan::Target;
use crate::plan::Verdict;
use crate::resources::key;
use crate::revalidate;
use crate::snapshot::Entry;
use crate::snapshot::seconds;
use crate::state::Hidden;
use crate::state::LastAudit;
use crate::state::Listing;
use crate::state::StandingStatus;
use crate::state::State;
use crate::state::Surplus;

/// How many suppressions that nobody wants any more a review takes, some six hours of deletions: a million would not
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

/// Which findings of a check to list.
#[derive(Clone, Copy)]
pub(crate) struct FindingsOf<'a> {
    pub(crate) task: &'a str,
    pub(crate) check: &'a CheckName,
    pub(crate) suppressed: bool,
}

/// Lists suppressions and findings.
pub(crate) struct Lister<'a> {
    pub(crate) iot: Iot<'a>,
    pub(crate) budget: Budget<'a>,
}

/// What suppressions are judged by.
struct Judged<'a> {
    targets: &'a [Target<'a>],
    statuses: &'a [StandingStatus],
    /// How many that nobody wants any more are taken.
    surplus: usize,
    now: u32,
}

impl Lister<'_> {
    /// Continues both lists. False if the next invocation has to continue.
    pub(crate) async fn read(&self, policy: &Policy, state: &mut State) -> Result<bool, Error> {
        let State { listing, hidden, standing, audits, read_at, reconciler, .. } = state;
        // The review that reconciles deletes them, also under a policy that has nothing standing any more.
        let surplus = if reconciler.is_some() { 0 } else { SURPLUS };
        let by =
            Judged { targets: &plan::targets(policy), statuses: standing, surplus, now: seconds(*read_at) };
        let (listed, looked) =
            tokio::join!(self.suppressions(listing, &by), self.hidden_findings(hidden, audits));
        let looked = looked.unwrap_or_else(|error| {
            // What suppressions hide is reported, not acted on: a review without it is better than none.
            state.gaps.push(format!("what suppressions hid: {error}"));
            hidden.left.clear();
            hidden.unknown = true;
            true
        });
        Ok(listed? && looked)
    }

    async fn suppressions(&self, listing: &mut Listing, by: &Judged<'_>) -> Result<bool, Error> {
        while !listing.done {
            if self.budget.is_over() {
                return Ok(false);
            }
            let mut input = json!({"maxResults": PAGE});
            if let (Some(token), Some(members)) = (listing.at.token(), input.as_object_mut()) {
                members.insert("nextToken".into(), token.into());
            }
            let page: Suppressions = self.iot.ask(SUPPRESSIONS, input).await?;
            listing.pages += 1;
            for suppression in page.suppressions {
                note(listing, by, suppression);
            }
            listing.done = !listing.at.turn(page.next_token).map_err(endless(SUPPRESSIONS))?;
        }
        Ok(true)
    }

    async fn hidden_findings(
        &self,
        hidden: &mut Hidden,
        audits: &BTreeMap<CheckName, LastAudit>,
    ) -> Result<bool, Error> {
        while let Some(check) = hidden.left.last().cloned() {
            if self.budget.is_over() {
                return Ok(false);
            }
            let Some(audit) = audits.get(&check) else {
                hidden.left.pop();
                continue;
            };
            let findings = FindingsOf { task: &audit.task, check: &check, suppressed: true };
            hidden.keys.extend(self.findings(findings, &mut hidden.at).await?);
            hidden.pages += 1;
            if hidden.at.token().is_none() {
                hidden.left.pop();
                hidden.at = Pages::default();
            }
        }
        Ok(true)
    }

    /// The keys of a page of findings.
    pub(crate) async fn findings(
        &self,
        findings: FindingsOf<'_>,
        at: &mut Pages,
    ) -> Result<Vec<u128>, Error> {
        let FindingsOf { task, check, suppressed } = findings;
        let mut input = json!({
            "taskId": task, "checkName": check, "listSuppressedFindings": suppressed, "maxResults": PAGE,
        });
        if let (Some(token), Some(members)) = (at.token(), input.as_object_mut()) {
            members.insert("nextToken".into(), token.into());
        }
        let page: Findings = self.iot.ask(FINDINGS, input).await?;
        let resources = page.findings.iter().filter_map(|finding| finding.non_compliant_resource.as_ref());
        let keys = resources.map(|resource| key(check, &resource.resource_identifier)).collect();
        at.turn(page.next_token).map_err(endless(FINDINGS))?;
        Ok(keys)
    }
}

fn note(listing: &mut Listing, by: &Judged<'_>, suppression: Suppression) {
    let Judged { targets, statuses, surplus, now } = *by;
    let Suppression { check_name: check, resource_identifier: resource, description, .. } = suppression;
    let description = description.unwrap_or_default();
    let end = revalidate::end(suppression.suppress_indefinitely, suppression.expiration_date);
    let key = key(&check, &resource);
    let source = listing.names.source(&plan::source(&description));
    let entry = Entry { key, first_seen: now, end, source, check: listing.names.check(&check), flags: 0 };
    listing.seen.push(entry);
    listing.sample(&entry, || format!("{check} {}", resource.label()));
    let verdict = plan::judge(targets, statuses, listing.wanted.get(&key), &check, (&description, end), now);
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
    use fleetwarden_core::ids::check::KNOWN;

    use super::*;
    use crate::resources::Kind;

    #[test]
    fn no_more_is_taken_than_memory_holds() {
        let mut listing = Listing::default();
        let by = Judged { targets: &[], statuses: &[], surplus: 2, now: 0 };
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
