//! The watch on models over weeks, on the in-memory cloud and a Detect that says what a test sets.

mod hostile;
mod house;

use fleetwarden_aws::testing::Answer;
use fleetwarden_aws::testing::cloud::START;
use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_core::report::alarm::ModelReport;
use serde_json::Value;
use serde_json::json;

use self::house::House;
use self::house::Model;

fn words(status: &Value) -> Vec<String> {
    let models = status["models"].as_array().unwrap().iter();
    models
        .map(|model| {
            let troubles = model["troubles"].as_array().unwrap().iter();
            let troubles: Vec<&str> = troubles.map(|t| t["trouble"].as_str().unwrap()).collect();
            format!(
                "{} {}: {}",
                model["profile"].as_str().unwrap(),
                model["behavior"].as_str().unwrap(),
                troubles.join(", ")
            )
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_fleet_that_is_large_enough_is_quiet_and_a_rule_profile_costs_nothing() {
    let house = House::default();
    house.profile("lights", 60, &["sent", "received"]);
    house.profile("rules", 60, &[]);
    for day in 0..40 {
        let collected = (day * 1_920).min(26_880);
        let model = if day < 14 {
            Model::pending(START, collected)
        } else {
            Model::built(START, collected, house.now())
        };
        house.train("lights", "sent", &model);
        house.train("lights", "received", &model);
        house.look().await;
        house.pass_days(1);
    }
    assert_eq!(house.told(), Vec::<String>::new());
    let calls = house.calls();
    // The list of profiles, one page of summaries, a profile with its targets, and its group.
    insta::assert_snapshot!(calls.join("\n"));
    house.pass_days(-1);
    insta::assert_json_snapshot!(house.look().await);
    let kept = fleetwarden_aws::model_status::latest(&house.ledger()).await.unwrap().unwrap();
    let rows: Vec<ModelReport> = kept.models.iter().map(ModelReport::from).collect();
    assert_eq!((rows.len(), rows[0].needs_attention), (2, false));
    assert_eq!(rows[0].outlook, "Enough datapoints in the trailing 14 days.");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_starves_is_forecast_at_once_and_told_when_it_is_late_and_each_month() {
    let house = House::default();
    house.profile("pumps", 6, &["sent"]);
    let mut told = Vec::new();
    for day in 0..=50 {
        house.train("pumps", "sent", &Model::pending(START, (day * 1_728).min(24_192)));
        let status = house.look().await;
        if day == 2 {
            assert_eq!(status["models"][0]["forecast"]["moreDevices"], 1, "{status}");
        }
        house.look().await;
        told.push(house.told().len());
        house.pass_days(1);
    }
    let days: Vec<usize> = (1..told.len()).filter(|day| told[*day] > told[*day - 1]).collect();
    assert_eq!(days, [16, 46]);
    // A device is added, and the model is built.
    house.train("pumps", "sent", &Model::built(START, 25_100, house.now()));
    house.look().await;
    house.look().await;
    insta::assert_snapshot!(house.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_not_refreshed_gets_worse_until_it_has_expired_and_is_never_over_by_that() {
    let house = House::default();
    house.profile("lights", 60, &["sent"]);
    let refreshed = START;
    let mut kinds = Vec::new();
    for day in 0..40 {
        let model = Model::built(START, 20_000, refreshed);
        let model = if day > 30 { Model { status: "EXPIRED", ..model } } else { model };
        house.train("lights", "sent", &model);
        house.look().await;
        kinds.push((day, house.kinds().len()));
        house.pass_days(1);
    }
    assert_eq!(house.kinds(), ["model-not-refreshed", "model-expiring", "model-expired"]);
    let days: Vec<i64> = kinds.windows(2).filter(|two| two[0].1 < two[1].1).map(|two| two[1].0).collect();
    assert_eq!(days, [3, 24, 31]);
    house.remove("lights");
    house.look().await;
    house.look().await;
    insta::assert_snapshot!(house.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_loses_its_targets_is_told_until_it_has_some_again() {
    let house = House::default();
    house.profile("lights", 60, &["sent"]);
    house.train("lights", "sent", &Model::built(START, 25_000, START));
    house.look().await;
    house.targets("lights", &[]);
    for _ in 0..5 {
        house.pass_days(1);
        house.look().await;
    }
    // The models of a paused profile are not refreshed: that is no second trouble.
    assert_eq!(house.kinds(), ["profile-without-targets"]);
    house.profile_targets_again("lights", 60);
    house.train("lights", "sent", &Model::built(START, 25_000, house.now()));
    house.pass_days(1);
    house.look().await;
    assert_eq!(house.kinds(), ["profile-without-targets", "model-recovered"]);
    insta::assert_snapshot!(house.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_behavior_that_alarms_for_many_of_its_devices_is_told() {
    let house = House::default();
    house.profile("lights", 20, &["sent", "received"]);
    for behavior in ["sent", "received"] {
        house.train("lights", behavior, &Model::built(START, 25_000, house.now()));
    }
    house.raise("lights", "sent", 4).await;
    assert_eq!(words(&house.look().await), ["lights received: ", "lights sent: "]);
    house.raise("lights", "sent", 5).await;
    house.pass_days(1);
    assert_eq!(words(&house.look().await), ["lights sent: alarms-often", "lights received: "]);
    insta::assert_snapshot!(house.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn one_cause_in_many_profiles_is_one_alert() {
    let house = House::default();
    for n in 0..30 {
        let name = format!("profile-{n:02}");
        house.profile(&name, 60, &["sent"]);
        house.train(&name, "sent", &Model::built(START, 25_000, START));
    }
    house.pass_days(3);
    house.look().await;
    assert_eq!(house.kinds(), ["model-not-refreshed"]);
    insta::assert_snapshot!(house.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn what_there_is_no_time_for_is_said_and_comes_first_the_next_time() {
    let house = House::default();
    for n in 0..400 {
        house.profile(&format!("profile-{n:03}"), 60, &["sent"]);
    }
    // 40 pages of summaries take 8 seconds, 400 profiles 40 seconds.
    let status = house.look_for(30).await.unwrap();
    let left = usize::try_from(status["notSeen"].as_u64().unwrap()).unwrap();
    assert!(left > 100 && left < 390, "{left}");
    assert_eq!(status["notSeenNames"].as_array().unwrap().len(), 20);
    let (first, looked) = (status["notSeenNames"][0].clone(), house.looked_at());
    assert_eq!(looked.len(), 400 - left);
    house.pass_days(1);
    house.look_for(30).await.unwrap();
    assert_eq!(house.looked_at()[0], first.as_str().unwrap());
    house.pass_days(1);
    assert_eq!(house.look_for(900).await.unwrap()["notSeen"], 0);
    assert_eq!(house.told(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_look_that_is_refused_is_told_once_and_ends_nothing() {
    let house = House::default();
    house.profile("lights", 60, &["sent"]);
    house.train("lights", "sent", &Model::built(START, 25_000, START));
    house.pass_days(3);
    house.look().await;
    for path in ["GET /behavior-model-training", "GET /security-profiles", "GET /security-profiles/"] {
        house.deny(Some(path));
        house.pass_days(1);
        let status = house.look().await;
        assert!(!status["refused"].as_array().unwrap().is_empty(), "{path}");
        house.look().await;
    }
    house.deny(None);
    house.pass_days(1);
    house.look().await;
    insta::assert_snapshot!(house.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn wherever_it_dies_people_are_told_once_by_the_next_try() {
    for moment in Moment::all() {
        let house = House::default();
        house.profile("lights", 60, &["sent"]);
        house.train("lights", "sent", &Model::built(START, 25_000, START));
        house.pass_days(3);
        let event = json!({"scheduledAt": "2026-11-26T06:00:00Z"});
        let ended = house.cloud.kill(moment.clone(), house.invoke(event.clone(), 60)).await;
        // The claim of one that died lasts for as long as it could have lived.
        house.pass_seconds(100);
        house.invoke(event.clone(), 60).await.unwrap();
        let again = house.invoke(event, 60).await.unwrap();
        assert_eq!(again["repeated"], true, "{moment:?}");
        let alerts: std::collections::BTreeSet<String> = house.alert_ids().into_iter().collect();
        assert_eq!((house.kinds()[0].as_str(), alerts.len()), ("model-not-refreshed", 1), "{moment:?}");
        assert!(house.kept_status()["models"][0]["troubles"][0].is_object());
        if ended.is_some() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_does_not_take_an_alert_gets_it_at_the_next_look() {
    let house = House::default();
    house.profile("lights", 60, &["sent"]);
    house.train("lights", "sent", &Model::built(START, 25_000, START));
    house.pass_days(3);
    house.cloud.fail("Publish", 1, Answer::refused());
    house.look_for(60).await.unwrap_err();
    // It has been refreshed by now: people are told what was.
    house.pass_seconds(60);
    house.train("lights", "sent", &Model::built(START, 25_000, house.now()));
    house.look().await;
    assert_eq!(house.kinds(), ["model-not-refreshed", "model-not-refreshed", "model-recovered"]);
}

#[tokio::test(start_paused = true)]
async fn each_model_has_its_metrics() {
    let house = House::default();
    house.profile("lights", 60, &["sent"]);
    house.train("lights", "sent", &Model::built(START, 12_500, START));
    house.pass_days(1);
    house.pass_seconds(43_200);
    fleetwarden_aws::testing::emitted();
    house.look().await;
    let lines: Vec<String> = fleetwarden_aws::testing::emitted().iter().map(Value::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_event_is_refused_by_its_member() {
    let house = House::default();
    for event in [json!([]), json!({"scheduledAt": "noon"}), json!({"dryRun": true})] {
        let error = house.invoke(event.clone(), 60).await.unwrap_err();
        assert!(error.is_permanent(), "{event}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_events_that_the_project_ships_are_taken() {
    for name in ["invoke-model-status"] {
        let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let event: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(House::default().invoke(event, 900).await.unwrap()["profiles"], 0, "{name}");
    }
}
