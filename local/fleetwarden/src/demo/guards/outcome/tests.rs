use super::*;
use crate::demo::guards::operator::Given;
use crate::demo::guards::table;
use crate::demo::inbox::Alert;
use crate::demo::summary::{Rest, Summary};
use crate::output::Layout;
use fleetwarden_core::model::mitigation::view::Shown;
use serde_json::{Map, Value, json};

/// A fleet in which these certificates are off.
fn fleet(off: &[&str]) -> State {
    let status = |id: &str| {
        let status = if off.contains(&id) { "INACTIVE" } else { "ACTIVE" };
        (id.to_owned(), json!({ "status": status, "things": [format!("{id}-0"), format!("{id}-1")] }))
    };
    let all = ["s", "c1", "c2", "c3", "c4", "b1", "b2", "b3", "b4", "else"];
    let certificates: Map<String, Value> = all.into_iter().map(status).collect();
    State(json!({ "certificates": certificates, "thingGroups": { "FleetwardenQuarantine": [] } }))
}

fn task(rule: &str, id: &str, state: &str, count: u64, reason: Option<&str>) -> Task {
    let started = (state != "held").then(|| "2026-11-30T00:00:00Z".to_owned());
    Task {
        task_id: id.into(),
        state: state.into(),
        rule: Some(rule.into()),
        count: Some(count),
        reason: reason.map(str::to_owned),
        started_at: started,
        ..Task::default()
    }
}

fn alert(kind: &str, title: &str, rule: &str) -> Alert {
    let description = format!("rule {rule}");
    Alert { kind: kind.into(), severity: "high".into(), title: title.into(), description }
}

/// What is seen when all is as it should be.
fn good() -> Observed {
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    let cast = Cast {
        shared: "s".into(),
        canary: ids(&["c1", "c2", "c3", "c4"]),
        first: "c4".into(),
        budget: ids(&["b1", "b2", "b3", "b4"]),
    };
    let first: Shown = serde_json::from_value(json!({
        "task": {
            "taskId": "fw-c1", "state": "failed", "rule": CANARY,
            "canary": {
                "state": "stopped", "taskId": "fw-c1", "first": ["f"], "of": 4, "undo": "done",
                "reason": "its task ended as failed, and 0 of 1 findings succeeded",
            },
        },
        "findings": [{
            "findingId": "f", "state": "failed", "resource": { "deviceCertificateId": "c4" },
            "actions": [
                { "action": "FleetwardenDeactivateDeviceCertificate", "status": "COMPLETED" },
                { "action": "FleetwardenQuarantineThings", "status": "FAILED", "errorCode": "LimitExceededException" },
            ],
        }],
    }))
    .unwrap();
    let approved = serde_json::from_value(json!({
        "task": { "taskId": "fw-a", "state": "completed" },
        "approval": { "state": "approved", "by": OPERATOR, "reason": "these devices are replaced" },
    }))
    .unwrap();
    let given = |words: &str| Given { line: format!("fleetwarden mitigation {words}"), failure: None };
    Observed {
        cast,
        audit: "audit".into(),
        before: fleet(&[]),
        stopped: fleet(&["b1", "b2"]),
        mitigated: fleet(&["s", "b1", "b2"]),
        undone: fleet(&[]),
        tasks: vec![
            task(
                APPROVAL,
                "fw-a",
                "held",
                1,
                Some("waits for approval: the rule asks for an approval always"),
            ),
            task(CANARY, "fw-c1", "failed", 1, None),
            task(CANARY, "fw-c2", "held", 3, Some("waits for the canary of its rule: task fw-c1")),
            task(BUDGET, "fw-b1", "completed", 2, None),
            task(BUDGET, "fw-b2", "held", 2, Some("over the budget of 2 in 1h for rules two-an-hour")),
        ],
        first,
        approved,
        budgets: serde_json::from_value(
            json!({ "budgets": [{ "budget": "2 in 1h", "limit": 2, "used": 2 }] }),
        )
        .unwrap(),
        alerts: vec![
            alert("mitigation-approval", "C: a mitigation of 1 finding waits for approval", APPROVAL),
            alert("canary-stopped", "C: the canary of rule one-goes-first was stopped", CANARY),
            alert("mitigation-held", "C: mitigations are held by a budget", BUDGET),
        ],
        approve: given("approve fw-a --by demo --reason 'these devices are replaced'"),
        undo: vec![given("undo fw-b1 --reason 'wrong'"), given("undo fw-a --reason 'wrong'")],
    }
}

