//! Alarms of Detect: in about half of the seeds a security profile watches the fleet, devices behave as they should not,
//! a tool of the operator's own tells of alarms as well, and the topic brings what is told late, twice, in another order
//! or not at all.
//!
//! All of it is drawn apart from the rest, so that a seed without alarms is the run that it would be without this module.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use fleetwarden_core::policy::Policy;
use fleetwarden_core::timestamp::Millis;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::policies;
use crate::stack::ALARM_TOPIC;
use crate::world::World;

const ROLE: &str = "arn:aws:iam::123456789012:role/alarm";
/// The numbers of this module are apart from all others of a seed. With this one the seeds that tests/seeds.rs keeps have
/// no alarms, and so stay the runs that found something.
const APART: u64 = 0x616c_6172_6d85;
/// The security profile.
const PROFILE: &str = "limits";
/// What the profile watches, by behavior and metric: a device that measures more than [`LIMIT`] violates it. Alerts of the
/// last one are suppressed at the service.
const BEHAVIORS: [(&str, &str); 3] = [
    ("messages", "aws:num-messages-sent"),
    ("refusals", "aws:num-authorization-failures"),
    ("hushed", "aws:num-disconnects"),
];
const LIMIT: u64 = 1_000_000;
/// What stands for profile and behavior in the alarms of the operator's own tool.
pub(crate) const TOOL: &str = "tool";
const TOOL_BEHAVIORS: [&str; 2] = ["wear", "heat"];
/// For so long after its last datapoint an alarm is found to have none at the latest, with some time for its message.
const SWEEP: Duration = Duration::from_mins(150);
/// How often somebody looks whether Device Defender has something to tell.
const LOOK: Duration = Duration::from_mins(1);

/// The alarms of a run.
#[derive(Debug)]
pub(crate) struct Alarms {
    rng: Rng,
    /// Whether the run has any.
    pub(crate) is_on: bool,
    /// How many devices the profile watches.
    devices: u64,
    /// What the tool has told of.
    told: Vec<Told>,
}

/// An alarm of the operator's own tool.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) behavior: &'static str,
    pub(crate) thing: Option<String>,
    /// Its events, in the order of their times.
    pub(crate) events: Vec<(&'static str, Millis)>,
}

/// The topic of alarms on its way to the queue.
#[derive(Debug, Default)]
pub(crate) struct Topic {
    /// Messages, each with the time at which it is on the queue.
    waiting: Vec<(Millis, String)>,
    /// Until then Device Defender may have something to tell.
    watched_until: Option<Millis>,
    /// The share of messages that come late, and by how many seconds at most; and of those that are lost.
    late: (f64, u64),
    lost: f64,
}

