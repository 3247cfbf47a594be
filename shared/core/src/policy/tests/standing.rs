//! What a standing suppression says once it is read, and whom it means.

use super::*;
use crate::model::suppression::Maker;
use crate::model::suppression::Written;

const STANDING: &str = "\
version: 1
rules: []
suppressions:
  - name: lab
    check: [DEVICE_CERTIFICATE_SHARED_CHECK, REVOKED_DEVICE_CERT_CHECK]
    match: { group: [lab, lab-2] }
    suppress: { until: 2027-06-30, reason: one image, owner: lab@example.com, ticket: SEC-7 }
    adopt: true
  - name: sensors
    check: CONFLICTING_CLIENT_IDS_CHECK
    match: { thingType: sensor }
    suppress: { indefinitely: true, reason: they share, owner: y }
    stage: shadow
  - name: benches
    check: DEVICE_CERTIFICATE_AGE_CHECK
    match: { thing: ['bench-?', 'rig*'] }
    suppress: { until: 2027-06-30, reason: x, owner: y }
  - name: reviewed
    check: IOT_POLICY_POTENTIAL_MISCONFIGURATION_CHECK
    match: { resource: 'reviewed-*' }
    suppress: { until: 2027-06-30, reason: x, owner: y }
";

#[test]
fn it_is_read_as_it_was_written() {
    let policy = policy(STANDING);
    let [lab, sensors, ..] = policy.standing() else { panic!("four of them") };
    assert_eq!(
        (lab.name(), lab.place(), lab.adopts(), lab.is_live()),
        ("lab", Place { line: 4, column: 11 }, true, true)
    );
    let checks: Vec<_> = lab.checks().iter().map(CheckName::as_str).collect();
    assert_eq!(checks, ["DEVICE_CERTIFICATE_SHARED_CHECK", "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK"]);
    assert_eq!(lab.suppress().end, SuppressEnd::At(1_814_313_600));
    insta::assert_snapshot!(
        Written::new(Maker::Standing(lab.name()), &lab.suppress().words).description(),
        @"Fleetwarden: standing lab; owner lab@example.com; ticket SEC-7; one image"
    );
    assert_eq!(
        (sensors.adopts(), sensors.is_live(), sensors.suppress().end),
        (false, false, SuppressEnd::Never)
    );
}

#[test]
fn its_members_are_found_by_their_names() {
    let policy = policy(STANDING);
    let members: Vec<_> = policy.standing().iter().map(Standing::members).collect();
    let keys: Vec<_> = members.iter().map(|members| members.key()).collect();
    assert_eq!(keys, ["group", "thingType", "thing", "resource"]);
    let cases = [
        (0, "lab-2", true),
        (0, "lab-3", false),
        (1, "sensor", true),
        (1, "sensors", false),
        (2, "bench-1", true),
        (2, "bench-10", false),
        (2, "rig", true),
        (3, "reviewed-base:3", true),
        (3, "base:3", false),
    ];
    for (at, name, expected) in cases {
        assert_eq!(members[at].matches(name), expected, "{} {name}", keys[at]);
    }
}

#[test]
fn it_decides_nothing() {
    let shared = certificate("DEVICE_CERTIFICATE_SHARED_CHECK", "x");
    insta::assert_snapshot!(decide(&policy(STANDING), &shared), @r#"{"outcome":"report","rule":null,"passedOver":[],"mode":"observe","policy":"…"}"#);
}
