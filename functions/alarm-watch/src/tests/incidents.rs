use fleetwarden_aws::alarms::Incident;
use fleetwarden_core::message::alarm::AlarmMessage;
use fleetwarden_core::model::alarm::BehaviorKey;
use fleetwarden_core::timestamp::Millis;

use super::house::ACCOUNT;
use super::house::House;
use super::house::REGION;

impl House {
    /// So many devices are in alarm by one behavior, and that is an incident.
    async fn incident(&self, devices: usize) -> Incident {
        let now = self.now();
        let noticed = Incident {
            id: String::new(),
            profile: "lights".into(),
            behavior: "sent".into(),
            devices: devices as u64,
            population: Some(200),
            first_at: now,
            latest_at: now,
            ended_at: None,
            decision: None,
        };
        let key = BehaviorKey::new(ACCOUNT, REGION, "lights", "sent");
        let (incident, is_new) = self.alarms().open_incident(&key, &noticed, now).await.unwrap();
        assert!(is_new);
        for n in 0..devices {
            let raised = self.happens(&format!("v-{n}"), "in-alarm", 0);
            self.hear(&raised).await;
        }
        assert_eq!(self.alarms().members(&incident.id).await.unwrap().len(), devices);
        incident
    }

    async fn clear(&self, devices: std::ops::Range<usize>) {
        for n in devices {
            let cleared = self.happens(&format!("v-{n}"), "alarm-cleared", 0);
            self.hear(&cleared).await;
        }
    }

    async fn ended_at(&self, incident: &Incident) -> Option<Millis> {
        self.alarms().incident(&incident.id).await.unwrap().unwrap().ended_at
    }
}

#[tokio::test(start_paused = true)]
async fn an_incident_ends_when_it_is_calm_and_the_policy_decides_on_who_is_left() {
    let house = House::default();
    house.look().await;
    let incident = house.incident(30).await;
    house.pass(10);
    house.clear(0..27).await;
    // Its window has not passed.
    house.look().await;
    assert_eq!((house.ended_at(&incident).await, house.found()), (None, vec![]));
    house.pass(15);
    let seen = house.look().await;
    assert_eq!(seen["incidents"][0]["inAlarm"], 3, "{seen}");
    assert!(house.ended_at(&incident).await.is_some());
    assert_eq!(house.found(), ["v-27 settle", "v-28 settle", "v-29 settle"]);
    for message in house.handle_queue().await {
        let AlarmMessage::Settle(settle) = message else { panic!() };
        let raised = house.life(&settle.violation_id).await.unwrap().raised_at;
        assert_eq!(Some(settle.raised_at), raised);
        assert!(settle.not_before > house.now().plus_seconds(590), "the incident ends before");
    }
    house.pass(60);
    house.look().await;
    assert_eq!((house.found(), house.told().len()), (vec![], 1));
    insta::assert_snapshot!(house.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn an_incident_lasts_while_many_are_in_alarm() {
    let house = House::default();
    house.look().await;
    let incident = house.incident(30).await;
    house.clear(0..9).await;
    house.pass(300);
    // 21 devices are more than 20.
    house.look().await;
    assert_eq!(house.ended_at(&incident).await, None);
    // 20 of 200 are 10 %, and that is not more than 10 %.
    house.clear(9..10).await;
    house.look().await;
    assert!(house.ended_at(&incident).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn the_limits_of_now_end_an_incident_that_began_under_others() {
    let house = House::default();
    house.look().await;
    let incident = house.incident(25).await;
    house.pass(60);
    for (settings, lasts) in [
        ("{}", true),
        ("{ incidents: { devices: 24, share: 100% } }", true),
        ("{ incidents: { devices: 25, share: 12% } }", true),
        ("{ incidents: { devices: 25, window: 2h, share: 100% } }", true),
        ("{ incidents: { devices: 25, share: 13% } }", false),
    ] {
        *house.settings.lock().unwrap() = settings;
        house.look().await;
        assert_eq!(house.ended_at(&incident).await.is_none(), lasts, "{settings}");
    }
    assert_eq!(house.found().len(), 25);
    // Stricter limits do not begin again what is over, and what is decided on is asked for once.
    *house.settings.lock().unwrap() = "{ incidents: { devices: 1 } }";
    house.handle_queue().await;
    house.pass(60);
    house.look().await;
    assert_eq!((house.found().len(), house.ended_at(&incident).await.is_some()), (0, true));
}

#[tokio::test(start_paused = true)]
async fn what_joins_an_incident_while_it_is_ended_is_decided_on_once() {
    for (decision, left) in
        [(None, vec!["late settle"]), (Some("mitigate"), vec!["late settle"]), (Some("leave"), vec![])]
    {
        let house = House::default();
        house.look().await;
        let incident = house.incident(3).await;
        house.clear(0..3).await;
        // Read before the end, and written after it.
        let raised = house.happens("late", "in-alarm", 0);
        house.hear(&raised).await;
        house.alarms().end_incident(&incident.id, decision, house.now()).await.unwrap();
        house.look().await;
        assert_eq!(house.found(), Vec::<String>::new(), "its message may be on its way");
        house.pass(20);
        assert_eq!(house.look().await["settled"], left.len(), "{decision:?}");
        assert_eq!(house.found(), left, "{decision:?}");
        house.handle_queue().await;
        house.pass(60);
        house.look().await;
        assert_eq!(house.found(), Vec::<String>::new(), "it is decided on");
    }
}

#[tokio::test(start_paused = true)]
async fn members_are_asked_for_before_the_incident_is_ended() {
    use fleetwarden_aws::testing::Answer;
    let house = House::default();
    house.look().await;
    let incident = house.incident(25).await;
    house.clear(0..20).await;
    house.pass(60);
    house.cloud.fail("SendMessageBatch", 3, Answer::refused());
    assert_eq!(house.troubles().await, ["unsent"]);
    assert_eq!(house.ended_at(&incident).await, None);
}
