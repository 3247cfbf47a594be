//! How many calls of AWS IoT a mitigated finding costs, from its listing to its result in the ledger: under a rule whose guards
//! ask for nothing, and with every guard that asks about each finding. A check that is mitigated as one task costs less.
//!
//! Triage makes the messages, and `apply-mitigations` takes them and those that it sends to itself, whatever their delay.
//! The ledger keeps everything. Not in it is what is asked once and not of each finding: the size of the fleet for a budget's
//! share (once a day), and which devices of a canary's 25 candidates are connected (once an audit and rule).

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::Bench;
use crate::cloud::IOT;
use crate::fleet::{Audit, Fleet, LARGEST, batch};
use crate::lambda::Function;
use crate::ledger::Ledger;
use crate::report::Target;

/// As many as one task takes.
const FINDINGS: u32 = 25;
/// Longer than a mitigation task takes.
const TASK: Duration = Duration::from_mins(1);
/// How many events `apply-mitigations` may need for one task.
const ROUNDS: u32 = 20;
const UNGUARDED: &str = "\
version: 1
mode: enforce
budgets: [{ most: 25, within: 1h }]
rules:
  - name: expiring
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }
    mitigate: { actions: Deactivate, devices: any }
";
const GUARDED: &str = "\
version: 1
mode: enforce
protect: { groups: critical }
budgets: [{ most: 25, within: 1h }]
rules:
  - name: expiring
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK }
    mitigate:
      actions: Deactivate
      devices: { most: 1, connected: 0 }
      approval: { severity: CRITICAL, devices: 25 }
";

/// Measures both.
pub(crate) async fn measure(bench: &mut Bench) -> Result<()> {
    let bar = Bench::bar("calls of a mitigation", 2)?;
    for (key, what, policy, most) in [
        ("calls_per_mitigated_finding", "calls per mitigated finding", UNGUARDED, 4.3),
        ("calls_per_guarded_finding", "… with all guards", GUARDED, 9.7),
    ] {
        let (to_start, all) = life(bench, policy).await.with_context(|| what.to_owned())?;
        bench.report.note(&format!("{key}_to_start"), to_start);
        bench.report.count(key, what, all, Target::AtMost(most));
        bar.inc(1);
    }
    Ok(())
}

/// The calls for each finding of a task: until it has started, and until its results are written.
async fn life(bench: &Bench, policy: &str) -> Result<(f64, f64)> {
    let services = bench.cloud.services.clone();
    let (fleet, audit) = fleet()?;
    let clock = fleet.0.clock().clone();
    services.set_defender(fleet.0);
    let ledger = Ledger::default();
    services.sink.reset(true);
    services.sink.keep(ledger.clone());
    // What `audit-notification` writes before triage is asked.
    let seen = json!({ "Item": {
        "pk": { "S": format!("history#{LARGEST}") }, "sk": { "S": "audit" },
        "task_id": { "S": audit.task }, "started_at": { "N": audit.started_ms.to_string() },
    } });
    ledger.answer("PutItem", &seen.to_string().into());
    services.recorder.reset(false);
    let path = bench.folder.path().join("mitigation.yaml");
    fs::write(&path, policy)?;
    let mut environment = bench.places.environment(&bench.cloud);
    environment.push(("POLICY_PATH", path.to_string_lossy().into_owned()));
    // The registry's pace takes time, and no calls.
    environment.push(("CALLS_PER_SECOND", "1000000".into()));
    let start = async |name| {
        let mut function = Function::start(&bench.places.binary(name), &environment, None).await?;
        function.asked().await?;
        anyhow::Ok(function)
    };
    let (mut triage, mut apply) = (start("triage-findings").await?, start("apply-mitigations").await?);
    triage.invoke(&audit.event(LARGEST)).await?;
    let waiting = || -> Option<Bytes> {
        let messages = services.sink.take_messages("mitigation");
        (!messages.is_empty()).then(|| batch(&messages))
    };
    apply.invoke(&waiting().context("triage has sent no mitigation")?).await?;
    let to_start = services.recorder.count(IOT);
    clock.advance(TASK);
    for _ in 0..ROUNDS {
        let Some(event) = waiting() else { break };
        apply.invoke(&event).await?;
    }
    let all = services.recorder.count(IOT);
    let mut mitigated = 0;
    ledger.each("task", |item| {
        let text = |name: &str| item.get(name).and_then(|of| of.get("S")).and_then(Value::as_str);
        ensure!(text("state") == Some("completed"), "a task is {:?}: {:?}", text("state"), text("reason"));
        anyhow::Ok(())
    })?;
    ledger.each_of("finding#", |_| mitigated += 1);
    ensure!(mitigated == FINDINGS, "{mitigated} of {FINDINGS} findings have a result");
    services.sink.reset(false);
    let of_each = |calls: u64| anyhow::Ok(f64::from(u32::try_from(calls)?) / f64::from(FINDINGS));
    Ok((of_each(to_start)?, of_each(all)?))
}

/// A fleet with so many findings, each of one device that is not connected, and its audit.
fn fleet() -> Result<(Fleet, Audit)> {
    let (fleet, audit) = Fleet::with_largest(FINDINGS.into())?;
    let role = "arn:aws:iam::123456789012:role/mitigation";
    let off = json!({ "updateDeviceCertificateParams": { "action": "DEACTIVATE" } });
    let action = json!({ "roleArn": role, "actionParams": off });
    fleet.call("POST", "/mitigationactions/actions/Deactivate", &action)?;
    let order = |what: &str, body: &Value| fleet.call("POST", &format!("/_control/{what}"), body);
    let all = fleet.call("GET", "/_control/fleet", &Value::Null)?;
    let certificates = all.get("certificates").and_then(Value::as_object).context("no certificates")?;
    for (number, (certificate, of)) in certificates.iter().enumerate() {
        let things = of.get("things").and_then(Value::as_array).into_iter().flatten();
        let mut names: Vec<String> = things.filter_map(|thing| thing.as_str().map(str::to_owned)).collect();
        if names.is_empty() {
            // Of a certificate without a thing nobody knows whether its device is connected.
            let name = format!("bench-{number}");
            order("things", &json!({ "thingName": name }))?;
            order(
                "attachment",
                &json!({ "thingName": name, "certificateId": certificate, "attached": true }),
            )?;
            names.push(name);
        }
        for name in names {
            order("connections", &json!({ "thingName": name, "connected": false }))?;
            // A protected thing would not be mitigated.
            order(
                "membership",
                &json!({ "thingName": name, "thingGroupName": "critical", "member": false }),
            )?;
        }
    }
    Ok((fleet, audit))
}

#[cfg(test)]
mod tests {
    use fleetwarden_core::policy::Policy;

    use super::*;

    #[test]
    fn the_policies_are_good_and_the_fleet_is_all_of_single_devices_that_are_off() {
        for policy in [UNGUARDED, GUARDED] {
            Policy::parse(policy.as_bytes()).unwrap();
        }
        let (fleet, audit) = fleet().unwrap();
        assert_eq!(audit.checks[LARGEST], u64::from(FINDINGS));
        let all = fleet.call("GET", "/_control/fleet", &Value::Null).unwrap();
        let certificates = all["certificates"].as_object().unwrap();
        assert!(certificates.values().all(|of| !of["things"].as_array().unwrap().is_empty()));
        assert_eq!(all["thingGroups"]["critical"], json!([]));
    }
}
