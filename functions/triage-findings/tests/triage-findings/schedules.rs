//! Triage in schedules that no calm day has: a step that dies anywhere and is repeated with another deadline or under
//! another policy, two audits of a check at the same time, a message that comes back after a week, a token that the
//! service refuses.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::atomic::Ordering;

use flate2::read::GzDecoder;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::Call;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::message::Audit;
use fleetwarden_core::message::CheckMessage;
use fleetwarden_core::policy::Policy;
use serde_json::Value;
use serde_json::json;

use crate::pages::EXPIRING;
use crate::pages::POLICY;
use crate::setup::Fixture;
use crate::setup::check_message;
use crate::setup::fixture;

const DAY: i64 = 86_400;

/// Delivers a message and all continuations that have been sent so far or come of it, each as often as it was sent.
/// Gives how many came of it.
pub(crate) async fn drain(fixture: &Fixture, body: &str) -> usize {
    let before = fixture.sent("check").len();
    fixture.deliver(body).await.unwrap();
    let mut done = 0;
    while let Some(next) = fixture.sent("check").get(done) {
        fixture.deliver(&next.to_string()).await.unwrap();
        done += 1;
    }
    done.saturating_sub(before)
}

/// Each part of a page as it was sent, by page and part: an archive object and a log stream. What is sent again has to
/// have the same findings.
fn parts(fixture: &Fixture, task: &str) -> BTreeMap<(u64, u64), Vec<String>> {
    let mut parts = BTreeMap::new();
    for message in fixture.sent("finding").iter().filter(|message| message["audit"]["taskId"] == task) {
        let Some(page) = message["export"].get("page") else { continue };
        let place = (page["page"].as_u64().unwrap(), page["part"].as_u64().unwrap());
        let ids = page["findings"].as_array().unwrap().iter();
        let ids: Vec<String> = ids.map(|record| record["findingId"].as_str().unwrap().to_owned()).collect();
        let first = parts.entry(place).or_insert_with(|| ids.clone());
        assert_eq!(*first, ids, "part {place:?} was cut in two ways");
    }
    parts
}

/// All findings of an audit in the order of pages; each is in one part.
fn exported(fixture: &Fixture, task: &str) -> Vec<String> {
    let ids: Vec<String> = parts(fixture, task).into_values().flatten().collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "a finding is in two parts");
    ids
}

/// The mitigations that were sent; those that are the same task are one.
fn mitigations(fixture: &Fixture) -> BTreeSet<String> {
    fixture.sent("mitigation").iter().map(|message| message["request"]["target"].to_string()).collect()
}

/// The counts of an audit's medium findings. A summary that is sent again has to be the same.
fn summary(fixture: &Fixture, task: &str) -> Value {
    let sent = fixture.sent("finding");
    let mut summaries = sent
        .iter()
        .filter(|message| message["audit"]["taskId"] == task)
        .filter_map(|message| message["export"].get("summary"));
    let first = summaries.next().unwrap().clone();
    assert!(summaries.all(|other| *other == first));
    first["MEDIUM"].clone()
}

/// A message of an audit that finds nothing.
fn empty(task: &str, started: fleetwarden_core::timestamp::Millis) -> String {
    let mut message = check_message(task, EXPIRING, 0, started);
    message["suppressed"] = json!(0);
    message.to_string()
}

/// Records that an audit has looked at the check, as `audit-notification` does before it sends check messages.
async fn announce(fixture: &Fixture, body: &str) {
    let message: CheckMessage = serde_json::from_str(body).unwrap();
    let (audit, check): (&Audit, &CheckName) = (&message.audit, &message.check);
    fixture.handler.ledger.record_audit_of_check(audit, check).await.unwrap();
}

/// Deletes the segments, as the bucket's lifecycle does.
fn expire_segments(fixture: &Fixture) -> usize {
    let segments: Vec<String> =
        fixture.cloud.objects().into_iter().filter(|path| path.contains("/segments/")).collect();
    for path in &segments {
        fixture.cloud.answer(Call {
            operation: format!("DELETE {path}"),
            query: String::new(),
            headers: vec![],
            body: String::new(),
            bytes: vec![],
        });
    }
    segments.len()
}

/// A fixture with three pages of findings, the message of an audit of them, and the audit's task.
pub(crate) fn three_pages() -> (Fixture, String, String, u64) {
    let fixture = fixture(2200, POLICY);
    let task = fixture.audit(&[EXPIRING]);
    let (count, _) = fixture.count(&task, EXPIRING);
    assert!(count > 500);
    let body = check_message(&task, EXPIRING, count, START).to_string();
    (fixture, body, task, count)
}

