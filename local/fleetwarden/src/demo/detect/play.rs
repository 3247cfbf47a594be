//! The scenarios, one after the other and beside each other, and when the endpoint's clock moves.
//!
//! An alarm is decided on a minute of the functions' clock after it was heard of, and by what the ledger says then. So
//! whatever is to be decided on while it lasts is left as it is until the queues are empty.

use super::clock::{self, LEAD, STEP, TRAINING, now_ms};
use super::quiet::{Until, quiet};
use crate::demo::inbox::{Alert, Inbox};
use crate::output::note;
use crate::stack::Stack;
use anyhow::{Context as _, Result, bail};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// The group whose devices go offline, and the profile whose models are to learn from them.
const LAB: &str = "lab";
pub(super) const LAB_PROFILE: &str = "FleetwardenDemoLab";
/// The group that the mitigation action adds to.
const QUARANTINE: &str = "FleetwardenQuarantine";
/// Before the devices in the lab go offline.
const FIRST_HOURS: Duration = Duration::from_hours(2);
/// The steps until the ports of the compromised device have alarmed, and no model has yet: that takes three.
const TO_ALARM: u32 = 2;
/// The steps of four turns of a battery, of four steps each, and of the three datapoints of a model.
const TURNS: u32 = 18;
/// The steps in which a lost connection counts, and after which all is clear.
const TO_CALM: u32 = 7;
/// The system's clock has to be so far ahead of the last event.
const AHEAD_MS: i64 = 60_000;

/// Who plays what.
#[derive(Debug, Clone, Default)]
pub(super) struct Cast {
    /// Somebody else uses it.
    pub(super) compromised: String,
    /// It sends much more than it ever did.
    pub(super) loud: String,
    /// Its battery is now above the limit and now below.
    pub(super) flapping: String,
    /// They lose their connections all at once.
    pub(super) storm: BTreeSet<String>,
    /// They go offline after two hours: what they sent by then, of any fleet, is too little for a model.
    pub(super) lab: BTreeSet<String>,
    /// All things.
    pub(super) things: usize,
}

/// What was played.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) cast: Cast,
    /// When the scenarios began, epoch milliseconds.
    pub(super) from_ms: i64,
    /// Who was in quarantine when the storm had been decided on.
    pub(super) quarantined: BTreeSet<String>,
}

/// Trains the models and plays the scenarios.
pub(super) async fn play(
    stack: &Stack,
    inbox: &Inbox,
    alerts: &mut Vec<Alert>,
    limit: Duration,
) -> Result<Played> {
    let defender = &stack.defender;
    let cast = cast(defender.things().await?, defender.members(LAB).await?)?;
    note(format!("fleetwarden: {} things; three weeks go by, in which models are built", cast.things));
    defender.watch_by_models(LAB_PROFILE, LAB).await?;
    clock::train(stack, FIRST_HOURS, "the first hours").await?;
    defender.begin(&json!({ "kind": "starve", "thingGroupName": LAB })).await?;
    clock::train(stack, TRAINING.saturating_sub(FIRST_HOURS), "the lab is offline").await?;

    let from_ms = defender.now_ms().await?;
    let ahead_ms = now_ms() - from_ms;
    if ahead_ms < i64::try_from(LEAD.as_millis())? - AHEAD_MS {
        bail!("the endpoint's clock is only {ahead_ms} ms behind");
    }
    quiet(stack, inbox, alerts, (Until::Decided, limit)).await?;
    note("fleetwarden: a device is taken over, one sends too much, and a battery runs low");
    let taken = defender.begin(&json!({ "kind": "compromised", "thingNames": [cast.compromised] })).await?;
    let loud = json!({
        "kind": "metric", "metric": "aws:num-messages-sent", "factor": 60, "thingNames": [cast.loud],
    });
    let loud = defender.begin(&loud).await?;
    let flap = json!({
        "kind": "flap", "metric": "FleetwardenBatteryLevel", "value": { "number": 12 },
        "thingNames": [cast.flapping], "onSeconds": 600, "offSeconds": 600, "forSeconds": 4 * 1_200,
    });
    defender.begin(&flap).await?;
    steps(stack, inbox, alerts, TO_ALARM, "a device is taken over").await?;
    quiet(stack, inbox, alerts, (Until::Decided, limit)).await?;
    steps(stack, inbox, alerts, TURNS, "the battery flaps").await?;
    let storm = json!({
        "kind": "reconnect-storm", "share": 1, "thingNames": cast.storm, "forSeconds": STEP.as_secs(),
    });
    defender.begin(&storm).await?;
    note(format!("fleetwarden: {} devices lose their connections", cast.storm.len()));
    steps(stack, inbox, alerts, 2, "connections are lost").await?;
    quiet(stack, inbox, alerts, (Until::Decided, limit)).await?;
    let quarantined = defender.members(QUARANTINE).await?;
    defender.end(taken).await?;
    defender.end(loud).await?;
    steps(stack, inbox, alerts, TO_CALM, "all is calm").await?;
    quiet(stack, inbox, alerts, (Until::Decided, limit)).await?;
    Ok(Played { cast, from_ms, quarantined })
}

/// Moves the endpoint's clock from datapoint to datapoint, so that alarms come one after the other.
async fn steps(
    stack: &Stack,
    inbox: &Inbox,
    alerts: &mut Vec<Alert>,
    count: u32,
    what: &'static str,
) -> Result<()> {
    let bar = clock::bar(u64::from(count), "x 5 min", what);
    for _ in 0..count {
        stack.defender.advance(STEP).await?;
        let ahead_ms = now_ms() - stack.defender.now_ms().await?;
        if ahead_ms < AHEAD_MS {
            bail!("the endpoint's clock has caught up: it is only {ahead_ms} ms behind");
        }
        inbox.read(alerts).await?;
        bar.inc(1);
        // So that what is published in one step is not published with that of the next.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    bar.finish();
    Ok(())
}

/// Three things that are not in the lab, and half of the others of which none is.
fn cast(things: BTreeSet<String>, lab: BTreeSet<String>) -> Result<Cast> {
    let count = things.len();
    let mut free = things.into_iter().filter(|thing| !lab.contains(thing));
    let mut next = || free.next().context("there are too few things outside the lab");
    let (compromised, loud, flapping) = (next()?, next()?, next()?);
    let rest: Vec<String> = free.collect();
    let storm: BTreeSet<String> = rest.into_iter().step_by(2).collect();
    if lab.is_empty() || storm.len() <= 50 {
        bail!("the fleet is too small: give it more findings");
    }
    Ok(Cast { compromised, loud, flapping, storm, lab, things: count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_plays_two_parts() {
        let things: BTreeSet<String> = (0..200).map(|n| format!("thing-{n:03}")).collect();
        let lab: BTreeSet<String> = things.iter().take(20).cloned().collect();
        let cast = cast(things.clone(), lab).unwrap();
        let single = [&cast.compromised, &cast.loud, &cast.flapping];
        let all: BTreeSet<&String> = single.into_iter().chain(&cast.storm).chain(&cast.lab).collect();
        assert_eq!((all.len(), cast.storm.len()), (3 + 20 + 89, 89));
        assert!(super::cast(things, BTreeSet::new()).is_err());
    }
}
