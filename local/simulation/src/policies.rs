//! Policies that are drawn: every key of the language on findings comes up, most rules match some of the fleet.

use fastrand::Rng;
use fleetwarden_core::policy::Policy;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::windows::HOURS;
use crate::windows::ZONES;

/// A check with the mitigation actions that Device Defender allows for it, by the names that [`actions`] gives them.
pub(crate) const CHECKS: [(&str, &[&str]); 17] = [
    ("AUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK", &["Publish"]),
    ("CA_CERTIFICATE_EXPIRING_CHECK", &["DeactivateCa", "Publish"]),
    ("CA_CERTIFICATE_KEY_QUALITY_CHECK", &["DeactivateCa", "Publish"]),
    ("CONFLICTING_CLIENT_IDS_CHECK", &["Publish"]),
    ("DEVICE_CERTIFICATE_AGE_CHECK", &["Deactivate", "Quarantine", "Publish"]),
    ("DEVICE_CERTIFICATE_EXPIRING_CHECK", &["Deactivate", "Quarantine", "Publish"]),
    ("DEVICE_CERTIFICATE_KEY_QUALITY_CHECK", &["Deactivate", "Quarantine", "Publish"]),
    ("DEVICE_CERTIFICATE_SHARED_CHECK", &["Deactivate", "Quarantine", "Publish"]),
    (
        "INTERMEDIATE_CA_REVOKED_FOR_ACTIVE_DEVICE_CERTIFICATES_CHECK",
        &["Deactivate", "Quarantine", "Publish"],
    ),
    ("IOT_POLICY_OVERLY_PERMISSIVE_CHECK", &["BlankPolicy", "Publish"]),
    ("IOT_POLICY_POTENTIAL_MISCONFIGURATION_CHECK", &["BlankPolicy", "Publish"]),
    ("IOT_ROLE_ALIAS_ALLOWS_ACCESS_TO_UNUSED_SERVICES_CHECK", &["Publish"]),
    ("IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK", &["Publish"]),
    ("LOGGING_DISABLED_CHECK", &["EnableLogging", "Publish"]),
    ("REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK", &["DeactivateCa", "Publish"]),
    ("REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK", &["Deactivate", "Quarantine", "Publish"]),
    ("UNAUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK", &["Publish"]),
];

/// The thing group that budgets are drawn for.
pub(crate) const GROUP: &str = "critical";

/// Draws a policy that can be deployed.
pub(crate) fn draw(rng: &mut Rng) -> String {
    loop {
        let policy = any(rng).to_string();
        if Policy::parse(policy.as_bytes()).is_ok() {
            return policy;
        }
    }
}

/// Whether a policy lets anything be changed.
pub(crate) fn enforces(policy: &str) -> bool {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    policy["mode"] == "enforce"
}

/// The rules of a policy on a check that do more than observe.
pub(crate) fn rules<'p>(policy: &'p Value, check: &str) -> impl Iterator<Item = &'p Value> {
    let rules = policy["rules"].as_array().into_iter().flatten();
    rules.filter(move |rule| rule["match"]["check"] == check && rule["stage"] != "shadow")
}

/// Whether a rule mitigates nothing that no person has approved.
pub(crate) fn always_waits(rule: &Value) -> bool {
    let approval = &rule["mitigate"]["approval"];
    // No finding is less severe.
    approval == "always"
        || approval["always"] == true
        || (approval["severity"] == "LOW" && rule["alarm"].is_null())
}

/// Draws when a mitigation waits for a person.
pub(crate) fn approval(rng: &mut Rng) -> Value {
    let mut approval = match rng.u8(..6) {
        0 => return json!("always"),
        1 => json!({"severity": one(rng, &["CRITICAL", "HIGH", "LOW"])}),
        2 => json!({"devices": rng.u8(..3)}),
        3 => json!({"overBudget": true}),
        4 => json!({"outsideOfWindow": true}),
        _ => json!({"always": true, "connected": rng.u8(..3)}),
    };
    approval["within"] = json!(one(rng, &["15m", "2h", "12h"]));
    approval
}