fn account(change: impl FnOnce(&mut Observed)) -> Account {
    let mut observed = good();
    change(&mut observed);
    Account::of(&observed, Duration::from_secs(1))
}

#[test]
fn what_is_as_it_should_be_has_no_fault_and_fits_a_terminal() {
    let account = account(|_| {});
    assert_eq!(account.faults(), [""; 0]);
    let text: Vec<String> =
        account.scenes.iter().map(|scene| table::text(scene, Layout::Columns(80)).plain()).collect();
    let text = text.join("\n");
    assert!(text.lines().all(|line| line.starts_with('$') || line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text);
}

/// Each promise that does not hold is a fault of its scene, and of no other.
#[test]
fn each_broken_promise_is_a_fault_of_its_scene() {
    let of = |scene: &str, change: &dyn Fn(&mut Observed)| {
        let faults = account(|seen| change(seen)).faults();
        assert!(!faults.is_empty(), "{scene}");
        assert!(faults.iter().all(|fault| fault.starts_with(scene)), "{faults:?}");
    };
    of("approval", &|seen| seen.tasks[0].state = "started".into());
    of("approval", &|seen| drop(seen.tasks.remove(0)));
    of("approval", &|seen| drop(seen.alerts.remove(0)));
    of("approval", &|seen| seen.alerts.push(seen.alerts[0].clone()));
    of("approval", &|seen| seen.approve.failure = Some("exit status: 1: NotHeld".into()));
    of("approval", &|seen| seen.approved.task.state = "held".into());
    of("approval", &|seen| seen.approved.approval.as_mut().unwrap().by = Some("mia".into()));
    of("approval", &|seen| seen.approved.approval = None);
    of("canary", &|seen| seen.first.findings[0].resource = None);
    of("canary", &|seen| seen.first.task.state = "completed".into());
    of("canary", &|seen| seen.first.findings[0].actions[1].status = "COMPLETED".into());
    of("canary", &|seen| seen.first.task.canary.as_mut().unwrap().state = "running".into());
    of("canary", &|seen| seen.first.task.canary.as_mut().unwrap().undo = Some("due".into()));
    of("canary", &|seen| seen.stopped = fleet(&["b1", "b2", "c4"]));
    of("canary", &|seen| seen.stopped.0["thingGroups"]["FleetwardenQuarantine"] = json!(["c4-0"]));
    of("canary", &|seen| seen.tasks[2].started_at = Some("2026-11-30T00:00:00Z".into()));
    of("canary", &|seen| drop(seen.tasks.remove(2)));
    of("canary", &|seen| drop(seen.alerts.remove(1)));
    of("budget", &|seen| seen.tasks[3].count = Some(3));
    of("budget", &|seen| seen.tasks[4].state = "started".into());
    of("budget", &|seen| drop(seen.tasks.remove(4)));
    of("budget", &|seen| seen.budgets.budgets[0].used = 4);
    of("budget", &|seen| drop(seen.alerts.remove(2)));
    of("undo", &|seen| seen.undone = fleet(&["b1"]));
    of("undo", &|seen| seen.undone.0["thingGroups"] = json!({}));
    of("undo", &|seen| seen.mitigated.0["certificates"]["else"]["status"] = json!("INACTIVE"));
    of("undo", &|seen| seen.undo[1].failure = Some("exit status: 1".into()));
}

/// What was mitigated too early, or too much, is a fault wherever it shows.
#[test]
fn what_is_mitigated_too_early_or_too_much_is_a_fault() {
    let early = account(|seen| seen.stopped = fleet(&["s", "b1", "b2"])).faults();
    assert!(
        early.iter().any(|fault| fault.starts_with("approval: its certificate was changed")),
        "{early:?}"
    );
    let much = account(|seen| seen.mitigated = fleet(&["s", "b1", "b2", "b3"])).faults();
    assert!(much.iter().any(|fault| fault == "budget: 3 certificates are off"), "{much:?}");
}

#[test]
fn a_fault_of_a_scene_fails_the_demonstration() {
    let faults = |change: &dyn Fn(&mut Observed)| {
        let rest = Rest {
            observe: false,
            parked: std::collections::BTreeMap::new(),
            killed: Vec::new(),
            archive_objects: 0,
            report_faults: Vec::new(),
            guards: Some(account(|seen| change(seen))),
            seconds: 1.0,
        };
        Summary::new(&[], rest).faults()
    };
    assert_eq!(faults(&|_| {}), [""; 0]);
    let broken = faults(&|seen| seen.undone = fleet(&["b1"]));
    assert_eq!(broken, ["undo: not as before: [\"/certificates/b1/status\"]"]);
}
