//! Replays of archived alarms: what becomes of each, also when it lasts.

use super::folder::Folder;
use super::report::Report;
use super::tests::{both, gzip, key, objects, plan};
use super::*;
use crate::output::Layout;
use fleetwarden_core::message::alarm_record::AlarmRecord;
use fleetwarden_core::model::alarm::{Alarm, AlarmEvent, Confidence, CriteriaType, EventType, Life, Source};
use fleetwarden_core::model::thing::Things;
use fleetwarden_core::policy::AlarmSubject;
use fleetwarden_core::timestamp::Millis;
use std::fs;
use tempfile::TempDir;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// 2026-11-21T06:00:00Z.
const FIRST: i64 = 1_795_240_800_000;

const POLICY: &str = "
version: 1
protect: { things: cam-0 }
rules:
  - { name: noisy, alarm: { behavior: restarts }, verify: { state: FALSE_POSITIVE, description: They restart } }
  - { name: lasts, alarm: { lastsLongerThan: 1h }, report: { severity: high } }
  - { name: trial, stage: shadow, alarm: { behavior: ports }, mitigate: { actions: A } }
  - { name: compromised, alarm: { confidence: HIGH }, mitigate: { actions: A } }
  - { name: grouped, alarm: { behavior: ports, group: lab }, report: { severity: low } }
  - { name: rest, alarm: {}, report: { silent: true } }
  - { name: never, alarm: { behavior: nothing }, report: {} }
";

const OTHER: &str = "
version: 1
rules:
  - { name: noisy, alarm: { behavior: restarts }, verify: { state: BENIGN_POSITIVE, description: They restart } }
  - { name: lasts, alarm: { lastsLongerThan: 2h }, report: { severity: high } }
  - { name: compromised, alarm: { confidence: HIGH }, mitigate: { actions: A, release: after 24h } }
  - { name: ports, alarm: { behavior: ports }, report: { severity: low } }
";

/// An alarm of a day and a device: its behavior, after how many minutes it ended, and what is known of the thing.
fn alarm(
    day: i64,
    device: &str,
    behavior: &str,
    minutes: Option<i64>,
    things: &Things,
) -> Vec<(String, String)> {
    let at = Millis(FIRST + day * DAY);
    let model = behavior == "messages";
    let alarm = Alarm {
        source: Source::DeviceDefender,
        account: "123456789012".into(),
        region: "eu-central-1".into(),
        violation_id: format!("{behavior}-{device}-{day}"),
        profile: "cameras".into(),
        behavior: behavior.into(),
        metric: None,
        thing: Some(device.into()),
        criteria: if model { CriteriaType::MachineLearning } else { CriteriaType::Static },
        confidence: model.then_some(Confidence::High),
        expected: None,
        suppressed: false,
    };
    let event = |event, at| AlarmEvent { alarm: alarm.clone(), event, at, value: None, verification: None };
    let begin = event(EventType::InAlarm, at);
    let life = Life::of(&begin);
    let subject = AlarmSubject { life: &life, at: at.plus_seconds(120), raises: &[at], things };
    // What was decided then does not matter.
    let then = Policy::parse(b"version: 1\nrules: []").unwrap();
    let decision = then.decide_alarm(&subject);
    let name = |event: &str| {
        let day = at.day();
        format!(
            "alarms/account=123456789012/region=eu-central-1/day={day}/{}-{event}.ndjson.gz",
            alarm.violation_id
        )
    };
    let written = |record: &AlarmRecord<'_>| serde_json::to_string(record).unwrap() + "\n";
    let mut all = vec![(name("in-alarm"), written(&AlarmRecord::of_decision(at, &subject, &decision)))];
    if let Some(minutes) = minutes {
        let end = event(EventType::AlarmCleared, Millis(at.0 + minutes * MINUTE));
        let mut life = life.clone();
        life.hear(&end);
        all.push((name("alarm-cleared"), written(&AlarmRecord::of_event(&end, &life))));
    }
    all
}

/// A begin that joined an incident: nothing was decided on it.
fn joined(day: i64) -> (String, String) {
    let (key, line) = alarm(day, "cam-9", "joined", None, &Things::NotAsked).swap_remove(0);
    let mut record: serde_json::Value = serde_json::from_str(&line).unwrap();
    let members = record.as_object_mut().unwrap();
    members.retain(|name, _| name != "decision" && name != "decidedAt");
    members.insert("incident".into(), "i-1".into());
    (key, record.to_string() + "\n")
}

fn camera(name: &str) -> Things {
    serde_json::from_value(serde_json::json!([{ "name": name, "attributes": {}, "groups": ["lab"] }]))
        .unwrap()
}

