//! Replays of a small archive: three audits of one fleet, with everything that can be wrong with an object.

use super::folder::Folder;
use super::report::Report;
use super::*;
use crate::output::Layout;
use flate2::Compression;
use flate2::write::GzEncoder;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::finding::Finding;
use fleetwarden_core::timestamp::Millis;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use tempfile::TempDir;

const DAY: i64 = 24 * 3600 * 1000;
/// 2026-11-21T06:00:00Z.
const FIRST: i64 = 1_795_240_800_000;

pub(crate) const EXPIRING: &str = "DEVICE_CERTIFICATE_EXPIRING_CHECK";
const REVOKED: &str = "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK";
const BROAD: &str = "IOT_POLICY_OVERLY_PERMISSIVE_CHECK";
const AGE: &str = "DEVICE_CERTIFICATE_AGE_CHECK";

pub(crate) const POLICY: &str = "
version: 1
mode: observe
protect: { certificates: '0007*' }
rules:
  - name: broad-is-accepted
    match: { check: IOT_POLICY_OVERLY_PERMISSIVE_CHECK, resource: 'legacy-*' }
    suppress: { for: 90d, reason: replaced next year }
  - name: off-with-the-broad
    stage: shadow
    match: { check: IOT_POLICY_OVERLY_PERMISSIVE_CHECK }
    mitigate: { actions: Blank }
  - name: revoked-go-off
    match: { check: REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK }
    mitigate: { actions: Deactivate }
  - name: lab-may-expire
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, group: lab }
    report: { silent: true }
  - name: age-is-counted
    match: { check: DEVICE_CERTIFICATE_AGE_CHECK }
    report: { silent: true }
  - name: never-asked
    match: { check: LOGGING_DISABLED_CHECK }
    report: {}
";

const OTHER: &str = "
version: 1
mode: enforce
rules:
  - name: broad-goes-off
    match: { check: IOT_POLICY_OVERLY_PERMISSIVE_CHECK }
    mitigate: { actions: Blank }
  - name: revoked-go-off
    match: { check: REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK, resource: '000*' }
    mitigate: { actions: [Quarantine, Deactivate] }
  - name: old-ones-are-suppressed
    match: { check: DEVICE_CERTIFICATE_AGE_CHECK, resource: '000*' }
    suppress: { for: 30d, reason: known }
  - name: old-ones-are-told
    match: { check: DEVICE_CERTIFICATE_AGE_CHECK }
    report: { severity: low }
";

/// A line of the archive. Every finding is known from the first audit on.
fn record(audit: i64, check: &str, resource: &Value, suppressed: bool, things: Option<&Value>) -> String {
    let at = FIRST + audit * DAY;
    let mut record = json!({
        "kind": "finding", "account": "123456789012", "region": "eu-central-1",
        "taskId": format!("task-{audit}"), "schedule": (audit > 0).then_some("daily"), "auditStartedAt": at,
        "key": "", "status": "KNOWN", "firstSeen": FIRST, "timesSeen": audit + 1,
        "findingId": format!("{audit}-{resource}"), "check": check, "severity": "HIGH", "foundAt": at + 1000,
        "resource": { "resourceType": "DEVICE_CERTIFICATE", "resourceIdentifier": resource },
        "reasonCode": "REASON", "reason": "for people", "suppressed": suppressed,
        "decision": { "outcome": "report", "rule": null, "passedOver": [], "mode": "observe", "policy": "p" },
    });
    let mut finding: Finding = serde_json::from_value(record.clone()).unwrap();
    finding.check = CheckName::new(check);
    record["key"] = json!(finding.key());
    record["status"] = json!(if audit == 0 { "new" } else { "known" });
    if let Some(things) = things {
        record["things"] = things.clone();
    }
    record.to_string() + "\n"
}

fn certificate(number: usize) -> Value {
    json!({ "deviceCertificateId": format!("{number:04}{}", "ab".repeat(30)) })
}

fn policy_version(name: &str) -> Value {
    json!({ "policyVersionIdentifier": { "policyName": name, "policyVersionId": "1" } })
}

