//! Reports of alarms for tests and people to look at.

use fleetwarden_core::model::alarm::Confidence;
use fleetwarden_core::model::alarm::CriteriaType;
use fleetwarden_core::model::alarm::Verification;
use fleetwarden_core::report::alarm::ActiveAlarm;
use fleetwarden_core::report::alarm::AlarmReport;
use fleetwarden_core::report::alarm::BehaviorReport;
use fleetwarden_core::report::alarm::DeviceAction;
use fleetwarden_core::report::alarm::Flapping;
use fleetwarden_core::report::alarm::IncidentReport;
use fleetwarden_core::report::alarm::ModelReport;
use fleetwarden_core::report::alarm::Series;
use fleetwarden_core::timestamp::Millis;

/// 2026-11-23T06:00:00Z.
const NOW: Millis = Millis::from_seconds(1_795_413_600);
const HOUR: i64 = 3_600;

/// Each report with the name of its page.
pub(crate) fn all() -> [(&'static str, AlarmReport); 5] {
    [
        ("alarms", rich()),
        ("alarms-none", none()),
        ("alarms-hostile", worded(&super::fixture::HOSTILE)),
        ("alarms-harmless", worded(&["plain"])),
        ("alarms-many", many()),
    ]
}

/// Much of everything.
pub(crate) fn rich() -> AlarmReport {
    let model = |behavior: &str, status: &str, percentage, needs_attention, outlook: &str| ModelReport {
        profile: "gateways-learned".into(),
        behavior: behavior.into(),
        status: status.into(),
        percentage,
        refreshed_at: (status != "PENDING_BUILD").then_some(NOW.plus_seconds(-9 * HOUR)),
        needs_attention,
        outlook: outlook.into(),
    };
    let mut report = AlarmReport {
        active: vec![
            alarm("pump-0417", "bytes-out", CriteriaType::MachineLearning, -5),
            ActiveAlarm {
                value: Some("ports 23, 4444".into()),
                expected: Some("ports 8883 only".into()),
                verification: Verification::TruePositive,
                action: Some("mitigated by rule quarantine-compromised".into()),
                ..alarm("camera-12", "listening-ports", CriteriaType::Static, -26)
            },
            ActiveAlarm {
                incident: Some("i-51c64b0e".into()),
                confidence: None,
                ..alarm("meter-0007", "connection-attempts", CriteriaType::Statistical, -1)
            },
            ActiveAlarm {
                verification: Verification::FalsePositive,
                ..alarm("pump-0001", "messages-sent", CriteriaType::Static, -200)
            },
        ],
        incidents: vec![IncidentReport {
            id: "i-51c64b0e".into(),
            profile: "gateways".into(),
            behavior: "connection-attempts".into(),
            devices: 412,
            population: Some(830),
            first_at: NOW.plus_seconds(-HOUR),
            ended_at: None,
            decision: None,
        }],
        behaviors: vec![
            behavior("connection-attempts", 430, 0),
            behavior("bytes-out", 12, 4),
            behavior("messages-sent", 31, 7),
        ],
        series: vec![series(true), series(false), negative()],
        flapping: vec![Flapping {
            thing: "pump-0001".into(),
            profile: "gateways".into(),
            behavior: "messages-sent".into(),
            raised: 17,
            latest_at: NOW.plus_seconds(-HOUR / 2),
        }],
        actions: vec![
            action("released", "pump-0099", -2),
            action("mitigated", "camera-12", -25),
            action("mitigated", "pump-0099", -30),
        ],
        models: vec![
            model("messages-sent", "ACTIVE", Some(100.0), false, "refreshed daily"),
            model(
                "authorization-failures",
                "PENDING_BUILD",
                Some(31.0),
                true,
                "will not reach 25,000 datapoints in 14 days: 12 more devices or a report every 4 minutes would do",
            ),
        ],
        gaps: vec!["values of meter-0007: too many calls; ask again later".into()],
        ..begun()
    };
    report.sum();
    report
}

/// Nothing wrong.
pub(crate) fn none() -> AlarmReport {
    let mut report = begun();
    report.sum();
    report
}

/// More than is shown.
fn many() -> AlarmReport {
    let mut report = AlarmReport {
        active: (0..10_000)
            .map(|n| alarm(&format!("pump-{n:05}"), "bytes-out", CriteriaType::Static, -n))
            .collect(),
        series: (0..20).map(|n| series(n % 2 == 0)).collect(),
        ..begun()
    };
    report.sum();
    report
}

/// A report whose every text from outside is one of these, in turn; `LONG` is a name of 1,000 characters.
pub(crate) fn worded(words: &[&str]) -> AlarmReport {
    let mut words =
        words.iter().cycle().map(|word| if *word == "LONG" { "x".repeat(1000) } else { (*word).to_owned() });
    let mut next = || words.next().unwrap_or_default();
    let active = |next: &mut dyn FnMut() -> String| ActiveAlarm {
        violation_id: next(),
        thing: next(),
        profile: next(),
        behavior: next(),
        metric: Some(next()),
        value: Some(next()),
        expected: Some(next()),
        incident: Some(next()),
        action: Some(next()),
        ..alarm("", "", CriteriaType::Static, -1)
    };
    let mut report = AlarmReport {
        account: next(),
        region: next(),
        active: (0..12).map(|_| active(&mut next)).collect(),
        incidents: vec![IncidentReport {
            id: next(),
            profile: next(),
            behavior: next(),
            decision: Some(next()),
            ..rich().incidents.remove(0)
        }],
        behaviors: vec![BehaviorReport { profile: next(), behavior: next(), ..behavior("", 3, 1) }],
        series: vec![Series {
            thing: next(),
            profile: next(),
            behavior: next(),
            metric: next(),
            ..series(true)
        }],
        flapping: vec![Flapping {
            thing: next(),
            profile: next(),
            behavior: next(),
            raised: 3,
            latest_at: NOW,
        }],
        actions: (0..12)
            .map(|_| DeviceAction {
                at: NOW,
                what: next(),
                thing: next(),
                profile: next(),
                behavior: next(),
                by: next(),
                task_id: Some(next()),
            })
            .collect(),
        models: vec![ModelReport {
            profile: next(),
            behavior: next(),
            status: next(),
            percentage: Some(50.0),
            refreshed_at: None,
            needs_attention: true,
            outlook: next(),
        }],
        gaps: (0..12).map(|_| next()).collect(),
        ..begun()
    };
    report.sum();
    report
}

fn begun() -> AlarmReport {
    AlarmReport {
        account: "123456789012".into(),
        region: "eu-central-1".into(),
        since: NOW.plus_seconds(-7 * 24 * HOUR),
        made_at: NOW,
        ..AlarmReport::default()
    }
}

fn alarm(thing: &str, behavior: &str, criteria: CriteriaType, hours: i64) -> ActiveAlarm {
    ActiveAlarm {
        violation_id: format!("{thing}-{behavior}"),
        thing: thing.into(),
        profile: "gateways".into(),
        behavior: behavior.into(),
        metric: Some("aws:all-bytes-out".into()),
        criteria,
        confidence: (criteria == CriteriaType::MachineLearning).then_some(Confidence::High),
        raised_at: NOW.plus_seconds(hours * HOUR),
        value: Some("1,204,551 bytes".into()),
        expected: None,
        verification: Verification::Unknown,
        incident: None,
        action: None,
    }
}

fn behavior(name: &str, raised: u64, false_positives: u64) -> BehaviorReport {
    BehaviorReport {
        profile: "gateways".into(),
        behavior: name.into(),
        devices: raised / 2 + 1,
        raised,
        cleared: raised / 3,
        invalidated: 1,
        verified: false_positives * 2,
        false_positives,
        median_seconds_to_clear: (raised > 20).then_some(5_400),
    }
}

fn action(what: &str, thing: &str, hours: i64) -> DeviceAction {
    DeviceAction {
        at: NOW.plus_seconds(hours * HOUR),
        what: what.into(),
        thing: thing.into(),
        profile: "gateways".into(),
        behavior: "listening-ports".into(),
        by: "rule quarantine-compromised".into(),
        task_id: Some("fw-0f1e2d3c4b5a69788796a5b4c3d2e1f0".into()),
    }
}

/// A day of a device that sends ten times as much from noon on.
fn series(ended: bool) -> Series {
    let point = |at: i32| {
        let daily = 900.0 + 300.0 * (f64::from(at) / 288.0 * std::f64::consts::TAU).sin();
        let noise = f64::from(at * 7_919 % 113);
        let factor = if (144..200).contains(&at) { 9.0 } else { 1.0 };
        (NOW.plus_seconds((i64::from(at) - 288) * 300), (daily + noise) * factor)
    };
    Series {
        thing: "pump-0417".into(),
        profile: "gateways-learned".into(),
        behavior: "bytes-out".into(),
        metric: "aws:all-bytes-out".into(),
        points: (0..288).map(point).collect(),
        low: ended.then_some(450.0),
        high: Some(1_800.0),
        raised_at: Some(NOW.plus_seconds(-144 * 300)),
        ended_at: ended.then(|| NOW.plus_seconds(-86 * 300)),
    }
}

/// Values below zero, and no expectation.
fn negative() -> Series {
    let point =
        |at: i32| (NOW.plus_seconds((i64::from(at) - 14) * 24 * HOUR), -90.0 + f64::from(at * at % 17));
    Series {
        thing: "sensor-9".into(),
        metric: "signal-strength".into(),
        behavior: "signal".into(),
        points: (0..14).map(point).collect(),
        low: None,
        high: None,
        raised_at: None,
        ended_at: None,
        ..series(false)
    }
}
