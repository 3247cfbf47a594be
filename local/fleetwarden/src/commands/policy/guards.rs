//! What the guards say of one mitigation, before there is one: as far as the policy says it, and what an operator gives of the
//! things, their connections and what is used of the budgets. `policy explain` shows it and `policy test` compares it.
//!
//! The functions ask the guards again right before a start, for a task of up to 25 findings. Here is one finding or alarm. What
//! is not known here is said to be so, and never taken for a yes.

use super::Source;
use super::explanation::Opening;
use anyhow::{Result, bail};
use fleetwarden_core::model::action::ActionKind;
use fleetwarden_core::model::mitigation::approval::Need;
use fleetwarden_core::model::mitigation::impact::{Connected, Number};
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::severity::Severity;
use fleetwarden_core::model::thing::{Behind, Things};
use fleetwarden_core::nearest::did_you_mean;
use fleetwarden_core::policy::approval::{Facts, needs};
use fleetwarden_core::policy::{
    AlarmMitigate, Approval, Budget, Canary, DeviceLimit, DeviceLimits, First, Mitigate, Policy, lasting,
};
use fleetwarden_core::untrusted::visible;
use std::collections::{BTreeMap, BTreeSet};

/// What an operator says for the guards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Around {
    /// The things that are connected. None: nobody says so, and all count as connected.
    pub(crate) connected: Option<BTreeSet<String>>,
    /// How much is used of the budgets. None: nothing is.
    pub(crate) used: Option<Used>,
}

/// How much is used of budgets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Used {
    /// So much of each.
    Each(u64),
    /// So much of those with these labels, and nothing of the others.
    By(BTreeMap<String, u64>),
}

/// A mitigation that the guards are asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) source: &'a Source,
    pub(crate) rule: &'a str,
    pub(crate) actions: &'a [String],
    pub(crate) limits: DeviceLimits,
    pub(crate) approval: Option<&'a Approval>,
    pub(crate) canary: Option<&'a Canary>,
    /// What it is about.
    pub(crate) resource: Option<&'a ResourceIdentifier>,
    /// What that is called.
    pub(crate) label: &'a str,
    /// How bad it is. None: an alarm has no severity.
    pub(crate) severity: Option<Severity>,
    pub(crate) things: &'a Things,
    pub(crate) opening: &'a Opening,
    pub(crate) around: &'a Around,
}

/// What a guard says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Passes,
    /// It waits until that is over.
    Holds,
    /// It waits for a person.
    Asks,
    /// It is left out, or refused.
    LeavesOut,
    /// What it depends on is not known here.
    Unknown,
    /// It goes first, or waits for those that do.
    Divides,
}

/// The answer of a guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) guard: String,
    pub(crate) says: Says,
    pub(crate) why: String,
}

/// The guard that stops a mitigation first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    None,
    Windows,
    Devices,
    Connections,
    /// It waits for an approval, for these reasons.
    Approval(Vec<Need>),
    /// The budget with this label.
    Budget(String),
    /// It depends on what is not known here.
    Unknown,
}

/// What all guards say.
#[derive(Clone, Debug)]
pub(crate) struct Guards {
    /// In the order in which they are asked.
    pub(crate) answers: Vec<Answer>,
    pub(crate) stop: Stop,
}

/// How many devices stand behind a finding, as far as somebody counts.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    devices: Option<u64>,
    connected: Option<u64>,
}

impl Says {
    /// The word in a table.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Passes => "passes",
            Self::Holds => "holds",
            Self::Asks => "asks",
            Self::LeavesOut => "leaves out",
            Self::Unknown => "not known",
            Self::Divides => "divides",
        }
    }
}

impl Stop {
    /// In the words of `expect`.
    pub(crate) fn word(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Windows => "windows".to_owned(),
            Self::Devices => "devices".to_owned(),
            Self::Connections => "connections".to_owned(),
            Self::Approval(needs) => {
                let needs: Vec<&str> = needs.iter().copied().map(key).collect();
                format!("approval {}", needs.join(", "))
            }
            Self::Budget(label) => format!("budget {label}"),
            Self::Unknown => "unknown".to_owned(),
        }
    }
}

/// What asks for an approval, by its key in the policy.
pub(crate) const fn key(need: Need) -> &'static str {
    match need {
        Need::Always => "always",
        Need::Irreversible => "irreversible",
        Need::Severity => "severity",
        Need::Devices => "devices",
        Need::Connected => "connected",
        Need::OutsideOfWindow => "outsideOfWindow",
        Need::OverBudget => "overBudget",
        Need::TwoPersons => "twoPersons",
    }
}

impl Around {
    /// How much is used of a budget.
    fn used(&self, budget: &Budget) -> u64 {
        match &self.used {
            None => 0,
            Some(Used::Each(used)) => *used,
            Some(Used::By(used)) => used.get(&budget.label()).copied().unwrap_or_default(),
        }
    }

