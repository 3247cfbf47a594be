//! Lambda: environments that start, are used again and die; queues that wake functions; events that are tried again.

use std::cell::Cell;
use std::cell::OnceCell;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fleetwarden_aws::testing::environment::Environment;
use fleetwarden_aws::testing::environment::Parts;
use fleetwarden_aws::testing::queues;
use fleetwarden_aws::testing::queues::Message;
use fleetwarden_core::timestamp::Millis;
use futures_util::future::Either;
use futures_util::future::select;
use lambda_runtime::Context;
use serde_json::Value;
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::acts::PERSON;
use crate::functions;
use crate::functions::Handler;
use crate::stack;
use crate::stack::Function;
use crate::stack::LONGEST_LOOP;
use crate::stack::MAX_RECEIVES;
use crate::stack::RETRIES;
use crate::stack::Source;
use crate::stack::Trigger;
use crate::weather::Weather;
use crate::world::Lineage;
use crate::world::World;

/// How long a worker may poll before it looks again although nothing has changed: Device Defender tells nobody when an
/// audit ends.
const LOOK: Duration = Duration::from_secs(5);

/// How often DynamoDB deletes what has expired, where it does so at once.
const EXPIRY: Duration = Duration::from_mins(10);

/// After so long SNS delivers a message again at the latest.
const LATEST: Duration = Duration::from_mins(15);

/// Lambda with the functions of the stack.
pub(crate) struct Lambda {
    world: Arc<World>,
    policy: RefCell<Rc<Vec<u8>>>,
    /// Environments that wait for work, by function.
    idle: RefCell<BTreeMap<&'static str, Vec<Rc<Instance>>>>,
    /// Invocations under way, by function.
    running: RefCell<BTreeMap<&'static str, usize>>,
    /// Asynchronous events, to be handled from a moment on.
    events: RefCell<Vec<Pending>>,
    /// Invocations whose processes were killed.
    pub(crate) kills: Cell<u64>,
    pub(crate) invocations: Cell<u64>,
    /// The events that Lambda gave up, by dead-letter queue: what it puts there is no message of the function's own.
    pub(crate) given_up: RefCell<Vec<(&'static Function, Value)>>,
    pub(crate) ambush: RefCell<Option<Ambush>>,
}

/// What happens right before a message of a queue is next handed out.
pub(crate) struct Ambush {
    pub(crate) queue: &'static str,
    /// Only before a message that an earlier invocation had and did not end.
    pub(crate) is_at_retry: bool,
    pub(crate) what: Surprise,
}

/// What can happen between the decision on a finding and what follows from it.
pub(crate) enum Surprise {
    /// Another policy is deployed.
    Deploy(String),
    /// A person mitigates the same findings.
    Command,
}

/// One environment of a function.
struct Instance {
    number: u64,
    environment: Environment,
    handler: OnceCell<Handler>,
    end: Arc<Notify>,
    policy: Rc<Vec<u8>>,
}

/// An asynchronous event.
struct Pending {
    at: Millis,
    function: &'static Function,
    event: Value,
    tries: usize,
}

/// How an invocation ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Answered(Value),
    Failed(String),
    Killed,
}

impl Lambda {
    pub(crate) fn new(world: Arc<World>, policy: String) -> Rc<Self> {
        Rc::new(Self {
            world,
            policy: RefCell::new(Rc::new(policy.into_bytes())),
            idle: RefCell::default(),
            running: RefCell::default(),
            events: RefCell::default(),
            kills: Cell::new(0),
            invocations: Cell::new(0),
            given_up: RefCell::default(),
            ambush: RefCell::default(),
        })
    }

    /// The deployed policy.
    pub(crate) fn policy(&self) -> Value {
        serde_json::from_slice(&self.policy.borrow()).unwrap_or_default()
    }

    /// Deploys a policy: environments that wait are replaced, those at work end with the one before.
    pub(crate) fn deploy(&self, policy: String) {
        *self.policy.borrow_mut() = Rc::new(policy.into_bytes());
        self.idle.borrow_mut().clear();
    }

    /// Has a function handle an event, again if it fails.
    pub(crate) fn send(&self, function: &'static Function, event: Value, after: Duration) {
        let at = self.world.now().plus(after);
        self.events.borrow_mut().push(Pending { at, function, event, tries: 0 });
        self.world.changed.notify_one();
    }

    /// Whether nothing is under way, nothing waits, and no message is on a queue.
    pub(crate) fn is_quiet(&self) -> bool {
        let is_dead = |queue: &String| queue.starts_with("dead-");
        self.running.borrow().values().all(|count| *count == 0)
            && self.events.borrow().is_empty()
            && self.world.state().announcements.is_empty()
            && self.world.state().alarm_topic.is_quiet(self.world.now())
            && !self.world.endpoint.is_busy()
            && self.world.cloud.queues().iter().all(is_dead)
    }

