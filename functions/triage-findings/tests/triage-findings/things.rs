//! What triage learns of the things behind a finding, what it costs, and what it does when nobody can say.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::setup::AnswerInstead;
use crate::setup::Fixture;
use crate::setup::check_message;
use crate::setup::fixture;
use crate::setup::fixture_with;
use device_defender::Clock as EndpointClock;
use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::START;
use serde_json::Value;
use serde_json::json;

const EXPIRING: &str = "DEVICE_CERTIFICATE_EXPIRING_CHECK";
const SHARED: &str = "DEVICE_CERTIFICATE_SHARED_CHECK";
const CLIENTS: &str = "CONFLICTING_CLIENT_IDS_CHECK";
const POLICIES: &str = "IOT_POLICY_OVERLY_PERMISSIVE_CHECK";

/// A policy with a rule that mitigates the findings of a check that satisfy the conditions.
fn policy(check: &str, conditions: &str) -> String {
    format!(
        "version: 1\nbudgets: none\nmode: enforce\nrules:\n  - name: asks\n    match: {{ check: {check}, {conditions} }}\n    mitigate: {{ actions: Quarantine }}\n"
    )
}

/// Audits and triages a check.
async fn triage(fixture: &Fixture, check: &str) -> Vec<Value> {
    let task = fixture.audit(&[check]);
    let (count, _) = fixture.count(&task, check);
    assert_eq!(fixture.deliver(&check_message(&task, check, count, START).to_string()).await.unwrap(), 0);
    let records = fixture.records();
    assert_eq!(records.len() as u64, count);
    records
}

fn outcome(record: &Value) -> &str {
    record["decision"]["outcome"].as_str().unwrap()
}

/// The names or groups of all things of a record.
fn things<'r>(record: &'r Value, member: &str) -> Vec<&'r Value> {
    record["things"].as_array().unwrap().iter().map(|thing| &thing[member]).collect()
}

fn unknown(record: &Value) -> Option<&str> {
    record["things"]["unknown"].as_str()
}

fn certificate(record: &Value) -> &str {
    record["resource"]["resourceIdentifier"]["deviceCertificateId"].as_str().unwrap()
}

