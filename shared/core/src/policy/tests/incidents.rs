//! When alarms are an incident, when they flap, and which rules on alarms decide.

use super::*;

#[test]
fn more_devices_than_the_limit_are_an_incident_whatever_the_fleet() {
    let settings = AlarmSettings { incident_devices: 20, incident_share: 1.0, ..AlarmSettings::default() };
    for population in [None, Some(21), Some(1_000_000)] {
        assert!(!settings.is_incident(20, population), "{population:?}");
        assert!(settings.is_incident(21, population), "{population:?}");
    }
}

#[test]
fn more_than_a_share_of_the_fleet_is_an_incident_from_five_devices_on() {
    let settings = AlarmSettings { incident_devices: 20, incident_share: 0.1, ..AlarmSettings::default() };
    for (devices, population, expected) in [
        (4, Some(4), false),
        (5, Some(49), true),
        (5, Some(50), false),
        (6, Some(50), true),
        (6, None, false),
        (20, Some(1_000), false),
    ] {
        assert_eq!(settings.is_incident(devices, population), expected, "{devices} of {population:?}");
    }
}

#[test]
fn so_many_raises_within_the_quiet_time_flap() {
    let settings = AlarmSettings { flaps_after: 3, quiet_seconds: 60, ..AlarmSettings::default() };
    for (seconds, expected) in [
        (vec![], false),
        (vec![0, 1], false),
        (vec![0, 30, 60], false),
        (vec![0, 30, 59], true),
        (vec![59, 30, 0], true),
        (vec![0, 600, 601, 602], true),
    ] {
        let raises: Vec<Millis> = seconds.iter().copied().map(Millis::from_seconds).collect();
        assert_eq!(settings.do_flap(&raises), expected, "{seconds:?}");
    }
    // One alarm alone never does.
    let least = AlarmSettings { flaps_after: 1, ..settings };
    assert!(!least.do_flap(&[Millis(0)]) && least.do_flap(&[Millis(0), Millis(1)]));
}

#[test]
fn a_rule_in_shadow_is_not_live() {
    let policy = policy(
        "version: 1\nrules:\n  - { name: a, alarm: {}, report: {} }\n  - { name: b, stage: shadow, alarm: {}, report: {} }\n",
    );
    let live: Vec<(&str, bool)> =
        policy.alarm_rules().iter().map(|rule| (rule.name(), rule.is_live())).collect();
    assert_eq!(live, [("a", true), ("b", false)]);
}