    /// Gives work to functions for as long as the run lasts.
    pub(crate) async fn work(self: Rc<Self>) {
        let mut expired = self.world.now();
        loop {
            self.world.listen();
            // To look at every item takes time: it is done now and then.
            if self.world.state().weather.expires && self.world.now().since(expired) > EXPIRY {
                expired = self.world.now();
                self.world.cloud.expire_items();
            }
            self.announce();
            self.handle_events();
            for function in stack::FUNCTIONS {
                if let Trigger::Queue(source) = &function.trigger {
                    self.poll(function, source);
                }
            }
            let next = self.next().max(self.world.now().plus(Duration::from_millis(1)));
            let wait = Duration::from_millis(u64::try_from(next.0 - self.world.now().0).unwrap_or(1));
            select(pin!(self.world.changed.notified()), pin!(sleep(wait))).await;
            // What happens at once is seen a little later, as by a poller.
            sleep(Duration::from_millis(self.world.draw(|rng| rng.u64(1..50)))).await;
        }
    }

    /// When there is something to do, as far as that is known.
    fn next(&self) -> Millis {
        let cloud = &self.world.cloud;
        let messages = cloud.queues().into_iter().filter(|queue| !queue.starts_with("dead-"));
        let visible = messages.flat_map(|queue| cloud.waiting(&queue)).map(|message| message.visible_at);
        let now = self.world.now();
        // What is visible and was not taken waits for a worker, whose end is a change.
        let visible = visible.filter(|at| *at > now);
        let events = self.events.borrow();
        let looks = self.world.endpoint.is_busy().then(|| now.plus(LOOK));
        let alarms = self.world.state().alarm_topic.next(now);
        let next = visible.chain(events.iter().map(|event| event.at)).chain(looks).chain(alarms).min();
        next.unwrap_or_else(|| now.plus(Duration::from_hours(1)))
    }

    /// SNS delivers to `audit-notification`, sometimes twice.
    fn announce(&self) {
        let announcements = std::mem::take(&mut self.world.state().announcements);
        for message in announcements {
            let event = json!({ "Records": [{
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": format!("{}:0", stack::AUDIT_TOPIC),
                "Sns": {
                    "Type": "Notification",
                    "MessageId": "m",
                    "TopicArn": stack::AUDIT_TOPIC,
                    "Message": message,
                    "Timestamp": self.world.now().rfc3339(),
                    "SignatureVersion": "1",
                    "Signature": "s",
                    "SigningCertUrl": "https://sns.us-east-1.amazonaws.com/c.pem",
                    "UnsubscribeUrl": "https://sns.us-east-1.amazonaws.com/u",
                    "MessageAttributes": {},
                },
            }]});
            let repeats = self.world.state().weather.repeats;
            let (is_repeated, first, second) =
                self.world.draw(|rng| (rng.f64() < repeats, rng.u64(1..2_000), Weather::again(rng, LATEST)));
            let first = Duration::from_millis(first);
            self.send(&stack::NOTIFICATION, event.clone(), first);
            if is_repeated {
                self.send(&stack::NOTIFICATION, event, first + second);
            }
        }
    }

    fn handle_events(self: &Rc<Self>) {
        let now = self.world.now();
        let due: Vec<Pending> = self.events.borrow_mut().extract_if(.., |event| event.at <= now).collect();
        for pending in due {
            let (lambda, under_way) = (Rc::clone(self), self.under_way(pending.function));
            spawn_local(async move {
                lambda.handle_event(pending).await;
                drop(under_way);
                lambda.world.changed.notify_one();
            });
        }
    }

    async fn handle_event(self: &Rc<Self>, mut pending: Pending) {
        let Pending { function, event, .. } = &pending;
        let ended = self.invoke(function, event.clone(), Lineage::new()).await;
        if let Ended::Answered(_) = ended {
            return;
        }
        if let Some(wait) = RETRIES.get(pending.tries) {
            pending.tries += 1;
            pending.at = self.world.now().plus(*wait);
            self.events.borrow_mut().push(pending);
        } else {
            self.world.note(&format!("{}: Lambda gives the event up", function.name));
            self.given_up.borrow_mut().push((function, pending.event));
        }
    }