pub(crate) fn key(audit: i64, check: &str) -> String {
    let day = Millis(FIRST + audit * DAY).day();
    format!(
        "findings/account=123456789012/region=eu-central-1/day={day}/check={check}/task-{audit}-00000.ndjson.gz"
    )
}

pub(crate) fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

fn put(archive: &Path, key: &str, object: &[u8]) {
    let path = archive.join(key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, object).unwrap();
}

/// The objects of three audits, by key.
pub(crate) fn objects() -> Vec<(String, Vec<u8>)> {
    let mut objects = Vec::new();
    for audit in 0..3 {
        let things = |number: usize| match number % 3 {
            0 => Some(json!([{ "name": format!("pump-{number}"), "groups": ["lab"] }])),
            1 => Some(json!({ "unknown": "too slow" })),
            _ => None,
        };
        let lines = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
        let expiring = |n: usize| record(audit, EXPIRING, &certificate(n), false, things(n).as_ref());
        let revoked = |n: usize| record(audit, REVOKED, &certificate(5 * n + 2), false, None);
        let aged = |n: usize| record(audit, AGE, &certificate(5 * n), n % 4 == 3, None);
        let names = ["legacy-all", "legacy-some", "new-all"];
        let broad = |n: usize| record(audit, BROAD, &policy_version(names[n]), false, None);
        objects.push((key(audit, EXPIRING), gzip(&lines(9, &expiring))));
        objects.push((key(audit, REVOKED), gzip(&lines(4, &revoked))));
        objects.push((key(audit, AGE), gzip(&lines(8, &aged))));
        objects.push((key(audit, BROAD), gzip(&lines(3, &broad))));
    }
    objects
}

pub(super) fn archive() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (key, object) in objects() {
        put(folder.path(), &key, &object);
    }
    put(folder.path(), "snapshots/account=1/region=r/check=C/task.keys", b"no finding");
    folder
}

pub(super) fn policy(text: &str) -> Policy {
    Policy::parse(text.as_bytes()).unwrap()
}

pub(crate) fn plan(policy: &Policy) -> Plan<'_> {
    Plan { policy, fleet: None, against: None, days: Days::default(), top: 20, threads: 2 }
}

pub(super) fn replay<'p>(archive: &TempDir, plan: Plan<'p>) -> Report<'p> {
    let folder = Folder::list(archive.path(), plan.days).unwrap();
    let stop = AtomicBool::new(false);
    let replay = Replay::run(plan, |to| folder.feed(&to), &ProgressBar::hidden(), &stop);
    Report::new(replay, "archive".into(), "policy.yaml".into(), Some("other.yaml".into()))
}

/// The tables of a report on terminals of 80 and of 120 columns.
pub(super) fn both(report: &Report<'_>, top: usize) -> String {
    let tables = [80, 120].map(|columns| {
        let text = table::tables(report, top, Layout::Columns(columns));
        assert!(text.lines().all(|line| line.chars().count() <= columns.into()), "{columns}\n{text}");
        text
    });
    tables.join("\n\n----\n\n")
}

#[test]
fn a_policy_is_told_by_audit_and_by_rule() {
    let policy = policy(POLICY);
    let report = replay(&archive(), plan(&policy));
    insta::assert_snapshot!(both(&report, 2));
    assert_eq!((report.objects, report.findings, report.audits.len()), (12, 72, 3));
    assert!(!report.damage.is_any());
}

#[test]
fn every_finding_has_one_fate() {
    let policy = policy(POLICY);
    let report = replay(&archive(), plan(&policy));
    let by_audit: u64 = report.audits.iter().map(|audit| audit.counts.all()).sum();
    let by_rule: u64 = report.policy.rules.iter().map(|rule| rule.counts.all()).sum();
    assert_eq!((by_audit, by_rule, report.policy.totals.all()), (72, 72, 72));
}

#[test]
fn another_policy_is_told_by_what_changes() {
    let (policy, other) = (policy(POLICY), policy(OTHER));
    let report = replay(&archive(), Plan { against: Some(&other), top: 8, ..plan(&policy) });
    insta::assert_snapshot!(both(&report, 8));
}

