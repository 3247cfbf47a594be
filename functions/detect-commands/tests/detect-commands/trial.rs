//! A profile tried on things before it watches any.

use serde_json::Value;
use serde_json::json;

use crate::setup::ACCOUNT;
use crate::setup::GROUP;
use crate::setup::Setup;
use crate::setup::messages;
use crate::setup::model;
use crate::setup::setup;

/// A setup whose things have reported their messages for some days, because a profile retains them; and two of them.
async fn reported(days: u32) -> (Setup, Vec<String>) {
    let setup = setup();
    setup.profile("always", &json!([messages("always", 0)])).await;
    setup.attach("always", GROUP).await;
    setup.pass(900);
    let active = setup.active().await;
    let things: Vec<String> =
        active.iter().take(2).map(|violation| violation["thingName"].as_str().unwrap().to_owned()).collect();
    assert_eq!(things.len(), 2);
    setup.pass(days * 86_400);
    setup.calls();
    (setup, things)
}

fn source() -> Value {
    let all = json!({"cidrs": ["0.0.0.0/0", "::/0"]});
    json!({
        "name": "anywhere", "metric": "aws:source-ip-address",
        "criteria": {"comparisonOperator": "in-cidr-set", "value": all},
    })
}

fn percentile() -> Value {
    json!({
        "name": "percentile", "metric": "aws:num-messages-sent",
        "criteria": {
            "comparisonOperator": "less-than-equals", "statisticalThreshold": {"statistic": "p90"},
            "durationSeconds": 300,
        },
    })
}

