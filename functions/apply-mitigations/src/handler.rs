//! From events to steps: which step of which kind of mitigation a message asks for.

use std::sync::Arc;

use aws_lambda_events::sqs::SqsBatchResponse;
use aws_lambda_events::sqs::SqsEvent;
use fleetwarden_aws::Error;
use fleetwarden_aws::alarms::Alarms;
use fleetwarden_aws::alerts::Alerts;
use fleetwarden_aws::batch;
use fleetwarden_aws::batch::Consumer;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::thing_groups::ThingGroups;
use fleetwarden_core::alarm::message::AlarmMitigationMessage;
use fleetwarden_core::alarm::message::AlarmStep;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::Step;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use lambda_runtime::Context;
use serde::Deserialize;
use serde::de::IgnoredAny;

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

/// The function.
pub struct ApplyMitigations {
    consumer: Consumer,
    policy: Arc<Policy>,
    findings: Steps<Findings>,
    alarms: Steps<Violations>,
    release: Release,
}

/// The steps of one kind of mitigation.
struct Steps<W> {
    start: Start<W>,
    follow: Follow<W>,
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
}

impl Common {
    fn steps<W: Clone>(&self, work: W) -> Steps<W> {
        let follow = Follow {
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
        let start = Start { settle, policy: Arc::clone(&self.policy), room: Room::default() };
        Steps { start, follow }
    }
}

/// By what a message of the mitigation queue is known to be about alarms.
#[derive(Deserialize)]
struct Kind {
    alarms: Option<IgnoredAny>,
}

impl ApplyMitigations {
    /// The function with all that it needs from outside.
    pub fn new(services: Services) -> Self {
        let Services { account, region, iot, registry, ledger, queue, alerts, .. } = services;
        let Services { policy, follow_up_seconds, consumer, emit, .. } = services;
        let (policy, clock) = (Arc::new(policy), consumer.clock.clone());
        let mitigations = Mitigations::new(ledger.clone());
        let groups = ThingGroups::new(iot.clone());
        let registry = RegistryOf { iot: registry, account, region };
        let backoff = Backoff {
            queue,
            mitigations: mitigations.clone(),
            clock: clock.clone(),
            first_seconds: follow_up_seconds,
        };
        let notes = Notes { alarms: Alarms::new(ledger.clone()), clock: clock.clone() };
        let findings = Findings {
            iot: iot.clone(),
            groups: groups.clone(),
            registry: registry.clone(),
            policy: Arc::clone(&policy),
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
        let violations = Violations {
            iot,
            groups: groups.clone(),
            registry: registry.clone(),
            policy: Arc::clone(&policy),
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
            policy: Arc::clone(&policy),
            mitigations: mitigations.clone(),
            alerts: alerts.clone(),
            backoff: backoff.clone(),
            notes,
            clock: clock.clone(),
        };
        let refusals = Refusals::new(ledger, alerts.clone(), clock.clone());
        let parking = consumer.parking.clone();
        let common =
            Common { policy: Arc::clone(&policy), mitigations, alerts, backoff, refusals, parking, clock };
        Self { findings: common.steps(findings), alarms: common.steps(violations), release, policy, consumer }
    }

    /// What the operator allows.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Takes a batch of mitigation messages.
    ///
    /// # Errors
    /// If none of them could be handled.
    pub async fn handle(&self, event: SqsEvent, context: &Context) -> Result<SqsBatchResponse, Error> {
        self.consumer.consume(event, context, async |body, deadline| self.message(body, deadline).await).await
    }

    /// Takes one message, until the deadline.
    ///
    /// # Errors
    /// [`Error::Input`] if it can never be handled, else why it is to be delivered again.
    pub async fn message(&self, body: &str, deadline: Millis) -> Result<(), Error> {
        let kind: Kind = batch::parse("mitigation message", body)?;
        // The typed client's calls make large futures: on the heap, each step is no larger than its own.
        if kind.alarms.is_some() {
            let message: AlarmMitigationMessage = batch::parse("mitigation message", body)?;
            return match message.step {
                AlarmStep::Start | AlarmStep::Held { .. } => {
                    Box::pin(self.alarms.start.start(message, deadline)).await
                }
                AlarmStep::Follow => Box::pin(self.alarms.follow.follow(message, deadline)).await,
                AlarmStep::Release => Box::pin(self.release.release(message)).await,
            };
        }
        let message: MitigationMessage = batch::parse("mitigation message", body)?;
        match message.step {
            Step::Start | Step::Held { .. } => Box::pin(self.findings.start.start(message, deadline)).await,
            Step::Follow => Box::pin(self.findings.follow.follow(message, deadline)).await,
        }
    }
}