impl Alarms {
    /// Draws whether a seed has alarms.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ APART);
        let is_on = rng.bool();
        Self { rng, is_on, devices: 0, told: Vec::new() }
    }

    /// Makes the security profile, with the topic as its alert target.
    ///
    /// # Errors
    /// What Device Defender refuses.
    pub(crate) fn set_up(&mut self, world: &World) -> Result<(), String> {
        if !self.is_on {
            return Ok(());
        }
        let behaviors: Vec<Value> = BEHAVIORS.iter().map(|(name, metric)| behavior(name, metric)).collect();
        let body = json!({
            "behaviors": behaviors,
            "alertTargets": {"SNS": {"alertTargetArn": ALARM_TOPIC, "roleArn": ROLE}},
        });
        world.ask("POST", &format!("/security-profiles/{PROFILE}"), "", &body)?;
        let targets = ["all/things", "all/registered-things", "thinggroup/fleet", "thinggroup/production"];
        let target = targets[self.rng.usize(..targets.len())];
        let target =
            format!("securityProfileTargetArn=arn%3Aaws%3Aiot%3Aus-east-1%3A123456789012%3A{target}");
        world.ask("PUT", &format!("/security-profiles/{PROFILE}/targets"), &target, &Value::Null)?;
        let state = world.ask("GET", "/_control/detect/state", "", &Value::Null)?;
        self.devices = state["watched"][PROFILE].as_u64().unwrap_or_default();
        let late = if self.rng.bool() { (self.rng.f64() * 0.5, self.rng.u64(60..3_600)) } else { (0.0, 1) };
        let lost = if self.rng.u8(..4) == 0 { self.rng.f64() * 0.3 } else { 0.0 };
        world.note(&format!("{} devices of {target} are watched; late {late:?}, lost {lost}", self.devices));
        let topic = &mut world.state().alarm_topic;
        (topic.late, topic.lost) = (late, lost);
        Ok(())
    }

    /// A policy with rules on alarms among its own, if the run has alarms.
    pub(crate) fn policy(&mut self, policy: String) -> String {
        while self.is_on {
            let with_alarms = self.with_rules(&policy).to_string();
            if Policy::parse(with_alarms.as_bytes()).is_ok() {
                return with_alarms;
            }
        }
        policy
    }

    fn with_rules(&mut self, policy: &str) -> Value {
        let rng = &mut self.rng;
        let mut policy: Value = serde_json::from_str(policy).unwrap_or_default();
        let more = (0..rng.usize(1..5)).map(|nth| rule(rng, nth)).collect::<Vec<_>>();
        if let Some(rules) = policy["rules"].as_array_mut() {
            rules.extend(more);
        }
        let mut settings = Map::new();
        if rng.bool() {
            settings.insert("settle".to_owned(), json!(one(rng, &["0m", "1m", "2m", "10m"])));
        }
        if rng.bool() {
            let (devices, window) = (rng.u32(2..25), one(rng, &["5m", "15m", "2h"]));
            let share = one(rng, &["5%", "10%", "100%"]);
            settings.insert(
                "incidents".to_owned(),
                json!({"devices": devices, "window": window, "share": share}),
            );
        }
        if rng.u8(..4) == 0 {
            let quiet = one(rng, &["20m", "1h", "6h"]);
            settings.insert("flaps".to_owned(), json!({"after": rng.u8(2..6), "quiet": quiet}));
        }
        policy["alarms"] = Value::Object(settings);
        policy
    }

    /// One thing that happens.
    pub(crate) fn step(&mut self, world: &World) {
        match self.rng.u8(..10) {
            0..3 => self.misbehave(world, 1..4),
            3..5 => self.misbehave(world, 6..25),
            5 => self.flap(world),
            6 => self.starve(world),
            _ => self.tell(world),
        }
    }

    /// Devices measure too much for a while.
    fn misbehave(&mut self, world: &World, devices: std::ops::Range<u64>) {
        let metric = BEHAVIORS[self.rng.usize(..BEHAVIORS.len())].1;
        let (devices, seconds) = (self.rng.u64(devices), self.rng.i64(300..6 * 3_600));
        self.script(world, &json!({"kind": "metric", "metric": metric}), devices, seconds);
    }

    fn flap(&mut self, world: &World) {
        let (on, off) = (300 * self.rng.i64(1..4), 300 * self.rng.i64(1..4));
        let order = json!({"kind": "flap", "metric": BEHAVIORS[0].1, "onSeconds": on, "offSeconds": off});
        let devices = self.rng.u64(1..4);
        self.script(world, &order, devices, 7_200);
    }

    /// Devices measure too much, and then nothing more: their alarms are invalidated.
    fn starve(&mut self, world: &World) {
        let devices = self.rng.u64(1..6);
        let order = json!({"kind": "metric", "metric": BEHAVIORS[0].1});
        let names = self.script(world, &order, devices, 4 * 3_600);
        let from = world.now().plus(Duration::from_secs(self.rng.u64(900..3_600)));
        let order = json!({"kind": "starve", "thingNames": names, "fromMs": from.0, "forSeconds": 14_400});
        let starved = world.ask("POST", "/_control/detect/scenarios", "", &order);
        world.note(&format!("they report nothing from {} on: {}", from.rfc3339(), starved.is_ok()));
    }

    /// Gives the names of the devices.
    fn script(&self, world: &World, order: &Value, devices: u64, seconds: i64) -> Value {
        #[expect(clippy::cast_precision_loss, reason = "the fleet is small")]
        let share = (devices as f64 / self.devices.max(1) as f64).min(1.0);
        let mut order = order.clone();
        (order["share"], order["forSeconds"]) = (json!(share), json!(seconds));
        order["value"] = json!({"count": 2 * LIMIT});
        let mut begun = world.ask("POST", "/_control/detect/scenarios", "", &order);
        world.note(&format!("devices misbehave: {begun:?}"));
        let ends = world.now().plus(Duration::from_secs(seconds.unsigned_abs())).plus(SWEEP);
        world.state().alarm_topic.watch(ends);
        world.changed.notify_one();
        begun.as_mut().map(|begun| begun["thingNames"].take()).unwrap_or_default()
    }

    /// The tool tells of alarms, one of each of some things, also what happened hours ago.
    fn tell(&mut self, world: &World) {
        let behavior = TOOL_BEHAVIORS[self.rng.usize(..TOOL_BEHAVIORS.len())];
        let count = if self.rng.bool() { self.rng.usize(1..4) } else { self.rng.usize(4..14) };
        let span = if self.rng.bool() { 900_000 } else { 6 * 3_600_000 };
        let now = world.now().0;
        for _ in 0..count {
            let thing = match self.rng.u8(..8) {
                0 => None,
                1 => Some(format!("stranger {}", self.rng.u8(..10))),
                _ => Some(format!("device-{:07}", self.rng.u32(..40))),
            };
            let known = self.told.iter().position(|told| told.behavior == behavior && told.thing == thing);
            let at = known.unwrap_or_else(|| {
                self.told.push(Told { behavior, thing, events: Vec::new() });
                self.told.len() - 1
            });
            let mut time = now - self.rng.i64(0..span);
            for _ in 0..self.rng.usize(1..6) {
                let event =
                    ["in-alarm", "in-alarm", "alarm-cleared", "alarm-invalidated"][self.rng.usize(..4)];
                self.say(world, at, event, Millis(time));
                time += self.rng.i64(1..1_200_000);
                if time > now {
                    break;
                }
            }
        }
    }

    /// Tells of an event of the tool. What was told before with the same time is not told otherwise.
    fn say(&mut self, world: &World, at: usize, event: &'static str, time: Millis) {
        let told = &mut self.told[at];
        if told.events.iter().any(|(_, of)| *of == time) {
            return;
        }
        told.events.push((event, time));
        told.events.sort_by_key(|(_, of)| *of);
        let mut message = json!({
            "schema": "fleetwarden.alarm/1", "profile": TOOL, "behavior": told.behavior, "event": event, "at": time.0,
        });
        if let Some(thing) = &told.thing {
            message["thing"] = json!(thing);
        }
        world.note(&format!("the tool tells: {message}"));
        // The tool has nobody who would find what was lost.
        world.publish_alarm(&message.to_string(), false);
    }

    /// All alarms end.
    pub(crate) fn end(&mut self, world: &World) {
        let scenarios = world.ask("GET", "/_control/detect/scenarios", "", &Value::Null).unwrap_or_default();
        let running = scenarios["scenarios"].as_array().into_iter().flatten();
        for number in running.filter_map(|scenario| scenario["scenario"].as_u64()) {
            let ended =
                world.ask("DELETE", &format!("/_control/detect/scenarios/{number}"), "", &Value::Null);
            world.note(&format!("scenario {number} ends: {}", ended.is_ok()));
        }
        for at in 0..self.told.len() {
            let latest = self.told[at].events.last().map_or(Millis(0), |(_, at)| *at);
            let time = world.now().max(latest.plus(Duration::from_secs(1)));
            self.say(world, at, "alarm-cleared", time);
        }
        if self.is_on {
            world.state().alarm_topic.watch(world.now().plus(SWEEP));
        }
    }

    /// Under several policies a device may wait for a release that the latest does not have, or only observes. So the last
    /// policy of a run has a release for each rule that ever had one.
    pub(crate) fn last_policy(&self, policies: &[String]) -> Option<String> {
        if !self.is_on || policies.len() < 2 || !policies.iter().any(|policy| policies::enforces(policy)) {
            return None;
        }
        let read = |policy: &String| serde_json::from_str::<Value>(policy).unwrap_or_default();
        let rules = |policy: &Value| policy["rules"].as_array().cloned().unwrap_or_default();
        let released: BTreeSet<String> = policies
            .iter()
            .flat_map(|policy| rules(&read(policy)))
            .filter(|rule| !rule["mitigate"]["release"].is_null())
            .filter_map(|rule| rule["name"].as_str().map(ToOwned::to_owned))
            .collect();
        let mut last = read(policies.last()?);
        let mut all = rules(&last);
        all.retain(|rule| rule["alarm"].is_null());
        all.extend(released.iter().map(|name| {
            let mitigate = json!({"actions": "Quarantine", "release": "after 1m"});
            json!({"name": name, "alarm": {"profile": "nothing"}, "mitigate": mitigate})
        }));
        (last["mode"], last["rules"]) = (json!("enforce"), json!(all));
        Some(last.to_string())
    }

    /// The alarms of the tool.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.clone()
    }
}