fn archive() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut all = vec![joined(0), joined(1)];
    for day in 0..3 {
        all.extend(alarm(day, "cam-0", "messages", Some(5), &camera("cam-0")));
        all.extend(alarm(day, "cam-1", "messages", Some(30), &camera("cam-1")));
        // It is mitigated, and lasts: what is decided later does not undo it.
        all.extend(alarm(day, "cam-2", "messages", Some(90), &camera("cam-2")));
        all.extend(alarm(day, "cam-3", "messages", None, &Things::Known(vec![])));
        all.extend(alarm(day, "cam-4", "ports", Some(61), &camera("cam-4")));
        all.extend(alarm(day, "cam-5", "ports", Some(60), &camera("cam-5")));
        all.extend(alarm(day, "cam-6", "ports", Some(10), &Things::NotAsked));
        all.extend(alarm(day, "cam-7", "restarts", Some(1), &Things::NotAsked));
        all.extend(alarm(day, "cam-8", "bytes", Some(10), &Things::NotAsked));
    }
    for (key, line) in all {
        let path = folder.path().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, gzip(&line)).unwrap();
    }
    folder
}

fn policy(text: &str) -> Policy {
    Policy::parse(text.as_bytes()).unwrap()
}

fn replay<'p>(archive: &TempDir, plan: Plan<'p>) -> Report<'p> {
    let folder = Folder::list(archive.path(), plan.days).unwrap();
    let stop = AtomicBool::new(false);
    let replay = Replay::run(plan, |to| folder.feed(&to), &ProgressBar::hidden(), &stop);
    Report::new(replay, "archive".into(), "policy.yaml".into(), Some("other.yaml".into()))
}

#[test]
fn alarms_are_told_by_day_and_by_rule_under_the_decision_that_matters() {
    let policy = policy(POLICY);
    let report = replay(&archive(), plan(&policy));
    assert_eq!((report.findings, report.damage.is_any()), (0, false));
    insta::assert_snapshot!(both(&report, 2));
    let alarms = report.alarms.unwrap();
    let by_rule: u64 = alarms.rules.iter().map(|rule| rule.counts.0.all()).sum();
    let by_day: u64 = alarms.days.iter().map(|day| day.counts.0.all()).sum();
    assert_eq!((alarms.alarms, by_rule, by_day, alarms.in_incidents), (27, 27, 27, 2));
}

#[test]
fn another_policy_is_told_by_the_behaviors_that_change() {
    let (policy, other) = (policy(POLICY), policy(OTHER));
    let report = replay(&archive(), Plan { against: Some(&other), ..plan(&policy) });
    // Ports that stay open for an hour are told by `lasts`, which the other policy asks for two.
    insta::assert_snapshot!(both(&report, 20));
    let kinds = report.alarms.unwrap().against.unwrap().kinds;
    assert!(kinds.contains(&Change::NewlyMitigated) && kinds.contains(&Change::VerifiedOtherwise));
    let again = super::alarm_tests::policy(POLICY);
    let report = replay(&archive(), Plan { against: Some(&again), ..plan(&policy) });
    let against = report.alarms.unwrap().against.unwrap();
    assert_eq!((against.changed, against.kinds.len(), against.not_comparable), (0, 0, 3));
}

#[test]
fn tools_get_the_alarms_too_and_the_threads_make_no_difference() {
    let (policy, other) = (policy(POLICY), policy(OTHER));
    let text = |threads| {
        let report = replay(&archive(), Plan { against: Some(&other), threads, ..plan(&policy) });
        serde_json::to_string_pretty(&report.alarms).unwrap()
    };
    let one = text(1);
    assert!((2..6).all(|threads| text(threads) == one));
    insta::assert_snapshot!(one.lines().take(60).collect::<Vec<_>>().join("\n"));
}

#[test]
fn findings_and_alarms_of_one_archive_are_both_replayed_for_the_days_that_are_wanted() {
    let policy = policy(POLICY);
    let archive = archive();
    for (key, object) in objects() {
        let path = archive.path().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, object).unwrap();
    }
    let report = replay(&archive, plan(&policy));
    assert_eq!((report.findings, report.alarms.as_ref().unwrap().alarms), (72, 27));
    let text = table::tables(&report, 20, Layout::Columns(100));
    assert!(text.starts_with("72 findings of 3 audits") && text.contains("\n27 alarms\n"), "{text}");
    let day = "2026-11-22".parse().ok();
    let some = replay(&archive, Plan { days: Days { since: day, until: day }, ..plan(&policy) });
    assert_eq!((some.findings, some.alarms.unwrap().alarms), (24, 9));
}

#[test]
fn an_alarm_that_is_damaged_is_named() {
    let policy = policy(POLICY);
    let archive = archive();
    let key = key(0, "C").replace("findings", "alarms").replace("/check=C", "");
    fs::write(archive.path().join(&key), gzip("{\"kind\":\"alarm\",\"at\":1}\n{\"kind\":\"alarm\"\n"))
        .unwrap();
    let report = replay(&archive, plan(&policy));
    assert_eq!(report.alarms.unwrap().alarms, 27);
    insta::assert_snapshot!(report.damage.remarks().join("\n"));
}
