//! What a mitigation works on: findings of an audit, or violations of a behavior. Both go the same way, and what differs
//! on it is here.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::invocation;
use fleetwarden_aws::mitigations::Claim;
use fleetwarden_aws::mitigations::Claimable;
use fleetwarden_aws::mitigations::ConnectedThings;
use fleetwarden_aws::mitigations::Settled;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Stop;
use fleetwarden_core::alert::Alert;
use fleetwarden_core::message::Origin;
use fleetwarden_core::model::mitigation::before::Befores;
use fleetwarden_core::model::mitigation::impact::Impact;
use fleetwarden_core::model::mitigation::view::GuardAnswer;
use fleetwarden_core::model::severity::Severity;
use fleetwarden_core::policy::InGroups;
use fleetwarden_core::timestamp::Millis;

use crate::admission::Admission;
use crate::alerts::Event;
use crate::before::Stored;
use crate::devices::Devices;
use crate::message::Message;
use crate::refusals::Unable;
use crate::task::Started;
use crate::task::Task;

/// A request for a mitigation task.
pub(crate) trait Request: Claimable {
    /// The task's id.
    fn task_id(&self) -> String;

    /// Who asks for it.
    fn origin(&self) -> &Origin;

    /// The mitigation actions, in order.
    fn actions(&self) -> &[String];

    /// What it is about, for the log.
    fn facts(&self) -> Facts<'_>;

    /// What people are alerted of.
    fn alert(&self, event: Event<'_>) -> Alert;
}

/// What a request is about, as the log has it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts<'r> {
    pub(crate) audit_task_id: Option<&'r str>,
    pub(crate) check: Option<&'r str>,
    pub(crate) profile: Option<&'r str>,
    pub(crate) behavior: Option<&'r str>,
}

/// What a mitigation works on.
pub(crate) trait Work {
    type Request: Request;
    type Message: Message<Request = Self::Request>;
    type Task: Task;

    /// What a task works on, in the service's word: `findings` or `violations`.
    const PARTS: &'static str;
    /// Why a mitigation waits when as many tasks run as may.
    const FULL: &'static str;
    /// Whether a message is parked when no task of its rule can start: whether nothing else brings its work back.
    const IS_DECIDED_ONCE: bool;

    /// The first gate.
    fn admit(&self, request: &Self::Request) -> Result<Admission, Error>;

    /// Decides on a request again, right before its start.
    async fn revalidate(
        &self,
        request: &Self::Request,
        deadline: Millis,
    ) -> Result<Revalidated<Self::Request>, Error>;

    /// Asks the guard of devices about a request that is not started.
    async fn ask_devices(&self, request: &Self::Request, deadline: Millis) -> Result<Devices, Error>;

    /// Claims what is to be mitigated. None: an earlier try has claimed it, and the task runs or has run.
    async fn claim(
        &self,
        request: &Self::Request,
        claimed: &Settled<'_, Self::Request>,
    ) -> Result<Option<Claim<TargetOf<Self>>>, Error>;

    /// Reads the states that the task will change, as far as they are not known, and writes them down. `befores` are those
    /// that are known.
    async fn store_before(
        &self,
        request: &Self::Request,
        target: &TargetOf<Self>,
        befores: Option<&Befores>,
        deadline: Millis,
    ) -> Result<Stored, Error>;

    /// Starts the task with the request's own id, which is also its token, so that a repeat names the same task.
    /// `target` is what of the request is this task's alone.
    async fn start(&self, request: &Self::Request, target: &TargetOf<Self>) -> Result<Started, Error>;

    /// The task as it is. None: the service does not know it.
    async fn describe(&self, task_id: &str) -> Result<Option<Self::Task>, Error>;

    /// Why the service refuses a start, if it is because of an action that there is not.
    async fn missing_action(&self, request: &Self::Request) -> Result<Option<String>, Error>;

    /// What a target is of: the ids of its findings or violations; of a whole check the reason codes.
    fn parts(target: &TargetOf<Self>) -> BTreeSet<String>;

    /// How many findings or violations are in a target.
    fn count(target: &TargetOf<Self>) -> u64;

    /// Whose turn it is, where the first few of a rule go alone. With since when the request waits for its turn, if it does.
    async fn turn(&self, _: &Self::Request, _: Option<Millis>) -> Result<Turn, Error> {
        Ok(Turn::Free)
    }

    /// Divides what is to be mitigated into what goes first and the rest.
    async fn divide(
        &self,
        _: &Self::Request,
        decided: Decided<Self::Request>,
        _: (usize, &[String]),
        _: Millis,
    ) -> (Decided<Self::Request>, Vec<Self::Request>) {
        (decided, Vec::new())
    }

    /// The things behind what goes first that are connected, if their loss stops the rest.
    async fn watched(
        &self,
        _: &Self::Request,
        _: &Decided<Self::Request>,
        _: Millis,
    ) -> Result<Option<ConnectedThings>, Error> {
        Ok(None)
    }

    /// Lets another task go first in place of one that has nothing to mitigate.
    async fn leave_turn(&self, _: &Self::Request) -> Result<(), Error> {
        Ok(())
    }

    /// The message by which a started task is watched, if it goes first.
    async fn watch(&self, _: &Self::Request) -> Result<Option<Self::Message>, Error> {
        Ok(None)
    }

    /// How many of the findings or violations of a request go at once.
    fn at_once(&self, request: &Self::Request) -> u64 {
        Self::count(request.target())
    }

    /// What would come before a start because the first few of its rule go alone.
    fn would_wait(&self, _: &Self::Request) -> Option<String> {
        None
    }

    /// Notes that a mitigation would have been started, or why not.
    async fn note_observed(&self, request: &Self::Request, instead: Option<&str>) -> Result<(), Error>;

