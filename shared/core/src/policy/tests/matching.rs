//! Each condition of a rule by itself, at the edge of what it takes.

use super::*;

const CHECK: &str = "DEVICE_CERTIFICATE_EXPIRING_CHECK";

fn mitigates(conditions: &str, subject: &Subject<'_>) -> bool {
    let policy = policy(&format!(
        "version: 1\nmode: enforce\nrules:\n  - name: r\n    match: {{ check: {CHECK}{conditions} }}\n    mitigate: {{ actions: A }}\n"
    ));
    matches!(policy.decide(subject).outcome, Outcome::Mitigate(_))
}

#[test]
fn a_whole_check_is_taken_by_a_rule_that_asks_for_nothing_else() {
    let takes = |rule: &str| {
        let text = format!(
            "version: 1\nmode: enforce\nbudgets: none\nrules:\n  - name: r\n    {rule}\n    mitigate: {{ actions: A, devices: any }}\n"
        );
        policy(&text).takes_whole_check(&CheckName::new(CHECK)).is_some()
    };
    assert!(takes(&format!("match: {{ check: {CHECK} }}")) && takes("match: {}"));
    for more in [
        "severity: HIGH",
        "reason: CERTIFICATE_PAST_EXPIRATION",
        "type: DEVICE_CERTIFICATE",
        "resource: \"a*\"",
        "account: \"123456789012\"",
        "region: us-east-1",
        "olderThan: 1d",
        "seenAtLeast: 2",
        "expiresWithin: 1d",
        "thing: a",
    ] {
        assert!(!takes(&format!("match: {{ check: {CHECK}, {more} }}")), "{more}");
    }
    assert!(!takes(&format!("match: {{ check: {CHECK} }}\n    except: {{ severity: LOW }}")));
}

#[test]
fn an_age_is_reached_to_the_millisecond() {
    let finding = certificate(CHECK, "a");
    let seen = |ago: i64| {
        let first_seen = Millis(NOW.0 - ago);
        mitigates(", olderThan: 30d", &Subject { first_seen, ..subject(&finding, &Things::NotAsked) })
    };
    assert_eq!([30 * DAY - 1, 30 * DAY, 30 * DAY + 1].map(seen), [false, true, true]);
}

#[test]
fn a_number_of_audits_is_reached_by_that_audit() {
    let finding = certificate(CHECK, "a");
    let seen = |times_seen| {
        mitigates(", seenAtLeast: 3", &Subject { times_seen, ..subject(&finding, &Things::NotAsked) })
    };
    assert_eq!([2, 3, 4].map(seen), [false, true, true]);
}

#[test]
fn an_expiry_is_near_to_the_millisecond_and_also_when_it_is_past() {
    let expires = |after: Option<i64>| {
        let mut finding = certificate(CHECK, "a");
        let info = &mut finding.resource.as_mut().unwrap().additional_info;
        info.extend(after.map(|after| ("EXPIRATION_TIME".to_owned(), (NOW.0 + after).to_string())));
        mitigates(", expiresWithin: 14d", &subject(&finding, &Things::NotAsked))
    };
    let [inside, at, outside] = [14 * DAY - 1, 14 * DAY, 14 * DAY + 1].map(Some).map(expires);
    assert_eq!([inside, at, outside], [true, true, false]);
    assert_eq!([expires(Some(-DAY)), expires(None)], [true, false]);
}

#[test]
fn each_condition_on_a_thing_counts_by_itself() {
    let finding = certificate(CHECK, "a");
    let things = Things::Known(vec![thing("pump-1", &["lab"])]);
    let takes = |conditions: &str| mitigates(conditions, &subject(&finding, &things));
    for (holds, fails) in [
        (", thing: \"pump-*\"", ", thing: \"valve-*\""),
        (", group: lab", ", group: plant"),
        (", thingType: pump", ", thingType: valve"),
        (", attribute: { site: \"lab-*\" }", ", attribute: { site: plant }"),
        (", attribute: { site: \"*\" }", ", attribute: { line: \"*\" }"),
    ] {
        assert_eq!((takes(holds), takes(fails)), (true, false), "{holds}");
    }
    let mut untyped = thing("pump-1", &["lab"]);
    untyped.described.as_mut().unwrap().thing_type = None;
    let untyped = Things::Known(vec![untyped]);
    assert!(
        !mitigates(", thingType: \"*\"", &subject(&finding, &untyped)),
        "a thing without a type has none"
    );
}
