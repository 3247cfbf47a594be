//! The steps of both kinds of mitigation, each with what it needs.

use std::sync::Arc;

use aws_sdk_iot::Client;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::grades::Grades;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::states::States;
use fleetwarden_aws::thing_groups::ThingGroups;
use fleetwarden_aws::undo::Fleet;
use fleetwarden_core::policy::Policy;

use crate::Services;
use crate::alarms::Violations;
use crate::alarms::notes::Notes;
use crate::alarms::release::Release;
use crate::backoff::Backoff;
use crate::findings::Findings;
use crate::findings::results::Results;
use crate::follow::Follow;
use crate::refusals::Refusals;
use crate::registry::RegistryOf;
use crate::room::Room;
use crate::settle::Settle;
use crate::start::Start;
use crate::watch::Watch;

/// All steps.
pub(crate) struct Steps {
    pub(crate) findings: StepsOf<Findings>,
    pub(crate) alarms: StepsOf<Violations>,
    /// What goes first of a rule is watched.
    pub(crate) watch: Watch,
    /// What was mitigated because of an alarm is released.
    pub(crate) release: Release,
}

/// The steps of one kind of mitigation.
pub(crate) struct StepsOf<W> {
    pub(crate) start: Start<W>,
    pub(crate) follow: Follow<W>,
}

/// What both kinds of mitigation need.
struct Common {
    policy: Arc<Policy>,
    mitigations: Mitigations,
    alerts: Alerts,
    backoff: Backoff,
    refusals: Refusals,
    parking: Queue,
    clock: Clock,
    iot: Client,
    grades: Grades,
    emit: fn(&str),
}

impl Common {
    fn steps<W: Clone>(&self, work: W) -> StepsOf<W> {
        let follow = Follow {
            emit: self.emit,
            work: work.clone(),
            mitigations: self.mitigations.clone(),
            alerts: self.alerts.clone(),
            backoff: self.backoff.clone(),
            clock: self.clock.clone(),
        };
        let settle = Settle {
            work,
            mitigations: self.mitigations.clone(),
            alerts: self.alerts.clone(),
            backoff: self.backoff.clone(),
            refusals: self.refusals.clone(),
            parking: self.parking.clone(),
            clock: self.clock.clone(),
        };
        let (policy, iot) = (Arc::clone(&self.policy), self.iot.clone());
        let (grades, emit) = (self.grades.clone(), self.emit);
        let start = Start { settle, policy, room: Room::default(), iot, grades, emit };
        StepsOf { start, follow }
    }
}

impl Steps {
    /// The steps of a function with these services.
    pub(crate) fn new(services: Services, policy: &Arc<Policy>, consumer: &Consumer) -> Self {
        let Services { account, region, iot, registry, ledger, queue, alerts, .. } = services;
        let Services { follow_up_seconds, emit, .. } = services;
        let clock = consumer.clock.clone();
        let mitigations = Mitigations::new(ledger.clone());
        let groups = ThingGroups::new(iot.clone());
        let registry = RegistryOf { iot: registry, account, region };
        let states = States::new(registry.iot.client().clone(), &registry.account, &registry.region);
        let backoff = Backoff {
            queue,
            mitigations: mitigations.clone(),
            clock: clock.clone(),
            first_seconds: follow_up_seconds,
        };
        let fleet = Fleet { iot: iot.clone(), states: states.clone() };
        let notes = Notes { alarms: Alarms::new(ledger.clone()), clock: clock.clone() };
        let findings = Findings {
            iot: iot.clone(),
            groups: groups.clone(),
            states: states.clone(),
            registry: registry.clone(),
            policy: Arc::clone(policy),
            mitigations: mitigations.clone(),
            alerts: alerts.clone(),
            results: Results {
                iot: iot.clone(),
                registry: registry.clone(),
                ledger: ledger.clone(),
                clock: clock.clone(),
            },
            clock: clock.clone(),
            emit,
        };
        let watch = Watch {
            work: findings.clone(),
            alarms: Alarms::new(ledger.clone()),
            fleet,
            backoff: backoff.clone(),
        };
        let violations = Violations {
            iot: iot.clone(),
            states,
            registry: registry.clone(),
            policy: Arc::clone(policy),
            mitigations: mitigations.clone(),
            alerts: alerts.clone(),
            backoff: backoff.clone(),
            notes: notes.clone(),
            clock: clock.clone(),
        };
        let release = Release {
            groups,
            account: registry.account,
            region: registry.region,
            policy: Arc::clone(policy),
            mitigations: mitigations.clone(),
            alerts: alerts.clone(),
            backoff: backoff.clone(),
            notes,
            clock: clock.clone(),
        };
        let refusals = Refusals::new(ledger, alerts.clone(), clock.clone());
        let (parking, grades) = (consumer.parking.clone(), Grades::new(iot.clone()));
        let common = Common {
            policy: Arc::clone(policy),
            mitigations,
            alerts,
            backoff,
            refusals,
            parking,
            clock,
            iot,
            grades,
            emit,
        };
        Self { findings: common.steps(findings), alarms: common.steps(violations), watch, release }
    }
}
