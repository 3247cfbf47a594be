//! Names that can match nothing: what is said of each, and that no legal name is ever refused.

use std::fmt::Write as _;

use super::*;

/// What is wrong with a file, whether it is refused or only warned of.
fn judged(text: &str) -> String {
    let found = match Policy::parse(text.as_bytes()) {
        Err(errors) => errors.all().to_vec(),
        Ok(policy) => policy.lint(&Known { at: NOW, actions: None, inventory: None, deployment: None }),
    };
    let found: Vec<_> = found.into_iter().filter(|found| found.level != Level::Note).collect();
    let shown = found.iter().map(|found| found.render("policy.yaml", text));
    if found.is_empty() { format!("nothing:\n{text}") } else { shown.collect::<Vec<_>>().join("\n") }
}

/// A file whose protections, exceptions and standing suppressions can match nothing.
const IMPOSSIBLE: &str = r#"version: 1
mode: enforce
protect:
  things: ["sensor-.*", "^gateway-", "pump-\\d+", "arn:aws:iot:eu-west-1:123456789012:thing/pump-1", "(a|b)-1", "a,b", " pad "]
  groups: ["arn:aws:iot:eu-west-1:123456789012:thinggroup/safety", "safety–*", "plant/line-1", "a;b"]
  certificates:
    - "arn:aws:iot:eu-west-1:123456789012:cert/*"
    - 4F1C09D27A3E58B6C1F04D9987E2A35B60CC1748FD92EB3A5571D60E8B3FA914
    - "4F:1C:09:D2:7A:3E:58:B6:C1:F0:4D:99:87:E2:A3:5B:60:CC:17:48:FD:92:EB:3A:55:71:D6:0E:8B:3F:A9:14"
    - 4f1c09d27a3e58b6
    - gateway-*
  policies: ["base:3", "arn:aws:iot:eu-west-1:123456789012:policy/base", "ba se*", "base/*"]
rules:
  - name: thing
    match: { check: REVOKED_DEVICE_CERT_CHECK }
    except: { thing: "^gateway-", group: "a,b", thingType: "pump.*", attribute: { "si te": a, site: "pla nt" } }
    mitigate: { actions: Publish }
  - name: audit
    match: { check: REVOKED_DEVICE_CERT_CHECK }
    except: { account: [12345678901, 1234-5678-9012, "arn:aws:iam::123456789012:root", prod], region: [EU-WEST-1, eu_west_1] }
    mitigate: { actions: Publish }
  - name: policies
    match: { check: IOT_POLICY_* }
    except: { resource: [base, "base:latest", "arn:aws:iot:eu-west-1:123456789012:policy/base"] }
    mitigate: { actions: Publish }
  - name: pools
    match: { check: "*_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK" }
    except: { resource: [my-pool, 5bd0a2f4-8b1e-4c53-9a37-0e6d1f2c7a88] }
    mitigate: { actions: Publish }
  - name: aliases
    match: { check: IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK }
    except: { resource: [camera, "arn:aws:iam::123456789012:role/camera"] }
    mitigate: { actions: Publish }
  - name: clients
    match: { check: CONFLICTING_CLIENT_IDS_CHECK }
    except: { resource: "$aws/*" }
    mitigate: { actions: Publish }
  - name: logging
    match: { check: LOGGING_DISABLED_CHECK }
    except: { resource: "1234 5678 9012" }
    mitigate: { actions: Publish }
  - name: certificates
    match: { check: [REVOKED_DEVICE_CERT_CHECK, REVOKED_CA_CERT_CHECK] }
    except: { resource: "arn:aws:iot:eu-west-1:123456789012:cert/4f1c09d27a3e58b6c1f04d9987e2a35b60cc1748fd92eb3a5571d60e8b3fa914" }
    mitigate: { actions: Publish }
suppressions:
  - name: things
    check: DEVICE_CERTIFICATE_SHARED_CHECK
    match: { thing: "lab-.*" }
    suppress: { until: 2027-06-30, reason: x, owner: y }
  - name: groups
    check: DEVICE_CERTIFICATE_SHARED_CHECK
    match: { group: "arn:aws:iot:eu-west-1:123456789012:thinggroup/lab" }
    suppress: { until: 2027-06-30, reason: x, owner: y }
"#;

#[test]
fn a_file_of_impossible_names_is_refused_for_each() {
    insta::assert_snapshot!(judged(IMPOSSIBLE));
}

/// A policy of one standing suppression of resources.
fn standing(check: &str, resource: &str) -> String {
    format!(
        "version: 1\nrules: []\nsuppressions:\n  - name: s\n    check: {check}\n    match: {{ resource: {resource} }}\n    \
         suppress: {{ until: 2027-06-30, reason: x, owner: y }}\n"
    )
}

const ID: &str = "4f1c09d27a3e58b6c1f04d9987e2a35b60cc1748fd92eb3a5571d60e8b3fa914";