impl Topic {
    fn watch(&mut self, until: Millis) {
        self.watched_until = self.watched_until.max(Some(until));
    }

    fn is_watched(&self, now: Millis) -> bool {
        self.watched_until.is_some_and(|until| now < until)
    }

    /// When there is something to do.
    pub(crate) fn next(&self, now: Millis) -> Option<Millis> {
        let look = self.is_watched(now).then(|| now.plus(LOOK));
        self.waiting.iter().map(|(at, _)| *at).chain(look).min()
    }

    /// Whether nothing is on its way, and nothing can come.
    pub(crate) fn is_quiet(&self, now: Millis) -> bool {
        self.waiting.is_empty() && !self.is_watched(now)
    }

    /// Whether the messages of this run come all, and soon.
    pub(crate) fn is_reliable(&self) -> bool {
        self.late.0 == 0.0 && self.lost == 0.0
    }
}

impl World {
    /// The topic takes a message, and the queue will have it: sometimes late, twice, or, if it `may_be_lost`, never.
    pub(crate) fn publish_alarm(&self, message: &str, may_be_lost: bool) {
        let now = self.now();
        let body = json!({
            "Type": "Notification",
            "MessageId": "m",
            "TopicArn": ALARM_TOPIC,
            "Message": message,
            "Timestamp": now.rfc3339(),
            "SignatureVersion": "1",
            "Signature": "s",
            "SigningCertURL": "https://sns.us-east-1.amazonaws.com/c.pem",
            "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/u",
        })
        .to_string();
        let mut state = self.state();
        let repeats = state.weather.repeats;
        let ((late, by), lost) = (state.alarm_topic.late, state.alarm_topic.lost);
        let rng = &mut state.rng;
        if rng.f64() < lost && may_be_lost {
            drop(state);
            self.note(&format!("a message of the alarm topic is lost: {message}"));
            return;
        }
        let after = if rng.f64() < late { rng.u64(..by * 1_000) } else { rng.u64(1..2_000) };
        let again = (rng.f64() < repeats).then(|| rng.u64(1..900_000));
        for after in [Some(after), again].into_iter().flatten() {
            state.alarm_topic.waiting.push((now.plus(Duration::from_millis(after)), body.clone()));
        }
    }

