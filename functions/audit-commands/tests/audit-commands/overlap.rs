//! Commands and rules that name the same findings, in any order: no finding is in two tasks at once.

use fleetwarden_core::message::FindingRef;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::Step;
use fleetwarden_core::message::Target;
use proptest::prelude::ProptestConfig;
use proptest::prelude::Strategy;
use serde_json::Value;
use serde_json::json;

use crate::mitigations::by_id;
use crate::mitigations::follow_ups;
use crate::mitigations::found;
use crate::mitigations::mitigate;
use crate::mitigations::of_a_rule;
use crate::mitigations::take;
use crate::setup::SHARED;
use crate::setup::Setup;

/// What happens next, to findings that overlap.
#[derive(Clone, Debug)]
enum Event {
    /// A command names these findings, under one of three task ids.
    Command(usize, std::ops::Range<usize>),
    /// A rule asks for these.
    Rule(std::ops::Range<usize>),
    /// The next start at the service has its effect or none, and is not answered.
    Unanswered(&'static str),
    /// What is on the queue is taken.
    Follow,
    /// So much time passes.
    Pass(u32),
}

fn event() -> impl Strategy<Value = Event> {
    let range = || (0..4_usize, 1..3_usize).prop_map(|(from, count)| from..from + count);
    let unanswered = proptest::prop_oneof![
        proptest::prelude::Just("lost-answer"),
        proptest::prelude::Just("reset"),
        proptest::prelude::Just("done-but-failed"),
        proptest::prelude::Just("throttle"),
    ];
    proptest::prop_oneof![
        4 => (0..3_usize, range()).prop_map(|(task, findings)| Event::Command(task, findings)),
        3 => range().prop_map(Event::Rule),
        2 => unanswered.prop_map(Event::Unanswered),
        2 => proptest::prelude::Just(Event::Follow),
        2 => (1..1000_u32).prop_map(Event::Pass),
    ]
}

/// The tasks that the service has: findings, begin, and end if it has ended.
async fn tasks(setup: &Setup) -> Vec<(Vec<String>, f64, Option<f64>)> {
    let period =
        json!({"command": "ListAuditMitigationActionsTasks", "startTime": 0, "endTime": 1_900_000_000});
    let mut found = Vec::new();
    for task in setup.ok(period).await["tasks"].as_array().unwrap() {
        let describe = json!({"command": "DescribeAuditMitigationActionsTask", "taskId": task["taskId"]});
        let task = setup.ok(describe).await;
        let ids = task["target"]["findingIds"].as_array().unwrap().iter();
        let ids = ids.map(|id| id.as_str().unwrap().to_owned()).collect();
        found.push((ids, task["startTime"].as_f64().unwrap(), task["endTime"].as_f64()));
    }
    found
}

proptest::proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn in_any_order_no_finding_is_in_two_tasks_at_once(
        events in proptest::collection::vec(event(), 1..14)
    ) {
        let run = async {
            let (setup, found) = found(6).await;
            setup.ok(mitigate(&by_id(&found[5..]), &[SHARED])).await;
            let sample = follow_ups(&setup).remove(0);
            // What is on the queue: what was sent, and what was not done.
            let (mut taken, mut queue) = (1, Vec::new());
            let take_all = async |taken: &mut usize, queue: &mut Vec<MitigationMessage>| {
                let sent = follow_ups(&setup);
                queue.extend(sent[*taken..].iter().cloned());
                *taken = sent.len();
                for message in std::mem::take(queue) {
                    if !take(&setup, &message).await {
                        queue.push(message);
                    }
                }
            };
            for event in &events {
                match event {
                    Event::Command(task, range) => {
                        let mut event = mitigate(&by_id(&found[range.clone()]), &[SHARED]);
                        event["taskId"] = format!("c{task}").into();
                        let _ = setup.invoke(event).await;
                    }
                    Event::Rule(range) => {
                        let mut request = of_a_rule(&setup, &sample);
                        let Target::Findings(of_rule) = &mut request.target else { panic!("findings") };
                        let id = |finding: &Value| finding["findingId"].as_str().unwrap().to_owned();
                        let one = of_rule[0].clone();
                        *of_rule = found[range.clone()].iter().map(|finding| FindingRef { finding_id: id(finding), ..one.clone() }).collect();
                        queue.push(MitigationMessage::new(request, Step::Start));
                        take_all(&mut taken, &mut queue).await;
                    }
                    Event::Unanswered(kind) => setup.order("StartAuditMitigationActionsTask", kind, 9, 0),
                    Event::Follow => take_all(&mut taken, &mut queue).await,
                    Event::Pass(seconds) => {
                        setup.control("DELETE", "faults", &Value::Null);
                        setup.pass(*seconds);
                    }
                }
            }
            setup.control("DELETE", "faults", &Value::Null);
            let tasks = tasks(&setup).await;
            for (at, (ids, began, _)) in tasks.iter().enumerate() {
                for (others, other_began, other_ended) in tasks.iter().take(at).chain(tasks.iter().skip(at + 1)) {
                    let both = ids.iter().any(|id| others.contains(id));
                    let at_once = began >= other_began && other_ended.is_none_or(|ended| ended > *began);
                    assert!(!(both && at_once), "{events:?}: {tasks:?}");
                }
            }
            // Once all that is sent has been taken, nothing is held by a task that is none.
            for _ in 0..6 {
                setup.pass(1000);
                take_all(&mut taken, &mut queue).await;
            }
            for ((pk, sk), item) in setup.cloud.items("mitigation#") {
                if sk == "task" {
                    assert_ne!(item["state"], "claimed", "{pk} {events:?}");
                }
            }
        };
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(run);
    }
}