#[tokio::test(start_paused = true)]
async fn each_behavior_is_told_what_it_would_have_done() {
    let (setup, things) = reported(3).await;
    let behaviors = json!([
        messages("everything", 0), messages("quiet", 1_000_000), percentile(), model("learned"), source(),
        {"name": "ports", "metric": "aws:listening-tcp-ports", "criteria": {"comparisonOperator": "in-port-set", "value": {"ports": [8883]}}},
        {"name": "collected", "metric": "aws:num-messages-sent"},
    ]);
    let create = json!({
        "command": "CreateSecurityProfile", "securityProfileName": "p", "behaviors": behaviors,
        "tryOn": things, "tryHours": 24, "dryRun": true,
    });
    let answer = setup.ok(create).await;
    let tried = &answer["tried"];
    assert_eq!(
        (&tried["things"], &tried["hours"], &tried["complete"]),
        (&json!(things), &json!(24), &json!(true))
    );
    let of = |name: &str| {
        let behaviors = tried["behaviors"].as_array().unwrap();
        behaviors.iter().find(|behavior| behavior["name"] == name).unwrap().clone()
    };
    let verdicts: Vec<(Value, Value)> = tried["behaviors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|behavior| (behavior["name"].clone(), behavior["verdict"].clone()))
        .collect();
    let wanted = [
        ("everything", "everything"),
        ("quiet", "quiet"),
        ("percentile", "some"),
        ("learned", "untried"),
        ("anywhere", "nothing"),
        ("ports", "nothing"),
        ("collected", "untried"),
    ];
    assert_eq!(verdicts, wanted.map(|(name, verdict)| (json!(name), json!(verdict))));
    let (everything, quiet) = (of("everything"), of("quiet"));
    // A datapoint each five minutes of a day, of two things that are nearly always there.
    let datapoints = everything["datapoints"].as_u64().unwrap();
    assert!((500..=578).contains(&datapoints), "{everything}");
    assert_eq!(everything["share"], 1.0);
    assert_eq!((&quiet["violating"], &quiet["alarms"], &quiet["share"]), (&json!(0), &json!(0), &json!(0.0)));
    let learned = of("learned");
    assert_eq!(learned["neededIn14Days"], 25_000);
    assert_eq!(learned["expectedOfEachIn14Days"], datapoints * 14 / 2);
    let notes = answer["notes"].as_array().unwrap();
    let has = |words: &str| notes.iter().any(|note| note.as_str().unwrap().contains(words));
    assert!(has("'learned' cannot be tried") && has("a percentile is that of the 2 things"), "{notes:?}");
    // A creation attaches nothing: what nobody can have meant is told.
    assert!(
        has("'everything' would alarm on everything") && has("'anywhere' would alarm on nothing"),
        "{notes:?}"
    );
    assert_eq!(answer.get("confirmationRequired"), None);
    let calls = setup.calls();
    assert!(!calls.contains("POST"), "{calls}");
    // A stream is read once for each thing, whatever the number of its behaviors.
    let pages = calls.lines().filter(|call| call.contains("metricName=aws%3Anum-messages-sent")).count();
    assert_eq!(pages, 4, "{calls}");
}

#[tokio::test(start_paused = true)]
async fn what_would_alarm_on_everything_is_attached_only_if_it_is_confirmed() {
    let (setup, things) = reported(1).await;
    let attach = |name: &str| {
        json!({
            "command": "AttachSecurityProfile", "securityProfileName": name, "securityProfileTargetArn": GROUP,
            "tryOn": things,
        })
    };
    for (name, behavior, words) in [
        ("everything", messages("b", 1), "'b' would alarm on everything: "),
        ("nothing", source(), "'anywhere' would alarm on nothing: every address is in the set. Confirm with"),
    ] {
        setup.profile(name, &json!([behavior])).await;
        let error = setup.fails(attach(name)).await;
        assert!(error.starts_with(&format!("ConfirmationRequired\n{words}")), "{error}");
        assert!(!setup.calls().contains("PUT"));
        let mut dry = attach(name);
        dry["dryRun"] = true.into();
        assert!(setup.ok(dry).await["confirmationRequired"].as_str().unwrap().starts_with(&words[..10]));
        let mut confirmed = attach(name);
        confirmed["confirm"] = ACCOUNT.into();
        assert!(setup.ok(confirmed).await["tried"].is_object());
    }
    // What alarms on some or on none of what the things do is attached, and told.
    setup.profile("good", &json!([messages("quiet", 1_000_000)])).await;
    let answer = setup.ok(attach("good")).await;
    assert_eq!(answer["tried"]["behaviors"][0]["verdict"], "quiet");
    // An update is at work at once if the profile is attached.
    let update = |name: &str| {
        json!({
            "command": "UpdateSecurityProfile", "securityProfileName": name, "behaviors": [messages("b", 1)],
            "tryOn": things,
        })
    };
    assert!(setup.fails(update("good")).await.starts_with("ConfirmationRequired\n"));
    setup.profile("loose", &json!([messages("quiet", 1_000_000)])).await;
    assert_eq!(setup.ok(update("loose")).await["tried"]["behaviors"][0]["verdict"], "everything");
    // Without a trial nobody is asked.
    let mut untried = update("good");
    untried.as_object_mut().unwrap().remove("tryOn");
    setup.ok(untried).await;
}

#[tokio::test(start_paused = true)]
async fn the_trial_of_a_model_tells_how_many_devices_it_needs() {
    let (setup, things) = reported(1).await;
    setup.quarantine_action("quarantine");
    setup.profile("p", &json!([model("learned")])).await;
    let attach = json!({
        "command": "AttachSecurityProfile", "securityProfileName": "p", "tryOn": things, "tryHours": 12,
        "securityProfileTargetArn": "arn:aws:iot:us-east-1:123456789012:thinggroup/quarantine",
    });
    let answer = setup.ok(attach).await;
    let notes = answer["notes"].as_array().unwrap();
    assert!(notes[0].as_str().unwrap().contains("devices like these are needed"), "{notes:?}");
    assert!(notes[1].as_str().unwrap().contains("will never be trained"), "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn things_that_nobody_knows_have_no_values() {
    let (setup, _) = reported(1).await;
    let create = json!({
        "command": "CreateSecurityProfile", "securityProfileName": "p", "behaviors": [messages("b", 50)],
        "tryOn": ["nobody \u{1f600}"],
    });
    let answer = setup.ok(create).await;
    let tried = &answer["tried"]["behaviors"][0];
    assert_eq!((&tried["datapoints"], &tried["verdict"]), (&json!(0), &json!("nothing")));
}

#[tokio::test(start_paused = true)]
async fn a_trial_ends_in_time_and_says_what_is_missing() {
    let (setup, things) = reported(3).await;
    let create = json!({
        "command": "CreateSecurityProfile", "securityProfileName": "p", "behaviors": [messages("b", 50)],
        "tryOn": things,
    });
    // There is no time for more than the change.
    let answer = setup.invoke_within(14, create).await.unwrap();
    assert_eq!(answer["tried"]["complete"], false);
    let notes = answer["notes"].as_array().unwrap();
    assert!(notes.iter().any(|note| note.as_str().unwrap().contains("could be read in time")), "{notes:?}");
    assert_eq!(answer["securityProfileName"], "p");
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_cannot_be_read_changes_nothing() {
    let (setup, things) = reported(1).await;
    setup.order("ListMetricValues", "throttle", 3, 1);
    let create = json!({
        "command": "CreateSecurityProfile", "securityProfileName": "p", "behaviors": [messages("b", 50)],
        "tryOn": things,
    });
    assert!(setup.fails(create).await.starts_with("ThrottlingException\nListMetricValues: "));
    assert!(!setup.calls().contains("POST"));
}
