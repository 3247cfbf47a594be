//! What a run costs, and calls that are refused or answered badly.

use std::collections::BTreeSet;

use serde_json::json;

use crate::setup::Changes;
use crate::setup::DAY;
use crate::setup::HOUR;
use crate::setup::Setup;
use crate::setup::TOPIC;

#[tokio::test(start_paused = true)]
async fn a_healthy_account_raises_no_alert_and_costs_three_calls() {
    let setup = Setup::configured(10).await;
    setup.schedule("daily", json!({"frequency": "DAILY"})).await;
    setup.schedule("weekly", json!({"frequency": "WEEKLY", "dayOfWeek": "WED"})).await;
    setup.schedule("fortnightly", json!({"frequency": "BIWEEKLY", "dayOfWeek": "FRI"})).await;
    setup.schedule("monthly", json!({"frequency": "MONTHLY", "dayOfMonth": "LAST"})).await;
    for hour in (0..60 * 24).step_by(7) {
        assert_eq!(setup.problems().await, Vec::<String>::new(), "hour {hour}");
        setup.pass(7 * HOUR);
        setup.handle_all().await;
    }
    assert_eq!((setup.alerts().len(), setup.cloud.published_to(TOPIC).len()), (0, 0));
    let seen = setup.run().await;
    insta::assert_json_snapshot!(seen);
    insta::assert_snapshot!(setup.calls.lock().unwrap().join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_denied_raises_an_alert_and_hides_nothing_else() {
    let setup = Setup::configured(10).await;
    setup.schedule("nightly", json!({"frequency": "DAILY"})).await;
    setup.run().await;
    setup.pass(4 * DAY);
    let deny = |path, only| {
        let denied = Some(path);
        setup.change(Changes { only, denied, ..Changes::default() });
    };
    deny("GET /audit/configuration", Some(BTreeSet::new()));
    assert_eq!(setup.problems().await, ["blind", "missing"]);
    insta::assert_snapshot!(setup.alerts_once().await);
    deny("GET /audit/scheduledaudits", Some(BTreeSet::new()));
    assert_eq!(setup.problems().await, ["blind"]);
    deny("GET /audit/tasks", None);
    assert_eq!(setup.problems().await, ["blind"]);
    // Without its description nobody knows whose run a task is: then no schedule is called late.
    deny("GET /audit/tasks/", None);
    assert_eq!(setup.problems().await, ["blind"]);
    assert_eq!(setup.alerts().len(), 5, "each operation has an alert of its own");
    setup.change(Changes::default());
    let seen = setup.run().await;
    assert_eq!((&seen["auditsUnheard"], &seen["problems"][0]["problem"]), (&json!(4), &json!("unheard")));
}

#[tokio::test(start_paused = true)]
async fn invalid_answers_cause_no_panic() {
    for kind in ["nulls", "broken-json", "unknown-enum", "unknown-members", "html", "repeat-token"] {
        let setup = Setup::configured(10).await;
        setup.schedule("nightly", json!({"frequency": "DAILY"})).await;
        setup.run().await;
        setup.pass(9 * HOUR);
        setup.control("faults", &json!({"faults": [{"operation": "*", "kind": kind}]}));
        setup.run().await;
    }
}
