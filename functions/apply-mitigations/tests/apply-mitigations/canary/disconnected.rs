//! Canaries that watch connections: a device that is not connected any more stops the rest, and what is not known starts and
//! passes nothing.

use super::*;

/// A run of a rule that puts things into a group, and watches their connections.
fn watching(stop_if: &str, connected: &[(u32, bool)]) -> Run {
    let mut sent = sent();
    for message in &mut sent {
        message["request"]["actions"] = json!(["Group"]);
    }
    let mut run = Run::new(sent);
    let canary = format!(", canary: {{ first: 2, watch: 15m, stopIf: {stop_if} }}");
    run.policy = policy("enforce", &canary).replace(&format!("{ACTIONS:?}"), "Group");
    run.connects(connected);
    run
}

impl Run {
    fn connects(&self, things: &[(u32, bool)]) {
        let things = things.iter().map(|(n, is)| (format!("thing-{n}"), *is));
        self.service.state().connected.extend(things);
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_not_connected_any_more_stops_the_rest() {
    for stop_if in ["disconnected", "[alarms, disconnected]"] {
        let all = [(1, false), (2, true), (3, false), (4, true), (5, true)];
        let mut run = watching(stop_if, &all);
        run.run_for(120).await;
        // Those go first that can lose a connection.
        assert_eq!(run.started(), [ids([2, 4])]);
        assert_eq!(run.canary("connected"), r#"["thing-2","thing-4"]"#);
        run.connects(&[(1, true), (5, false)]);
        run.run_for(300).await;
        assert_eq!(run.canary("state"), "running", "no device of the canary");
        run.connects(&[(4, false)]);
        run.run_for(86_400).await;
        assert_eq!((run.canary("state"), run.canary("undo")), ("stopped".into(), "done".into()));
        let why = "thing 'thing-4' of 2 that were connected at the start are not any more";
        assert_eq!((run.canary("reason"), run.started().len()), (why.into(), 1));
        assert!(run.queue.is_empty());
    }
    let mut run = watching("disconnected", &[(1, true), (2, true), (3, true)]);
    run.run_for(120).await;
    let guards = run.service.attribute(&format!("mitigation#{}", run.canary("task_id")), "task", "guards");
    assert!(
        guards.contains("those connected, then those with the lowest severity; connections watched: 2"),
        "{guards}"
    );
    run.run_for(86_400).await;
    assert_eq!((run.canary("state"), run.started().len()), ("passed".into(), 3));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_known_starts_nothing_and_passes_nothing() {
    let denied = || Answer::error(403, "AccessDeniedException", "{}");
    // Before the start: without an answer, and where the index knows no device.
    for fault in [true, false] {
        let mut run = watching("disconnected", &[]);
        if fault {
            run.connects(&[(1, true), (2, true)]);
            run.service.state().faults.insert("connectivity".into(), denied());
        }
        run.run_for(7_200).await;
        assert_eq!((run.started().len(), run.canary("state")), (0, "running".into()), "{fault}");
        run.service.state().faults.clear();
        run.connects(&[(1, true), (2, true)]);
        run.run_for(7_200).await;
        assert_eq!(run.started()[0], ids([1, 2]), "{fault}");
    }
    // While it is watched.
    let mut run = watching("disconnected", &[(1, true), (2, true)]);
    run.run_for(300).await;
    run.service.state().faults.insert("connectivity".into(), denied());
    run.run_for(20 * 3_600).await;
    assert_eq!((run.canary("state"), run.started().len()), ("running".into(), 1));
    run.run_for(86_400).await;
    assert_eq!((run.canary("state"), run.canary("undo")), ("stopped".into(), "no".into()));
    assert!(run.canary("reason").contains("GetThingConnectivityData"), "{}", run.canary("reason"));
}

#[tokio::test(start_paused = true)]
async fn connections_are_asked_only_where_their_loss_counts() {
    // An action that cuts devices off disconnects them as it means.
    let mut run = Run::new(sent());
    run.policy = policy("enforce", ", canary: { first: 5, watch: 15m, stopIf: disconnected }");
    run.most = 5;
    run.connects(&[(1, true), (2, true)]);
    run.run_for(120).await;
    assert_eq!((run.canary("connected"), run.started()), (String::new(), vec![ids(1..=5)]));
    run.connects(&[(1, false), (2, false)]);
    run.run_for(86_400).await;
    assert_eq!(run.canary("state"), "passed");
    assert_eq!(run.service.calls().matches("connectivity").count(), 0);
    // And a canary that does not name it asks for no more than the order.
    let mut run = watching("failures", &[(1, true), (2, true), (3, true), (4, true), (5, true)]);
    run.run_for(86_400).await;
    assert_eq!((run.canary("state"), run.canary("connected")), ("passed".into(), String::new()));
    assert_eq!(run.service.calls().matches("connectivity").count(), 5);
}

/// Each run dies at one call, before or after its effect; then the message that was under way comes again.
#[tokio::test(start_paused = true)]
async fn wherever_a_process_dies_the_watched_connections_are_those_before_the_start() {
    let mut deaths = 0;
    for moment in Moment::all() {
        let mut run = watching("disconnected", &[(1, true), (2, true), (3, true), (4, true), (5, true)]);
        let cloud = run.service.cloud.clone();
        if cloud.kill(moment.clone(), run.run_for(120)).await.is_some() {
            break;
        }
        deaths += 1;
        let was_started = !run.started().is_empty();
        if was_started {
            // What it loses after its start is lost.
            run.connects(&[(1, false)]);
        }
        run.run_for(2 * 86_400).await;
        let expected = if was_started { "stopped" } else { "passed" };
        assert_eq!(run.canary("state"), expected, "{moment:?}: {}", run.canary("reason"));
    }
    assert!(deaths > 20, "{deaths}");
}

/// Another task has what was to go first, so that its end writes no item of its own.
#[tokio::test(start_paused = true)]
async fn what_is_given_up_with_nothing_left_lets_another_go_first() {
    let mut run = watching("disconnected", &[(6, true), (7, true), (8, true)]);
    for finding in ids(1..=5) {
        run.service.cloud.put_item(json!({
            "pk": {"S": format!("finding#{finding}")}, "sk": {"S": "mitigation"}, "state": {"S": "rejected"},
            "task_id": {"S": "another"},
        }));
    }
    run.run_for(23 * 3_600).await;
    assert_eq!((run.canary("state"), run.started().len()), ("running".into(), 0));
    run.run_for(2 * 3_600).await;
    assert_eq!((run.canary("state"), run.started()), ("passed".into(), vec![ids(6..=7), ids([8])]));
    assert!(run.queue.is_empty());
}