/// Draws a canary: one finding goes first, which each budget has room for.
pub(crate) fn canary(rng: &mut Rng) -> Value {
    json!({"first": 1, "watch": "15m", "stopIf": [one(rng, &["failures", "alarms", "disconnected"])]})
}

/// Whether a policy protects what a finding is about, by the id of its certificate or the name of its policy.
pub(crate) fn protects(policy: &Value, record: &Value) -> bool {
    let resource = &record["resource"]["resourceIdentifier"];
    let protected = [
        ("certificates", &resource["deviceCertificateId"]),
        ("certificates", &resource["caCertificateId"]),
        ("policies", &resource["policyVersionIdentifier"]["policyName"]),
    ];
    protected.into_iter().any(|(kind, name)| {
        let mut patterns = policy["protect"][kind].as_array().into_iter().flatten();
        let is_meant =
            |pattern: &Value| Some(name.as_str()?.starts_with(pattern.as_str()?.strip_suffix('*')?));
        patterns.any(|pattern| is_meant(pattern).unwrap_or_default())
    })
}

/// Whether a lost connection stops the canary of any rule.
pub(crate) fn watches_any_connection(policy: &str) -> bool {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let mut rules = policy["rules"].as_array().into_iter().flatten();
    rules.any(|rule| watches_connections(&policy, rule["name"].as_str().unwrap_or_default()).is_some())
}

/// The rule of a policy with this name, if its canary is stopped by a lost connection that its actions do not mean.
pub(crate) fn watches_connections<'p>(policy: &'p Value, name: &str) -> Option<&'p Value> {
    let rule = policy["rules"].as_array()?.iter().find(|rule| rule["name"] == name)?;
    let has = |list: &Value, wanted: &[&str]| {
        list.as_array().into_iter().flatten().any(|of| wanted.iter().any(|wanted| of == wanted))
    };
    let mitigate = &rule["mitigate"];
    let is_wanted = has(&mitigate["canary"]["stopIf"], &["disconnected"])
        && !has(&mitigate["actions"], &["Deactivate", "DeactivateCa", "BlankPolicy"]);
    is_wanted.then_some(rule)
}

/// Draws a policy that differs from another in one thing that decides.
pub(crate) fn variant(rng: &mut Rng, policy: &str) -> String {
    let before: Value = serde_json::from_str(policy).unwrap_or_default();
    loop {
        let mut policy = before.clone();
        match rng.u8(..6) {
            0 | 1 => policy["mode"] = json!(if before["mode"] == "observe" { "enforce" } else { "observe" }),
            2 | 3 => policy["protect"] = json!({"certificates": ["*"], "policies": ["*"]}),
            4 => {
                let hours = one(rng, &["03:00-04:00", "00:00-12:00"]);
                policy["windows"] = json!({"zone": "UTC", "open": [{"hours": hours}]});
                policy["budgets"] = json!("none");
            }
            _ => {
                let rules = policy["rules"].as_array_mut().into_iter().flatten();
                for rule in rules.filter_map(Value::as_object_mut) {
                    rule.remove("suppress");
                    rule.remove("mitigate");
                    rule.insert("report".to_owned(), json!({"severity": "high"}));
                }
            }
        }
        let policy = policy.to_string();
        if Policy::parse(policy.as_bytes()).is_ok() {
            return policy;
        }
    }
}

