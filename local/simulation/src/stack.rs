//! The stack that is simulated: its functions, what wakes them, and the variables that they get, as the template has them.

use std::time::Duration;

/// The account and the region of the stack.
pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "us-east-1";
/// The topics to which Device Defender publishes, and the one that people subscribe to.
pub(crate) const AUDIT_TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:audits";
pub(crate) const ALARM_TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:alarms";
pub(crate) const ALERT_TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:alerts";
/// How often a queue hands a message out before it goes to the dead-letter queue.
pub(crate) const MAX_RECEIVES: u32 = 5;
/// After so many invocations of one function in a chain Lambda ends it, unless the function may loop.
pub(crate) const LONGEST_LOOP: u32 = 16;
/// How often Lambda tries an asynchronous event again, and how long it waits before.
pub(crate) const RETRIES: [Duration; 2] = [Duration::from_mins(1), Duration::from_mins(2)];

/// A function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// After so long Lambda ends an invocation.
    pub(crate) timeout: Duration,
    pub(crate) trigger: Trigger,
    /// Where the function itself parks, and where Lambda puts what it has given up.
    pub(crate) dead_letters: &'static str,
    /// Whether it may cause its own next invocation for ever (`RecursiveLoop: Allow`).
    pub(crate) may_loop: bool,
}

impl Function {
    const fn looping(self) -> Self {
        Self { may_loop: true, ..self }
    }
}

/// What wakes a function.
#[derive(Debug)]
pub(crate) enum Trigger {
    /// Its queue.
    Queue(Source),
    /// The audit topic, asynchronously.
    Topic,
    /// A schedule or a person.
    Event,
}

/// How Lambda takes messages off a queue.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) queue: &'static str,
    pub(crate) batch: usize,
    pub(crate) concurrency: usize,
    pub(crate) visibility: Duration,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn queue(queue: &'static str, batch: usize, concurrency: usize, visibility: u64) -> Trigger {
    Trigger::Queue(Source { queue, batch, concurrency, visibility: seconds(visibility) })
}

const fn function(
    name: &'static str,
    timeout: u64,
    trigger: Trigger,
    dead_letters: &'static str,
) -> Function {
    Function { name, timeout: seconds(timeout), trigger, dead_letters, may_loop: false }
}

pub(crate) const NOTIFICATION: Function =
    function("audit-notification", 30, Trigger::Topic, "dead-notification");
pub(crate) const TRIAGE: Function =
    function("triage-findings", 300, queue("check", 1, 4, 1_800), "dead-check").looping();
pub(crate) const SUPPRESSIONS: Function =
    function("apply-suppressions", 300, queue("suppression", 1, 2, 1_800), "dead-suppression");
pub(crate) const MITIGATIONS: Function =
    function("apply-mitigations", 60, queue("mitigation", 1, 2, 360), "dead-mitigation").looping();
pub(crate) const EXPORT: Function =
    function("export-findings", 60, queue("finding", 10, 5, 360), "dead-finding");
pub(crate) const REVIEW: Function =
    function("suppression-review", 900, queue("review", 1, 2, 5_400), "dead-review").looping();
pub(crate) const ALARM: Function =
    function("detect-alarm", 60, queue("alarm", 10, 10, 360), "dead-alarm").looping();
pub(crate) const AUDIT_WATCH: Function = function("audit-watch", 900, Trigger::Event, "dead-audit-watch");
pub(crate) const ALARM_WATCH: Function = function("alarm-watch", 900, Trigger::Event, "dead-alarm");
pub(crate) const MODEL_STATUS: Function = function("ml-model-status", 900, Trigger::Event, "dead-alarm");
pub(crate) const AUDIT_COMMANDS: Function = function("audit-commands", 60, Trigger::Event, "dead-command");
pub(crate) const DETECT_COMMANDS: Function = function("detect-commands", 60, Trigger::Event, "dead-command");
pub(crate) const MITIGATION_COMMANDS: Function =
    function("mitigation-commands", 60, Trigger::Event, "dead-command");

/// All functions.
pub(crate) const FUNCTIONS: [&Function; 13] = [
    &NOTIFICATION,
    &TRIAGE,
    &SUPPRESSIONS,
    &MITIGATIONS,
    &EXPORT,
    &REVIEW,
    &ALARM,
    &AUDIT_WATCH,
    &ALARM_WATCH,
    &MODEL_STATUS,
    &AUDIT_COMMANDS,
    &DETECT_COMMANDS,
    &MITIGATION_COMMANDS,
];

/// The variables that every function gets, beside its dead-letter queue.
pub(crate) const VARIABLES: [(&str, &str); 14] = [
    ("ACCOUNT_ID", ACCOUNT),
    ("AWS_REGION", REGION),
    ("LEDGER_TABLE", "ledger"),
    ("ALERT_TOPIC_ARN", ALERT_TOPIC),
    ("AUDIT_TOPIC_ARN", AUDIT_TOPIC),
    ("FINDINGS_LOG_GROUP", "/fleetwarden/findings"),
    ("ARCHIVE_BUCKET", "archive"),
    ("CHECK_QUEUE_URL", "check"),
    ("SUPPRESSION_QUEUE_URL", "suppression"),
    ("MITIGATION_QUEUE_URL", "mitigation"),
    ("FINDING_QUEUE_URL", "finding"),
    ("REVIEW_QUEUE_URL", "review"),
    ("ALARM_QUEUE_URL", "alarm"),
    ("STACK_NAME", "fleetwarden"),
];