#[test]
fn the_same_policy_changes_nothing() {
    let one = policy(POLICY);
    let again = policy(POLICY);
    let report = replay(&archive(), Plan { against: Some(&again), ..plan(&one) });
    let against = report.against.as_ref().unwrap();
    assert_eq!((against.changed, against.by_rule.len(), against.by_finding.len()), (0, 0, 0));
    // Nobody knows the groups of every third certificate that expires.
    assert_eq!(against.not_comparable, 9);
    assert!(table::tables(&report, 20, Layout::Columns(100)).contains("nothing changes"));
}

#[test]
fn tools_get_the_same() {
    let (policy, other) = (policy(POLICY), policy(OTHER));
    let report = replay(&archive(), Plan { against: Some(&other), top: 1, ..plan(&policy) });
    insta::assert_json_snapshot!(report, { ".audits[1:]" => "…", ".**.rules[1:]" => "…", ".**.byRule[1:]" => "…" });
}

#[test]
fn the_threads_make_no_difference() {
    let (policy, other) = (policy(POLICY), policy(OTHER));
    let archive = archive();
    put(archive.path(), &key(3, AGE), b"no gzip");
    let text = |threads| {
        let plan = Plan { against: Some(&other), top: 3, threads, ..plan(&policy) };
        serde_json::to_string(&replay(&archive, plan)).unwrap()
    };
    let one = text(1);
    for threads in [2, 3, 8] {
        assert_eq!(text(threads), one, "{threads} threads");
    }
}

#[test]
fn days_are_left_out_by_partition_and_by_the_start_of_the_audit() {
    let policy = policy(POLICY);
    let archive = archive();
    // An audit of another day in this day's partition: a copy that went wrong.
    put(archive.path(), &key(1, "A"), &gzip(&record(2, AGE, &certificate(1), false, None)));
    let day = Millis(FIRST + DAY).day().parse().ok();
    let report = replay(&archive, Plan { days: Days { since: day, until: day }, ..plan(&policy) });
    assert_eq!((report.objects, report.findings, report.audits.len()), (5, 24, 1));
    let until = Plan { days: Days { since: None, until: day }, ..plan(&policy) };
    assert_eq!(replay(&archive, until).audits.len(), 2);
}

#[test]
fn a_part_of_an_archive_is_replayed_by_its_folder() {
    let policy = policy(POLICY);
    let archive = archive();
    let day = Millis(FIRST).day();
    let part = archive.path().join(format!("findings/account=123456789012/region=eu-central-1/day={day}"));
    let folder = Folder::list(&part, Days::default()).unwrap();
    assert_eq!(folder.size().0, 4);
    let stop = AtomicBool::new(false);
    let replay = Replay::run(plan(&policy), |to| folder.feed(&to), &ProgressBar::hidden(), &stop);
    assert_eq!(replay.findings, 24);
    assert!(Folder::list(&archive.path().join("nowhere"), Days::default()).is_err());
}

#[test]
fn what_is_damaged_is_named_and_hides_nothing() {
    let policy = policy(POLICY);
    let archive = archive();
    let good = record(3, AGE, &certificate(1), false, None);
    put(archive.path(), &key(3, "CUT"), &gzip(&good.repeat(50))[..60]);
    put(archive.path(), &key(3, "EMPTY"), b"");
    put(archive.path(), &key(3, "LINE"), &gzip(&format!("{good}{{\"account\":\n{good}[]\n")));
    put(archive.path(), &key(3, "NONE"), &gzip(""));
    put(archive.path(), &key(3, "PLAIN"), good.as_bytes());
    let report = replay(&archive, plan(&policy));
    assert_eq!((report.findings, report.damage.objects, report.damage.lines), (74, 3, 2));
    insta::assert_snapshot!(report.damage.remarks().join("\n"));
}

#[test]
fn it_ends_when_nobody_waits() {
    let policy = policy(POLICY);
    let folder = Folder::list(archive().path(), Days::default()).unwrap();
    let stop = AtomicBool::new(true);
    let feed = |to: SyncSender<Object>| {
        let object = || Object { key: "k".into(), bytes: 0, content: Err("why".into()) };
        while to.send(object()).is_ok() {}
        folder.feed(&to);
    };
    assert_eq!(Replay::run(plan(&policy), feed, &ProgressBar::hidden(), &stop).findings, 0);
}

