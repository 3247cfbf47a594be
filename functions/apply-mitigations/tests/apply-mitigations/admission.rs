//! The gate.

use fleetwarden_aws::testing::cloud::START;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::policy::Mode;
use serde_json::Value;
use serde_json::json;

use crate::setup::findings;
use crate::setup::message;
use crate::setup::whole_check;
use crate::setup::with;
use apply_mitigations::admission::Admission;
use apply_mitigations::admission::admit;

fn admitted(message: &Value, policy_mode: Mode) -> Admission {
    let message: MitigationMessage = serde_json::from_value(message.clone()).unwrap();
    admit(&message.request, "123456789012", policy_mode, None, START)
}

#[test]
fn only_enforce_twice_is_go() {
    let enforce = message(findings(1..=25));
    let observe = with(enforce.clone(), "/request/mode", "observe");
    assert_eq!(admitted(&enforce, Mode::Enforce), Admission::Go);
    assert_eq!(admitted(&whole_check(), Mode::Enforce), Admission::Go);
    let observed = Admission::Observe { closed: None };
    assert_eq!(admitted(&enforce, Mode::Observe), observed);
    assert_eq!(admitted(&observe, Mode::Enforce), observed);
}

/// Peer defect 10: certificates were revoked, which nothing undoes, with no limit. What is beyond one task's
/// limits is refused, also where it would only be observed.
#[test]
fn defect_10_beyond_the_limits_is_refused_in_every_mode() {
    let good = || message(findings([1]));
    let name = |n: usize| Value::from(vec!["A"; n]);
    let codes = |n: usize| message(json!({"wholeCheck": {"reasonCodes": vec!["A"; n], "count": 1}}));
    let bad = [
        message(findings([])),
        message(findings(0..26)),
        message(json!({"findings": [{"findingId": "../x", "key": "0".repeat(32)}]})),
        message(json!({"findings": [{"findingId": "a".repeat(129), "key": "0".repeat(32)}]})),
        with(good(), "/request/actions", name(0)),
        with(good(), "/request/actions", name(6)),
        with(good(), "/request/actions", json!(["Revoke all"])),
        with(good(), "/request/audit/account", "210987654321"),
        codes(0),
        codes(26),
        message(json!({"wholeCheck": {"reasonCodes": [""], "count": 1}})),
    ];
    for (member, value) in [("/request/audit/taskId", "4e2b#task"), ("/request/check", "A CHECK")] {
        let forged = with(good(), member, value);
        assert!(serde_json::from_value::<MitigationMessage>(forged).is_err(), "{member}");
    }
    for message in bad {
        for mode in [Mode::Enforce, Mode::Observe] {
            assert!(matches!(admitted(&message, mode), Admission::Refuse { .. }), "{message}");
        }
    }
}
