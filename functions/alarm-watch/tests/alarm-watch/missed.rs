//! Events without a message, alarms that the service no longer lists, and lists that are refused.

use fleetwarden_aws::testing::Answer;
use fleetwarden_core::message::alarm::AlarmMessage;
use fleetwarden_core::model::alarm::AlarmEvent;
use fleetwarden_core::model::alarm::State;
use serde_json::Value;
use serde_json::json;

use crate::setup::ACCOUNT;
use crate::setup::REGION;
use crate::setup::Setup;
use crate::setup::active;
use crate::setup::event;

const NONE: [&str; 0] = [];

#[tokio::test(start_paused = true)]
async fn what_is_heard_in_time_is_quiet_and_costs_three_calls() {
    let setup = Setup::default();
    setup.look().await;
    for hour in 0..48 {
        setup.pass(60);
        let raised = setup.happens(&format!("v-{hour}"), "in-alarm", 40);
        setup.hear(&raised).await;
        let cleared = setup.happens(&format!("v-{hour}"), "alarm-cleared", 20);
        setup.hear(&cleared).await;
        setup.look().await;
    }
    assert_eq!((setup.found(), setup.told()), (vec![], vec![]));
    // Two hours of events, and what is active.
    assert_eq!(
        setup.detect(|d| d.calls.clone()),
        ["/violation-events", "/violation-events", "/active-violations"]
    );
    insta::assert_json_snapshot!(setup.look().await);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_heard_is_sent_through_once_and_told_once() {
    let setup = Setup::default();
    setup.look().await;
    for round in 0..3 {
        setup.pass(60);
        setup.happens(&format!("a-{round}"), "in-alarm", 50);
        setup.happens(&format!("b-{round}"), "in-alarm", 45);
        setup.happens(&format!("b-{round}"), "alarm-cleared", 30);
        assert_eq!(setup.problems().await, ["unheard"]);
        let expected = ["a-R in-alarm", "b-R alarm-cleared", "b-R in-alarm"];
        assert_eq!(setup.found(), expected.map(|word| word.replace('R', &round.to_string())));
        setup.handle_queue().await;
        assert_eq!(setup.state(&format!("a-{round}")).await, Some(State::Raised));
        assert_eq!(setup.state(&format!("b-{round}")).await, Some(State::Cleared));
        assert_eq!((setup.problems().await.len(), setup.found().len()), (0, 0));
    }
    assert_eq!(setup.told().len(), 1);
    insta::assert_snapshot!(setup.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn what_is_new_is_not_missed_yet() {
    let setup = Setup::default();
    setup.look().await;
    setup.pass(60);
    setup.happens("v", "in-alarm", 14);
    assert_eq!((setup.problems().await, setup.found()), (vec![], vec![]));
    setup.pass(2);
    assert_eq!((setup.problems().await, setup.found()), (vec!["unheard".into()], vec!["v in-alarm".into()]));
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_through_in_vain_is_told_and_not_sent_for_ever() {
    let setup = Setup::default();
    setup.look().await;
    setup.pass(60);
    setup.happens("v", "in-alarm", 30);
    let mut sent = Vec::new();
    for _ in 0..8 {
        setup.look().await;
        sent.push(setup.found().len());
        setup.pass(60);
    }
    assert_eq!(sent, [1, 2, 3, 3, 3, 3, 3, 3]);
    assert_eq!(setup.told().len(), 2);
    insta::assert_snapshot!(setup.told()[1]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_takes_nothing_keeps_the_place() {
    let setup = Setup::default();
    setup.look().await;
    setup.pass(60);
    setup.happens("v", "in-alarm", 30);
    setup.cloud.fail("SendMessageBatch", 20, Answer::refused());
    for _ in 0..3 {
        assert_eq!(setup.problems().await, ["unsent"]);
        setup.pass(60);
    }
    insta::assert_snapshot!(setup.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn what_was_active_before_the_watch_is_brought_in_and_nobody_is_blamed() {
    let setup = Setup::default();
    setup.detect(|detect| detect.active.push(active("old", 1_795_392_000 - 20 * 86_400)));
    setup.happens("v", "in-alarm", 40);
    assert_eq!(setup.problems().await, NONE);
    assert_eq!(setup.found(), ["v in-alarm", "old in-alarm"]);
    setup.handle_queue().await;
    setup.pass(60);
    let seen = setup.look().await;
    assert_eq!((&seen["earlier"], &seen["activeViolations"]), (&json!(0), &json!(2)));
    assert_eq!((setup.found(), setup.told()), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn somebody_can_look_further_back() {
    let setup = Setup::default();
    setup.look().await;
    setup.pass(30 * 60);
    setup.happens("v", "in-alarm", 20 * 60);
    setup.happens("v", "alarm-cleared", 19 * 60);
    for _ in 0..3 {
        // Its events were lost at first: the lists that this watch saw did not have them.
        let events = setup.detect(|detect| std::mem::take(&mut detect.events));
        setup.look().await;
        setup.detect(|detect| detect.events = events);
    }
    assert_eq!(setup.found(), NONE);
    setup.invoke(json!({"hours": 24}), 900).await.unwrap();
    assert_eq!(setup.found(), ["v in-alarm", "v alarm-cleared"]);
    for hours in [json!(0), json!(337), json!("1"), json!(-1)] {
        let error = setup.invoke(json!({"hours": hours}), 900).await.unwrap_err();
        assert!(error.is_permanent(), "{hours}: {error}");
    }
    assert!(setup.invoke(json!([]), 900).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn alarms_of_a_profile_that_is_gone_are_ended_and_told() {
    let setup = Setup::default();
    setup.look().await;
    for id in ["a", "b"] {
        let raised = setup.happens(id, "in-alarm", 5);
        setup.hear(&raised).await;
    }
    setup.pass(5);
    // Within its time nobody expects it in a list.
    setup.detect(|detect| detect.active.clear());
    assert_eq!((setup.problems().await, setup.found()), (vec![], vec![]));
    setup.pass(10);
    assert_eq!(setup.problems().await, ["gone"]);
    assert_eq!(setup.found(), ["a alarm-invalidated", "b alarm-invalidated"]);
    let calls = setup.detect(|detect| detect.calls.clone());
    let lights = "/active-violations lights";
    assert_eq!(calls[calls.len() - 3..], [lights, lights, "/violation-events"]);
    setup.handle_queue().await;
    assert_eq!(setup.state("a").await, Some(State::Invalidated));
    setup.pass(60);
    assert_eq!((setup.problems().await, setup.found()), (vec![], vec![]));
    insta::assert_snapshot!(setup.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_list_is_no_snapshot() {
    let setup = Setup::default();
    setup.look().await;
    let raised = setup.happens("v", "in-alarm", 30);
    setup.hear(&raised).await;
    setup.detect(|detect| detect.blink = 1);
    assert_eq!((setup.problems().await, setup.found()), (vec![], vec![]));
    // Suppressed since: without the filter it is not listed.
    setup.detect(|detect| detect.active[0]["behavior"]["suppressAlerts"] = true.into());
    assert_eq!((setup.problems().await, setup.found()), (vec![], vec![]));
    // It was ended all the same, and its device goes on.
    setup.detect(|detect| detect.blink = 3);
    setup.pass(1);
    assert_eq!(setup.problems().await, ["gone"]);
    setup.handle_queue().await;
    setup.pass(60);
    let last = setup.ago(20);
    setup.detect(|detect| {
        detect.active[0]["behavior"]["suppressAlerts"] = false.into();
        detect.active[0]["lastViolationTime"] = last.into();
    });
    setup.look().await;
    assert_eq!(setup.found(), ["v in-alarm"]);
    setup.handle_queue().await;
    let life = setup.life("v").await.unwrap();
    assert_eq!((life.state(), life.raised_at.unwrap().seconds()), (Some(State::Raised), last));
}

#[tokio::test(start_paused = true)]
async fn an_end_whose_message_may_still_come_is_no_alarm_that_is_gone() {
    let setup = Setup::default();
    setup.look().await;
    setup.pass(60);
    let raised = setup.happens("v", "in-alarm", 60);
    setup.hear(&raised).await;
    let cleared = setup.happens("v", "alarm-cleared", 10);
    assert_eq!((setup.problems().await, setup.found()), (vec![], vec![]));
    setup.hear(&cleared).await;
    setup.pass(60);
    assert_eq!((setup.problems().await, setup.state("v").await), (vec![], Some(State::Cleared)));
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_not_heard_is_no_alarm_that_is_gone() {
    let setup = Setup::default();
    setup.look().await;
    let raised = setup.happens("v", "in-alarm", 60);
    setup.hear(&raised).await;
    setup.pass(60);
    setup.happens("v", "alarm-cleared", 30);
    assert_eq!(
        (setup.problems().await, setup.found()),
        (vec!["unheard".into()], vec!["v alarm-cleared".into()])
    );
}

#[tokio::test(start_paused = true)]
async fn suppressed_alerts_are_nobodys_to_miss_but_the_end_of_a_known_alarm_is() {
    let setup = Setup::default();
    setup.look().await;
    setup.pass(60);
    let known = setup.happens("known", "in-alarm", 50);
    setup.hear(&known).await;
    setup.happens("known", "alarm-cleared", 40);
    setup.happens("other", "in-alarm", 40);
    setup.detect(|detect| {
        let lists = detect.events.iter_mut().chain(&mut detect.active);
        lists.for_each(|violation| violation["behavior"]["suppressAlerts"] = true.into());
    });
    setup.look().await;
    assert_eq!(setup.found(), ["known alarm-cleared"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_look_is_told_once_and_ends_nothing() {
    let setup = Setup::default();
    setup.look().await;
    let raised = setup.happens("v", "in-alarm", 60);
    setup.hear(&raised).await;
    setup.detect(|detect| detect.active.clear());
    for path in ["/violation-events", "/active-violations"] {
        setup.detect(|detect| detect.denied = Some(path));
        for _ in 0..2 {
            setup.pass(60);
            assert_eq!((setup.problems().await, setup.found()), (vec!["blind".into()], vec![]));
        }
    }
    insta::assert_snapshot!(setup.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn what_the_service_lists_is_read_as_its_message_is() {
    let criteria = [
        json!({"comparisonOperator": "in-cidr-set", "value": {"cidrs": ["10.0.0.0/8"]}, "consecutiveDatapointsToAlarm": 3}),
        json!({"comparisonOperator": "less-than-equals", "statisticalThreshold": {"statistic": "p90"}, "durationSeconds": 300}),
        json!({"mlDetectionConfig": {"confidenceLevel": "LOW"}, "consecutiveDatapointsToClear": 2}),
        json!({"comparisonOperator": "not-in-port-set", "value": {"ports": [22, 23]}}),
    ];
    let setup = Setup::default();
    setup.look().await;
    setup.pass(60);
    let mut expected = Vec::new();
    for (n, criteria) in criteria.into_iter().enumerate() {
        let mut raised = event(&format!("v-{n}"), "in-alarm", setup.ago(30));
        raised["thingName"] = format!("`\u{202e}<b>\n🦀-{n}").into();
        raised["behavior"]["criteria"] = criteria;
        raised["metricValue"] = json!({"number": 1.5});
        raised["verificationState"] = "TRUE_POSITIVE".into();
        raised["violationEventAdditionalInfo"] = json!({"confidenceLevel": "HIGH"});
        let mut message = raised.clone();
        message["violationEventTime"] = (raised["violationEventTime"].as_i64().unwrap() * 1_000).into();
        expected.push(AlarmEvent::parse(&message.to_string(), ACCOUNT, REGION).unwrap());
        setup.detect(|detect| detect.events.push(raised));
    }
    // One without what it has to have takes no other along.
    let nameless = json!({"violationId": "x", "violationEventTime": setup.ago(30)});
    setup.detect(|detect| detect.events.push(nameless));
    let seen = setup.look().await;
    assert_eq!((&seen["unreadable"], &seen["events"]), (&json!(1), &json!(5)));
    let mut found = Vec::new();
    for message in setup.handle_queue().await {
        let AlarmMessage::Found(event) = message else { panic!() };
        found.push(event);
    }
    found.sort_by(|one, other| one.alarm.violation_id.cmp(&other.alarm.violation_id));
    assert_eq!(found, expected);
    insta::assert_snapshot!(setup.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn awss_own_sample_is_read() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/cases/awscli-list-active-violations-1.json");
    let Ok(text) = std::fs::read_to_string(path) else { return };
    let sample: Value = serde_json::from_str(&text).unwrap();
    let listed = sample["body"]["activeViolations"].as_array().unwrap().clone();
    let (count, setup) = (listed.len(), Setup::default());
    setup.detect(|detect| detect.active = listed);
    setup.look().await;
    assert_eq!(setup.found().len(), count);
}

#[tokio::test(start_paused = true)]
async fn the_events_that_the_project_ships_are_taken() {
    for name in ["invoke-alarm-watch"] {
        let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let event: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(Setup::default().invoke(event, 900).await.unwrap()["complete"], true, "{name}");
    }
}