#[tokio::test]
async fn a_step_that_dies_anywhere_and_stops_elsewhere_when_repeated_loses_nothing() {
    let (whole, body, task, count) = three_pages();
    drain(&whole, &body).await;
    let mut deaths = 0;
    // Right after a call is right before the next one.
    for at in Moment::all().step_by(2) {
        let (fixture, body, task, _) = three_pages();
        // The first try does two pages of three, its repeat one.
        fixture.step.store(50_000, Ordering::Relaxed);
        let ended = fixture.cloud.kill(at.clone(), fixture.deliver(&body)).await;
        fixture.cloud.pass_seconds(121);
        fixture.step.store(100_000, Ordering::Relaxed);
        drain(&fixture, &body).await;
        assert!(exported(&fixture, &task) == exported(&whole, &task), "{at:?}");
        assert!(mitigations(&fixture) == mitigations(&whole), "{at:?}");
        assert_eq!(summary(&fixture, &task), summary(&whole, &task), "{at:?}");
        // The next audit finds the same.
        fixture.step.store(0, Ordering::Relaxed);
        let next = fixture.audit(&[EXPIRING]);
        drain(&fixture, &check_message(&next, EXPIRING, count, START.plus_seconds(DAY)).to_string()).await;
        let next = summary(&fixture, &next);
        assert_eq!(
            (&next["new"], &next["fixed"], &next["returned"]),
            (&json!(0), &json!(0), &json!(0)),
            "{at:?}"
        );
        if ended.is_some() {
            break;
        }
        deaths += 1;
    }
    assert!(deaths >= 10, "{deaths}");
    assert_eq!(summary(&whole, &task)["new"], count);
}

#[tokio::test]
async fn a_continuation_that_is_sent_again_is_the_same_one() {
    let (fixture, body, _, _) = three_pages();
    fixture.step.store(50_000, Ordering::Relaxed);
    // It dies after the continuation was sent, and before the claim says that it is done.
    let ended = fixture.cloud.kill(Moment::before("UpdateItem", 0), fixture.deliver(&body)).await;
    assert!(ended.is_none());
    let sent = fixture.sent("check");
    assert_eq!(sent.len(), 1);
    fixture.cloud.pass_seconds(121);
    fixture.step.store(100_000, Ordering::Relaxed);
    let lists = fixture.lists();
    fixture.deliver(&body).await.unwrap();
    assert_eq!(fixture.sent("check"), [sent[0].clone(), sent[0].clone()]);
    assert_eq!(fixture.lists(), lists, "nothing is listed again");
}

#[tokio::test]
async fn a_summary_that_was_not_sent_is_the_same_after_a_later_audit() {
    let (fixture, body, task, count) = three_pages();
    // The history is replaced, and then the process dies.
    let dies = fixture.cloud.kill(Moment::after("PutItem", 3), fixture.deliver(&body)).await;
    assert!(dies.is_none());
    assert_eq!(
        fixture.cloud.item(&format!("history#{EXPIRING}"), "latest").unwrap()["task_id"],
        task.as_str()
    );
    fixture.cloud.pass_seconds(121);
    assert!(!fixture.sent("finding").iter().any(|message| message["export"].get("summary").is_some()));
    let later = empty("later", START.plus_seconds(DAY));
    announce(&fixture, &later).await;
    drain(&fixture, &later).await;
    let before = mitigations(&fixture);
    drain(&fixture, &body).await;
    assert_eq!(summary(&fixture, &task)["new"], count);
    assert_eq!(summary(&fixture, "later")["fixed"], count);
    assert_eq!(mitigations(&fixture), before, "the later audit has nothing to mitigate");
}

#[tokio::test]
async fn a_continuation_whose_segments_have_expired_restarts_the_check() {
    let (whole, body, task, _) = three_pages();
    drain(&whole, &body).await;
    let (fixture, body, _, _) = three_pages();
    fixture.step.store(100_000, Ordering::Relaxed);
    fixture.deliver(&body).await.unwrap();
    let parked = fixture.sent("check").pop().unwrap().to_string();
    fixture.cloud.pass_seconds(8 * DAY);
    assert_eq!(expire_segments(&fixture), 1);
    drain(&fixture, &parked).await;
    assert!(exported(&fixture, &task) == exported(&whole, &task));
    assert!(mitigations(&fixture) == mitigations(&whole));
    assert_eq!(summary(&fixture, &task), summary(&whole, &task));
    let lists = fixture.lists();
    assert_eq!(drain(&fixture, &parked).await, 0, "it is done");
    assert_eq!(fixture.lists(), lists);
}

