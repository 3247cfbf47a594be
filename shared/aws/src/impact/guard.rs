//! The guard of devices: how many stand behind what a mitigation changes, and how many of them are connected.
//!
//! It is asked finding by finding, so that what is left out does not depend on what else is in the task. What it cannot
//! learn is an error, and whoever asks mitigates nothing then.

use std::collections::BTreeSet;

use fleetwarden_core::model::action::ActionKind;
use fleetwarden_core::model::mitigation::impact::Adding;
use fleetwarden_core::model::mitigation::impact::Device;
use fleetwarden_core::model::mitigation::impact::Impact;
use fleetwarden_core::model::mitigation::impact::ResourceDevices;
use fleetwarden_core::model::mitigation::view::GuardAnswer;
use fleetwarden_core::policy::DeviceLimit;
use fleetwarden_core::policy::DeviceLimits;

use super::Impacts;
use crate::Error;
use crate::states::About;
use crate::states::Changes;

/// Asks about the devices of the findings or violations of one task.
#[derive(Debug)]
pub struct DeviceGuard {
    impacts: Impacts,
    adding: Adding,
    limit: DeviceLimit,
    stopped: Vec<GuardAnswer>,
}

/// What the guard says of a finding or violation.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// It may be mitigated. The things behind it, if they are known now.
    Passes(Option<Vec<String>>),
    /// Too many devices stand behind it, and why.
    Over(String),
    /// The rule has to say how many devices there may be before anything of it is mitigated, and why.
    NotSaid(String),
}

impl DeviceGuard {
    /// One that has asked nothing.
    pub fn new(impacts: Impacts) -> Self {
        Self { impacts, adding: Adding::default(), limit: DeviceLimit::Any, stopped: Vec::new() }
    }

    /// Asks about a finding that these actions are to change, within what its rule or command allows.
    ///
    /// # Errors
    /// If the service does not answer.
    pub async fn ask(
        &mut self,
        about: About<'_>,
        changes: &Changes,
        limits: DeviceLimits,
    ) -> Result<Asked, Error> {
        let limit = limits.of(changes.values().map(|change| change.kind()));
        if limit == DeviceLimit::Any {
            return Ok(Asked::Passes(None));
        }
        self.limit = limit;
        let Some(found) = self.impacts.behind(about, changes, limit.most()).await? else {
            return Ok(Asked::Passes(None));
        };
        self.judge(&found, about.finding_id, limit).await
    }

    /// Asks about a violation, whose thing is to be added to groups.
    ///
    /// # Errors
    /// If the service does not answer.
    pub async fn ask_thing(
        &mut self,
        violation_id: &str,
        thing: &str,
        limits: DeviceLimits,
    ) -> Result<Asked, Error> {
        let limit = limits.of([ActionKind::AddThingsToThingGroup]);
        if limit == DeviceLimit::Any {
            return Ok(Asked::Passes(None));
        }
        self.limit = limit;
        let devices = BTreeSet::from([Device::Thing(thing.to_owned())]);
        let found = ResourceDevices { kind: "thing", name: thing.to_owned(), devices, or_more: false };
        self.judge(&found, violation_id, limit).await
    }

    async fn judge(
        &mut self,
        found: &ResourceDevices,
        part: &str,
        limit: DeviceLimit,
    ) -> Result<Asked, Error> {
        let (label, devices) = (found.label(), found.number());
        if let Some(why) = limit.over(&label, devices) {
            self.stopped.push(DeviceLimit::stopped(&why, false));
            return Ok(if limit == DeviceLimit::NotSaid { Asked::NotSaid(why) } else { Asked::Over(why) });
        }
        let connections = match limit.asks_connections(devices) {
            None => None,
            Some(most) => Some(self.impacts.connections(found, most).await?),
        };
        let over = connections.as_ref().and_then(|of| limit.over_connected(&label, of.number()));
        if let Some(why) = over {
            self.stopped.push(DeviceLimit::stopped(&why, true));
            return Ok(Asked::Over(why));
        }
        self.adding.add(found, part, connections.as_ref());
        Ok(Asked::Passes(found.things()))
    }

    /// The impact of what passes, and what the guard says of the task.
    #[must_use]
    pub fn sum(self) -> (Option<Impact>, Vec<GuardAnswer>) {
        let Self { adding, limit, stopped, .. } = self;
        let impact = adding.sum();
        if impact.resources.is_empty() {
            return (None, stopped.into_iter().take(1).collect());
        }
        let answers = limit.passed(&impact);
        (Some(impact), answers)
    }
}