    /// Notes what is not mitigated.
    async fn note_left_out(
        &self,
        request: &Self::Request,
        decided: &Decided<Self::Request>,
    ) -> Result<(), Error>;
}

/// Whose turn it is, where the first few of a rule go alone.
pub(crate) enum Turn {
    /// It goes with all others.
    Free,
    /// It goes first.
    First {
        /// How many findings its rule mitigates.
        of: u64,
        /// How many of its own go at most.
        most: usize,
        /// Those that an earlier try has chosen. Empty: none has.
        first: Vec<String>,
    },
    /// The first have gone, and it follows.
    Rest,
    /// It waits for them.
    Wait(Stop),
    /// It never starts, and why.
    Stopped(String),
}

/// What of a request is a task's own.
pub(crate) type TargetOf<W> = <<W as Work>::Request as Claimable>::Target;

/// Whether somebody has asked for what a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Yes,
    /// The ledger does not have the command's task: its claim comes after the message, or was refused.
    NotYet,
}

impl Asked {
    /// From what the ledger says of a command.
    pub(crate) fn by_command(asks: Option<bool>) -> Result<Self, Error> {
        match asks {
            Some(true) => Ok(Self::Yes),
            Some(false) => Err(not_asked()),
            None => Ok(Self::NotYet),
        }
    }

    /// For what only comes after the claim.
    pub(crate) fn by_now(self) -> Result<(), Error> {
        if self == Self::Yes { Ok(()) } else { Err(not_asked()) }
    }
}

fn not_asked() -> Error {
    Error::Input("no command has asked for what the message is about".to_owned())
}

/// Work whose started tasks are followed to their end.
pub(crate) trait Followed: Work {
    /// The status of a task that has ended well.
    const COMPLETED: &'static str;

    /// Refuses what is of another account, or says of a command what that has not asked for.
    async fn verify(&self, request: &Self::Request) -> Result<Asked, Error>;

    /// Whether nothing is left to do about a task, by the ledger.
    async fn is_over(&self, task_id: &str) -> Result<bool, Error>;

    /// Writes how a task has ended, and alerts people unless all of it succeeded.
    async fn end(
        &self,
        request: &Self::Request,
        task: &Self::Task,
        state: State,
        deadline: Millis,
    ) -> Result<Ended, Error>;
}

/// How far the end of a task is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Written,
    /// Its results go on in another message.
    InPart,
}

/// What is known of a mitigation right before its start.
pub(crate) enum Revalidated<R: Claimable> {
    /// Everything.
    Known(Decided<R>),
    /// It can never start, and why.
    Never(Unable, String),
    /// Something is not known, or the time was up: it is decided on later.
    Unknown(String),
}

/// What the policy of now makes of a mitigation.
pub(crate) struct Decided<R: Claimable> {
    /// What is mitigated as it was decided. None: nothing.
    pub(crate) target: Option<R::Target>,
    /// What is not.
    pub(crate) left_out: Vec<LeftOut<R::Part>>,
    /// Why not, if something is left out.
    pub(crate) reason: Option<String>,
    /// The states that the start will change. None: they are read when it is claimed.
    pub(crate) befores: Option<Befores>,
    /// The worst severity of what is mitigated. None: unknown.
    pub(crate) severity: Option<Severity>,
    /// How many devices it concerns, if a guard has asked.
    pub(crate) impact: Option<Impact>,
    /// What of it counts in the budgets of groups. None: nobody knows, and all of it counts.
    pub(crate) in_groups: Option<InGroups>,
    /// What the guards say that were asked about each finding or violation.
    pub(crate) guards: Vec<GuardAnswer>,
}

/// A finding or violation that is not mitigated.
#[derive(Debug)]
pub(crate) struct LeftOut<P> {
    pub(crate) part: P,
    pub(crate) why: Why,
}

/// Why something is not mitigated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// There is nothing to mitigate, or an alert of its own says why not.
    Quiet(&'static str),
    /// Its thing is in all of the groups already.
    AlreadyIn,
    /// The policy of now, or the message, is not as it was: people are alerted.
    Changed(String),
    /// More devices stand behind it than its rule allows: people are alerted.
    Devices(String),
}

/// What is left of an invocation for all that comes after a look at the service.
const MARGIN: Duration = Duration::from_secs(5);

/// For how long the service may be asked, until a deadline.
pub(crate) fn time_left(deadline: Millis, now: Millis) -> Duration {
    invocation::time_left(now, deadline, MARGIN)
}

impl Why {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Quiet(text) => text,
            Self::AlreadyIn => "its thing is in the groups already",
            Self::Changed(text) | Self::Devices(text) => text,
        }
    }
}

impl<R: Claimable> Decided<R> {
    /// All of it is mitigated as it was decided.
    pub(crate) fn all(request: &R) -> Self {
        Self { target: Some(request.target().clone()), reason: None, ..Self::none(String::new()) }
    }

    /// None of it is, for this reason.
    pub(crate) fn none(reason: String) -> Self {
        Self {
            target: None,
            left_out: Vec::new(),
            reason: Some(reason),
            befores: None,
            impact: None,
            in_groups: None,
            guards: Vec::new(),
            severity: None,
        }
    }

    /// Whether people are alerted of what is left out because something has changed.
    pub(crate) fn is_to_alert(&self) -> bool {
        let is_changed = |out: &LeftOut<R::Part>| matches!(out.why, Why::Changed(_));
        self.left_out.is_empty() || self.left_out.iter().any(is_changed)
    }

    /// Whether people are alerted of what has too many devices.
    pub(crate) fn has_too_many_devices(&self) -> bool {
        self.left_out.iter().any(|out| matches!(out.why, Why::Devices(_)))
    }
}