#[tokio::test]
async fn a_token_that_the_service_refuses_restarts_the_check_and_not_for_ever() {
    let (whole, body, task, _) = three_pages();
    drain(&whole, &body).await;
    let (fixture, body, _, _) = three_pages();
    fixture.step.store(100_000, Ordering::Relaxed);
    fixture.deliver(&body).await.unwrap();
    let refused = |fixture: &Fixture| {
        let mut message = fixture.sent("check").pop().unwrap();
        assert!(message["resume"]["nextToken"].is_string(), "{message}");
        message["resume"]["nextToken"] = json!("expired");
        message.to_string()
    };
    for restart in 1..=3 {
        fixture.deliver(&refused(&fixture)).await.unwrap();
        let restarted = fixture.sent("check").pop().unwrap();
        assert_eq!(
            (&restarted["resume"]["restarts"], &restarted["resume"]["page"]),
            (&json!(restart), &json!(0))
        );
        fixture.deliver(&restarted.to_string()).await.unwrap();
    }
    let last = fixture.sent("check").pop().unwrap();
    fixture.deliver(&refused(&fixture)).await.unwrap();
    let parked = fixture.cloud.calls("SendMessage").pop().unwrap().json();
    let reason = parked["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap().to_owned();
    assert!(reason.contains("was restarted 3 times: ListAuditFindings"), "{reason}");
    // With a token that is taken, it comes to its end.
    drain(&fixture, &last.to_string()).await;
    assert!(exported(&fixture, &task) == exported(&whole, &task));
    assert!(mitigations(&fixture) == mitigations(&whole));
    assert_eq!(summary(&fixture, &task), summary(&whole, &task));
}

#[tokio::test]
async fn of_two_audits_at_the_same_time_the_second_to_end_knows_the_first() {
    // The later audit finds nothing, and the earlier one ends while it is triaged: before its history is written, and
    // after.
    for at in [Moment::before("PUT /snapshots", 0), Moment::after("PUT /snapshots", 0)] {
        let (fixture, body, task, count) = three_pages();
        let later = empty("later", START.plus_seconds(DAY));
        let (first, second) =
            fixture.cloud.interleave(at, fixture.deliver(&later), fixture.deliver(&body)).await;
        assert_eq!((first.unwrap(), second.unwrap().unwrap()), (0, 0));
        assert_eq!(summary(&fixture, &task)["new"], count);
        assert_eq!(summary(&fixture, "later")["fixed"], count, "what only the earlier audit found is fixed");
    }
    // Both find the same: it is new once, and known since the earlier one.
    let (fixture, body, task, count) = three_pages();
    let second = fixture.audit(&[EXPIRING]);
    let later = check_message(&second, EXPIRING, count, START.plus_seconds(DAY)).to_string();
    let at = Moment::before("PUT /snapshots", 0);
    let (first, other) = fixture.cloud.interleave(at, fixture.deliver(&later), fixture.deliver(&body)).await;
    assert_eq!((first.unwrap(), other.unwrap().unwrap()), (0, 0));
    assert_eq!(
        (&summary(&fixture, &task)["new"], &summary(&fixture, &second)["new"]),
        (&json!(count), &json!(0))
    );
    assert_eq!(summary(&fixture, &second)["oldest"], START.0);
    let third = fixture.audit(&[EXPIRING]);
    drain(&fixture, &check_message(&third, EXPIRING, count, START.plus_seconds(2 * DAY)).to_string()).await;
    let seen: BTreeSet<u64> = fixture
        .records()
        .iter()
        .filter(|record| record["taskId"] == third.as_str())
        .map(|record| record["timesSeen"].as_u64().unwrap())
        .collect();
    assert_eq!(seen, BTreeSet::from([3]));
}

#[tokio::test(start_paused = true)]
async fn a_history_whose_answer_is_lost_is_not_merged_into_what_came_of_it() {
    for nth in 0..4 {
        let (fixture, body, _, count) = three_pages();
        let second = fixture.audit(&[EXPIRING]);
        let other = check_message(&second, EXPIRING, count, START).to_string();
        // The write has its effect, another audit ends, and then the client repeats the write.
        fixture.cloud.lose_later("PutItem", nth, Answer::Reset);
        let at = Moment::after("PutItem", nth);
        let (first, other) =
            fixture.cloud.interleave(at, fixture.deliver(&body), fixture.deliver(&other)).await;
        assert_eq!((first.unwrap(), other.unwrap().unwrap()), (0, 0), "{nth}");
        drain(&fixture, &body).await;
        let third = fixture.audit(&[EXPIRING]);
        let message = check_message(&third, EXPIRING, count, START.plus_seconds(2 * DAY));
        drain(&fixture, &message.to_string()).await;
        let records = fixture.records();
        let of_third = records.iter().filter(|record| record["taskId"] == third.as_str());
        let seen: BTreeSet<u64> = of_third.map(|record| record["timesSeen"].as_u64().unwrap()).collect();
        assert_eq!(seen, BTreeSet::from([3]), "{nth}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_history_from_which_another_audit_has_gone_on_is_not_merged_again_by_a_repeat() {
    for at in Moment::all() {
        let (fixture, body, _, count) = three_pages();
        // Both began at the same moment.
        let second = fixture.audit(&[EXPIRING]);
        let other = check_message(&second, EXPIRING, count, START).to_string();
        let ended = fixture.cloud.kill(at.clone(), fixture.deliver(&body)).await;
        drain(&fixture, &other).await;
        fixture.cloud.pass_seconds(600);
        drain(&fixture, &body).await;
        let third = fixture.audit(&[EXPIRING]);
        let message = check_message(&third, EXPIRING, count, START.plus_seconds(2 * DAY));
        drain(&fixture, &message.to_string()).await;
        let records = fixture.records();
        let of_third = records.iter().filter(|record| record["taskId"] == third.as_str());
        let seen: BTreeSet<u64> = of_third.map(|record| record["timesSeen"].as_u64().unwrap()).collect();
        assert_eq!(seen, BTreeSet::from([3]), "{at:?}");
        if ended.is_some() {
            break;
        }
    }
}

#[tokio::test]
async fn an_audit_that_ends_after_a_later_one_leaves_its_history_and_counts_what_is_gone() {
    let (fixture, body, task, count) = three_pages();
    let later = empty("later", START.plus_seconds(DAY));
    let at = Moment::before("PUT /snapshots", 0);
    let (first, second) = fixture.cloud.interleave(at, fixture.deliver(&body), fixture.deliver(&later)).await;
    assert_eq!((first.unwrap(), second.unwrap().unwrap()), (0, 0));
    let late = summary(&fixture, &task);
    assert_eq!((&late["new"], &late["fixed"]), (&json!(count), &json!(count)));
    assert_eq!(fixture.cloud.item(&format!("history#{EXPIRING}"), "latest").unwrap()["task_id"], "later");

    // It comes only after the later one has ended: what both found is new once, and was first seen by the earlier one.
    let (fixture, body, task, count) = three_pages();
    let second = fixture.audit(&[EXPIRING]);
    drain(&fixture, &check_message(&second, EXPIRING, count, START.plus_seconds(DAY)).to_string()).await;
    drain(&fixture, &body).await;
    assert_eq!(
        (&summary(&fixture, &second)["new"], &summary(&fixture, &task)["new"]),
        (&json!(count), &json!(0))
    );
    assert_eq!(summary(&fixture, &task)["fixed"], 0);
    let records = fixture.records();
    let mut late = records.iter().filter(|record| record["taskId"] == task.as_str());
    assert!(late.all(|record| record["firstSeen"] == START.0 && record["status"] == "known"));
}

#[tokio::test]
async fn an_overtaken_audit_exports_and_acts_on_nothing() {
    let (fixture, body, task, count) = three_pages();
    announce(&fixture, &empty("later", START.plus_seconds(DAY))).await;
    drain(&fixture, &body).await;
    assert_eq!(exported(&fixture, &task).len() as u64, count);
    assert!(fixture.sent("suppression").is_empty() && fixture.sent("mitigation").is_empty());
    let held = fixture.records().iter().filter(|record| record["decision"]["held"] == "overtaken").count();
    for record in fixture.records() {
        let decision = &record["decision"];
        assert_eq!(decision["outcome"], "report", "{record}");
        assert!(decision.get("until").is_none() && decision.get("actions").is_none(), "{record}");
        if decision["held"] == "overtaken" {
            assert_eq!(decision["alert"], "silent", "the later audit alerts");
            assert!(["low-numbers", "middle-numbers"].contains(&decision["rule"].as_str().unwrap()));
        }
    }
    let summary = summary(&fixture, &task);
    assert!(held > 100);
    assert_eq!((&summary["mitigate"], &summary["suppress"]), (&json!(0), &json!(0)));
    assert_eq!((&summary["silent"], &summary["reported"]), (&json!(held), &json!(count)));
    // The suppressions that it did not make do not count as made.
    let next = fixture.audit(&[EXPIRING]);
    let message = check_message(&next, EXPIRING, count, START.plus_seconds(DAY));
    drain(&fixture, &message.to_string()).await;
    let end = json!(START.seconds() + 31 * DAY);
    assert!(fixture.sent("suppression").iter().all(|message| message["expiresAt"] == end));
}

/// The records in the archive, by the part of the page that they are in.
fn archived(fixture: &Fixture, task: &str) -> BTreeMap<String, Vec<Value>> {
    let paths = fixture.cloud.objects().into_iter();
    let paths = paths.filter(|path| path.contains("/findings/") && path.contains(task));
    let read = |path: &str| {
        let mut text = String::new();
        GzDecoder::new(&*fixture.cloud.object(path).unwrap()).read_to_string(&mut text).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    paths.map(|path| (path.clone(), read(&path))).collect()
}

/// The archive has every finding once, and every message has what the archive has. What is counted is what is recorded,
/// and nothing else is done.
pub(crate) fn assert_decided_once(fixture: &Fixture, task: &str, count: u64, when: &str) {
    let archived: Vec<Value> = archived(fixture, task).into_values().flatten().collect();
    let by_id: BTreeMap<&str, &Value> =
        archived.iter().map(|record| (record["findingId"].as_str().unwrap(), record)).collect();
    assert_eq!((by_id.len() as u64, archived.len()), (count, by_id.len()), "{when}");
    for record in fixture.records() {
        assert_eq!(record, *by_id[record["findingId"].as_str().unwrap()], "{when}");
    }
    assert_eq!(exported(fixture, task).len() as u64, count, "{when}");
    let of = |outcome: &str| {
        by_id.values().filter(|record| record["decision"]["outcome"] == outcome).count() as u64
    };
    let summary = summary(fixture, task);
    for (counted, outcome) in [("suppress", "suppress"), ("mitigate", "mitigate"), ("reported", "report")] {
        assert_eq!(summary[counted], of(outcome), "{when}");
    }
    for (queue, outcome) in [("mitigation", "mitigate"), ("suppression", "suppress")] {
        for message in fixture.sent(queue) {
            if message.pointer("/request/target/wholeCheck").is_some() {
                assert_eq!(of("mitigate"), count, "{when}");
                continue;
            }
            let findings = message.pointer("/request/target/findings").or_else(|| message.get("findings"));
            for finding in findings.unwrap().as_array().unwrap() {
                let decision = &by_id[finding["findingId"].as_str().unwrap()]["decision"];
                assert_eq!(decision["outcome"], outcome, "{when} {finding}");
                let mode = message.pointer("/request/mode").or_else(|| message.get("mode")).unwrap();
                assert!(*mode == decision["mode"] || mode == "observe", "{when} {finding} {mode}");
            }
        }
    }
}

#[tokio::test]
async fn a_page_is_decided_once_whatever_policy_or_audit_comes_before_its_repeat() {
    let other = POLICY.replace("suppress:", "report: { silent: true }\n    # ");
    let other = other.replace("mitigate:", "report: { severity: high }\n    # ");
    let whole = "version: 1\nbudgets: none\nmode: enforce\nrules: [{ name: all, match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }, mitigate: { actions: Deactivate, devices: any } }]";
    let observed = POLICY.replace("mode: enforce", "mode: observe");
    // Two pages: the one step does both, or each is a step.
    for (first, second, step) in [
        (POLICY, Some(&*other), 0),
        (POLICY, None, 0),
        (&*observed, Some(POLICY), 0),
        (whole, Some(POLICY), 0),
        (POLICY, Some(whole), 0),
        (whole, Some(POLICY), 100_000),
        (POLICY, Some(whole), 100_000),
    ] {
        let mut by_both = 0;
        for at in Moment::all().step_by(3) {
            let mut fixture = fixture(1300, first);
            let task = fixture.audit(&[EXPIRING]);
            let (count, _) = fixture.count(&task, EXPIRING);
            assert!((251..500).contains(&count));
            fixture.step.store(step, Ordering::Relaxed);
            let body = check_message(&task, EXPIRING, count, START).to_string();
            let ended = fixture.cloud.kill(at.clone(), fixture.deliver(&body)).await;
            fixture.cloud.pass_seconds(121);
            match second {
                Some(second) => fixture.handler.policy = Policy::parse(second.as_bytes()).unwrap(),
                None => announce(&fixture, &empty("later", START.plus_seconds(DAY))).await,
            }
            drain(&fixture, &body).await;
            assert_decided_once(&fixture, &task, count, &format!("{first} then {second:?}, {step}: {at:?}"));
            let policies: BTreeSet<String> =
                fixture.records().iter().map(|record| record["decision"]["policy"].to_string()).collect();
            by_both += usize::from(policies.len() == 2);
            if ended.is_some() {
                assert_eq!(by_both > 0, second.is_some(), "{first} {second:?}, {step}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_audit_that_is_overtaken_on_the_way_sends_no_further_mitigation() {
    let later = empty("later", START.plus_seconds(DAY));
    // Between two steps.
    let (fixture, body, task, count) = three_pages();
    fixture.step.store(100_000, Ordering::Relaxed);
    fixture.deliver(&body).await.unwrap();
    let (before, suppressions) = (fixture.sent("mitigation").len(), fixture.sent("suppression").len());
    let rest = fixture.sent("check").pop().unwrap();
    assert!(!rest["resume"]["pending"].as_array().unwrap().is_empty());
    announce(&fixture, &later).await;
    drain(&fixture, &rest.to_string()).await;
    assert_eq!((fixture.sent("mitigation").len(), fixture.sent("suppression").len()), (before, suppressions));
    assert_eq!(exported(&fixture, &task).len() as u64, count);
    // In the last step: what still waits stays behind.
    let (whole, body, _, _) = three_pages();
    drain(&whole, &body).await;
    let (fixture, body, _, _) = three_pages();
    let at = Moment::before("PUT /snapshots", 0);
    fixture.cloud.interleave(at, fixture.deliver(&body), announce(&fixture, &later)).await.0.unwrap();
    assert_eq!(fixture.sent("mitigation").len() + 1, whole.sent("mitigation").len());
}

/// The policy with this many rules before the others, each with a condition that fails on every finding.
fn with_rules_before(rules: usize) -> Policy {
    let before: Vec<String> = (0..rules)
        .map(|n| format!("  - name: rule-{n}-that-fails-on-every-finding-of-this-fleet\n    match: {{ check: {EXPIRING}, severity: LOW }}\n    report: {{ silent: true }}\n"))
        .collect();
    Policy::parse(POLICY.replace("rules:\n", &format!("rules:\n{}", before.concat())).as_bytes()).unwrap()
}

#[tokio::test]
async fn a_page_that_is_sent_again_under_another_policy_has_the_same_parts() {
    for (first, second, expected) in [(0, 60, 1), (60, 0, 2), (60, 120, 2)] {
        let (mut fixture, body, task, count) = three_pages();
        fixture.handler.policy = with_rules_before(first);
        // All pages are sent, and the history is not replaced.
        assert!(
            fixture.cloud.kill(Moment::before("PUT /snapshots", 0), fixture.deliver(&body)).await.is_none()
        );
        fixture.cloud.pass_seconds(121);
        fixture.handler.policy = with_rules_before(second);
        drain(&fixture, &body).await;
        assert_eq!(exported(&fixture, &task).len() as u64, count);
        let parts = parts(&fixture, &task).into_keys().filter(|(page, _)| *page == 0).count();
        assert_eq!(parts, expected, "{first} rules, then {second}");
    }
    // Also in a step that follows, and was not tried before.
    let (mut fixture, body, task, count) = three_pages();
    fixture.step.store(40_000, Ordering::Relaxed);
    assert!(fixture.cloud.kill(Moment::before("PUT /snapshots", 0), fixture.deliver(&body)).await.is_none());
    let sent = parts(&fixture, &task).len();
    assert!(sent > 1, "{sent} pages were sent");
    fixture.cloud.pass_seconds(121);
    fixture.handler.policy = with_rules_before(60);
    fixture.step.store(100_000, Ordering::Relaxed);
    assert!(drain(&fixture, &body).await > 1);
    assert_eq!(exported(&fixture, &task).len() as u64, count);
}
