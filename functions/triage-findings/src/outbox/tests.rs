//! What waits from page to page, and fits into a continuation.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_core::api::listing::Listing;
use fleetwarden_core::message::Past;
use fleetwarden_core::message::Resume;
use fleetwarden_core::model::finding::Finding;
use fleetwarden_core::model::severity::Severity;
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::Subject;
use fleetwarden_core::timestamp::Millis;
use serde_json::Value;
use serde_json::json;

use super::*;

const CHECK: &str = "DEVICE_CERTIFICATE_EXPIRING_CHECK";

fn finding(number: usize, rules: usize, reason: &str) -> Finding {
    let certificate = format!("{:03x}{number:061x}", number % rules);
    let finding = json!({
        "findingId": format!("{number:032x}"), "severity": "MEDIUM", "isSuppressed": false,
        "reasonForNonComplianceCode": reason,
        "nonCompliantResource": {
            "resourceType": "DEVICE_CERTIFICATE",
            "resourceIdentifier": {"deviceCertificateId": certificate},
        },
    });
    let page = Listing::read(&json!({"findings": [finding]}).to_string()).unwrap();
    page.findings.into_iter().next().unwrap().into_finding(&CheckName::new(CHECK), String::new)
}

/// What the policy decides on these findings, page by page, each page after a continuation if there are any. Gives
/// the mitigations and the size of the largest continuation.
fn mitigations(policy: &str, findings: &[Finding], continued: bool) -> (Vec<Value>, usize) {
    let policy = Policy::parse(policy.as_bytes()).unwrap();
    let audit = json!({"account": "123456789012", "region": "us-east-1", "taskId": "t", "startedAt": 1});
    let message = json!({"audit": audit, "check": CHECK, "nonCompliant": 1});
    let mut message: CheckMessage = serde_json::from_value(message).unwrap();
    let mut outbox = Outbox::new(&message, &policy);
    let (mut sent, mut largest) = (Vec::new(), 0);
    for (page, findings) in (0..).zip(findings.chunks(250)) {
        for finding in findings {
            add(&mut outbox, &policy, finding);
        }
        sent.extend(outbox.page(page, &[]).unwrap().mitigation);
        if continued {
            let reason_codes = outbox.reason_codes.iter().cloned().collect();
            let resume = Resume {
                page: page + 1,
                pending: outbox.pending.clone(),
                reason_codes,
                policy: Some(policy.hash().to_owned()),
                ..Resume::default()
            };
            message.resume = Some(resume);
            largest = largest.max(serde_json::to_string(&message).unwrap().len());
            outbox = Outbox::new(&message, &policy);
        }
    }
    sent.extend(outbox.end().unwrap().mitigation);
    (sent.iter().map(|sent| serde_json::from_str(&sent.body).unwrap()).collect(), largest)
}

fn add<'p>(outbox: &mut Outbox<'p>, policy: &'p Policy, finding: &Finding) {
    let at = Millis(1_795_392_000_000);
    let subject = Subject {
        finding,
        account: "123456789012",
        region: "us-east-1",
        at,
        first_seen: at,
        times_seen: 1,
        first_suppressed: None,
        things: &Things::NotAsked,
    };
    let decision = policy.decide(&subject);
    let past = Past { first_seen: at, times_seen: 1, first_suppressed: None };
    let reference =
        FindingRef { finding_id: finding.finding_id.clone(), key: finding.key(), past: Some(past) };
    outbox.add(finding, reference, &decision).unwrap();
}