#[test]
fn a_standing_suppression_that_can_never_be_kept_is_refused() {
    let arn = format!("'arn:aws:iot:eu-west-1:123456789012:cert/{ID}'");
    let cases = [
        standing("UNAUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK", "'eu-central-1:*'"),
        standing("INTERMEDIATE_CA_REVOKED_FOR_ACTIVE_DEVICE_CERTIFICATES_CHECK", "'*'"),
        standing("DEVICE_CERTIFICATE_SHARED_CHECK", &arn),
        standing("DEVICE_CERTIFICATE_SHARED_CHECK", "ab"),
        standing("IOT_POLICY_OVERLY_PERMISSIVE_CHECK", "base"),
        standing("CONFLICTING_CLIENT_IDS_CHECK", "'loan/*'"),
        standing("DEVICE_CERTIFICATE_SHARED_CHECK", "['ab*', 'lab-*']"),
        standing("IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK", "camera"),
        standing("LOGGING_DISABLED_CHECK", "12345678901"),
        standing("[DEVICE_CERTIFICATE_SHARED_CHECK, IOT_POLICY_OVERLY_PERMISSIVE_CHECK]", ID),
        standing("[DEVICE_CERTIFICATE_SHARED_CHECK, IOT_POLICY_OVERLY_PERMISSIVE_CHECK]", "'base:*'"),
    ];
    insta::assert_snapshot!(cases.iter().map(|case| judged(case)).collect::<Vec<_>>().join("\n\n"));
    let cases = [
        standing(
            "UNAUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK",
            "eu-central-1:5bd0a2f4-8b1e-4c53-9a37-0e6d1f2c7a88",
        ),
        standing("[DEVICE_CERTIFICATE_SHARED_CHECK, CA_CERTIFICATE_EXPIRING_CHECK]", ID),
        standing(
            "[DEVICE_CERTIFICATE_SHARED_CHECK, IOT_POLICY_OVERLY_PERMISSIVE_CHECK]",
            "['base:*', 'ab*']",
        ),
        standing("CONFLICTING_CLIENT_IDS_CHECK", "loan/1"),
        standing("IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK", "'*:rolealias/camera'"),
        standing("LOGGING_DISABLED_CHECK", "'123456789012'"),
    ];
    for case in cases {
        assert!(judged(&case).starts_with("nothing"), "{}", judged(&case));
    }
}

/// A policy of rules that match this.
fn matching(matches: &[&str]) -> String {
    let mut text = "version: 1\nrules:\n".to_owned();
    for (at, keys) in matches.iter().enumerate() {
        let _ = writeln!(text, "  - {{ name: r{at}, match: {{ {keys} }}, report: {{}} }}");
    }
    text
}

#[test]
fn what_a_rule_can_never_match_is_warned_of() {
    insta::assert_snapshot!(judged(&matching(&[
        "thing: 'sensor-.*', account: 12345678901",
        "check: IOT_POLICY_*, resource: base",
        // A client id could be named so; nobody names one so.
        "resource: 'arn:aws:iot:eu-west-1:123456789012:cert/*'",
        "check: DEVICE_CERTIFICATE_EXPIRING_CHECK, reason: [CERTIFICATE_EXPIRED, CERTIFICATE_KEY_*]",
        "reason: certificate_past_expiration",
        "region: [eu-west, eu-central-1b, 'us-gov-*']",
        "type: [DEVICE_CERTIFICATES, certificate]",
        "check: LOGGING_DISABLED_CHECK, type: DEVICE_CERTIFICATE",
        "check: LOGGING_DISABLED_CHECK, severity: [CRITICAL, HIGH]",
        "check: [LOGGING_DISABLED_CHECK, REVOKED_CA_CERT_CHECK], thing: x",
        "check: IOT_POLICY_*, group: x",
    ])));
}

#[test]
fn an_exception_of_what_no_check_says_is_an_error_of_the_check_only() {
    let text = "version: 1\nrules:\n  - name: r\n    match: { check: LOGGING_DISABLED_CHECK }\n    \
                except: { check: LOGGING_DISABLED_CHECK, reason: LOGING_DISABLED, type: ACCOUNT, severity: HIGH }\n    report: {}\n  - name: s\n    \
                match: { check: DEVICE_CERTIFICATE_AGE_CHECK }\n    except: { check: LOGGING_DISABLED_CHECK }\n    report: {}\n";
    assert!(Policy::parse(text.as_bytes()).is_ok(), "AWS may have more codes one day");
    insta::assert_snapshot!(judged(text));
}

#[test]
fn what_can_match_is_not_mentioned() {
    let cases = [
        "thing: ['**', 'a:b_C-9', '?']",
        "check: IOT_POLICY_*, resource: ['base*', '*:3', 'b+=,.@-a?3']",
        "check: CONFLICTING_CLIENT_IDS_CHECK, resource: ['line 1/pump №4', '*$*']",
        "check: QUANTUM_*, resource: 'x y', reason: NEW, type: NEW",
        "account: ['1*', '123456789012'], region: [eu-west-1, '*-1', cn-north-1]",
        "check: INTERMEDIATE_CA_*, resource: 'CN=Plant CA*', type: ISSUER_CERTIFICATE",
        "attribute: { 'a/b#c': 'x=?y?', site: 'a.b,c@d' }",
        "severity: LOW, reason: '*_EXPIRATION', type: '*_CERTIFICATE'",
        "check: DEVICE_CERTIFICATE_KEY_QUALITY_CHECK, reason: CERTIFICATE_KEY_VULNERABILITY_CVE-2008-0166",
    ];
    for case in cases {
        let judged = judged(&matching(&[case]));
        assert!(
            judged.starts_with("nothing") || case.contains("QUANTUM") && !judged.contains("can match"),
            "{judged}"
        );
    }
}

#[test]
fn the_policies_that_ship_are_silent() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let folder = std::fs::read_dir(root.join("cookbook")).unwrap().map(|entry| entry.unwrap().path());
    let files = folder.filter(|path| path.extension().is_some_and(|ext| ext == "yaml"));
    let files: Vec<_> = files.chain([root.join("deployed/policy.yaml")]).collect();
    assert!(files.len() > 10);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let judged = judged(&text);
        assert!(judged.starts_with("nothing"), "{}: {judged}", file.display());
    }
}