    /// Refuses a budget that the policy does not have.
    ///
    /// # Errors
    /// If there is one.
    pub(crate) fn check(&self, policy: &Policy) -> Result<()> {
        let Some(Used::By(used)) = &self.used else { return Ok(()) };
        let labels: Vec<String> = policy.budgets().iter().map(Budget::label).collect();
        let Some(name) = used.keys().find(|name| !labels.contains(*name)) else { return Ok(()) };
        let near = did_you_mean(name, labels.iter().map(String::as_str));
        let all =
            if labels.is_empty() { "no budget".to_owned() } else { format!("'{}'", labels.join("', '")) };
        bail!("the policy has no budget '{}'{near} (it has {all})", visible(name))
    }
}

impl<'a> Asked<'a> {
    /// About a mitigation of a rule, of which nothing else is known yet.
    pub(crate) fn of(source: &'a Source, rule: &'a str, opening: &'a Opening, around: &'a Around) -> Self {
        Self {
            source,
            rule,
            actions: &[],
            limits: DeviceLimits::Default,
            approval: None,
            canary: None,
            resource: None,
            label: "it",
            severity: None,
            things: &Things::NotAsked,
            opening,
            around,
        }
    }

    /// Of what a rule on findings mitigates.
    pub(crate) fn of_finding(self, mitigate: &'a Mitigate) -> Self {
        let (approval, canary) = (mitigate.approval.as_ref(), mitigate.canary.as_ref());
        Self { actions: &mitigate.actions, approval, canary, limits: mitigate.devices, ..self }
    }

    /// Of what a rule on alarms mitigates.
    pub(crate) fn of_alarm(self, mitigate: &'a AlarmMitigate) -> Self {
        let (actions, approval) = (mitigate.actions.as_slice(), mitigate.approval.as_ref());
        Self { actions, approval, canary: None, limits: mitigate.devices, ..self }
    }

    /// What all guards say.
    pub(crate) fn ask(self) -> Guards {
        let mut answers = vec![answer("protection", Says::Passes, "nothing protects it")];
        let mut stops = Vec::new();
        let closed = self.closed();
        let may_start_outside = self.approval.is_some_and(|approval| approval.outside_of_window);
        let windows = match &closed {
            None if *self.opening == Opening::AtOnce => {
                answer("windows", Says::Passes, "the policy has no windows")
            }
            None => answer("windows", Says::Passes, "a window is open"),
            Some(why) if may_start_outside => {
                answer("windows", Says::Passes, &format!("{why}, and the rule asks a person instead"))
            }
            Some(why) => {
                stops.push(Stop::Windows);
                answer("windows", Says::Holds, why)
            }
        };
        answers.push(windows);
        let pause = "`fleetwarden mitigation budget` says whether mitigation is paused";
        answers.push(answer("pause", Says::Unknown, pause));
        let counted = self.ask_devices(&mut answers, &mut stops);
        let over = self.ask_budgets(&mut answers);
        let may_go_over = self.approval.is_some_and(|approval| approval.over_budget);
        let facts = Facts {
            // None of the actions that Device Defender has today is irreversible.
            actions: &[],
            severity: self.severity,
            devices: counted.devices,
            connected: counted.connected,
            outside_of_window: closed.as_deref(),
            over_budget: over.as_ref().map(|(_, why)| why.as_str()),
        };
        let reasons = needs(self.approval, &facts);
        if reasons.is_empty() {
            let why = match self.approval {
                None => "the rule asks for none",
                Some(_) => "nothing asks for one",
            };
            answers.push(answer("approval", Says::Passes, why));
        } else {
            let why: Vec<&str> = reasons.iter().map(|reason| reason.why.as_str()).collect();
            let within = self.approval.map(|approval| lasting(approval.within_seconds.saturating_mul(1000)));
            let within = within.map(|within| format!("; rejected after {within}")).unwrap_or_default();
            answers.push(answer("approval", Says::Asks, &format!("{}{within}", why.join("; "))));
            stops.push(Stop::Approval(reasons.iter().map(|reason| reason.need).collect()));
        }
        stops.extend(over.filter(|_| !may_go_over).map(|(label, _)| Stop::Budget(label)));
        answers.extend(self.canary.map(|canary| answer("canary", Says::Divides, &divides(canary))));
        Guards { answers, stop: stops.into_iter().next().unwrap_or(Stop::None) }
    }

    /// Why no window is open, if none is.
    fn closed(self) -> Option<String> {
        match self.opening {
            Opening::AtOnce | Opening::Open => None,
            Opening::At { why, .. } | Opening::Never(why) => Some(why.clone()),
        }
    }

    /// What the actions do to the resource. An action that nobody knows here counts as one that cuts its devices off.
    fn kinds(self) -> Vec<ActionKind> {
        let cuts = |resource: &ResourceIdentifier| {
            if resource.ca_certificate_id.is_some() {
                ActionKind::UpdateCaCertificate
            } else if resource.policy_version_identifier.is_some() {
                ActionKind::ReplaceDefaultPolicyVersion
            } else if resource.client_id.is_some() {
                ActionKind::AddThingsToThingGroup
            } else if resource.behind() == Behind::Nothing {
                ActionKind::EnableIotLogging
            } else {
                ActionKind::UpdateDeviceCertificate
            }
        };
        let assumed = self.resource.map_or(ActionKind::UpdateDeviceCertificate, cuts);
        self.actions.iter().map(|action| self.source.kind(action).unwrap_or(assumed)).collect()
    }