#[test]
fn what_waits_for_hundreds_of_rules_fits_into_a_continuation() {
    const RULES: usize = 300;
    let rules: Vec<String> = (0..RULES)
        .map(|n| format!("  - name: rule-{n}\n    match: {{ check: {CHECK}, resource: '{n:03x}*' }}\n    mitigate: {{ actions: Quarantine }}\n"))
        .collect();
    let policy = format!("version: 1\nbudgets: none\nmode: enforce\nrules:\n{}", rules.concat());
    // 24 findings of each rule: one fewer than a task takes.
    let findings: Vec<Finding> = (0..RULES * 24).map(|number| finding(number, RULES, "CODE")).collect();
    let (sent, largest) = mitigations(&policy, &findings, true);
    assert!(largest < 256 << 10, "{largest} bytes");
    let named = |message: &Value| {
        let findings = message["request"]["target"]["findings"].as_array().unwrap().clone();
        findings.into_iter().map(|finding| finding["findingId"].as_str().unwrap().to_owned())
    };
    let ids: Vec<String> = sent.iter().flat_map(named).collect();
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (findings.len(), findings.len()));
    assert!(mitigations(&policy, &findings, false).0 == sent, "interruptions change nothing");
}

#[test]
fn reason_codes_without_end_do_not_fill_a_continuation() {
    let policy = format!(
        "version: 1\nbudgets: none\nmode: enforce\nrules:\n  - name: all\n    match: {{ check: {CHECK} }}\n    mitigate: {{ actions: Quarantine, devices: any }}\n"
    );
    let findings: Vec<Finding> =
        (0..1000).map(|number| finding(number, 1, &format!("{number}{}", "X".repeat(200)))).collect();
    let (sent, largest) = mitigations(&policy, &findings, true);
    assert!(largest < 64 << 10, "{largest} bytes");
    let mut counts = BTreeMap::<&str, usize>::new();
    for message in &sent {
        let target = message["request"]["target"].as_object().unwrap();
        let (kind, list) = match target.get("wholeCheck") {
            Some(whole) => ("codes", &whole["reasonCodes"]),
            None => ("findings", &target["findings"]),
        };
        *counts.entry(kind).or_default() += list.as_array().unwrap().len();
    }
    assert_eq!(counts, BTreeMap::from([("codes", MAX_CODES), ("findings", 1000 - MAX_CODES)]));
}

/// Whatever waits, and however often triage is interrupted: the first are those with the lowest risk of all pages, each
/// finding is in one task, and no task is larger than may be.
#[test]
fn a_canary_is_chosen_from_all_pages_and_the_rest_is_in_full_tasks() {
    let policy = format!(
        "version: 1\nbudgets: none\nrules:\n  - {{ name: r, match: {{ check: {CHECK} }}, mitigate: {{ actions: A, canary: {{ first: 1%, \
         watch: 15m }} }} }}\n"
    );
    let findings: Vec<Finding> = (0..610)
        .map(|number| {
            let mut finding = finding(number, 1, "X");
            // The lowest come on the last page.
            finding.severity = if number >= 600 { Severity::Low } else { Severity::Medium };
            finding
        })
        .collect();
    let (whole, _) = mitigations(&policy, &findings, false);
    let (parts, _) = mitigations(&policy, &findings, true);
    assert_eq!(whole, parts, "an interruption changes nothing");
    let ids = |sent: &Value| -> Vec<String> {
        let findings = sent["request"]["target"]["findings"].as_array().unwrap();
        findings.iter().map(|finding| finding["findingId"].as_str().unwrap().to_owned()).collect()
    };
    let is_first = |sent: &&Value| sent["request"]["canary"] == json!({"first": {"of": 610}});
    let first: Vec<&Value> = whole.iter().filter(is_first).collect();
    let [first] = first[..] else { panic!("one request has those that may go first") };
    let numbers: Vec<usize> = (600..610).chain(0..15).collect();
    assert_eq!(ids(first), numbers.iter().map(|number| format!("{number:032x}")).collect::<Vec<_>>());
    let mut all: Vec<String> = whole.iter().flat_map(ids).collect();
    all.sort();
    assert_eq!(all, (0..610).map(|number| format!("{number:032x}")).collect::<Vec<_>>());
    let rest: Vec<usize> =
        whole.iter().filter(|sent| sent["request"]["canary"] == "rest").map(|sent| ids(sent).len()).collect();
    assert_eq!((rest.len(), rest.iter().sum::<usize>()), (24, 585));
    assert!(rest.iter().all(|count| *count <= 25));
}
