//! How many devices a mitigation may concern, as a file has it.

use std::collections::BTreeMap;

use super::*;
use crate::model::action::ActionKind;
use crate::model::mitigation::impact::Connected;
use crate::model::mitigation::impact::Impact;
use crate::model::mitigation::impact::Number;
use crate::model::mitigation::impact::ResourceImpact;
use crate::policy::Actions;
use crate::policy::AlarmEffect;
use crate::policy::DeviceLimit;
use crate::policy::DeviceLimits;

fn with(devices: &str) -> String {
    let of = "match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }";
    let rule = format!("{{ name: cut, {of}, mitigate: {{ actions: [Cut]{devices} }} }}");
    format!("version: 1\nbudgets: none\nrules:\n  - {rule}\n")
}

fn limits(devices: &str) -> DeviceLimits {
    match policy(&with(devices)).rules()[0].effect() {
        Effect::Mitigate(mitigate) => mitigate.devices,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_word_it_is_the_default_and_only_a_word_lifts_it() {
    assert_eq!(limits(""), DeviceLimits::Default);
    assert_eq!(limits(", devices: any"), DeviceLimits::Any);
    assert_eq!(
        limits(", devices: { most: 50, connected: 0 }"),
        DeviceLimits::AtMost { most: 50, connected: Some(0) }
    );
    assert_eq!(limits(", devices: { most: 1 }"), DeviceLimits::AtMost { most: 1, connected: None });
    let alarms = "version: 1\nrules:\n  - { name: quiet, alarm: {}, mitigate: { actions: [Add], \
                  devices: { most: 1, connected: 0 } } }\n";
    match policy(alarms).alarm_rules()[0].effect() {
        AlarmEffect::Mitigate(mitigate) => {
            assert_eq!(mitigate.devices, DeviceLimits::AtMost { most: 1, connected: Some(0) });
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_what_may_concern_any_number_is_mitigated_as_a_whole_check() {
    let whole = |devices: &str| {
        let check = CheckName::new("DEVICE_CERTIFICATE_EXPIRING_CHECK");
        policy(&with(devices)).takes_whole_check(&check).is_some()
    };
    assert_eq!(["", ", devices: any", ", devices: { most: 5000 }"].map(whole), [false, true, false]);
}

#[test]
fn what_is_wrong_with_it_is_told_where_it_stands() {
    let wrong = [
        ", devices: all",
        ", devices: 5",
        ", devices: {}",
        ", devices: { connected: 1 }",
        ", devices: { most: 0 }",
        ", devices: { most: 5001, connected: 9999 }",
        ", devices: { most: 1, conected: 1 }",
        ", device: any",
    ];
    let told = wrong.map(|devices| Policy::parse(with(devices).as_bytes()).unwrap_err().to_string());
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn a_limit_that_nothing_needs_and_a_rule_that_needs_one_are_doubts() {
    let kinds = |kind| BTreeMap::from([("Cut".to_owned(), Some(kind))]);
    let doubts = |devices: &str, kind| {
        let actions = Actions { kinds: kinds(kind), more: false };
        let known = Known { at: Millis(0), actions: Some(&actions), inventory: None, deployment: None };
        let found = policy(&with(devices)).lint(&known);
        let of = |found: &&Diagnostic| found.what.contains("devices") || found.what.contains("'connected'");
        found.iter().filter(of).map(|found| found.what.clone()).collect::<Vec<_>>().join("\n")
    };
    let blank = ActionKind::ReplaceDefaultPolicyVersion;
    let said = [
        doubts("", blank),
        doubts("", ActionKind::UpdateCaCertificate),
        doubts(", devices: { most: 5, connected: 5 }", blank),
        doubts(", devices: { most: 5 }", ActionKind::PublishFindingToSns),
    ];
    insta::assert_snapshot!(said.join("\n"));
    for devices in [", devices: { most: 5, connected: 4 }", ", devices: any"] {
        assert_eq!(doubts(devices, blank), "");
    }
    assert_eq!(doubts("", ActionKind::UpdateDeviceCertificate), "");
}

#[test]
fn each_rule_has_its_own_limit_and_what_is_of_no_rule_the_default() {
    let alarm = "  - { name: quiet, alarm: {}, mitigate: { actions: [Add], devices: any } }\n";
    let policy = policy(&format!("{}{alarm}", with(", devices: { most: 5 }")));
    let limits = [Some("cut"), Some("quiet"), Some("other"), None].map(|rule| policy.device_limits_of(rule));
    let of_cut = DeviceLimits::AtMost { most: 5, connected: None };
    assert_eq!(limits, [of_cut, DeviceLimits::Any, DeviceLimits::Default, DeviceLimits::Default]);
}

#[test]
fn what_a_limit_lets_pass_is_said_with_its_numbers() {
    let of = |devices: u64, connected: Option<u64>| ResourceImpact {
        devices: Number::exactly(devices),
        connected: connected.map(|of| Connected { devices: Number::exactly(of), unknown: 0 }),
        ..ResourceImpact::default()
    };
    let impact = |resources| Impact { devices: Number::exactly(5), connected: None, resources };
    let said = |limit: DeviceLimit, impact: &Impact| {
        limit
            .passed(impact)
            .into_iter()
            .map(|of| (of.guard, of.passed, of.reason.unwrap()))
            .collect::<Vec<_>>()
    };
    let asked = impact(vec![of(2, Some(0)), of(3, Some(1))]);
    let devices = ("devices".to_owned(), true, "5 in all, 3 behind one finding; at most 9 may be".to_owned());
    let connected = |reason: &str| vec![devices.clone(), ("connections".to_owned(), true, reason.to_owned())];
    assert_eq!(said(DeviceLimit::AtMost(9, None), &asked), vec![devices.clone()]);
    assert_eq!(
        said(DeviceLimit::AtMost(9, Some(1)), &asked),
        connected("1 behind one finding; at most 1 may be")
    );
    assert_eq!(
        said(DeviceLimit::AtMost(9, Some(4)), &impact(vec![of(2, None), of(3, None)])),
        connected("not asked: the devices are no more than 4, which may be")
    );
    for limit in [DeviceLimit::Any, DeviceLimit::NotSaid] {
        assert_eq!(said(limit, &asked), []);
    }
    let most =
        [DeviceLimit::AtMost(9, Some(1)), DeviceLimit::Any, DeviceLimit::NotSaid].map(DeviceLimit::most);
    assert_eq!(most, [Some(9), None, None]);
}
