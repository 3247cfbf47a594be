//! The pages of a check, and how it ends.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use crate::setup::Fixture;
use crate::setup::check_message;
use crate::setup::fixture;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::START;
use serde_json::json;

pub(crate) const EXPIRING: &str = "DEVICE_CERTIFICATE_EXPIRING_CHECK";
const REVOKED: &str = "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK";

pub(crate) const POLICY: &str = "\
version: 1
budgets: none
mode: enforce
rules:
  - name: low-numbers
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, resource: ['0*', '1*', '2*', '3*'] }
    suppress: { for: 30d, reason: lab, owner: lab@example.com }
  - name: middle-numbers
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, resource: ['4*', '5*', '6*', '7*', '8*', '9*'] }
    mitigate: { actions: [Quarantine, Deactivate] }
  - name: revoked
    match: { check: REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK }
    mitigate: { actions: Deactivate, devices: any }
";

#[tokio::test]
async fn every_finding_is_decided_and_exported_once_in_as_few_calls_as_can_be() {
    let fixture = fixture(4000, POLICY);
    let task = fixture.audit(&[EXPIRING]);
    let (count, _) = fixture.count(&task, EXPIRING);
    assert!(count > 600, "{count} findings are too few for three pages");
    assert_eq!(fixture.deliver(&check_message(&task, EXPIRING, count, START).to_string()).await.unwrap(), 0);

    let exported = fixture.exported();
    assert_eq!(exported.len() as u64, count);
    assert_eq!(exported.iter().collect::<BTreeSet<_>>().len() as u64, count);
    assert_eq!(fixture.lists(), count.div_ceil(250));

    let suppressed: usize =
        fixture.sent("suppression").iter().map(|m| m["findings"].as_array().unwrap().len()).sum();
    let groups: Vec<usize> = fixture
        .sent("mitigation")
        .iter()
        .map(|m| m["request"]["target"]["findings"].as_array().unwrap().len())
        .collect();
    assert!(groups.iter().rev().skip(1).all(|group| *group == 25), "{groups:?}");
    let summary = fixture.summary();
    let medium = &summary["MEDIUM"];
    assert_eq!(medium["suppress"], suppressed);
    let mitigated = groups.iter().sum::<usize>();
    assert_eq!(medium["mitigate"], mitigated);
    // How many each rule has decided on, and in which mode: by this the report tells would from did.
    let of = |outcome: &str| {
        let decisions = medium["decisions"].as_array().unwrap().iter();
        let of = decisions
            .filter(|of| of["outcome"] == outcome && of["mode"] == "enforce" && of["rule"].is_string());
        of.map(|of| of["findings"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!((of("mitigate"), of("suppress")), (mitigated as u64, suppressed as u64));
    assert_eq!(medium["new"], count);
    assert_eq!(medium["nonCompliant"], count);
}

#[tokio::test]
async fn a_rule_without_conditions_makes_one_task_for_the_whole_check() {
    let fixture = fixture(3000, POLICY);
    let task = fixture.audit(&[REVOKED]);
    let (count, _) = fixture.count(&task, REVOKED);
    fixture.deliver(&check_message(&task, REVOKED, count, START).to_string()).await.unwrap();
    let sent = fixture.sent("mitigation");
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(
        sent[0]["request"]["target"],
        json!({"wholeCheck": {"reasonCodes": ["CERTIFICATE_REVOKED_BY_ISSUER"], "count": count}})
    );
}

#[tokio::test]
async fn near_the_deadline_the_rest_goes_to_a_new_message_and_the_end_is_the_same() {
    let whole = fixture(4000, POLICY);
    let task = whole.audit(&[EXPIRING]);
    let (count, _) = whole.count(&task, EXPIRING);
    whole.deliver(&check_message(&task, EXPIRING, count, START).to_string()).await.unwrap();

    let cut = fixture(4000, POLICY);
    assert_eq!(cut.audit(&[EXPIRING]), task, "the endpoint's ids follow its seed");
    // Each listing takes 100 of the 120 seconds.
    cut.step.store(100_000, Ordering::Relaxed);
    let mut body = check_message(&task, EXPIRING, count, START).to_string();
    for round in 0.. {
        cut.deliver(&body).await.unwrap();
        let rest = cut.sent("check");
        if rest.len() == round {
            break;
        }
        body = rest.last().unwrap().to_string();
    }
    assert!(cut.sent("check").len() >= 2, "it was never interrupted");
    assert_eq!(cut.exported(), whole.exported());
    assert_eq!(cut.sent("mitigation"), whole.sent("mitigation"));
    assert_eq!(cut.summary(), whole.summary());
}

#[tokio::test]
async fn the_next_audit_knows_what_is_new_fixed_and_returned() {
    let fixture = fixture(2000, POLICY);
    let first = fixture.audit(&[EXPIRING]);
    let (count, _) = fixture.count(&first, EXPIRING);
    fixture.deliver(&check_message(&first, EXPIRING, count, START).to_string()).await.unwrap();

    let later = START.plus_seconds(86_400);
    let second = fixture.audit(&[EXPIRING]);
    fixture.deliver(&check_message(&second, EXPIRING, count, later).to_string()).await.unwrap();
    let medium = fixture.summary()["MEDIUM"].clone();
    assert_eq!((&medium["new"], &medium["fixed"]), (&json!(0), &json!(0)));
    assert_eq!(medium["oldest"], START.0);

    // A compliant audit: nothing is listed, all that was open is fixed.
    let before = fixture.lists();
    let mut compliant = check_message("third", EXPIRING, 0, later.plus_seconds(86_400));
    compliant["suppressed"] = json!(0);
    fixture.deliver(&compliant.to_string()).await.unwrap();
    assert_eq!(fixture.lists(), before);
    assert_eq!(fixture.summary()["MEDIUM"]["fixed"], count);

    let fourth = fixture.audit(&[EXPIRING]);
    let message = check_message(&fourth, EXPIRING, count, later.plus_seconds(2 * 86_400));
    fixture.deliver(&message.to_string()).await.unwrap();
    let medium = fixture.summary()["MEDIUM"].clone();
    assert_eq!((&medium["new"], &medium["returned"]), (&json!(0), &json!(count)));

    // Only the latest history and the one that it was made from are kept.
    let histories = fixture.cloud.objects().into_iter().filter(|path| path.contains("/snapshots/")).count();
    assert_eq!(histories, 2);
}

/// What the records of an audit say of the rule that suppresses the lab: how many findings it decided on, how many it
/// passed over and why, and the ends that its messages give.
#[expect(clippy::indexing_slicing, reason = "a test fails by panicking")]
fn told(fixture: &Fixture, task: &str) -> serde_json::Value {
    let records: Vec<serde_json::Value> = fixture
        .sent("finding")
        .iter()
        .filter(|message| message["audit"]["taskId"] == task)
        .flat_map(|message| message["export"]["page"]["findings"].as_array().cloned().unwrap_or_default())
        .filter(|record| record["resource"]["resourceIdentifier"]["deviceCertificateId"].as_str() < Some("4"))
        .collect();
    let of = |rule: &str| records.iter().filter(|record| record["decision"]["rule"] == rule).count();
    let passed: BTreeSet<String> =
        records.iter().map(|record| record["decision"]["passedOver"][0].to_string()).collect();
    let ends: BTreeSet<String> = fixture
        .sent("suppression")
        .iter()
        .filter(|message| message["audit"]["taskId"] == task)
        .map(|message| message["expiresAt"].to_string())
        .collect();
    json!({"all": records.len(), "suppressed": of("low-numbers"), "passedOver": passed, "ends": ends})
}

#[tokio::test]
async fn no_audit_prolongs_a_suppression_and_what_has_lapsed_is_loud_until_its_words_change() {
    const DAY: i64 = 86_400;
    let mut fixture = fixture(1000, POLICY);
    let mut seen = Vec::new();
    for (day, ticket) in
        [(0, ""), (7, ""), (30, ""), (37, ""), (44, "ticket: SEC-7, "), (51, "ticket: SEC-7, ")]
    {
        let text = POLICY.replace("{ for: 30d, ", &format!("{{ for: 30d, {ticket}"));
        fixture.handler.policy = fleetwarden_core::policy::Policy::parse(text.as_bytes()).unwrap();
        let task = fixture.audit(&[EXPIRING]);
        let message = check_message(&task, EXPIRING, 1, START.plus_seconds(day * DAY));
        fixture.deliver(&message.to_string()).await.unwrap();
        let told = told(&fixture, &task);
        assert_eq!(told["all"], seen.first().map_or(&told, |first: &serde_json::Value| first)["all"]);
        seen.push(told);
    }
    let end = |day: i64| json!([(START.seconds() + day * DAY).to_string()]);
    let ends: Vec<_> = seen.iter().map(|told| told["ends"].clone()).collect();
    assert_eq!(ends, [end(30), end(30), json!([]), json!([]), end(74), end(74)]);
    let all = seen[0]["all"].as_u64().unwrap();
    assert!(all > 10, "{all} findings are too few");
    let suppressed: Vec<_> = seen.iter().map(|told| told["suppressed"].as_u64().unwrap()).collect();
    assert_eq!(suppressed, [all, all, 0, 0, all, all]);
    let lapsed = START.plus_seconds(30 * DAY).day();
    let why = json!({"rule": "low-numbers", "failedOn": "for", "saw": lapsed}).to_string();
    assert_eq!(seen[2]["passedOver"], json!([why]));
    assert_eq!(seen[3]["passedOver"], json!([why]));
}

#[tokio::test]
async fn a_repeat_of_a_message_that_is_done_does_nothing() {
    let fixture = fixture(1000, POLICY);
    let task = fixture.audit(&[EXPIRING]);
    let body = check_message(&task, EXPIRING, 1, START).to_string();
    fixture.deliver(&body).await.unwrap();
    let (sent, lists) = (fixture.sent("finding").len(), fixture.lists());
    fixture.deliver(&body).await.unwrap();
    assert_eq!((fixture.sent("finding").len(), fixture.lists()), (sent, lists));
}

#[tokio::test]
async fn a_try_that_died_is_taken_up_when_its_claim_has_ended() {
    let fixture = fixture(1000, POLICY);
    let task = fixture.audit(&[EXPIRING]);
    let body = check_message(&task, EXPIRING, 1, START).to_string();
    // The process dies when it sends: after its claim, before anything is done.
    fixture.cloud.fail("SendMessageBatch", 1, Answer::Never);
    let dies = tokio::time::timeout(std::time::Duration::from_millis(200), fixture.deliver(&body));
    assert!(dies.await.is_err());
    assert!(fixture.deliver(&body).await.is_err(), "the dead one's claim still holds");
    fixture.cloud.pass_seconds(121);
    fixture.deliver(&body).await.unwrap();
    let exported = fixture.exported();
    assert_eq!(exported.iter().collect::<BTreeSet<_>>().len() as u64, fixture.count(&task, EXPIRING).0);
}

#[tokio::test]
async fn a_failure_gives_the_claim_back_at_once() {
    let fixture = fixture(1000, POLICY);
    let task = fixture.audit(&[EXPIRING]);
    let body = check_message(&task, EXPIRING, 1, START).to_string();
    fixture.cloud.fail("SendMessageBatch", 1, Answer::error(400, "AccessDenied", json!({"message": "no"})));
    assert!(fixture.deliver(&body).await.is_err());
    // Also when it fails before the first page, at the history.
    fixture.cloud.fail("GetItem", 1, Answer::error(400, "AccessDenied", json!({"message": "no"})));
    assert!(fixture.deliver(&body).await.is_err());
    fixture.deliver(&body).await.unwrap();
}

#[tokio::test]
async fn what_is_no_check_message_is_parked_with_the_path_of_what_is_wrong() {
    let fixture = fixture(10, POLICY);
    let other = check_message("t", EXPIRING, 1, START).to_string().replace("123456789012", "210987654321");
    for (body, reason) in [
        ("", "the top level of the check message"),
        ("{\"audit\":{\"account\":1}}", "audit.account of the check message"),
        (
            other.as_str(),
            "audit.account of the check message: this is account 123456789012, not '210987654321'",
        ),
    ] {
        assert_eq!(fixture.deliver(body).await.unwrap(), 0);
        let parked = fixture.cloud.calls("SendMessage").pop().unwrap().json();
        let said = parked["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap().to_owned();
        assert!(said.contains(reason), "{said}");
    }
}

#[tokio::test]
async fn a_page_token_that_repeats_ends_the_listing() {
    let fixture = fixture(4000, POLICY);
    let task = fixture.audit(&[EXPIRING]);
    fixture.ask(
        "POST",
        "/_control/faults",
        &json!({"faults": [{"operation": "ListAuditFindings", "kind": "repeat-token"}]}),
    );
    assert!(fixture.deliver(&check_message(&task, EXPIRING, 1, START).to_string()).await.is_err());
    assert!(fixture.lists() < 5);
}

#[tokio::test]
async fn a_finding_without_resource_is_only_reported() {
    let fixture = fixture(4000, POLICY);
    let task = fixture.audit(&[REVOKED]);
    fixture.ask(
        "POST",
        "/_control/faults",
        &json!({"faults": [{"operation": "ListAuditFindings", "kind": "no-resource", "count": 1}]}),
    );
    fixture.deliver(&check_message(&task, REVOKED, 1, START).to_string()).await.unwrap();
    assert!(fixture.summary()["MEDIUM"]["reported"].as_u64() > Some(0));
}