    /// Hands out what is visible on a queue, as far as there are workers.
    fn poll(self: &Rc<Self>, function: &'static Function, source: &'static Source) {
        let cloud = &self.world.cloud;
        cloud.bury(source.queue, function.dead_letters, MAX_RECEIVES);
        self.end_loops(function, source.queue);
        while self.running(function) < source.concurrency {
            let now = self.world.now();
            let waiting: Vec<_> = cloud
                .waiting(source.queue)
                .into_iter()
                .filter(|message| message.visible_at <= now && message.receives < MAX_RECEIVES)
                .collect();
            if waiting.is_empty() {
                return;
            }
            self.spring(source.queue, waiting.iter().any(|message| message.receives > 0));
            let mut visible: Vec<String> = waiting.into_iter().map(|message| message.id).collect();
            self.world.draw(|rng| {
                rng.shuffle(&mut visible);
                visible.truncate(rng.usize(1..=source.batch));
            });
            let received = cloud.receive_these(source.queue, &visible, seconds(source.visibility));
            self.repeat(source, &visible);
            let lambda = Rc::clone(self);
            let under_way = self.under_way(function);
            spawn_local(async move {
                lambda.batch(function, source, &received).await;
                drop(under_way);
                lambda.world.changed.notify_one();
            });
        }
    }

    /// Lets happen what waits for a message of a queue.
    fn spring(&self, queue: &'static str, is_retry: bool) {
        let is_sprung = |of: &mut Ambush| of.queue == queue && (is_retry || !of.is_at_retry);
        let Some(ambush) = self.ambush.borrow_mut().take_if(is_sprung) else { return };
        match ambush.what {
            Surprise::Deploy(policy) => {
                self.world.note(&format!("a policy is deployed before a message of {queue}: {policy}"));
                self.deploy(policy);
            }
            Surprise::Command => {
                let number = self.world.draw(|rng| rng.u32(..));
                let messages = self.world.cloud.waiting(queue);
                let bodies = messages.iter().map(|message| &message.body);
                let mut requests = bodies
                    .filter_map(|body| Some(serde_json::from_str::<Value>(body).ok()?["request"].take()));
                let Some(request) =
                    requests.next_back().filter(|request| request["target"]["findings"].is_array())
                else {
                    return;
                };
                let findings = request["target"]["findings"].as_array().into_iter().flatten();
                let event = json!({
                    "command": "StartAuditMitigationActionsTask",
                    "taskId": format!("{PERSON}{number}"),
                    "target": {"findingIds": findings.map(|finding| &finding["findingId"]).collect::<Vec<_>>()},
                    "auditCheckToActionsMapping": {request["check"].as_str().unwrap_or_default(): request["actions"]},
                    "devices": {"any": true},
                    "by": "the one who asks",
                });
                self.world.note(&format!("a person mitigates: {event}"));
                // What a second person has to approve is asked for again.
                for minutes in [0, 40, 300] {
                    self.send(&stack::AUDIT_COMMANDS, event.clone(), Duration::from_mins(minutes));
                }
            }
        }
    }

    /// Now and then SQS hands a message out again while somebody works on it.
    fn repeat(&self, source: &'static Source, ids: &[String]) {
        let repeats = self.world.state().weather.repeats;
        for id in ids {
            let drawn =
                self.world.draw(|rng| (rng.f64() < repeats).then(|| Weather::again(rng, source.visibility)));
            if let Some(after) = drawn {
                self.world.cloud.reveal(source.queue, id, self.world.now().plus(after));
            }
        }
    }

    /// What has led to some messages.
    fn lineage(&self, messages: &[Message]) -> Lineage {
        let state = self.world.state();
        let mut all = Lineage::new();
        for (function, times) in
            messages.iter().filter_map(|message| state.lineages.get(&message.id)).flatten()
        {
            let most = all.entry(*function).or_default();
            *most = (*most).max(*times);
        }
        all
    }

    /// Lambda ends a loop: the message that would go on with it goes to the dead-letter queue.
    fn end_loops(&self, function: &'static Function, queue: &str) {
        if function.may_loop {
            return;
        }
        for message in self.world.cloud.waiting(queue) {
            let times = self.lineage(std::slice::from_ref(&message)).get(function.name).copied();
            if times.is_some_and(|times| times >= LONGEST_LOOP) {
                self.world.note(&format!("{}: Lambda ends a loop", function.name));
                self.world.state().ended_loops.push(function.name);
                self.world.cloud.move_message(queue, &message.id, function.dead_letters);
            }
        }
    }

