//! What hides findings of an audit: suppressions of its checks, those alike together.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::original_words;
use fleetwarden_aws::original_words::Originals;
use fleetwarden_core::api::time::millis;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::model::suppression::Described;
use fleetwarden_core::report::Suppressed;
use fleetwarden_core::report::SuppressedReport;
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
    description: String,
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
        let (mut pages, mut found) = (PAGES, Vec::new());
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
            found.extend(groups.into_iter().map(|(alike, count)| (check, alike, count)));
        }
        found.sort_by_key(|(_, _, count)| Reverse(*count));
        suppressed.more |= found.len() > GROUPS;
        found.truncate(GROUPS);
        let originals = self.originals(&found).await;
        let told = found.into_iter().map(|(check, alike, count)| alike.told(check, count, &originals));
        suppressed.suppressions.extend(told);
    }

    /// The words of suppressions as the operator wrote them.
    async fn originals(&self, found: &[(&CheckName, Alike, u64)]) -> Originals {
        let mut originals = Originals::default();
        let wanted: BTreeSet<(String, String)> =
            found.iter().flat_map(|(_, alike, _)| alike.texts()).collect();
        if wanted.is_empty() {
            return originals;
        }
        self.tell("the words of suppressions as they were written", async {
            originals = original_words::find(&(self.ledger)(), &wanted).await?;
            Ok(())
        })
        .await;
        originals
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
        let description = text(suppression, "description").unwrap_or_default().to_owned();
        Self { until: suppression.get("expirationDate").and_then(millis), description }
    }

    /// Its texts that the operator may have written otherwise, with their maker.
    fn texts(&self) -> Vec<(String, String)> {
        let Some(Described { maker, owner, ticket, reason }) = Described::read(&self.description) else {
            return Vec::new();
        };
        let texts = [Some(reason), owner, ticket].into_iter().flatten().filter(|text| !text.is_empty());
        texts.map(|text| (maker.to_string(), text.to_owned())).collect()
    }

    fn told(&self, check: &CheckName, count: u64, originals: &Originals) -> Suppressed {
        let (check, until) = (check.clone(), self.until);
        let Some(Described { maker, owner, ticket, reason }) = Described::read(&self.description) else {
            let (by, why) = ("by hand".to_owned(), cut(&self.description, WORDS));
            return Suppressed { check, count, until, by, owner: None, ticket: None, why };
        };
        let by = maker.to_string();
        let of = |text: &str| cut(originals.of(&by, text), WORDS);
        let (owner, ticket, why) = (owner.map(of), ticket.map(of), of(reason));
        Suppressed { check, count, until, by: cut(&by, WORDS), owner, ticket, why }
    }
}