    /// Puts what is due on the queue.
    pub(crate) fn deliver_alarms(&self) {
        let now = self.now();
        let mut due: Vec<(Millis, String)> =
            self.state().alarm_topic.waiting.extract_if(.., |(at, _)| *at <= now).collect();
        due.sort_by_key(|(at, _)| *at);
        for (_, body) in due {
            self.cloud.send_to("alarm", &body);
        }
    }
}

fn behavior(name: &str, metric: &str) -> Value {
    json!({
        "name": name,
        "metric": metric,
        "suppressAlerts": name == "hushed",
        "criteria": {
            "comparisonOperator": "less-than",
            "value": {"count": LIMIT},
            "durationSeconds": 300,
            "consecutiveDatapointsToAlarm": 1,
            "consecutiveDatapointsToClear": 1,
        },
    })
}

fn one<'a>(rng: &mut Rng, of: &[&'a str]) -> &'a str {
    of[rng.usize(..of.len())]
}

fn rule(rng: &mut Rng, nth: usize) -> Value {
    let mut rule = json!({"name": format!("a{nth}"), "alarm": conditions(rng)});
    match rng.u8(..8) {
        0..5 => {
            rule["mitigate"] = json!({"actions": "Quarantine"});
            if rng.bool() {
                rule["mitigate"]["release"] = json!(one(rng, &["after 1m", "after 1h", "after 24h"]));
            }
            if rng.u8(..4) == 0 {
                rule["mitigate"]["approval"] = json!("always");
            }
        }
        5 => {
            let state = one(rng, &["FALSE_POSITIVE", "BENIGN_POSITIVE", "TRUE_POSITIVE"]);
            rule["verify"] = json!({"state": state, "description": "simulated"});
        }
        6 => rule["report"] = json!({"silent": true}),
        _ => rule["report"] = json!({"severity": one(rng, &["critical", "high", "medium", "low"])}),
    }
    if rng.u8(..6) == 0 {
        rule["except"] = conditions(rng);
    }
    if rng.u8(..8) == 0 {
        rule["stage"] = json!("shadow");
    }
    rule
}

type Draw = fn(&mut Rng) -> Value;

fn conditions(rng: &mut Rng) -> Value {
    let mut conditions = Map::new();
    if rng.u8(..4) > 0 {
        let behaviors = ["messages", "refusals", "hushed", "wear", "heat", "*"];
        conditions.insert("behavior".to_owned(), json!(one(rng, &behaviors)));
    }
    let more: [(&str, Draw); 9] = [
        ("profile", |rng| json!(one(rng, &[PROFILE, TOOL]))),
        ("source", |rng| json!(one(rng, &["deviceDefender", "other"]))),
        ("lastsLongerThan", |rng| json!(one(rng, &["1m", "10m", "1h"]))),
        ("raisedAtLeast", |rng| json!({"times": rng.u8(2..4), "within": one(rng, &["1h", "24h"])})),
        ("registered", |rng| json!(rng.bool())),
        ("group", |rng| json!(one(rng, &["production", "lab", "spare", "plant"]))),
        ("thing", |rng| json!(format!("device-*{}", rng.u8(..10)))),
        ("metric", |rng| json!(BEHAVIORS[rng.usize(..2)].1)),
        ("criteria", |_| json!("static")),
    ];
    for (name, value) in more {
        if rng.u8(..9) == 0 {
            conditions.insert(name.to_owned(), value(rng));
        }
    }
    Value::Object(conditions)
}
