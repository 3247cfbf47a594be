use std::collections::BTreeSet;
use std::time::Duration;

use fleetwarden_aws::testing::gate::Moment;
use fleetwarden_core::model::alarm::State;
use serde_json::json;

use crate::setup::Setup;
use crate::setup::event;

/// A violation whose begin was lost, one whose end was lost, and one that is gone.
async fn prepared() -> Setup {
    let setup = Setup::default();
    setup.look().await;
    setup.pass(120);
    for id in ["ended", "gone"] {
        let raised = setup.happens(id, "in-alarm", 100);
        setup.hear(&raised).await;
    }
    setup.happens("ended", "alarm-cleared", 40);
    setup.happens("begun", "in-alarm", 30);
    setup.detect(|detect| detect.active.retain(|active| active["violationId"] != "gone"));
    setup
}

async fn check(setup: &Setup, context: &str) {
    setup.handle_queue().await;
    assert_eq!(setup.state("begun").await, Some(State::Raised), "{context}");
    assert_eq!(setup.state("ended").await, Some(State::Cleared), "{context}");
    assert_eq!(setup.state("gone").await, Some(State::Invalidated), "{context}");
    let alerts = setup.alert_ids();
    let different: BTreeSet<&String> = alerts.iter().collect();
    assert_eq!(different.len(), 2, "{context}: {:?}", setup.told());
}

#[tokio::test(start_paused = true)]
async fn wherever_it_dies_the_next_try_does_the_rest() {
    for moment in Moment::all() {
        let setup = prepared().await;
        let scheduled = json!({"scheduledAt": "2026-11-23T02:00:00Z"});
        let ended = setup.cloud.kill(moment.clone(), setup.invoke(scheduled.clone(), 60)).await;
        setup.pass(2);
        setup.invoke(scheduled.clone(), 60).await.unwrap();
        check(&setup, &format!("{moment:?}")).await;
        assert_eq!(setup.invoke(scheduled, 60).await.unwrap()["repeated"], true);
        assert_eq!(setup.found().len(), 0);
        if ended.is_some() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_at_once_one_looks_and_two_by_hand_do_the_same() {
    for nth in 0..12 {
        let setup = prepared().await;
        let scheduled = json!({"scheduledAt": "2026-11-23T02:00:00Z"});
        let moment = Moment::after("", nth);
        let (one, other) = setup
            .cloud
            .interleave(moment, setup.invoke(scheduled.clone(), 60), setup.invoke(scheduled, 60))
            .await;
        one.unwrap();
        assert!(other.is_none_or(|other| other.is_err()), "{nth}");
        check(&setup, &nth.to_string()).await;

        let setup = prepared().await;
        let (one, other) = setup
            .cloud
            .interleave(Moment::after("", nth), setup.invoke(json!({}), 60), setup.invoke(json!({}), 60))
            .await;
        one.unwrap();
        other.transpose().unwrap();
        check(&setup, &format!("by hand {nth}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_without_time_goes_on_where_it_ended() {
    let setup = Setup::default();
    setup.look().await;
    setup.pass(60 * 24);
    let count = 600;
    for n in 0..count {
        // Over 23 hours.
        let at = setup.ago(30 + n * 1_380 / count);
        setup.detect(|detect| detect.events.push(event(&format!("v-{n:05}"), "alarm-cleared", at)));
    }
    setup.detect(|detect| detect.slow = Duration::from_secs(2));
    let (mut looks, mut heard) = (0, BTreeSet::new());
    loop {
        looks += 1;
        let seen = setup.invoke(json!({}), 40).await.unwrap();
        setup.handle_queue().await.into_iter().for_each(|message| {
            let text = serde_json::to_string(&message).unwrap();
            assert!(heard.insert(text.clone()), "sent twice: {text}");
        });
        if seen["complete"] == true {
            break;
        }
        assert!(looks < 20, "{seen}");
        assert!(seen["behindSeconds"].as_u64().unwrap() > 0);
    }
    assert_eq!(heard.len(), usize::try_from(count).unwrap());
    assert!(looks > 2, "{looks}");
    let behind = setup.told().into_iter().filter(|told| told.contains("is behind")).count();
    assert_eq!(behind, 1);
}

#[tokio::test(start_paused = true)]
async fn an_hour_that_is_too_much_for_one_look_is_taken_in_parts() {
    let setup = Setup::default();
    setup.look().await;
    setup.pass(120);
    for n in 0..1_000 {
        let at = setup.ago(70 + n % 50);
        let cleared = event(&format!("v-{n:05}"), "alarm-cleared", at);
        setup.detect(|detect| detect.events.push(cleared));
    }
    setup.detect(|detect| detect.slow = Duration::from_secs(6));
    for look in 0.. {
        assert!(look < 30);
        let seen = setup.invoke(json!({}), 30).await.unwrap();
        setup.handle_queue().await;
        if seen["complete"] == true {
            return;
        }
    }
}
