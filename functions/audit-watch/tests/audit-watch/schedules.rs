//! Scheduled audits that do not start, and audits that do not end.

use serde_json::json;

use crate::setup::Changes;
use crate::setup::DAY;
use crate::setup::HOUR;
use crate::setup::LOGGING;
use crate::setup::SHARED;
use crate::setup::Setup;

#[tokio::test(start_paused = true)]
async fn a_schedule_that_stops_raises_one_alert_until_it_runs_and_stops_again() {
    let setup = Setup::configured(10).await;
    setup.schedule("nightly", json!({"frequency": "DAILY"})).await;
    setup.run().await;
    setup.pass(30 * HOUR + 60);
    setup.only(&setup.handle_all().await);
    // Its last run began on the 24th at six, and so did the one before. The next is late on the 25th at noon.
    setup.pass(30 * HOUR - 61);
    assert_eq!(setup.problems().await, Vec::<String>::new());
    setup.pass(1);
    let seen = setup.run().await;
    insta::assert_json_snapshot!(seen);
    insta::assert_snapshot!(setup.alerts_once().await);
    // Also when its last run is no longer among the audit tasks that are read.
    for _ in 0..8 {
        setup.pass(5 * DAY);
        assert_eq!(setup.problems().await, ["missing"]);
    }
    assert_eq!(setup.alerts().len(), 1);
    setup.change(Changes::default());
    setup.only(&setup.handle_all().await);
    assert_eq!(setup.problems().await, Vec::<String>::new());
    setup.pass(4 * DAY);
    assert_eq!(setup.problems().await, ["missing"]);
    assert_eq!(setup.alerts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_never_ran_is_missing_from_when_it_was_first_seen() {
    let setup = Setup::configured(10).await;
    setup.only(&[]);
    setup.schedule("monthly", json!({"frequency": "MONTHLY", "dayOfMonth": "1"})).await;
    // For all that anyone can know it was there for long; it is first seen now.
    assert_eq!(setup.problems().await, Vec::<String>::new());
    setup.pass(9 * DAY + 12 * HOUR - 1);
    assert_eq!(setup.problems().await, Vec::<String>::new());
    // 2026-12-02, noon: the first day of December is over everywhere.
    setup.pass(1);
    assert_eq!(setup.problems().await, ["missing"]);
    insta::assert_snapshot!(setup.alerts_once().await);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_gets_other_days_counts_as_new() {
    let setup = Setup::configured(10).await;
    setup.only(&[]);
    setup.schedule("a", json!({"frequency": "MONTHLY", "dayOfMonth": "28"})).await;
    setup.run().await;
    setup.pass(3 * DAY);
    // Last Tuesday it was not to run.
    let days = json!({"scheduledAuditName": "a", "frequency": "WEEKLY", "dayOfWeek": "TUE"});
    setup.call("UpdateScheduledAudit", days).await;
    for _ in 0..5 {
        assert_eq!(setup.problems().await, Vec::<String>::new());
        setup.pass(DAY);
    }
    setup.pass(2 * DAY);
    assert_eq!(setup.problems().await, ["missing"]);
}

#[tokio::test(start_paused = true)]
async fn an_audit_that_runs_for_days_raises_an_alert_with_its_unfinished_checks() {
    let setup = Setup::configured(10).await;
    setup.schedule("nightly", json!({"frequency": "DAILY"})).await;
    setup.run().await;
    setup.control("collecting", &json!({"collecting": [SHARED]}));
    setup.pass(6 * HOUR + 60);
    let task = setup.tasks().await.remove(0);
    setup.pass(DAY - 120);
    assert_eq!(setup.problems().await, Vec::<String>::new());
    setup.pass(120);
    assert_eq!(setup.problems().await, ["stuck"]);
    insta::assert_snapshot!(setup.alerts_once().await.replace(&task, "TASK"));
}

#[tokio::test(start_paused = true)]
async fn an_audit_on_demand_is_no_run_of_a_schedule() {
    let setup = Setup::configured(10).await;
    setup.schedule("nightly", json!({"frequency": "DAILY"})).await;
    setup.run().await;
    setup.pass(7 * HOUR);
    let mut tasks = setup.handle_all().await;
    setup.pass(20 * HOUR);
    let begun = setup.call("StartOnDemandAuditTask", json!({"targetCheckNames": [LOGGING]})).await;
    setup.pass(60);
    tasks.push(begun["taskId"].as_str().unwrap().to_owned());
    setup.only(&tasks);
    setup.handle_all().await;
    setup.pass(9 * HOUR);
    assert_eq!(setup.problems().await, ["missing"]);
}
