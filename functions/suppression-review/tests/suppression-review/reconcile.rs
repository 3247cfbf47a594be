//! Standing suppressions are reconciled: one for each member, and for nobody else.

use fleetwarden_core::policy::Policy;
use serde_json::Value;
use serde_json::json;

use crate::setup::CLIENTS;
use crate::setup::PRESSES;
use crate::setup::SHARED;
use crate::setup::Setup;

/// The checks for which the members of a standing suppression are not known.
fn unknown(status: &Value) -> Vec<&str> {
    status["unknown"].as_object().into_iter().flatten().map(|(check, _)| check.as_str()).collect()
}

fn with(more: &str) -> String {
    PRESSES.replace("owner: lab }", &format!("owner: lab }}\n    {more}"))
}

#[tokio::test(start_paused = true)]
async fn a_member_gets_its_suppressions_and_loses_them_when_it_leaves() {
    let mut setup = Setup::new(PRESSES, 2);
    let answer = setup.review().await;
    insta::assert_snapshot!(setup.suppressions().join("\n"));
    insta::assert_json_snapshot!(answer["standing"]);

    setup.press(3);
    setup.attach("press-1", &setup.certificate(1), false);
    let answer = setup.review().await;
    let presses = &answer["standing"]["presses"];
    assert_eq!((&presses["created"], &presses["deleted"]), (&json!(2), &json!(1)));
    let of = |what: &str| setup.suppressions().iter().filter(|line| line.contains(what)).count();
    assert_eq!((of("certificate of press-1"), of("press-1"), of("press-3")), (0, 1, 2));

    let answer = setup.review().await;
    let presses = &answer["standing"]["presses"];
    assert_eq!(
        (&presses["unchanged"], &presses["created"], &presses["deleted"]),
        (&json!(5), &json!(0), &json!(0))
    );
    assert_eq!(setup.calls("/suppressions/create") + setup.calls("/suppressions/delete"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_from_the_policy_is_deleted_and_a_new_end_is_given_to_all() {
    let mut setup = Setup::new(PRESSES, 2);
    setup.review().await;
    setup.have(&PRESSES.replace("2027-06-30", "2027-09-30"));
    let answer = setup.review().await;
    assert_eq!(answer["standing"]["presses"]["updated"], 4);
    assert_eq!(answer["drift"], json!([]));
    assert!(setup.suppressions().iter().all(|line| line.contains(" 2027-09-30 ")));

    setup.suppress(5, None, "made by hand");
    setup.have("version: 1\nmode: enforce\nrules: []\n");
    let answer = setup.review().await;
    assert_eq!((&answer["goneFromPolicy"], &answer["drift"]), (&json!(4), &json!([])));
    assert_eq!(setup.suppressions(), [format!("{SHARED} certificate of press-5 never made by hand")]);
}

#[tokio::test(start_paused = true)]
async fn what_was_renamed_keeps_its_suppressions_until_its_members_are_known() {
    let mut setup = Setup::new(PRESSES, 2);
    setup.review().await;
    setup.have(&PRESSES.replace("name: presses", "name: old-presses"));
    *setup.denied.lock().unwrap() = Some("/things");
    let answer = setup.review().await;
    assert_eq!((&answer["goneFromPolicy"], setup.suppressions().len()), (&json!(0), 4), "{answer}");
    *setup.denied.lock().unwrap() = None;
    let answer = setup.review().await;
    assert_eq!(answer["standing"]["old-presses"]["updated"], 4, "{answer}");
}

#[tokio::test(start_paused = true)]
async fn what_was_made_by_hand_stays_unless_it_is_adopted() {
    let mut setup = Setup::new(PRESSES, 1);
    setup.suppress(1, Some(20), "agreed with Ms Lee");
    let answer = setup.review().await;
    let presses = &answer["standing"]["presses"];
    assert_eq!((&presses["byHand"], &presses["created"]), (&json!(1), &json!(1)));
    assert!(
        setup
            .suppressions()
            .contains(&format!("{SHARED} certificate of press-1 2026-12-13 agreed with Ms Lee"))
    );

    setup.have(&with("adopt: true"));
    let answer = setup.review().await;
    assert_eq!(answer["standing"]["presses"]["updated"], 1);
    assert!(
        setup
            .suppressions()
            .iter()
            .all(|line| line.contains(" 2027-06-30 Fleetwarden: standing presses; owner lab; "))
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_rule_made_becomes_the_standing_ones() {
    let mut setup = Setup::new(PRESSES, 1);
    setup.suppress(1, Some(20), "Fleetwarden: rule shared; owner ops; until they are replaced");
    let answer = setup.review().await;
    assert_eq!(answer["standing"]["presses"]["updated"], 1);
    assert!(setup.suppressions().iter().all(|line| line.contains("standing presses")));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_others_use_too_is_not_suppressed() {
    let mut setup = Setup::new(PRESSES, 2);
    setup.control("things", &json!({"thingName": "visitor"}));
    setup.attach("visitor", &setup.certificate(1), true);
    // A principal of two members is nobody else's.
    setup.attach("press-1", &setup.certificate(2), true);
    let answer = setup.review().await;
    let presses = &answer["standing"]["presses"];
    assert_eq!((&presses["wanted"], &presses["shared"]), (&json!(3), &json!(1)));
    let lines = setup.suppressions();
    assert!(lines.iter().any(|line| line.contains("certificate of press-2")));
    assert!(!lines.iter().any(|line| line.contains("certificate of press-1")));
}

#[tokio::test(start_paused = true)]
async fn in_observe_in_shadow_and_in_a_dry_run_everything_is_reported_and_nothing_done() {
    for policy in [PRESSES.replace("enforce", "observe"), with("stage: shadow")] {
        let mut setup = Setup::new(&policy, 2);
        let answer = setup.review().await;
        assert_eq!(answer["standing"]["presses"]["created"], 4, "{answer}");
        assert_eq!(setup.suppressions(), [""; 0]);
    }
    let setup = Setup::new(PRESSES, 2);
    let answer = setup.invoke("trial", json!({"dryRun": true})).await.unwrap();
    assert_eq!(answer["standing"]["presses"]["created"], 4);
    assert_eq!((setup.suppressions().len(), setup.messages("suppression-debt").len()), (0, 0));
    assert_eq!(setup.cloud.item("debt", "latest"), None);
}

#[tokio::test(start_paused = true)]
async fn members_that_cannot_be_listed_are_unknown_and_not_none() {
    let mut setup = Setup::new(PRESSES, 2);
    setup.review().await;
    for press in [3, 4] {
        setup.press(press);
        match press {
            3 => *setup.denied.lock().unwrap() = Some("/things"),
            _ => setup.order("ListThings", "internal-failure", 100),
        }
        let answer = setup.review().await;
        let presses = &answer["standing"]["presses"];
        assert_eq!((&presses["created"], &presses["deleted"]), (&json!(0), &json!(0)));
        assert_eq!(unknown(presses), [CLIENTS, SHARED]);
        assert_eq!(setup.suppressions().len(), 4, "{answer}");
        *setup.denied.lock().unwrap() = None;
    }
    assert_eq!(
        setup.alerts("suppression-not-kept"),
        ["The standing suppression presses could not be reconciled"]
    );
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
async fn a_check_whose_resources_cannot_be_listed_affects_no_other() {
    let mut setup = Setup::new(BOTH, 1);
    let of = |setup: &Setup, check: &str| {
        setup.suppressions().iter().filter(|line| line.starts_with(check)).count()
    };
    *setup.denied.lock().unwrap() = Some("/role-aliases");
    let answer = setup.review().await;
    let both = &answer["standing"]["both"];
    assert_eq!((unknown(both), of(&setup, ALIASES)), (vec![ALIASES], 0), "{answer}");
    let authorities = of(&setup, "CA_CERTIFICATE_EXPIRING_CHECK");
    assert!(authorities > 0 && both["created"] == authorities, "{answer}");
    insta::assert_snapshot!(
        setup.messages("suppression-not-kept")[0]["content"]["description"].as_str().unwrap()
    );

    *setup.denied.lock().unwrap() = None;
    let answer = setup.review().await;
    assert_eq!(unknown(&answer["standing"]["both"]), [""; 0]);
    let aliases = of(&setup, ALIASES);
    assert!(aliases > 0, "{answer}");

    // What is there for the one that cannot be listed stays; for the other it follows the policy.
    *setup.denied.lock().unwrap() = Some("/role-aliases");
    setup.have(&BOTH.replace("'?*'", "'0*'"));
    let answer = setup.review().await;
    assert_eq!(
        (of(&setup, ALIASES), &answer["standing"]["both"]["created"]),
        (aliases, &json!(0)),
        "{answer}"
    );
    assert!(of(&setup, "CA_CERTIFICATE_EXPIRING_CHECK") < authorities, "{answer}");
    assert_eq!(answer["goneFromPolicy"], 0);
}

#[tokio::test(start_paused = true)]
async fn clients_are_reconciled_although_their_certificates_are_unknown() {
    let mut setup = Setup::new(PRESSES, 3);
    *setup.denied.lock().unwrap() = Some("/things/press-2/principals");
    let answer = setup.review().await;
    let presses = &answer["standing"]["presses"];
    assert_eq!((unknown(presses), &presses["created"]), (vec![SHARED], &json!(3)), "{answer}");
    assert!(setup.suppressions().iter().all(|line| line.starts_with(CLIENTS)));
    assert_eq!(setup.alerts("suppression-dropped"), [""; 0]);
    *setup.denied.lock().unwrap() = None;
    assert_eq!(setup.review().await["standing"]["presses"]["created"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_answers_what_device_defender_would_refuse() {
    let named = BOTH.replace("['*:rolealias/*', '?*']", &format!("['{}']", "ab".repeat(32))).replace(
        "[IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK, CA_CERTIFICATE_EXPIRING_CHECK]",
        "[DEVICE_CERTIFICATE_SHARED_CHECK, CA_CERTIFICATE_EXPIRING_CHECK]",
    );
    for policy in [named.clone(), named.replace("enforce", "observe")] {
        let setup = Setup::new(&policy, 1);
        let refused = json!({"message": "no such resource"});
        setup.refuse("/audit/suppressions/describe", "InvalidRequestException", refused);
        let answer = setup.invoke("trial", json!({"dryRun": true})).await.unwrap();
        let both = &answer["standing"]["both"];
        assert_eq!((&both["created"], &both["failed"]), (&json!(0), &json!(2)), "{answer}");
        assert!(both["error"].as_str().unwrap().contains("no such resource"), "{answer}");
        setup.allow_all();
        let answer = setup.invoke("again", json!({"dryRun": true})).await.unwrap();
        assert_eq!(answer["standing"]["both"]["created"], 2, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_one_change_stops_the_others() {
    let mut setup = Setup::new(PRESSES, 9);
    setup.control("rules", &json!({"mostSuppressions": 3, "lapsedStay": true}));
    let answer = setup.review().await;
    let presses = &answer["standing"]["presses"];
    assert_eq!((&presses["created"], &presses["failed"]), (&json!(3), &json!(15)));
    assert!(setup.calls("/suppressions/create") < 10, "{}", setup.calls("/suppressions/create"));
    insta::assert_snapshot!(
        setup.messages("suppression-not-kept")[0]["content"]["description"].as_str().unwrap()
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_account_still_gets_its_ends_moved() {
    let mut setup = Setup::new(PRESSES, 3);
    setup.control("rules", &json!({"mostSuppressions": 6, "lapsedStay": true}));
    setup.review().await;
    (4..=9).for_each(|n| setup.press(n));
    setup.have(&PRESSES.replace("2027-06-30", "2027-09-30"));
    let answer = setup.review().await;
    let presses = &answer["standing"]["presses"];
    assert_eq!((&presses["updated"], &presses["failed"]), (&json!(6), &json!(12)));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_missing_from_an_answer_is_not_an_empty_one() {
    let mut setup = Setup::new(PRESSES, 2);
    setup.review().await;
    for (operation, of) in [("ListThings", &[CLIENTS, SHARED][..]), ("ListThingPrincipals", &[SHARED])] {
        setup.order(operation, "nulls", 1);
        let answer = setup.review().await;
        let presses = &answer["standing"]["presses"];
        assert_eq!((unknown(presses), &presses["deleted"]), (of.to_vec(), &json!(0)), "{operation}");
    }
    assert_eq!(setup.suppressions().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_deleted_since_the_list_stops_nothing() {
    let mut setup = Setup::new(PRESSES, 2);
    *setup.gone.lock().unwrap() = Some("/principals/things");
    let answer = setup.review().await;
    let presses = &answer["standing"]["presses"];
    assert_eq!((&presses["wanted"], presses.get("unknown")), (&json!(2), None), "{answer}");
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
    let mut setup = Setup::new(&both, 2);
    setup.review().await;
    let of =
        |setup: &Setup, name: &str| setup.suppressions().iter().filter(|line| line.contains(name)).count();
    assert_eq!((of(&setup, "standing presses"), of(&setup, "standing clients")), (4, 0));
    // In shadow the first takes nothing.
    let shadow = both.replace("owner: lab }", "owner: lab }\n    stage: shadow");
    setup.have(&shadow);
    let answer = setup.review().await;
    assert_eq!(answer["standing"]["clients"]["updated"], 2, "{answer}");
    assert_eq!((of(&setup, "standing presses"), of(&setup, "standing clients")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn things_of_a_group_and_resources_by_name_are_members_too() {
    let policy = |members: &str, check: &str| {
        format!(
            "version: 1\nmode: enforce\nrules: []\nsuppressions:\n  - name: some\n    check: {check}\n    match: {{ {members} }}\n    \
             suppress: {{ indefinitely: true, reason: known, owner: lab }}\n"
        )
    };
    let mut setup = Setup::new(&policy("group: critical", CLIENTS), 2);
    setup.control(
        "membership",
        &json!({"thingName": "press-1", "thingGroupName": "critical", "member": true}),
    );
    setup.review().await;
    assert!(setup.suppressions().contains(&format!(
        "{CLIENTS} {{\"clientId\":\"press-1\"}} never Fleetwarden: standing some; owner lab; known"
    )));

    for (members, check, least) in [
        ("resource: 'arn:aws:iot:*:rolealias/*'", "IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK", 1),
        ("resource: '*:1'", "IOT_POLICY_OVERLY_PERMISSIVE_CHECK", 1),
        ("resource: '*'", "CA_CERTIFICATE_EXPIRING_CHECK", 1),
        ("resource: '1234*'", "LOGGING_DISABLED_CHECK", 1),
        ("resource: '*'", SHARED, 50),
    ] {
        setup.have(&policy(members, check));
        let answer = setup.review().await;
        let some = &answer["standing"]["some"];
        assert!(some["created"].as_u64() >= Some(least), "{check}: {answer}");
        assert_eq!(some.get("error"), None, "{check}");
    }
    // What no list has cannot be matched by patterns: such a policy is refused.
    let pools = policy("resource: 'us-east-1:*'", "UNAUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK");
    insta::assert_snapshot!(Policy::parse(pools.as_bytes()).unwrap_err());
}
