use super::*;
use crate::model::finding::Finding;
use crate::model::resource::NonCompliantResource;
use crate::model::resource::PolicyVersionIdentifier;
use crate::model::resource::ResourceIdentifier;
use crate::model::severity::Severity;
use crate::model::thing::Description;
use crate::model::thing::Thing;
use crate::model::thing::Things;
use crate::timestamp::Millis;

mod alarm_files;
mod alarm_lint;
mod alarms;
mod approval_lint;
mod approvals;
mod budgets;
mod canaries;
mod devices;
mod files;
mod impossible;
mod incidents;
mod lapses;
mod lint;
mod matching;
mod properties;
mod standing;
mod windows;
mod windows_lint;
mod windows_walk;

const DAY: i64 = 86_400_000;
/// 2026-11-23T08:00:00Z
const NOW: Millis = Millis(1_795_420_800_000);

fn policy(text: &str) -> Policy {
    Policy::parse(text.as_bytes()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn about(check: &str, identifier: ResourceIdentifier) -> Finding {
    Finding {
        finding_id: "f".into(),
        check: CheckName::new(check),
        severity: Severity::Medium,
        found_at: NOW,
        resource: Some(NonCompliantResource {
            resource_identifier: identifier,
            ..NonCompliantResource::default()
        }),
        related: vec![],
        reason_code: None,
        reason: None,
        suppressed: false,
    }
}

fn certificate(check: &str, id: &str) -> Finding {
    about(check, ResourceIdentifier { device_certificate_id: Some(id.into()), ..Default::default() })
}

fn iot_policy(name: &str) -> Finding {
    let id = PolicyVersionIdentifier { policy_name: Some(name.into()), policy_version_id: Some("3".into()) };
    let id = ResourceIdentifier { policy_version_identifier: Some(id), ..Default::default() };
    about("IOT_POLICY_OVERLY_PERMISSIVE_CHECK", id)
}

fn thing(name: &str, groups: &[&str]) -> Thing {
    let attributes = [("site".to_owned(), "lab-1".to_owned())].into();
    Thing {
        name: name.into(),
        described: Some(Description { thing_type: Some("pump".into()), attributes }),
        groups: Some(groups.iter().map(|group| (*group).to_owned()).collect()),
    }
}

/// A finding that no audit saw before.
const fn subject<'s>(finding: &'s Finding, things: &'s Things) -> Subject<'s> {
    Subject {
        finding,
        account: "123456789012",
        region: "eu-central-1",
        at: NOW,
        first_seen: NOW,
        times_seen: 1,
        first_suppressed: None,
        things,
    }
}

/// The explanation of a decision, without the hash.
fn explain(
    policy: &Policy,
    finding: &Finding,
    things: &Things,
    first_seen: Millis,
    times_seen: u32,
) -> String {
    let subject = Subject { first_seen, times_seen, ..subject(finding, things) };
    let text = serde_json::to_string(&policy.decide(&subject)).unwrap();
    text.replace(policy.hash(), "…")
}

fn decide(policy: &Policy, finding: &Finding) -> String {
    explain(policy, finding, &Things::NotAsked, NOW, 1)
}

const POLICY: &str = "\
version: 1
mode: enforce
rules:
  - name: lab
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, resource: 'ab*' }
    suppress: { for: 30d, reason: lab devices are replaced, owner: lab@example.com }
  - name: revoked
    match: { check: REVOKED_DEVICE_CERT_CHECK }
    mitigate: { actions: [Quarantine, Deactivate] }
  - name: quiet
    match: { severity: [LOW, MEDIUM] }
    report: { silent: true }
";

#[test]
fn the_first_rule_that_matches_decides() {
    let policy = policy(POLICY);
    let lab = certificate("DEVICE_CERTIFICATE_EXPIRING_CHECK", "abc");
    insta::assert_snapshot!(decide(&policy, &lab), @r#"{"outcome":"suppress","rule":"lab","until":"2026-12-23T08:00:00Z","resource":"abc","passedOver":[],"mode":"enforce","policy":"…"}"#);
    let field = certificate("DEVICE_CERTIFICATE_EXPIRING_CHECK", "cba");
    insta::assert_snapshot!(decide(&policy, &field), @r#"{"outcome":"report","rule":"quiet","alert":"silent","passedOver":[{"rule":"lab","failedOn":"resource","saw":"cba"}],"mode":"enforce","policy":"…"}"#);
    let revoked = certificate("REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK", "x");
    insta::assert_snapshot!(decide(&policy, &revoked), @r#"{"outcome":"mitigate","rule":"revoked","actions":["Quarantine","Deactivate"],"when":"at once","resource":"x","passedOver":[],"mode":"enforce","policy":"…"}"#);
}

#[test]
fn a_brief_decision_keeps_all_but_the_rules_that_were_passed_over() {
    let policy = policy(POLICY);
    let finding = certificate("DEVICE_CERTIFICATE_EXPIRING_CHECK", "cba");
    let subject = subject(&finding, &Things::NotAsked);
    let decision = policy.decide(&subject);
    let mut long = serde_json::to_value(decision).unwrap();
    long.as_object_mut().unwrap().remove("passedOver").unwrap();
    assert_eq!(serde_json::to_value(decision.brief()).unwrap(), long);
}

#[test]
fn what_no_rule_takes_is_reported() {
    let unknown = Finding { severity: Severity::Critical, ..certificate("QUANTUM_CHECK", "x") };
    insta::assert_snapshot!(decide(&policy(POLICY), &unknown), @r#"{"outcome":"report","rule":null,"passedOver":[{"rule":"quiet","failedOn":"severity","saw":"CRITICAL"}],"mode":"enforce","policy":"…"}"#);
}

#[test]
fn what_is_suppressed_is_left_alone() {
    let suppressed = Finding { suppressed: true, ..certificate("REVOKED_DEVICE_CERT_CHECK", "x") };
    insta::assert_snapshot!(decide(&policy(POLICY), &suppressed), @r#"{"outcome":"suppressed","rule":null,"resource":"x","passedOver":[],"mode":"enforce","policy":"…"}"#);
}

#[test]
fn what_names_no_resource_is_never_acted_on() {
    let bare = Finding { resource: None, ..certificate("REVOKED_DEVICE_CERT_CHECK", "x") };
    insta::assert_snapshot!(decide(&policy(POLICY), &bare), @r#"{"outcome":"report","rule":"quiet","alert":"silent","passedOver":[{"rule":"revoked","failedOn":"resource","saw":null}],"mode":"enforce","policy":"…"}"#);
}

#[test]
fn every_key_has_its_say() {
    let policy = policy(
        "\
version: 1
rules:
  - name: reason
    match: { reason: CERTIFICATE_PAST_EXPIRATION }
    report: {}
  - name: type
    match: { type: [IOT_POLICY, CA_CERTIFICATE] }
    report: {}
  - name: account
    match: { account: '9*' }
    report: {}
  - name: region
    match: { region: us-* }
    report: {}
  - name: age
    match: { olderThan: 30d }
    report: {}
  - name: seen
    match: { seenAtLeast: 3 }
    report: {}
  - name: expiry
    match: { expiresWithin: 2w }
    report: {}
  - name: thing
    match: { thing: 'gate-*' }
    report: {}
  - name: group
    match: { group: production }
    report: {}
  - name: thing-type
    match: { thingType: [valve, gate] }
    report: {}
  - name: attribute
    match: { attribute: { site: 'field-*' } }
    report: {}
  - name: excepted
    except: { thing: 'pump-*', check: DEVICE_* }
    report: {}
  - name: over
    suppress: { until: 2026-11-23, reason: it was only for a while }
  - name: last
    except: { thing: 'gate-*' }
    report: { severity: critical }
",
    );
    let mut finding = certificate("DEVICE_CERTIFICATE_EXPIRING_CHECK", "abc");
    let expiry = (NOW.0 + 20 * DAY + 3 * 3_600_000).to_string();
    if let Some(resource) = &mut finding.resource {
        resource.resource_type = Some("DEVICE_CERTIFICATE".into());
        resource.additional_info.insert("EXPIRATION_TIME".into(), expiry);
    }
    let things = Things::Known(vec![thing("pump-1", &["fleet", "lab"])]);
    let explained = explain(&policy, &finding, &things, Millis(NOW.0 - 12 * DAY), 2);
    let explained: serde_json::Value = serde_json::from_str(&explained).unwrap();
    insta::assert_json_snapshot!(explained);
}

#[test]
fn what_nobody_knows_lets_nothing_happen() {
    let policy = policy(
        "\
version: 1
mode: enforce
rules:
  - name: production
    match: { group: production }
    report: {}
  - name: revoked
    match: { check: REVOKED_DEVICE_CERT_CHECK }
    mitigate: { actions: Deactivate }
",
    );
    let finding = certificate("REVOKED_DEVICE_CERT_CHECK", "x");
    let ask = |things: Things| explain(&policy, &finding, &things, NOW, 1);
    insta::assert_snapshot!(ask(Things::Unknown { unknown: "ListPrincipalThings: AccessDenied".into() }), @r#"{"outcome":"report","rule":"revoked","held":{"ruleUnknown":"production"},"passedOver":[{"rule":"production","failedOn":"group","unknown":"ListPrincipalThings: AccessDenied"}],"mode":"enforce","policy":"…"}"#);
    insta::assert_snapshot!(ask(Things::Known(vec![thing("pump", &["lab"])])), @r#"{"outcome":"mitigate","rule":"revoked","actions":["Deactivate"],"when":"at once","resource":"x","passedOver":[{"rule":"production","failedOn":"group","saw":[["lab"]]}],"mode":"enforce","policy":"…"}"#);
    let shared = vec![thing("pump", &["lab"]), thing("gate", &["production"])];
    insta::assert_snapshot!(ask(Things::Known(shared)), @r#"{"outcome":"report","rule":"production","passedOver":[],"mode":"enforce","policy":"…"}"#);
}

#[test]
fn of_several_things_an_act_means_each_and_an_alert_any() {
    let shared = || Things::Known(vec![thing("pump", &["lab"]), thing("gate", &["production"])]);
    let finding = certificate("REVOKED_DEVICE_CERT_CHECK", "x");
    let matches = |key: &str, group: &str, outcome: &str| {
        let policy =
            policy(&format!("version: 1\nrules: [{{ name: r, {key}: {{ group: {group} }}, {outcome} }}]"));
        explain(&policy, &finding, &shared(), NOW, 1).contains(r#""rule":"r","#)
            && !explain(&policy, &finding, &shared(), NOW, 1).contains("failedOn")
    };
    let acts = ["mitigate: { actions: A }", "suppress: { for: 1d, reason: x }", "report: { silent: true }"];
    for act in acts {
        assert!(!matches("match", "production", act) && matches("match", "'*'", act), "{act}");
        assert!(!matches("except", "production", act) && matches("except", "other", act), "{act}");
    }
    assert!(matches("match", "production", "report: {}") && !matches("match", "other", "report: {}"));
    assert!(matches("except", "lab", "report: {}") && !matches("except", "'*'", "report: {}"));
}

#[test]
fn what_to_look_up_is_asked_for_step_by_step() {
    let policy = policy(
        "\
version: 1
rules:
  - name: r
    match: { thing: 'pump-*', group: lab, check: REVOKED_DEVICE_CERT_CHECK }
    report: {}
",
    );
    let finding = certificate("REVOKED_DEVICE_CERT_CHECK", "x");
    let wanted = |things: &Things| policy.decide(&subject(&finding, things)).wanted;
    assert_eq!(wanted(&Things::NotAsked), Wanted { names: true, ..Wanted::default() });
    let named = |name: &str| Things::Known(vec![Thing { name: name.into(), ..Thing::default() }]);
    assert_eq!(wanted(&named("pump-1")), Wanted { groups: true, ..Wanted::default() });
    assert!(wanted(&named("gate-1")).is_nothing(), "the name decides: the groups need not be known");
    assert!(wanted(&Things::Unknown { unknown: "denied".into() }).is_nothing());
}

#[test]
fn a_rule_in_shadow_is_recorded_and_decides_nothing() {
    let policy = policy(
        "\
version: 1
mode: enforce
windows: { zone: UTC, open: [{ hours: 22:00-06:00 }] }
rules:
  - name: bold
    stage: shadow
    match: { check: REVOKED_DEVICE_CERT_CHECK }
    mitigate: { actions: Deactivate }
  - name: careful
    match: { check: REVOKED_DEVICE_CERT_CHECK }
    report: { severity: high }
",
    );
    insta::assert_snapshot!(decide(&policy, &certificate("REVOKED_DEVICE_CERT_CHECK", "x")), @r#"{"outcome":"report","rule":"careful","alert":"high","shadow":{"rule":"bold","outcome":"mitigate","actions":["Deactivate"],"when":"in a window"},"passedOver":[],"mode":"enforce","policy":"…"}"#);
}

#[test]
fn a_rule_in_shadow_says_what_would_have_kept_it_from_acting() {
    let policy = policy(
        "\
version: 1
protect: { groups: production }
rules:
  - name: bold
    stage: shadow
    match: { check: REVOKED_DEVICE_CERT_CHECK }
    mitigate: { actions: Deactivate }
",
    );
    let finding = certificate("REVOKED_DEVICE_CERT_CHECK", "x");
    let ask = |things: Things| explain(&policy, &finding, &things, NOW, 1);
    insta::assert_snapshot!(ask(Things::Known(vec![thing("pump", &["production"])])), @r#"{"outcome":"report","rule":null,"shadow":{"rule":"bold","outcome":"mitigate","actions":["Deactivate"],"when":"at once","held":{"protectedBy":{"group":"production"}}},"passedOver":[],"mode":"observe","policy":"…"}"#);
    insta::assert_snapshot!(ask(Things::NotAsked), @r#"{"outcome":"report","rule":null,"shadow":{"rule":"bold","outcome":"mitigate","actions":["Deactivate"],"when":"at once","held":"protectionUnknown"},"passedOver":[],"mode":"observe","policy":"…"}"#);
}

#[test]
fn what_is_protected_is_never_mitigated() {
    let policy = policy(
        "\
version: 1
mode: enforce
protect:
  things: core-*
  groups: [production, 'safety-*']
  certificates: 'fe*'
  policies: base-*
rules:
  - name: all
    mitigate: { actions: Act }
",
    );
    let check = "REVOKED_DEVICE_CERT_CHECK";
    let ask = |finding: &Finding, things: Things| {
        let text = explain(&policy, finding, &things, NOW, 1);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        format!("{} {}", json["outcome"].as_str().unwrap(), json["held"])
    };
    let cases = [
        ask(&certificate(check, "ab"), Things::Known(vec![thing("pump", &["lab"])])),
        ask(&certificate(check, "ab"), Things::Known(vec![thing("pump", &["lab"]), thing("core-1", &[])])),
        ask(&certificate(check, "ab"), Things::Known(vec![thing("pump", &["fleet", "safety-1"])])),
        ask(&certificate(check, "ab"), Things::Known(vec![])),
        ask(&certificate(check, "ab"), Things::NotAsked),
        ask(&certificate(check, "ab"), Things::Unknown { unknown: "throttled".into() }),
        ask(&certificate(check, "fe01"), Things::Known(vec![])),
        ask(&iot_policy("base-read"), Things::NotAsked),
        ask(&iot_policy("other"), Things::Unknown { unknown: "too many".into() }),
        ask(
            &about(
                "LOGGING_DISABLED_CHECK",
                ResourceIdentifier { account: Some("1".into()), ..Default::default() },
            ),
            Things::NotAsked,
        ),
    ];
    insta::assert_snapshot!(cases.join("\n"));
}

#[test]
fn only_an_unconditional_mitigation_that_comes_first_takes_a_whole_check() {
    let whole = |text: &str, check: &str| {
        let text = text.replace("version: 1", "version: 1\nbudgets: none");
        let text = text.replace("[Quarantine, Deactivate] }", "[Quarantine, Deactivate], devices: any }");
        policy(&text).takes_whole_check(&CheckName::new(check)).map(|(rule, _)| rule.to_owned())
    };
    assert_eq!(whole(POLICY, "REVOKED_DEVICE_CERT_CHECK").as_deref(), Some("revoked"));
    assert_eq!(whole(POLICY, "DEVICE_CERTIFICATE_EXPIRING_CHECK"), None);
    assert_eq!(whole(POLICY, "LOGGING_DISABLED_CHECK"), None);
    let protected = POLICY.replace("mode: enforce", "mode: enforce\nprotect: { groups: production }");
    assert_eq!(whole(&protected, "REVOKED_DEVICE_CERT_CHECK"), None);
    let shadow = POLICY.replace("name: revoked", "name: revoked\n    stage: shadow");
    assert_eq!(whole(&shadow, "REVOKED_DEVICE_CERT_CHECK"), None);
    let except = POLICY.replace("name: revoked", "name: revoked\n    except: { region: us-* }");
    assert_eq!(whole(&except, "REVOKED_DEVICE_CERT_CHECK"), None);
}

#[test]
fn observe_is_the_default_and_the_safer_mode() {
    assert_eq!(policy("version: 1\nrules: []\n").mode(), Mode::Observe);
    assert_eq!(Mode::Enforce.safer(Mode::Observe), Mode::Observe);
    assert_eq!(Mode::Enforce.safer(Mode::Enforce), Mode::Enforce);
}
