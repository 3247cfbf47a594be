//! Counts and histories are true: a check's record has the counts of its findings, and new, known and returned agree with what
//! was found before.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

use super::Id;
use super::Judge;
use super::Records;
use super::identifier;
use super::text;

/// An audit's look at a check, from its start until its record was written.
struct Span {
    audit: String,
    check: String,
    started: i64,
    handled: i64,
    /// What was found, each with its status.
    findings: Vec<(String, String)>,
}

impl Span {
    /// Whether another audit of the check began before this one was handled, and was not handled before it began.
    fn overlaps(&self, all: &BTreeMap<Id, Self>) -> bool {
        all.values()
            .filter(|other| other.check == self.check && other.audit != self.audit)
            .any(|other| other.started <= self.handled && other.handled >= self.started)
    }
}

impl Judge<'_> {
    /// The looks at checks, by audit and check.
    fn spans(&self, records: &Records) -> BTreeMap<Id, Span> {
        let mut spans: BTreeMap<Id, Span> = BTreeMap::new();
        for ((audit, _), of) in records {
            for (record, _) in of {
                let check = text(record, "/check").to_owned();
                let span = spans.entry((audit.clone(), check.clone())).or_insert_with(|| {
                    let run = self.world.cloud.item(&format!("audit#{audit}"), &format!("check#{check}"));
                    let handled = run.and_then(|run| run.get("done_at")?.as_i64()).unwrap_or(i64::MAX);
                    let started = record["auditStartedAt"].as_i64().unwrap_or_default();
                    Span { audit: audit.clone(), check, started, handled, findings: Vec::new() }
                });
                let resource = identifier(&record["resource"]["resourceIdentifier"]);
                let key = format!("{resource} {}", text(record, "/reasonCode"));
                span.findings.push((key, text(record, "/status").to_owned()));
            }
        }
        spans
    }

    /// The counts of a check's record are those of its findings. What is new or has returned follows the order in which
    /// audits of the check end, and is judged where they do not overlap.
    pub(super) fn tallies_agree(&mut self, records: &Records) {
        let spans = self.spans(records);
        let mut counts: BTreeMap<(String, String), BTreeMap<&str, u64>> = BTreeMap::new();
        for ((audit, _), of) in records {
            let record = &of[0].0;
            let of = counts.entry((audit.clone(), text(record, "/check").to_owned())).or_default();
            let mut count = |name: &'static str, is: bool| *of.entry(name).or_default() += u64::from(is);
            let is_suppressed = record["suppressed"] == true;
            count("suppressed", is_suppressed);
            count("nonCompliant", !is_suppressed);
            count("new", !is_suppressed && text(record, "/status") == "new");
            count("returned", !is_suppressed && text(record, "/status") == "returned");
            let outcome = text(record, "/decision/outcome");
            count("suppress", outcome == "suppress");
            count("mitigate", outcome == "mitigate");
            count("reported", outcome == "report");
        }
        for ((audit, check), expected) in counts {
            let overlaps =
                spans.get(&(audit.clone(), check.clone())).is_none_or(|span| span.overlaps(&spans));
            let item = self.world.cloud.item(&format!("audit#{audit}"), &format!("check#{check}"));
            let tally = item.as_ref().and_then(|item| item.get("tally")?.as_str()).unwrap_or_default();
            let tally: Value = serde_json::from_str(tally).unwrap_or_default();
            let expected: BTreeMap<&str, u64> = expected
                .into_iter()
                .filter(|(name, _)| !(overlaps && ["new", "returned"].contains(name)))
                .collect();
            let found: BTreeMap<&str, u64> = expected
                .keys()
                .map(|name| {
                    let of = tally.as_object().into_iter().flat_map(|of| of.values());
                    (*name, of.filter_map(|of| of[name].as_u64()).sum())
                })
                .collect();
            self.unless(found == expected, || {
                format!("{check} of {audit} counts {found:?}; its findings are {expected:?}")
            });
        }
    }

    /// New, known and returned agree with what was found before, where audits of a check did not overlap.
    pub(super) fn history_is_true(&mut self, records: &Records) {
        let spans = self.spans(records);
        let mut checks: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
        for span in spans.values() {
            checks.entry(&span.check).or_default().push(span);
        }
        for (check, mut audits) in checks {
            audits.sort_by_key(|span| span.started);
            let known = audits.iter().map(|span| span.audit.as_str());
            // What an audit saw that has no records of the check is not known.
            if !known.eq(self.played.audits_of(check).iter().map(String::as_str)) {
                continue;
            }
            let mut seen: BTreeSet<&str> = BTreeSet::new();
            let mut before: BTreeSet<&str> = BTreeSet::new();
            for audit in audits {
                if audit.overlaps(&spans) {
                    break;
                }
                for (key, status) in &audit.findings {
                    let expected = match () {
                        () if before.contains(key.as_str()) => "known",
                        () if seen.contains(key.as_str()) => "returned",
                        () => "new",
                    };
                    self.unless(status == expected, || {
                        format!("{check} of {}: {key} is {status} and should be {expected}", audit.audit)
                    });
                }
                before = audit.findings.iter().map(|(key, _)| key.as_str()).collect();
                seen.extend(&before);
            }
        }
    }
}