#[test]
fn what_is_unknown_counts_under_the_rule_that_asks() {
    let text = "
version: 1
protect: { things: smoke-1 }
rules:
  - name: trial
    stage: shadow
    match: { check: DEVICE_CERTIFICATE_AGE_CHECK, thingType: pump }
    mitigate: { actions: Quarantine }
  - name: lab
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, group: lab }
    report: { silent: true }
  - name: others
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }
    suppress: { for: 90d, reason: they come later }
  - name: revoked
    match: { check: REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK }
    mitigate: { actions: Deactivate }
  - name: aged
    match: { check: DEVICE_CERTIFICATE_AGE_CHECK }
    report: { silent: true }
";
    let policy = policy(text);
    let report = replay(&archive(), plan(&policy));
    let of = |report: &Report<'_>, name: &str, disposition| {
        report.policy.rules.iter().find(|rule| rule.rule == Some(name)).unwrap().counts.of(disposition)
    };
    // In each of three audits: of nine that expire three lookups failed and three were not made.
    assert_eq!(
        (of(&report, "lab", Disposition::NeedsLookup), of(&report, "lab", Disposition::Unknown)),
        (9, 9)
    );
    assert_eq!(
        (of(&report, "others", Disposition::NeedsLookup), of(&report, "others", Disposition::Unknown)),
        (0, 0)
    );
    assert_eq!(of(&report, "revoked", Disposition::NeedsLookup), 12);
    assert_eq!(of(&report, "aged", Disposition::Silent), 18);

    let certificates = |numbers: [usize; 3]| {
        numbers.map(|n| certificate(n)["deviceCertificateId"].as_str().unwrap().to_owned())
    };
    let fleet = json!({
        "groups": [{ "name": "bench", "parent": "lab" }],
        "things": [
            { "name": "pump-a", "groups": ["bench"], "certificates": certificates([1, 2, 4]) },
            { "name": "pump-b", "groups": [], "certificates": certificates([5, 7, 8]) },
            { "name": "smoke-1", "groups": [], "certificates": certificates([2, 12, 17]) },
        ],
    });
    let fleet = Fleet::parse("fleet.json", &fleet.to_string()).unwrap();
    let report = replay(&archive(), Plan { fleet: Some(&fleet), ..plan(&policy) });
    assert_eq!(
        report.policy.totals.of(Disposition::NeedsLookup) + report.policy.totals.of(Disposition::Unknown),
        0
    );
    // Certificates 0, 3 and 6 were looked up; 1, 2 and 4 are in a group below, but 2 is shared with another thing.
    assert_eq!(
        (of(&report, "lab", Disposition::Silent), of(&report, "others", Disposition::Suppress)),
        (15, 12)
    );
    assert_eq!(
        (of(&report, "revoked", Disposition::Protected), of(&report, "revoked", Disposition::Mitigate)),
        (9, 3)
    );
}

#[test]
fn names_from_devices_are_not_obeyed_in_tables() {
    use crate::commands::policy::hostile_tests::{assert_plain, hostile};
    let (one, other) =
        (policy(POLICY), policy("version: 1\nrules: [{ name: r, match: {}, report: { silent: true } }]\n"));
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<_> = hostile().collect();
    let lines = names.iter().map(|name| {
        let line = record(0, "CONFLICTING_CLIENT_IDS_CHECK", &json!({ "clientId": name }), false, None);
        let mut line: Value = serde_json::from_str(&line).unwrap();
        for member in ["account", "region", "taskId", "schedule"] {
            line[member] = json!(name);
        }
        line.to_string() + "\n"
    });
    put(folder.path(), &key(0, "CONFLICTING_CLIENT_IDS_CHECK"), &gzip(&lines.collect::<String>()));
    let report = replay(&folder, Plan { top: 1000, ..plan(&one) });
    assert_eq!(report.audits.len(), names.len());
    assert_plain("replay", &table::tables(&report, 1000, Layout::Columns(100)));
    let report = replay(&folder, Plan { top: 1000, against: Some(&other), ..plan(&one) });
    assert_plain("replay --against", &table::tables(&report, 1000, Layout::Columns(100)));
}