fn any(rng: &mut Rng) -> Value {
    let mut rules: Vec<Value> = (0..rng.usize(1..9)).map(|nth| rule(rng, nth)).collect();
    rng.shuffle(&mut rules);
    let mut policy = json!({
        "version": 1,
        "mode": if rng.u8(..4) == 0 { "observe" } else { "enforce" },
        "rules": rules,
    });
    let mut apart = rng.fork();
    if rng.u8(..4) == 0 {
        let zone = ZONES.map(|(name, _)| name);
        policy["windows"] = json!({"zone": one(rng, &zone), "open": [{"hours": one(rng, &HOURS)}]});
    }
    match apart.u8(..4) {
        0 => {}
        // In an hour a day a small budget lets so few through that nine days after the last step are no end.
        1 if policy.get("windows").is_none() => {
            policy["budgets"] = json!([{"most": apart.u8(1..6), "within": "1h"}]);
        }
        _ => policy["budgets"] = json!("none"),
    }
    let mut of_approvals = apart.fork();
    for rule in policy["rules"].as_array_mut().into_iter().flatten() {
        if rule.get("mitigate").is_some() && of_approvals.u8(..3) == 0 {
            rule["mitigate"]["approval"] = approval(&mut of_approvals);
        }
        if rule.get("mitigate").is_some() && apart.u8(..3) == 0 {
            rule["mitigate"]["canary"] = canary(&mut apart);
        }
    }
    if of_approvals.u8(..4) == 0 {
        policy["twoPersons"] = json!(true);
    }
    if let Some(budgets) = policy.get_mut("budgets").and_then(Value::as_array_mut)
        && apart.bool()
    {
        // Nobody moves things into this group or out of it.
        budgets.push(json!({"most": apart.u8(1..4), "within": "1h", "group": GROUP}));
    }
    if policy.get("windows").is_some() {
        draw_own_windows(&mut policy, &mut apart);
    }
    if rng.u8(..4) == 0 {
        policy["protect"] = match rng.u8(..3) {
            0 => json!({"groups": [one(rng, &["production", "lab", "spare", "plant"])]}),
            1 => json!({"certificates": [format!("{:x}*", rng.u8(..16))]}),
            _ => json!({"things": [format!("device-*{}", rng.u8(..10))]}),
        };
    }
    policy
}

/// Gives rules and an action windows of their own.
fn draw_own_windows(policy: &mut Value, rng: &mut Rng) {
    for rule in policy["rules"].as_array_mut().into_iter().flatten() {
        if rule.get("mitigate").is_some() && rng.bool() {
            rule["mitigate"]["windows"] = own_windows(rng);
        }
    }
    if rng.bool() {
        let action = one(rng, &["Deactivate", "Quarantine", "Publish"]);
        policy["actions"][action]["windows"] = own_windows(rng);
    }
}

/// Draws windows of a rule or an action.
pub(crate) fn own_windows(rng: &mut Rng) -> Value {
    json!({"open": [{"hours": one(rng, &HOURS)}]})
}

fn one<'a>(rng: &mut Rng, of: &[&'a str]) -> &'a str {
    of[rng.usize(..of.len())]
}

fn rule(rng: &mut Rng, nth: usize) -> Value {
    let (check, actions) = CHECKS[rng.usize(..CHECKS.len())];
    let mut rule = json!({"name": format!("r{nth}"), "match": conditions(rng, check)});
    match rng.u8(..8) {
        0..3 => rule["suppress"] = suppress(rng),
        3..7 => {
            let mut actions = actions.to_vec();
            rng.shuffle(&mut actions);
            actions.truncate(rng.usize(1..=actions.len()));
            rule["mitigate"] = json!({"actions": actions});
            match rng.u8(..6) {
                0 => {}
                1 => rule["mitigate"]["devices"] = json!({"most": rng.u8(1..4)}),
                2 => rule["mitigate"]["devices"] = json!({"most": 3, "connected": rng.u8(..3)}),
                _ => rule["mitigate"]["devices"] = json!("any"),
            }
        }
        _ if rng.bool() => rule["report"] = json!({"silent": true}),
        _ => rule["report"] = json!({"severity": one(rng, &["critical", "high", "medium", "low"])}),
    }
    if rng.u8(..5) == 0 {
        rule["except"] = conditions(rng, check);
    }
    if rng.u8(..8) == 0 {
        rule["stage"] = json!("shadow");
    }
    rule
}

type Draw = fn(&mut Rng) -> Value;

fn conditions(rng: &mut Rng, check: &str) -> Value {
    let mut conditions = Map::new();
    conditions.insert("check".to_owned(), json!(check));
    let more: [(&str, Draw); 9] = [
        ("severity", |rng| json!([one(rng, &["CRITICAL", "HIGH", "MEDIUM", "LOW"]), "CRITICAL"])),
        ("seenAtLeast", |rng| json!(rng.u8(1..4))),
        ("olderThan", |rng| json!(one(rng, &["1d", "3d", "30d"]))),
        ("resource", |rng| json!(format!("*{:x}*", rng.u8(..16)))),
        ("thing", |rng| json!(format!("device-*{}", rng.u8(..10)))),
        ("group", |rng| json!(one(rng, &["production", "lab", "spare", "plant"]))),
        ("reason", |_| json!("CERTIFICATE_*")),
        ("account", |_| json!("123456789012")),
        ("region", |rng| json!(one(rng, &["us-east-1", "us-*", "eu-west-1"]))),
    ];
    for (name, value) in more {
        if rng.u8(..8) == 0 {
            conditions.insert(name.to_owned(), value(rng));
        }
    }
    Value::Object(conditions)
}