    async fn batch(self: &Rc<Self>, function: &'static Function, source: &Source, received: &[Message]) {
        let event = serde_json::to_value(queues::event(received)).unwrap_or_default();
        let lineage = self.lineage(received);
        let Ended::Answered(answer) = self.invoke(function, event, lineage).await else { return };
        let failures = answer["batchItemFailures"].as_array().into_iter().flatten();
        let failed: BTreeSet<&str> =
            failures.filter_map(|failure| failure["itemIdentifier"].as_str()).collect();
        for message in received.iter().filter(|message| !failed.contains(message.id.as_str())) {
            self.world.cloud.delete(source.queue, &message.id);
        }
    }

    /// Invokes a function: in an environment that waits, or in a new one.
    pub(crate) async fn invoke(
        self: &Rc<Self>,
        function: &'static Function,
        event: Value,
        mut lineage: Lineage,
    ) -> Ended {
        self.invocations.set(self.invocations.get() + 1);
        let instance = self.instance(function);
        *lineage.entry(function.name).or_default() += 1;
        self.world.state().causes.insert(instance.number, lineage);
        let mut context = Context::default();
        let deadline = self.world.now().plus(function.timeout);
        context.deadline = u64::try_from(deadline.0).unwrap_or_default();
        context.request_id = self.world.draw(|rng| format!("{:032x}", rng.u128(..)));
        let ended = self.until_it_ends(function, &instance, event, context).await;
        let what = match &ended {
            Ended::Answered(answer) => format!("ends: {answer}"),
            Ended::Failed(error) => format!("fails: {error}"),
            Ended::Killed => "is killed".to_owned(),
        };
        self.world.note(&format!("{}/{} {what}", function.name, instance.number));
        let is_killed = matches!(ended, Ended::Killed);
        self.world.state().acts.end(instance.number, function.name, is_killed);
        if is_killed {
            self.kills.set(self.kills.get() + 1);
        } else if instance.handler.get().is_some() && Rc::ptr_eq(&instance.policy, &self.policy.borrow()) {
            self.idle.borrow_mut().entry(function.name).or_default().push(instance);
        }
        ended
    }

    async fn until_it_ends(
        &self,
        function: &Function,
        instance: &Instance,
        event: Value,
        context: Context,
    ) -> Ended {
        let work = pin!(instance.environment.run(async {
            let handler = if let Some(handler) = instance.handler.get() {
                Rc::clone(handler)
            } else {
                let started = functions::start(function.name).await?;
                Rc::clone(instance.handler.get_or_init(|| started))
            };
            handler(event, context).await
        }));
        let (killed, timeout) = (pin!(instance.end.notified()), pin!(sleep(function.timeout)));
        match select(work, select(killed, timeout)).await {
            Either::Left((Ok(answer), _)) => Ended::Answered(answer),
            Either::Left((Err(error), _)) => Ended::Failed(error),
            Either::Right(_) => Ended::Killed,
        }
    }

    fn instance(&self, function: &'static Function) -> Rc<Instance> {
        let cold = self.world.state().weather.cold;
        let is_cold = self.world.draw(|rng| rng.f64() < cold);
        let waiting = self.idle.borrow_mut().get_mut(function.name).and_then(Vec::pop);
        if let Some(instance) = waiting.filter(|_| !is_cold) {
            return instance;
        }
        let (number, end) = self.world.process();
        let policy = Rc::clone(&self.policy.borrow());
        self.world.state().acts.begin(number, &policy);
        let mut variables: BTreeMap<&'static str, String> =
            stack::VARIABLES.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        variables.insert("DEAD_LETTER_QUEUE_URL", function.dead_letters.to_owned());
        variables.insert("AWS_LAMBDA_FUNCTION_NAME", function.name.to_owned());
        let (draws, takes) = (Arc::clone(&self.world), Arc::clone(&self.world));
        let environment = Environment::from(Parts {
            variables,
            policy: policy.to_vec(),
            clients: self.world.clients(function.name, number),
            clock: self.world.clock(),
            random: Box::new(move || draws.draw(|rng| rng.u64(..))),
            emit: Box::new(move |line| {
                let line = serde_json::from_str(line).unwrap_or_default();
                takes.state().lines.push(line);
            }),
        });
        Rc::new(Instance { number, environment, handler: OnceCell::new(), end, policy })
    }

    fn running(&self, function: &Function) -> usize {
        self.running.borrow().get(function.name).copied().unwrap_or_default()
    }

    /// Counts an invocation until it ends.
    fn under_way(self: &Rc<Self>, function: &'static Function) -> UnderWay {
        *self.running.borrow_mut().entry(function.name).or_default() += 1;
        UnderWay { lambda: Rc::clone(self), function: function.name }
    }
}

/// An invocation under way.
struct UnderWay {
    lambda: Rc<Lambda>,
    function: &'static str,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(count) = self.lambda.running.borrow_mut().get_mut(self.function) {
            *count -= 1;
        }
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
