//! What hides findings of an audit: suppressions of its checks, those alike together.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use fleetwarden_core::api::input::millis;
use fleetwarden_core::check::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::report::Suppressed;
use fleetwarden_core::report::SuppressedReport;
use fleetwarden_core::suppression::Described;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use crate::report::sources::Sources;
use fleetwarden_commands::sources::cut;
use fleetwarden_commands::sources::text;

/// How many pages are listed: 10,000 suppressions.
const PAGES: u32 = 40;
/// How many groups there are at most: what people write by hand is alike only by chance.
const GROUPS: usize = 200;
/// The longest words of a group, in characters.
const WORDS: usize = 200;

/// What suppressions of a check have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    until: Option<Millis>,
    by: String,
    owner: Option<String>,
    ticket: Option<String>,
    why: String,
}

impl Sources<'_> {
    /// Fills in what suppresses the checks that have suppressed findings.
    pub(super) async fn suppressions(
        &self,
        audit: &Audit,
        checks: &[CheckName],
        suppressed: &mut SuppressedReport,
    ) {
        let Ok(mut list) = self.calls("ListAuditSuppressions") else { return };
        let mut pages = PAGES;
        for check in checks {
            let mut groups = BTreeMap::new();
            // Until the last page was read.
            let mut more = true;
            self.tell(format!("suppressions of {check}"), async {
                let mut full = false;
                let take = |page: Vec<Value>| {
                    full |= !add(&mut groups, &page, audit.started_at);
                    true
                };
                let to_the_end = list.pages(json!({"checkName": check}), &mut pages, take).await?;
                more = full || !to_the_end;
                Ok(())
            })
            .await;
            suppressed.more |= more;
            suppressed.suppressions.extend(groups.into_iter().map(|(alike, count)| alike.of(check, count)));
        }
        suppressed.suppressions.sort_by_key(|group| Reverse(group.count));
        suppressed.more |= suppressed.suppressions.len() > GROUPS;
        suppressed.suppressions.truncate(GROUPS);
    }
}

/// Adds suppressions to their groups. Says whether there was room for all.
fn add(groups: &mut BTreeMap<Alike, u64>, suppressions: &[Value], started_at: Millis) -> bool {
    let mut room = true;
    // What ended before the audit began hid nothing of it.
    let hid = |alike: &Alike| alike.until.is_none_or(|end| end >= started_at);
    for alike in suppressions.iter().map(Alike::read).filter(hid) {
        if groups.len() < GROUPS || groups.contains_key(&alike) {
            *groups.entry(alike).or_default() += 1;
        } else {
            room = false;
        }
    }
    room
}

impl Alike {
    fn read(suppression: &Value) -> Self {
        let description = text(suppression, "description").unwrap_or_default();
        let until = suppression.get("expirationDate").and_then(millis);
        let owned = |text: &str| cut(text, WORDS);
        match Described::read(description) {
            Some(Described { maker, owner, ticket, reason }) => Self {
                until,
                by: owned(&maker.to_string()),
                owner: owner.map(owned),
                ticket: ticket.map(owned),
                why: owned(reason),
            },
            None => {
                Self { until, by: "by hand".to_owned(), owner: None, ticket: None, why: owned(description) }
            }
        }
    }

    fn of(self, check: &CheckName, count: u64) -> Suppressed {
        let Self { until, by, owner, ticket, why } = self;
        Suppressed { check: check.clone(), count, until, by, owner, ticket, why }
    }
}