    fn ask_devices(self, answers: &mut Vec<Answer>, stops: &mut Vec<Stop>) -> Counted {
        let limit = self.limits.of(self.kinds());
        if limit == DeviceLimit::Any {
            let why = match self.limits {
                DeviceLimits::Any => "the rule says: any number",
                _ => "its actions have no limit",
            };
            answers.push(answer("devices", Says::Passes, why));
            return Counted::default();
        }
        if limit == DeviceLimit::NotSaid {
            let why = "the rule does not say how many devices may stand behind it (`devices`)";
            answers.push(answer("devices", Says::LeavesOut, why));
            stops.push(Stop::Devices);
            return Counted::default();
        }
        let Some((devices, things)) = self.devices() else {
            answers.push(answer("devices", Says::Unknown, "the functions count the devices behind it"));
            stops.push(Stop::Unknown);
            return Counted::default();
        };
        if let Some(why) = limit.over(self.label, Number::exactly(devices)) {
            answers.push(answer("devices", Says::LeavesOut, &why));
            stops.push(Stop::Devices);
            return Counted { devices: Some(devices), connected: Some(devices) };
        }
        let most = limit.most().unwrap_or_default();
        let word = if devices == 1 { "device" } else { "devices" };
        let why = format!("{devices} {word}; at most {most} may stand behind it");
        answers.push(answer("devices", Says::Passes, &why));
        let Some(most) = limit.asks_connections(Number::exactly(devices)) else {
            return Counted { devices: Some(devices), connected: Some(devices) };
        };
        let connected = self.connected(devices, &things);
        if let Some(why) = limit.over_connected(self.label, connected) {
            answers.push(answer("connections", Says::LeavesOut, &why));
            stops.push(Stop::Connections);
        } else {
            let why = format!("{connected} connected; at most {most} may be");
            answers.push(answer("connections", Says::Passes, &why));
        }
        Counted { devices: Some(devices), connected: Some(connected.devices.count) }
    }

    /// How many devices stand behind it, and the names of those that are things. None: it is not known here.
    fn devices(self) -> Option<(u64, Vec<&'a str>)> {
        let resource = self.resource?;
        match (resource.behind(), self.things) {
            (Behind::Client(client), _) => Some((1, vec![client])),
            // A certificate without a thing is a device, too.
            (Behind::Certificate(_), Things::Known(things)) => {
                Some((things.len().max(1) as u64, things.iter().map(|thing| thing.name.as_str()).collect()))
            }
            _ => None,
        }
    }

    /// How many of some devices are connected. What nobody says counts.
    fn connected(self, devices: u64, things: &[&str]) -> Connected {
        let nameless = devices.saturating_sub(things.len() as u64);
        let (connected, unknown) = match &self.around.connected {
            None => (0, devices),
            Some(names) => (things.iter().filter(|thing| names.contains(**thing)).count() as u64, nameless),
        };
        Connected { devices: Number::exactly(connected + unknown), unknown }
    }

    /// Asks the budgets. The first that has no room, and why.
    fn ask_budgets(self, answers: &mut Vec<Answer>) -> Option<(String, String)> {
        let budgets = self.source.policy.budgets_of(Some(self.rule), self.actions);
        let mut first = None;
        let mut any = false;
        for budget in budgets {
            any = true;
            let (label, limit, used) = (budget.label(), budget.limit(None), self.around.used(budget));
            let name = format!("budget of {}", visible(&label));
            if !budget.counts(self.things) {
                answers.push(answer(&name, Says::Passes, "no thing behind it is in the group"));
                continue;
            }
            let share = match budget.or_share {
                Some(_) => "; its share is not known here",
                None => "",
            };
            if used < limit {
                let with = used.saturating_add(1);
                let assumed = if self.around.used.is_none() { ", if nothing was used before" } else { "" };
                let why = format!("{with} of {limit} are used with it{assumed}");
                answers.push(answer(&name, Says::Passes, &why));
                continue;
            }
            let why =
                format!("over the budget of {label}: {used} of {limit} are used, and this is for 1{share}");
            answers.push(answer(&name, Says::Holds, &visible(&why)));
            first.get_or_insert((label, why));
        }
        if !any {
            answers.push(answer("budgets", Says::Passes, "none counts it"));
        }
        first
    }
}

/// What a canary does with a finding.
fn divides(canary: &Canary) -> String {
    let first = match canary.first {
        First::Count(1) => "the first finding goes".to_owned(),
        First::Count(count) => format!("the first {count} findings go"),
        First::Share(_) => format!("of 1,000 findings the first {} go", canary.count(1000)),
    };
    let watched = lasting(canary.watch_seconds.saturating_mul(1000));
    format!("{first} alone, watched for {watched}; the others wait for that")
}

fn answer(guard: &str, says: Says, why: &str) -> Answer {
    Answer { guard: guard.to_owned(), says, why: why.to_owned() }
}
