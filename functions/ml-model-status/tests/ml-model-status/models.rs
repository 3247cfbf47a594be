//! The models over weeks: what is forecast, when there is an alert, and when it is fixed.

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_core::report::alarm::ModelReport;
use serde_json::Value;
use serde_json::json;

use crate::setup::Model;
use crate::setup::Setup;

fn words(status: &Value) -> Vec<String> {
    let models = status["models"].as_array().unwrap().iter();
    models
        .map(|model| {
            let problems = model["problems"].as_array().unwrap().iter();
            let problems: Vec<&str> = problems.map(|t| t["problem"].as_str().unwrap()).collect();
            format!(
                "{} {}: {}",
                model["profile"].as_str().unwrap(),
                model["behavior"].as_str().unwrap(),
                problems.join(", ")
            )
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_fleet_that_is_large_enough_is_quiet_and_a_rule_profile_costs_nothing() {
    let setup = Setup::default();
    setup.profile("lights", 60, &["sent", "received"]);
    setup.profile("rules", 60, &[]);
    for day in 0..40 {
        let collected = (day * 1_920).min(26_880);
        let model = if day < 14 {
            Model::pending(START, collected)
        } else {
            Model::built(START, collected, setup.now())
        };
        setup.train("lights", "sent", &model);
        setup.train("lights", "received", &model);
        setup.look().await;
        setup.pass_days(1);
    }
    assert_eq!(setup.told(), Vec::<String>::new());
    let calls = setup.calls();
    // The list of profiles, one page of summaries, a profile with its targets, and its group.
    insta::assert_snapshot!(calls.join("\n"));
    setup.pass_days(-1);
    insta::assert_json_snapshot!(setup.look().await);
    let kept = fleetwarden_aws::model_status::latest(&setup.ledger()).await.unwrap().unwrap();
    let rows: Vec<ModelReport> = kept.models.iter().map(ModelReport::from).collect();
    assert_eq!((rows.len(), rows[0].needs_attention), (2, false));
    assert_eq!(rows[0].outlook, "Enough datapoints in the trailing 14 days.");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_starves_is_forecast_at_once_and_told_when_it_is_late_and_each_month() {
    let setup = Setup::default();
    setup.profile("pumps", 6, &["sent"]);
    let mut told = Vec::new();
    for day in 0..=50 {
        setup.train("pumps", "sent", &Model::pending(START, (day * 1_728).min(24_192)));
        let status = setup.look().await;
        if day == 2 {
            assert_eq!(status["models"][0]["forecast"]["moreDevices"], 1, "{status}");
        }
        setup.look().await;
        told.push(setup.told().len());
        setup.pass_days(1);
    }
    let days: Vec<usize> = (1..told.len()).filter(|day| told[*day] > told[*day - 1]).collect();
    assert_eq!(days, [16, 46]);
    // A device is added, and the model is built.
    setup.train("pumps", "sent", &Model::built(START, 25_100, setup.now()));
    setup.look().await;
    setup.look().await;
    insta::assert_snapshot!(setup.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_not_refreshed_gets_worse_until_it_has_expired_and_is_never_over_by_that() {
    let setup = Setup::default();
    setup.profile("lights", 60, &["sent"]);
    let refreshed = START;
    let mut kinds = Vec::new();
    for day in 0..40 {
        let model = Model::built(START, 20_000, refreshed);
        let model = if day > 30 { Model { status: "EXPIRED", ..model } } else { model };
        setup.train("lights", "sent", &model);
        setup.look().await;
        kinds.push((day, setup.kinds().len()));
        setup.pass_days(1);
    }
    assert_eq!(setup.kinds(), ["model-not-refreshed", "model-expiring", "model-expired"]);
    let days: Vec<i64> = kinds.windows(2).filter(|two| two[0].1 < two[1].1).map(|two| two[1].0).collect();
    assert_eq!(days, [3, 24, 31]);
    setup.remove("lights");
    setup.look().await;
    setup.look().await;
    insta::assert_snapshot!(setup.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_loses_its_targets_is_told_until_it_has_some_again() {
    let setup = Setup::default();
    setup.profile("lights", 60, &["sent"]);
    setup.train("lights", "sent", &Model::built(START, 25_000, START));
    setup.look().await;
    setup.targets("lights", &[]);
    for _ in 0..5 {
        setup.pass_days(1);
        setup.look().await;
    }
    // The models of a paused profile are not refreshed: that is no second problem.
    assert_eq!(setup.kinds(), ["profile-without-targets"]);
    setup.profile_targets_again("lights", 60);
    setup.train("lights", "sent", &Model::built(START, 25_000, setup.now()));
    setup.pass_days(1);
    setup.look().await;
    assert_eq!(setup.kinds(), ["profile-without-targets", "model-recovered"]);
    insta::assert_snapshot!(setup.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_behavior_that_alarms_for_many_of_its_devices_is_told() {
    let setup = Setup::default();
    setup.profile("lights", 20, &["sent", "received"]);
    for behavior in ["sent", "received"] {
        setup.train("lights", behavior, &Model::built(START, 25_000, setup.now()));
    }
    setup.raise("lights", "sent", 4).await;
    assert_eq!(words(&setup.look().await), ["lights received: ", "lights sent: "]);
    setup.raise("lights", "sent", 5).await;
    setup.pass_days(1);
    assert_eq!(words(&setup.look().await), ["lights sent: alarms-often", "lights received: "]);
    insta::assert_snapshot!(setup.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn one_cause_in_many_profiles_is_one_alert() {
    let setup = Setup::default();
    for n in 0..30 {
        let name = format!("profile-{n:02}");
        setup.profile(&name, 60, &["sent"]);
        setup.train(&name, "sent", &Model::built(START, 25_000, START));
    }
    setup.pass_days(3);
    setup.look().await;
    assert_eq!(setup.kinds(), ["model-not-refreshed"]);
    insta::assert_snapshot!(setup.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn what_there_is_no_time_for_is_said_and_comes_first_the_next_time() {
    let setup = Setup::default();
    for n in 0..400 {
        setup.profile(&format!("profile-{n:03}"), 60, &["sent"]);
    }
    // 40 pages of summaries take 8 seconds, 400 profiles 40 seconds.
    let status = setup.look_for(30).await.unwrap();
    let left = usize::try_from(status["notSeen"].as_u64().unwrap()).unwrap();
    assert!(left > 100 && left < 390, "{left}");
    assert_eq!(status["notSeenNames"].as_array().unwrap().len(), 20);
    let (first, looked) = (status["notSeenNames"][0].clone(), setup.looked_at());
    assert_eq!(looked.len(), 400 - left);
    setup.pass_days(1);
    setup.look_for(30).await.unwrap();
    assert_eq!(setup.looked_at()[0], first.as_str().unwrap());
    setup.pass_days(1);
    assert_eq!(setup.look_for(900).await.unwrap()["notSeen"], 0);
    assert_eq!(setup.told(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_look_that_is_refused_is_told_once_and_ends_nothing() {
    let setup = Setup::default();
    setup.profile("lights", 60, &["sent"]);
    setup.train("lights", "sent", &Model::built(START, 25_000, START));
    setup.pass_days(3);
    setup.look().await;
    for path in ["GET /behavior-model-training", "GET /security-profiles", "GET /security-profiles/"] {
        setup.deny(Some(path));
        setup.pass_days(1);
        let status = setup.look().await;
        assert!(!status["refused"].as_array().unwrap().is_empty(), "{path}");
        setup.look().await;
    }
    setup.deny(None);
    setup.pass_days(1);
    setup.look().await;
    insta::assert_snapshot!(setup.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn wherever_it_dies_people_are_told_once_by_the_next_try() {
    for moment in Moment::all() {
        let setup = Setup::default();
        setup.profile("lights", 60, &["sent"]);
        setup.train("lights", "sent", &Model::built(START, 25_000, START));
        setup.pass_days(3);
        let event = json!({"scheduledAt": "2026-11-26T06:00:00Z"});
        let ended = setup.cloud.kill(moment.clone(), setup.invoke(event.clone(), 60)).await;
        // The claim of one that died lasts for as long as it could have lived.
        setup.pass_seconds(100);
        setup.invoke(event.clone(), 60).await.unwrap();
        let again = setup.invoke(event, 60).await.unwrap();
        assert_eq!(again["repeated"], true, "{moment:?}");
        let alerts: std::collections::BTreeSet<String> = setup.alert_ids().into_iter().collect();
        assert_eq!((setup.kinds()[0].as_str(), alerts.len()), ("model-not-refreshed", 1), "{moment:?}");
        assert!(setup.kept_status()["models"][0]["problems"][0].is_object());
        if ended.is_some() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_does_not_take_an_alert_gets_it_at_the_next_look() {
    let setup = Setup::default();
    setup.profile("lights", 60, &["sent"]);
    setup.train("lights", "sent", &Model::built(START, 25_000, START));
    setup.pass_days(3);
    setup.cloud.fail("Publish", 1, Answer::refused());
    setup.look_for(60).await.unwrap_err();
    // It has been refreshed by now: people are told what was.
    setup.pass_seconds(60);
    setup.train("lights", "sent", &Model::built(START, 25_000, setup.now()));
    setup.look().await;
    assert_eq!(setup.kinds(), ["model-not-refreshed", "model-not-refreshed", "model-recovered"]);
}

#[tokio::test(start_paused = true)]
async fn each_model_has_its_metrics() {
    let setup = Setup::default();
    setup.profile("lights", 60, &["sent"]);
    setup.train("lights", "sent", &Model::built(START, 12_500, START));
    setup.pass_days(1);
    setup.pass_seconds(43_200);
    fleetwarden_aws::testing::emitted();
    setup.look().await;
    let lines: Vec<String> = fleetwarden_aws::testing::emitted().iter().map(Value::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_event_is_refused_by_its_member() {
    let setup = Setup::default();
    for event in [json!([]), json!({"scheduledAt": "noon"}), json!({"dryRun": true})] {
        let error = setup.invoke(event.clone(), 60).await.unwrap_err();
        assert!(error.is_permanent(), "{event}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_events_that_the_project_ships_are_taken() {
    for name in ["invoke-model-status"] {
        let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let event: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(Setup::default().invoke(event, 900).await.unwrap()["profiles"], 0, "{name}");
    }
}