#[tokio::test]
async fn a_rule_on_a_group_takes_the_things_of_the_groups_below_it() {
    let fixture = fixture(1000, &policy(EXPIRING, "group: production"));
    let records = triage(&fixture, EXPIRING).await;
    let mut outcomes = BTreeSet::new();
    for record in &records {
        let groups = things(record, "groups");
        let inside = |groups: &&Value| groups.as_array().unwrap().contains(&json!("production"));
        let all = !groups.is_empty() && groups.iter().all(inside);
        assert_eq!(outcome(record), if all { "mitigate" } else { "report" }, "{record}");
        outcomes.extend(groups.iter().map(ToString::to_string));
    }
    assert!(outcomes.contains(r#"["fleet","production","production-north"]"#), "{outcomes:?}");
    assert!(outcomes.contains(r#"["fleet","lab"]"#) && outcomes.contains("[]"), "{outcomes:?}");
    // One call for each certificate, one for each thing, one for each group.
    let found: usize = records.iter().map(|record| things(record, "name").len()).sum();
    assert_eq!(fixture.answered("ListPrincipalThings"), records.len() as u64);
    assert_eq!(fixture.answered("ListThingGroupsForThing"), found as u64);
    assert!(fixture.answered("DescribeThingGroup") <= 6);
    assert_eq!(fixture.answered("DescribeThing"), 0);
}

#[tokio::test]
async fn a_shared_certificate_is_mitigated_only_if_every_thing_is_meant() {
    let fixture = fixture(4000, &policy(SHARED, "thingType: sensor"));
    let records = triage(&fixture, SHARED).await;
    let mut mixed = 0;
    for record in &records {
        let types = things(record, "type");
        let all = !types.is_empty() && types.iter().all(|of| **of == "sensor");
        assert_eq!(outcome(record), if all { "mitigate" } else { "report" }, "{record}");
        mixed += usize::from(types.len() > 1 && !all && types.iter().any(|of| **of == "sensor"));
        assert!(things(record, "name").is_sorted_by_key(|name| name.as_str()));
    }
    assert!(mixed > 0, "no certificate has things of several types");
    assert_eq!(fixture.answered("ListThingGroupsForThing"), 0);
}

#[tokio::test]
async fn nothing_is_looked_up_that_no_rule_asks_for() {
    for rule in
        [policy(EXPIRING, "severity: CRITICAL, group: production"), policy(SHARED, "group: production")]
    {
        let fixture = fixture(1000, &rule);
        let records = triage(&fixture, EXPIRING).await;
        assert!(records.iter().all(|record| record.get("things").is_none()));
        assert_eq!(fixture.registry.lock().unwrap().calls(), 0);
    }
}

#[tokio::test]
async fn a_name_that_rules_a_rule_out_is_all_that_is_looked_up() {
    let fixture = fixture(1000, &policy(EXPIRING, "thing: 'pump-*', group: production, thingType: sensor"));
    let records = triage(&fixture, EXPIRING).await;
    assert!(records.iter().all(|record| outcome(record) == "report"));
    assert_eq!(u64::from(fixture.registry.lock().unwrap().calls()), records.len() as u64);
}

#[tokio::test]
async fn a_thing_is_asked_for_once_however_many_findings_lead_to_it() {
    let fixture = fixture(1000, &policy(EXPIRING, "group: production, attribute: { stage: production }"));
    fixture.registry.lock().unwrap().answer = Some(|path| {
        let one = json!({"things": ["one"]});
        path.starts_with("/principals").then(|| Answer::ok(one)).or_else(|| {
            let path = path.strip_prefix("/things/one")?;
            Some(Answer::ok(match path {
                "" => json!({"thingName": "one", "attributes": {"stage": "production"}}),
                _ => json!({"thingGroups": [{"groupName": "production-north", "groupArn": "arn:g"}]}),
            }))
        })
    });
    fixture.registry.lock().unwrap().delay = Some(|_| Duration::from_millis(1));
    let records = triage(&fixture, EXPIRING).await;
    assert!(records.len() > 250 && records.iter().all(|record| outcome(record) == "mitigate"));
    let paths = fixture.registry.lock().unwrap().paths.clone();
    let principals = paths.iter().filter(|path| *path == "/principals/things").count();
    assert_eq!((principals, paths.len()), (records.len(), records.len() + 3));
}

#[tokio::test]
async fn what_nobody_can_say_is_no_reason_to_act_and_no_reason_to_fail() {
    let answers: [(&str, AnswerInstead, &str); 8] = [
        ("group: g", |_| Some(denied()), "ListPrincipalThings: AccessDeniedException"),
        (
            "group: g",
            |path| path.contains("thing-groups").then(denied),
            "ListThingGroupsForThing: AccessDeniedException",
        ),
        (
            "group: g",
            |path| path.starts_with("/thing-groups").then(denied),
            "DescribeThingGroup: AccessDeniedException",
        ),
        (
            "thingType: t",
            |path| path.starts_with("/things").then(denied),
            "DescribeThing: AccessDeniedException",
        ),
        ("thing: x", |_| Some(not_found()), "ListPrincipalThings: ResourceNotFoundException"),
        (
            "thingType: t",
            |path| path.starts_with("/things").then(not_found),
            "DescribeThing: ResourceNotFoundException",
        ),
        ("thing: x", |_| Some(Answer::ok("{}")), "ListPrincipalThings: an answer without content"),
        ("thing: x", |_| Some(many()), "the certificate is attached to more than 25 things"),
    ];
    for (asked, answer, why) in answers {
        let fixture = fixture(300, &policy(EXPIRING, asked));
        fixture.registry.lock().unwrap().answer = Some(answer);
        let records = triage(&fixture, EXPIRING).await;
        let without: Vec<&Value> = records.iter().filter(|record| unknown(record) == Some(why)).collect();
        assert!(!without.is_empty(), "{why}: {}", records[0]);
        for record in without {
            assert_eq!(outcome(record), "report");
            assert_eq!(record["decision"]["passedOver"][0]["unknown"], why, "{record}");
        }
        assert!(records.iter().all(|record| outcome(record) == "report"));
        assert!(fixture.sent("mitigation").is_empty());
    }
}

fn denied() -> Answer {
    let id = json!({"message": "User is not authorized (request 4711)"});
    Answer::error(403, "AccessDeniedException", id)
}

fn not_found() -> Answer {
    Answer::error(404, "ResourceNotFoundException", json!({"message": "gone"}))
}

fn many() -> Answer {
    Answer::ok(json!({"things": (0..26).map(|number| format!("thing-{number}")).collect::<Vec<_>>()}))
}

#[tokio::test]
async fn an_unknown_protection_holds_what_a_rule_would_mitigate() {
    let protected = "version: 1\nbudgets: none\nmode: enforce\nprotect: { groups: critical }\nrules:\n  - name: all\n    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }\n    mitigate: { actions: Quarantine }\n";
    let fixture = fixture(1000, protected);
    let fault =
        json!({"operation": "ListThingGroupsForThing", "kind": "internal-failure", "count": 50, "skip": 20});
    fixture.ask("POST", "/_control/faults", &json!({ "faults": [fault] }));
    let records = triage(&fixture, EXPIRING).await;
    let mut held = BTreeMap::<String, usize>::new();
    for record in &records {
        let critical = record["things"].as_array().is_some_and(|things| {
            things.iter().any(|thing| thing["groups"].as_array().unwrap().contains(&json!("critical")))
        });
        let why = match (unknown(record), critical) {
            (Some("ListThingGroupsForThing: InternalFailureException"), _) => json!("protectionUnknown"),
            (None, true) => json!({"protectedBy": {"group": "critical"}}),
            (None, false) => Value::Null,
            (Some(other), _) => panic!("{other}"),
        };
        assert_eq!(record["decision"]["held"], why);
        assert_eq!(outcome(record), if why.is_null() { "mitigate" } else { "report" });
        *held.entry(why.to_string()).or_default() += 1;
    }
    assert_eq!(held.len(), 3, "{held:?}");
    // Nothing that failed is kept: the finding after it asks anew.
    assert!(held[r#""protectionUnknown""#] <= 8, "{held:?}");
}

#[tokio::test]
async fn the_thing_of_a_client_is_the_one_of_its_name() {
    let fixture = fixture(4000, &policy(CLIENTS, "group: production"));
    fixture.registry.lock().unwrap().answer = Some(|path| match path {
        path if path.ends_with("/thing-groups") => {
            Some(Answer::ok(json!({"thingGroups": [{"groupName": "production", "groupArn": "arn:g"}]})))
        }
        path if path.ends_with(['0', '1', '2', '3', '4']) => {
            let name = path.strip_prefix("/things/")?;
            Some(Answer::ok(json!({"thingName": name, "attributes": {}})))
        }
        _ => None,
    });
    let records = triage(&fixture, CLIENTS).await;
    let taken = records.iter().filter(|record| outcome(record) == "mitigate").count();
    for record in &records {
        let client = &record["resource"]["resourceIdentifier"]["clientId"];
        match outcome(record) {
            "mitigate" => assert_eq!(things(record, "name"), [client]),
            _ => assert_eq!(record["things"], json!([]), "no thing has that name"),
        }
    }
    assert!(taken > 0 && taken < records.len());
    assert_eq!(fixture.answered("ListPrincipalThings"), 0);
}

#[tokio::test]
async fn what_stands_for_a_whole_fleet_is_not_looked_up() {
    let fixture = fixture(2000, &policy(POLICIES, "group: production"));
    let records = triage(&fixture, POLICIES).await;
    let why = "the resource stands for too many things to look up";
    assert!(!records.is_empty() && records.iter().all(|record| unknown(record) == Some(why)));
    assert_eq!(fixture.registry.lock().unwrap().calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn lookups_of_a_page_run_side_by_side_and_change_nothing_in_its_order() {
    let asked = policy(EXPIRING, "group: production");
    let plain = fixture(1000, &asked);
    triage(&plain, EXPIRING).await;
    let slow = fixture(1000, &asked);
    // Up to a second each, the later ones often sooner.
    slow.registry.lock().unwrap().delay = Some(|call| Duration::from_millis(u64::from(call * 7919 % 1000)));
    let started = tokio::time::Instant::now();
    let records = triage(&slow, EXPIRING).await;
    let calls = slow.registry.lock().unwrap().calls();
    assert!(started.elapsed() < Duration::from_millis(500) * calls / 5, "{:?}", started.elapsed());
    assert!(records.len() > 250);
    for queue in ["finding", "mitigation", "suppression"] {
        assert_eq!(slow.cloud.sent_to(queue), plain.cloud.sent_to(queue));
    }
}

#[tokio::test]
async fn lookups_that_outlast_the_deadline_lose_nothing_and_do_nothing_twice() {
    let asked = policy(EXPIRING, "group: production");
    let whole = fixture(3000, &asked);
    triage(&whole, EXPIRING).await;

    let cut = fixture(3000, &asked);
    let task = cut.audit(&[EXPIRING]);
    let (count, _) = cut.count(&task, EXPIRING);
    assert!(count > 750, "{count} findings are too few for four pages");
    let mut body = check_message(&task, EXPIRING, count, START).to_string();
    for round in 0.. {
        // A page and a half take all of the time.
        cut.registry.lock().unwrap().every = Some((8, 1));
        cut.deliver(&body).await.unwrap();
        // What is delivered again is done already.
        let sent = cut.exported().len();
        cut.deliver(&body).await.unwrap();
        assert_eq!(cut.exported().len(), sent);
        let rest = cut.sent("check");
        if rest.len() == round {
            break;
        }
        body = rest.last().unwrap().to_string();
    }
    assert!(cut.sent("check").len() >= 3, "it was interrupted {} times", cut.sent("check").len());
    assert!(cut.records().iter().all(|record| unknown(record).is_none()));
    assert_eq!(cut.records(), whole.records());
    assert_eq!(cut.sent("mitigation"), whole.sent("mitigation"));
    assert_eq!(cut.summary(), whole.summary());
}

#[tokio::test]
async fn a_page_that_no_invocation_has_time_for_is_decided_without_what_is_not_known() {
    let fixture = fixture(2000, &policy(EXPIRING, "group: production"));
    let task = fixture.audit(&[EXPIRING]);
    let (count, _) = fixture.count(&task, EXPIRING);
    fixture.registry.lock().unwrap().every = Some((1, 1));
    let mut body = check_message(&task, EXPIRING, count, START).to_string();
    for round in 0..count.div_ceil(250) {
        fixture.deliver(&body).await.unwrap();
        assert_eq!(fixture.exported().len() as u64, count.min(250 * (round + 1)));
        body = fixture.sent("check").last().unwrap().to_string();
    }
    let records = fixture.records();
    let late = records.iter().filter(|record| unknown(record) == Some("the time was up")).count();
    assert!(late > 0 && late < records.len());
    assert_eq!(fixture.summary()["MEDIUM"]["nonCompliant"], count);
}

#[tokio::test]
async fn calls_are_made_as_fast_as_the_service_takes_them() {
    let system = EndpointClock::system();
    let fixture = fixture_with(300, &policy(EXPIRING, "group: production"), system, Some(5.0));
    let records = triage(&fixture, EXPIRING).await;
    assert!(records.len() > 60, "{} findings pass in a burst", records.len());
    assert!(records.iter().all(|record| unknown(record).is_none()));
    let known: BTreeSet<&str> = records.iter().map(certificate).collect();
    assert_eq!(known.len(), records.len());
}