fn suppress(rng: &mut Rng) -> Value {
    let mut suppress = json!({"reason": "simulated", "owner": "simulation"});
    match rng.u8(..6) {
        0 => suppress["indefinitely"] = json!(true),
        1 => suppress["until"] = json!(one(rng, &["2026-12-01", "2027-03-31"])),
        _ => suppress["for"] = json!(one(rng, &["1d", "7d", "90d"])),
    }
    suppress
}

/// Mitigation actions as `CreateMitigationAction` takes their parameters.
pub(crate) fn actions() -> Vec<(&'static str, Value)> {
    let role = "arn:aws:iam::123456789012:role/log";
    vec![
        ("Deactivate", json!({"updateDeviceCertificateParams": {"action": "DEACTIVATE"}})),
        ("DeactivateCa", json!({"updateCACertificateParams": {"action": "DEACTIVATE"}})),
        ("Quarantine", json!({"addThingsToThingGroupParams": {"thingGroupNames": ["quarantine"]}})),
        ("BlankPolicy", json!({"replaceDefaultPolicyVersionParams": {"templateName": "BLANK_POLICY"}})),
        (
            "EnableLogging",
            json!({"enableIoTLoggingParams": {"roleArnForLogging": role, "logLevel": "ERROR"}}),
        ),
        (
            "Publish",
            json!({"publishFindingToSnsParams": {"topicArn": "arn:aws:sns:us-east-1:123456789012:findings"}}),
        ),
    ]
}
#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Counts each key of a policy, wherever it stands, by its path without places in lists and names of actions.
    fn count(at: &str, value: &Value, keys: &mut BTreeMap<String, usize>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let at = if at == ".actions" { ".actions.*".to_owned() } else { format!("{at}.{name}") };
                    *keys.entry(at.clone()).or_default() += 1;
                    count(&at, value, keys);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| count(at, item, keys)),
            _ => {}
        }
    }

    #[test]
    fn every_key_is_drawn_and_few_policies_are_thrown_away() {
        const DRAWS: usize = 2_000;
        let mut rng = Rng::with_seed(1);
        let mut keys = BTreeMap::new();
        for _ in 0..DRAWS {
            let policy = any(&mut rng);
            if Policy::parse(policy.to_string().as_bytes()).is_ok() {
                *keys.entry(String::new()).or_default() += 1;
                count("", &policy, &mut keys);
            }
        }
        let often = |key: &str| keys.get(key).copied().unwrap_or_default();
        assert!(often("") > DRAWS * 98 / 100, "only {} of {DRAWS} can be deployed", often(""));
        let wanted = [
            ".actions.*.windows.open.hours",
            ".budgets.group",
            ".budgets.most",
            ".protect.certificates",
            ".protect.groups",
            ".protect.things",
            ".rules.except.check",
            ".rules.match.group",
            ".rules.match.olderThan",
            ".rules.match.severity",
            ".rules.mitigate.approval.connected",
            ".rules.mitigate.approval.devices",
            ".rules.mitigate.approval.outsideOfWindow",
            ".rules.mitigate.approval.overBudget",
            ".rules.mitigate.approval.severity",
            ".rules.mitigate.canary.stopIf",
            ".rules.mitigate.devices.connected",
            ".rules.mitigate.windows.open.hours",
            ".rules.report.severity",
            ".rules.report.silent",
            ".rules.stage",
            ".rules.suppress.for",
            ".rules.suppress.indefinitely",
            ".rules.suppress.until",
            ".twoPersons",
            ".windows.open.hours",
        ];
        for key in wanted {
            assert!(often(key) > DRAWS / 50, "{key} is in {} of {DRAWS} policies", often(key));
        }
    }
}
