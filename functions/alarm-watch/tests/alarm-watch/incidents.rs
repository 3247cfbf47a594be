use fleetwarden_aws::alarms::Incident;
use fleetwarden_core::message::alarm::AlarmMessage;
use fleetwarden_core::model::alarm::BehaviorKey;
use fleetwarden_core::timestamp::Millis;

use crate::setup::ACCOUNT;
use crate::setup::REGION;
use crate::setup::Setup;

impl Setup {
    /// So many devices are in alarm by one behavior, and that is an incident.
    async fn incident(&self, devices: usize) -> Incident {
        let now = self.now();
        let noticed = Incident {
            id: String::new(),
            profile: "lights".into(),
            behavior: "sent".into(),
            devices: devices as u64,
            population: Some(200),
            opened_by: "v-1".into(),
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
    let setup = Setup::default();
    setup.look().await;
    let incident = setup.incident(30).await;
    setup.pass(10);
    setup.clear(0..27).await;
    // Its window has not passed.
    setup.look().await;
    assert_eq!((setup.ended_at(&incident).await, setup.found()), (None, vec![]));
    setup.pass(15);
    let seen = setup.look().await;
    assert_eq!(seen["incidents"][0]["inAlarm"], 3, "{seen}");
    assert!(setup.ended_at(&incident).await.is_some());
    assert_eq!(setup.found(), ["v-27 settle", "v-28 settle", "v-29 settle"]);
    for message in setup.handle_queue().await {
        let AlarmMessage::Settle(settle) = message else { panic!() };
        let raised = setup.life(&settle.violation_id).await.unwrap().raised_at;
        assert_eq!(Some(settle.raised_at), raised);
        assert!(settle.not_before > setup.now().plus_seconds(590), "the incident ends before");
    }
    setup.pass(60);
    setup.look().await;
    assert_eq!((setup.found(), setup.told().len()), (vec![], 1));
    insta::assert_snapshot!(setup.told().join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn an_incident_lasts_while_many_are_in_alarm() {
    let setup = Setup::default();
    setup.look().await;
    let incident = setup.incident(30).await;
    setup.clear(0..9).await;
    setup.pass(300);
    // 21 devices are more than 20.
    setup.look().await;
    assert_eq!(setup.ended_at(&incident).await, None);
    // 20 of 200 are 10 %, and that is not more than 10 %.
    setup.clear(9..10).await;
    setup.look().await;
    assert!(setup.ended_at(&incident).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn the_limits_of_now_end_an_incident_that_began_under_others() {
    let setup = Setup::default();
    setup.look().await;
    let incident = setup.incident(25).await;
    setup.pass(60);
    for (settings, lasts) in [
        ("{}", true),
        ("{ incidents: { devices: 24, share: 100% } }", true),
        ("{ incidents: { devices: 25, share: 12% } }", true),
        ("{ incidents: { devices: 25, window: 2h, share: 100% } }", true),
        ("{ incidents: { devices: 25, share: 13% } }", false),
    ] {
        *setup.settings.lock().unwrap() = settings;
        setup.look().await;
        assert_eq!(setup.ended_at(&incident).await.is_none(), lasts, "{settings}");
    }
    assert_eq!(setup.found().len(), 25);
    // Stricter limits do not begin again what is over, and what is decided on is asked for once.
    *setup.settings.lock().unwrap() = "{ incidents: { devices: 1 } }";
    setup.handle_queue().await;
    setup.pass(60);
    setup.look().await;
    assert_eq!((setup.found().len(), setup.ended_at(&incident).await.is_some()), (0, true));
}

#[tokio::test(start_paused = true)]
async fn what_joins_an_incident_while_it_is_ended_is_decided_on_once() {
    for (decision, left) in
        [(None, vec!["late settle"]), (Some("mitigate"), vec!["late settle"]), (Some("leave"), vec![])]
    {
        let setup = Setup::default();
        setup.look().await;
        let incident = setup.incident(3).await;
        setup.clear(0..3).await;
        // Read before the end, and written after it.
        let raised = setup.happens("late", "in-alarm", 0);
        setup.hear(&raised).await;
        setup.alarms().end_incident(&incident.id, decision, setup.now()).await.unwrap();
        setup.look().await;
        assert_eq!(setup.found(), Vec::<String>::new(), "its message may be on its way");
        setup.pass(20);
        assert_eq!(setup.look().await["settled"], left.len(), "{decision:?}");
        assert_eq!(setup.found(), left, "{decision:?}");
        setup.handle_queue().await;
        setup.pass(60);
        setup.look().await;
        assert_eq!(setup.found(), Vec::<String>::new(), "it is decided on");
    }
}

#[tokio::test(start_paused = true)]
async fn members_are_asked_for_before_the_incident_is_ended() {
    use fleetwarden_aws::testing::Answer;
    let setup = Setup::default();
    setup.look().await;
    let incident = setup.incident(25).await;
    setup.clear(0..20).await;
    setup.pass(60);
    setup.cloud.fail("SendMessageBatch", 3, Answer::refused());
    assert_eq!(setup.problems().await, ["unsent"]);
    assert_eq!(setup.ended_at(&incident).await, None);
}
