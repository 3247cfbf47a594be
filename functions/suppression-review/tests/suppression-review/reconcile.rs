//! Standing suppressions are kept: one for each member, and for nobody else.

use fleetwarden_core::policy::Policy;
use serde_json::Value;
use serde_json::json;

use crate::setup::CLIENTS;
use crate::setup::House;
use crate::setup::PRESSES;
use crate::setup::SHARED;

/// The checks for which the members of a standing suppression are not known.
fn unknown(kept: &Value) -> Vec<&str> {
    kept["unknown"].as_object().into_iter().flatten().map(|(check, _)| check.as_str()).collect()
}

fn with(more: &str) -> String {
    PRESSES.replace("owner: lab }", &format!("owner: lab }}\n    {more}"))
}

#[tokio::test(start_paused = true)]
async fn a_member_gets_its_suppressions_and_loses_them_when_it_leaves() {
    let mut house = House::new(PRESSES, 2);
    let told = house.review().await;
    insta::assert_snapshot!(house.suppressions().join("\n"));
    insta::assert_json_snapshot!(told["standing"]);

    house.press(3);
    house.attach("press-1", &house.certificate(1), false);
    let told = house.review().await;
    let presses = &told["standing"]["presses"];
    assert_eq!((&presses["created"], &presses["deleted"]), (&json!(2), &json!(1)));
    let of = |what: &str| house.suppressions().iter().filter(|line| line.contains(what)).count();
    assert_eq!((of("certificate of press-1"), of("press-1"), of("press-3")), (0, 1, 2));

    let told = house.review().await;
    let presses = &told["standing"]["presses"];
    assert_eq!(
        (&presses["unchanged"], &presses["created"], &presses["deleted"]),
        (&json!(5), &json!(0), &json!(0))
    );
    assert_eq!(house.calls("/suppressions/create") + house.calls("/suppressions/delete"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_from_the_policy_is_deleted_and_a_new_end_is_given_to_all() {
    let mut house = House::new(PRESSES, 2);
    house.review().await;
    house.have(&PRESSES.replace("2027-06-30", "2027-09-30"));
    let told = house.review().await;
    assert_eq!(told["standing"]["presses"]["updated"], 4);
    assert_eq!(told["drift"], json!([]));
    assert!(house.suppressions().iter().all(|line| line.contains(" 2027-09-30 ")));

    house.suppress(5, None, "made by hand");
    house.have("version: 1\nmode: enforce\nrules: []\n");
    let told = house.review().await;
    assert_eq!((&told["goneFromPolicy"], &told["drift"]), (&json!(4), &json!([])));
    assert_eq!(house.suppressions(), [format!("{SHARED} certificate of press-5 never made by hand")]);
}

#[tokio::test(start_paused = true)]
async fn what_was_renamed_keeps_its_suppressions_until_its_members_are_known() {
    let mut house = House::new(PRESSES, 2);
    house.review().await;
    house.have(&PRESSES.replace("name: presses", "name: old-presses"));
    *house.denied.lock().unwrap() = Some("/things");
    let told = house.review().await;
    assert_eq!((&told["goneFromPolicy"], house.suppressions().len()), (&json!(0), 4), "{told}");
    *house.denied.lock().unwrap() = None;
    let told = house.review().await;
    assert_eq!(told["standing"]["old-presses"]["updated"], 4, "{told}");
}

#[tokio::test(start_paused = true)]
async fn what_people_made_is_left_alone_unless_it_is_adopted() {
    let mut house = House::new(PRESSES, 1);
    house.suppress(1, Some(20), "agreed with Ms Lee");
    let told = house.review().await;
    let presses = &told["standing"]["presses"];
    assert_eq!((&presses["byHand"], &presses["created"]), (&json!(1), &json!(1)));
    assert!(
        house
            .suppressions()
            .contains(&format!("{SHARED} certificate of press-1 2026-12-13 agreed with Ms Lee"))
    );

    house.have(&with("adopt: true"));
    let told = house.review().await;
    assert_eq!(told["standing"]["presses"]["updated"], 1);
    assert!(
        house
            .suppressions()
            .iter()
            .all(|line| line.contains(" 2027-06-30 Fleetwarden: standing presses; owner lab; "))
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_rule_made_becomes_the_standing_ones() {
    let mut house = House::new(PRESSES, 1);
    house.suppress(1, Some(20), "Fleetwarden: rule shared; owner ops; until they are replaced");
    let told = house.review().await;
    assert_eq!(told["standing"]["presses"]["updated"], 1);
    assert!(house.suppressions().iter().all(|line| line.contains("standing presses")));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_others_use_too_is_not_suppressed() {
    let mut house = House::new(PRESSES, 2);
    house.control("things", &json!({"thingName": "visitor"}));
    house.attach("visitor", &house.certificate(1), true);
    // A principal of two members is nobody else's.
    house.attach("press-1", &house.certificate(2), true);
    let told = house.review().await;
    let presses = &told["standing"]["presses"];
    assert_eq!((&presses["wanted"], &presses["shared"]), (&json!(3), &json!(1)));
    let lines = house.suppressions();
    assert!(lines.iter().any(|line| line.contains("certificate of press-2")));
    assert!(!lines.iter().any(|line| line.contains("certificate of press-1")));
}

#[tokio::test(start_paused = true)]
async fn in_observe_in_shadow_and_on_trial_all_is_said_and_nothing_done() {
    for policy in [PRESSES.replace("enforce", "observe"), with("stage: shadow")] {
        let mut house = House::new(&policy, 2);
        let told = house.review().await;
        assert_eq!(told["standing"]["presses"]["created"], 4, "{told}");
        assert_eq!(house.suppressions(), [""; 0]);
    }
    let house = House::new(PRESSES, 2);
    let told = house.invoke("trial", json!({"dryRun": true})).await.unwrap();
    assert_eq!(told["standing"]["presses"]["created"], 4);
    assert_eq!((house.suppressions().len(), house.messages("suppression-debt").len()), (0, 0));
    assert_eq!(house.cloud.item("debt", "latest"), None);
}

#[tokio::test(start_paused = true)]
async fn members_that_cannot_be_listed_are_not_taken_for_none() {
    let mut house = House::new(PRESSES, 2);
    house.review().await;
    for press in [3, 4] {
        house.press(press);
        match press {
            3 => *house.denied.lock().unwrap() = Some("/things"),
            _ => house.order("ListThings", "internal-failure", 100),
        }
        let told = house.review().await;
        let presses = &told["standing"]["presses"];
        assert_eq!((&presses["created"], &presses["deleted"]), (&json!(0), &json!(0)));
        assert_eq!(unknown(presses), [CLIENTS, SHARED]);
        assert_eq!(house.suppressions().len(), 4, "{told}");
        *house.denied.lock().unwrap() = None;
    }
    assert_eq!(house.alerts("suppression-not-kept"), ["The standing suppression presses could not be kept"]);
}

const ALIASES: &str = "IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK";

/// Suppresses for certificates and for role aliases, both by patterns.
const BOTH: &str = "
version: 1
mode: enforce
rules: []
suppressions:
  - name: both
    check: [IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK, CA_CERTIFICATE_EXPIRING_CHECK]
    match: { resource: ['*:rolealias/*', '?*'] }
    suppress: { until: 2027-06-30, reason: known, owner: lab }
";

#[tokio::test(start_paused = true)]
async fn a_check_whose_resources_cannot_be_listed_takes_no_other_along() {
    let mut house = House::new(BOTH, 1);
    let of = |house: &House, check: &str| {
        house.suppressions().iter().filter(|line| line.starts_with(check)).count()
    };
    *house.denied.lock().unwrap() = Some("/role-aliases");
    let told = house.review().await;
    let both = &told["standing"]["both"];
    assert_eq!((unknown(both), of(&house, ALIASES)), (vec![ALIASES], 0), "{told}");
    let authorities = of(&house, "CA_CERTIFICATE_EXPIRING_CHECK");
    assert!(authorities > 0 && both["created"] == authorities, "{told}");
    insta::assert_snapshot!(
        house.messages("suppression-not-kept")[0]["content"]["description"].as_str().unwrap()
    );

    *house.denied.lock().unwrap() = None;
    let told = house.review().await;
    assert_eq!(unknown(&told["standing"]["both"]), [""; 0]);
    let aliases = of(&house, ALIASES);
    assert!(aliases > 0, "{told}");

    // What is there for the one that cannot be listed stays; for the other it follows the policy.
    *house.denied.lock().unwrap() = Some("/role-aliases");
    house.have(&BOTH.replace("'?*'", "'0*'"));
    let told = house.review().await;
    assert_eq!((of(&house, ALIASES), &told["standing"]["both"]["created"]), (aliases, &json!(0)), "{told}");
    assert!(of(&house, "CA_CERTIFICATE_EXPIRING_CHECK") < authorities, "{told}");
    assert_eq!(told["goneFromPolicy"], 0);
}

#[tokio::test(start_paused = true)]
async fn clients_are_kept_though_nobody_may_look_for_their_certificates() {
    let mut house = House::new(PRESSES, 3);
    *house.denied.lock().unwrap() = Some("/things/press-2/principals");
    let told = house.review().await;
    let presses = &told["standing"]["presses"];
    assert_eq!((unknown(presses), &presses["created"]), (vec![SHARED], &json!(3)), "{told}");
    assert!(house.suppressions().iter().all(|line| line.starts_with(CLIENTS)));
    assert_eq!(house.alerts("suppression-dropped"), [""; 0]);
    *house.denied.lock().unwrap() = None;
    assert_eq!(house.review().await["standing"]["presses"]["created"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_answers_what_device_defender_would_refuse() {
    let named = BOTH.replace("['*:rolealias/*', '?*']", &format!("['{}']", "ab".repeat(32))).replace(
        "[IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK, CA_CERTIFICATE_EXPIRING_CHECK]",
        "[DEVICE_CERTIFICATE_SHARED_CHECK, CA_CERTIFICATE_EXPIRING_CHECK]",
    );
    for policy in [named.clone(), named.replace("enforce", "observe")] {
        let house = House::new(&policy, 1);
        let refused = json!({"message": "no such resource"});
        house.refuse("/audit/suppressions/describe", "InvalidRequestException", refused);
        let told = house.invoke("trial", json!({"dryRun": true})).await.unwrap();
        let both = &told["standing"]["both"];
        assert_eq!((&both["created"], &both["failed"]), (&json!(0), &json!(2)), "{told}");
        assert!(both["error"].as_str().unwrap().contains("no such resource"), "{told}");
        house.allow_all();
        let told = house.invoke("again", json!({"dryRun": true})).await.unwrap();
        assert_eq!(told["standing"]["both"]["created"], 2, "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_to_one_is_not_asked_for_all() {
    let mut house = House::new(PRESSES, 9);
    house.control("rules", &json!({"mostSuppressions": 3, "lapsedStay": true}));
    let told = house.review().await;
    let presses = &told["standing"]["presses"];
    assert_eq!((&presses["created"], &presses["failed"]), (&json!(3), &json!(15)));
    assert!(house.calls("/suppressions/create") < 10, "{}", house.calls("/suppressions/create"));
    insta::assert_snapshot!(
        house.messages("suppression-not-kept")[0]["content"]["description"].as_str().unwrap()
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_account_still_gets_its_ends_moved() {
    let mut house = House::new(PRESSES, 3);
    house.control("rules", &json!({"mostSuppressions": 6, "lapsedStay": true}));
    house.review().await;
    (4..=9).for_each(|n| house.press(n));
    house.have(&PRESSES.replace("2027-06-30", "2027-09-30"));
    let told = house.review().await;
    let presses = &told["standing"]["presses"];
    assert_eq!((&presses["updated"], &presses["failed"]), (&json!(6), &json!(12)));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_missing_from_an_answer_is_not_an_empty_one() {
    let mut house = House::new(PRESSES, 2);
    house.review().await;
    for (operation, of) in [("ListThings", &[CLIENTS, SHARED][..]), ("ListThingPrincipals", &[SHARED])] {
        house.order(operation, "nulls", 1);
        let told = house.review().await;
        let presses = &told["standing"]["presses"];
        assert_eq!((unknown(presses), &presses["deleted"]), (of.to_vec(), &json!(0)), "{operation}");
    }
    assert_eq!(house.suppressions().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_gone_when_it_is_looked_behind_stops_nobody() {
    let mut house = House::new(PRESSES, 2);
    *house.gone.lock().unwrap() = Some("/principals/things");
    let told = house.review().await;
    let presses = &told["standing"]["presses"];
    assert_eq!((&presses["wanted"], presses.get("unknown")), (&json!(2), None), "{told}");
}

#[tokio::test(start_paused = true)]
async fn two_that_want_the_same_leave_it_to_the_first() {
    let both = format!(
        "{PRESSES}  - name: clients
    check: CONFLICTING_CLIENT_IDS_CHECK
    match: {{ thing: press-* }}
    suppress: {{ indefinitely: true, reason: the same, owner: ops }}
"
    );
    let mut house = House::new(&both, 2);
    house.review().await;
    let of =
        |house: &House, name: &str| house.suppressions().iter().filter(|line| line.contains(name)).count();
    assert_eq!((of(&house, "standing presses"), of(&house, "standing clients")), (4, 0));
    // In shadow the first takes nothing.
    let shadow = both.replace("owner: lab }", "owner: lab }\n    stage: shadow");
    house.have(&shadow);
    let told = house.review().await;
    assert_eq!(told["standing"]["clients"]["updated"], 2, "{told}");
    assert_eq!((of(&house, "standing presses"), of(&house, "standing clients")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn things_of_a_group_and_resources_by_name_are_members_too() {
    let policy = |members: &str, check: &str| {
        format!(
            "version: 1\nmode: enforce\nrules: []\nsuppressions:\n  - name: some\n    check: {check}\n    match: {{ {members} }}\n    \
             suppress: {{ indefinitely: true, reason: known, owner: lab }}\n"
        )
    };
    let mut house = House::new(&policy("group: critical", CLIENTS), 2);
    house.control(
        "membership",
        &json!({"thingName": "press-1", "thingGroupName": "critical", "member": true}),
    );
    house.review().await;
    assert!(house.suppressions().contains(&format!(
        "{CLIENTS} {{\"clientId\":\"press-1\"}} never Fleetwarden: standing some; owner lab; known"
    )));

    for (members, check, least) in [
        ("resource: 'arn:aws:iot:*:rolealias/*'", "IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK", 1),
        ("resource: '*:1'", "IOT_POLICY_OVERLY_PERMISSIVE_CHECK", 1),
        ("resource: '*'", "CA_CERTIFICATE_EXPIRING_CHECK", 1),
        ("resource: '1234*'", "LOGGING_DISABLED_CHECK", 1),
        ("resource: '*'", SHARED, 50),
    ] {
        house.have(&policy(members, check));
        let told = house.review().await;
        let some = &told["standing"]["some"];
        assert!(some["created"].as_u64() >= Some(least), "{check}: {told}");
        assert_eq!(some.get("error"), None, "{check}");
    }
    // What no list has is not kept by patterns: such a policy is refused.
    let pools = policy("resource: 'us-east-1:*'", "UNAUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK");
    insta::assert_snapshot!(Policy::parse(pools.as_bytes()).unwrap_err());
}
