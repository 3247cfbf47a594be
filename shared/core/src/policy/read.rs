//! From a policy file to a policy. Everything that is wrong is found in one go.

mod alarm;
mod approval;
mod budget;
mod canary;
mod conditions;
mod devices;
mod refuse;
mod standing;
mod windows;

use std::collections::HashMap;

use jiff::civil::Date;

use super::Effect;
use super::MAX_BYTES;
use super::MAX_RULES;
use super::MAX_STANDING;
use super::Mitigate;
use super::Policy;
use super::Report;
use super::Rule;
use super::Suppress;
use super::SuppressEnd;
use super::VERSION;
use super::de::Spanned;
use super::diagnostic::Diagnostic;
use super::diagnostic::Level;
use super::diagnostic::Place;
use super::diagnostic::PolicyErrors;
use super::file;
use super::legal::Kind;
use super::node::Node;
use super::node::Value;
use super::protect::Protections;
use super::windows::Owner;
use crate::digest::Digest;
use crate::ids::CheckName;
use crate::ids::check;
use crate::ids::names::is_name;
use crate::model::suppression::MAX_WORDS;
use crate::model::suppression::Terms;
use crate::model::suppression::Words;
use crate::nearest::nearest;
use crate::timestamp::Millis;
use crate::untrusted::is_unseen;
use serde::Deserialize as _;

/// The bytes of a file as text.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Diagnostic> {
    if bytes.len() > MAX_BYTES {
        let what = format!("the file has more than {MAX_BYTES} bytes, the most that it may have");
        return Err(Diagnostic::error(Place::default(), what));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let good = std::str::from_utf8(good).unwrap_or_default();
            let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let line = number(good.matches('\n').count() + 1);
            let column = number(good.rsplit('\n').next().unwrap_or_default().chars().count() + 1);
            Err(Diagnostic::error(Place { line, column }, "this is no UTF-8; save the file in that encoding"))
        }
    }
}

/// What could be read of a policy.
#[derive(Debug)]
pub(super) struct Partial {
    /// Its rules and standing suppressions without an error, and as much of the rest.
    pub(super) policy: Policy,
    /// Everything that is wrong, in the order of the file. If there is anything, the policy must not be used.
    pub(super) errors: Vec<Diagnostic>,
    /// How many rules and standing suppressions were left out.
    pub(super) left_out: usize,
}

/// Reads a policy.
pub(super) fn policy(text: &str) -> Result<Policy, PolicyErrors> {
    match partial(text)? {
        Partial { policy, errors, .. } if errors.is_empty() => Ok(policy),
        Partial { errors, .. } => Err(PolicyErrors(errors)),
    }
}

/// Reads as much of a policy as there is without an error.
///
/// # Errors
/// What keeps the rest of the file from being looked at.
pub(super) fn partial(text: &str) -> Result<Partial, PolicyErrors> {
    let mut root = Node::read(text)?;
    let (mut rules, mut suppressions) = (take_list(&mut root, "rules"), take_list(&mut root, "suppressions"));
    let names = HashMap::with_capacity(rules.len());
    let mut reader = Reader { errors: Vec::new(), doubts: Vec::new(), names, zone: None };
    // A version that is too new may have keys that are not known here: say the version, not the keys.
    if let Some(error) = version(&root) {
        return Err(error.into());
    }
    let Typed { value: file, pruned } = reader.typed::<file::File>(&mut root);
    // Where something is wrong with the file, its zone may be there and not be read: that is said once.
    let zone = file.as_ref().and_then(|file| file.windows.as_ref()).map(|of| of.value.zone.value.clone());
    reader.zone = zone.or_else(|| (file.is_none() || !pruned.is_empty()).then(|| "UTC".to_owned()));
    let limits = [(&rules, "rules", MAX_RULES), (&suppressions, "standing suppressions", MAX_STANDING)];
    for (list, what, most) in limits {
        if list.len() > most {
            let what = format!("{} {what}; a policy has at most {most}", list.len());
            return Err(Diagnostic::error(root.place, what).into());
        }
    }
    let (mut read, mut of_alarms) = (Vec::with_capacity(rules.len()), Vec::new());
    for node in &mut rules {
        if node.member("alarm").is_some() {
            let rule = |reader: &mut Reader, entry: file::AlarmRule| {
                let place = entry.name.place;
                reader.name("rule", &entry.name);
                (place, reader.errors.len(), reader.alarm_rule(entry))
            };
            of_alarms.extend(reader.entry(node, refuse::in_alarm_rule, rule));
            continue;
        }
        let rule = |reader: &mut Reader, entry: file::Rule| {
            let place = entry.name.place;
            reader.name("rule", &entry.name);
            (place, reader.errors.len(), reader.rule(entry))
        };
        read.extend(reader.entry(node, refuse::in_finding_rule, rule));
    }
    let mut standing = Vec::with_capacity(suppressions.len());
    for node in &mut suppressions {
        let one = |reader: &mut Reader, entry: file::Standing| {
            let place = entry.name.place;
            reader.name("standing suppression", &entry.name);
            (place, reader.errors.len(), reader.standing(entry))
        };
        standing.extend(reader.entry(node, |_, _| Vec::new(), one));
    }
    let before = reader.errors.len();
    let (mode, protect, (windows, actions), alarms, budgets, two_persons) =
        file.map_or_else(Default::default, |file| {
            let windows = file.windows.map(|windows| reader.windows(windows));
            let windows = (windows, reader.actions(file.actions));
            let alarms = reader.alarms(&file.alarms);
            let protect = reader.protections(file.protect);
            (file.mode, protect, windows, alarms, reader.budgets(file.budgets), file.two_persons)
        });
    reader.without_pruned(before, &pruned);
    reader.errors.sort();
    let left_out = rules.len() + suppressions.len() - read.len() - of_alarms.len() - standing.len();
    let hash = Digest::new("policy").part(text).hex();
    let rules = (read, of_alarms);
    let policy = Policy {
        doubts: reader.doubts.into(),
        alarms,
        actions,
        budgets,
        two_persons,
        ..Policy::new(mode, hash, rules, standing, protect, windows)
    };
    Ok(Partial { policy, errors: reader.errors, left_out })
}

/// A value of a type, and what was taken out of its node to read it.
struct Typed<T> {
    value: Option<T>,
    /// The places of the lists and mappings from which something was taken.
    pruned: Vec<Place>,
}

/// Takes a list out of the file, so that each of it is read by itself and an error in one hides none in another.
fn take_list<'t>(root: &mut Node<'t>, name: &str) -> Vec<Node<'t>> {
    let Value::Map(members) = &mut root.value else { return Vec::new() };
    members
        .iter_mut()
        .find_map(|(key, value)| match (&key.value, &mut value.value) {
            (Value::Text { text, .. }, Value::List(list)) if text == name => Some(std::mem::take(list)),
            _ => None,
        })
        .unwrap_or_default()
}

fn version(root: &Node<'_>) -> Option<Diagnostic> {
    let Value::Map(members) = &root.value else { return None };
    let is_version = |node: &Node<'_>| matches!(&node.value, Value::Text { text, .. } if text == "version");
    let (_, node) = members.iter().find(|(key, _)| is_version(key))?;
    let found = Spanned::<u32>::deserialize(node).ok()?.value;
    let what = match found {
        VERSION => return None,
        0 => format!("there is no version 0; this is {VERSION}"),
        _ => format!("version {found} is too new: this Fleetwarden reads version {VERSION}; update it first"),
    };
    Some(Diagnostic::error(node.place, what))
}

struct Reader {
    errors: Vec<Diagnostic>,
    /// What keeps nobody from using the file, and is said where it is looked through.
    doubts: Vec<Diagnostic>,
    /// What has each name, and in which line.
    names: HashMap<String, (&'static str, u32)>,
    /// The time zone of the file's windows, if it is known.
    zone: Option<String>,
}

impl Reader {
    fn error(&mut self, place: Place, what: impl Into<String>) {
        self.errors.push(Diagnostic::error(place, what));
    }

    /// Reads a node as a type. A member that is wrong is taken out and the rest is read again, so that one error hides
    /// no other.
    fn typed<T: serde::de::DeserializeOwned>(&mut self, node: &mut Node<'_>) -> Typed<T> {
        self.typed_without(node, Vec::new())
    }

    /// Reads a node as a type, from which something was taken at some places before.
    fn typed_without<T: serde::de::DeserializeOwned>(
        &mut self,
        node: &mut Node<'_>,
        mut pruned: Vec<Place>,
    ) -> Typed<T> {
        loop {
            let error: Diagnostic = match T::deserialize(&*node) {
                Ok(value) => return Typed { value: Some(value), pruned },
                Err(error) => error.into(),
            };
            // A mapping from which something was taken lacks it for no other reason.
            let follows = pruned.contains(&error.place);
            let taken = node.prune(error.place);
            if !follows {
                self.errors.push(error);
            }
            let Some(from) = taken else { return Typed { value: None, pruned } };
            pruned.push(from);
        }
    }

    /// Leaves out of the errors after the first so many what is missing only because it was taken out.
    fn without_pruned(&mut self, first: usize, pruned: &[Place]) {
        let said = self.errors.split_off(first);
        self.errors.extend(said.into_iter().filter(|error| !pruned.contains(&error.place)));
    }

    /// Reads an entry of a list by `read`, which gives where it is named, how many errors there were before its values
    /// were looked at, and what it is. Before it, `refuse` takes out what has no place here, and says from where. Nothing
    /// comes back if anything in it is wrong.
    fn entry<T: serde::de::DeserializeOwned, R>(
        &mut self,
        node: &mut Node<'_>,
        refuse: impl FnOnce(&mut Self, &mut Node<'_>) -> Vec<Place>,
        read: impl FnOnce(&mut Self, T) -> (Place, usize, Option<R>),
    ) -> Option<R> {
        let (errors, doubts) = (self.errors.len(), self.doubts.len());
        let whole = node.place;
        let refused = refuse(self, node);
        let Typed { value, mut pruned } = self.typed_without(node, refused);
        let entry = value.and_then(|value| {
            let (name, before, entry) = read(self, value);
            if pruned.contains(&whole) {
                pruned.push(name);
            }
            self.without_pruned(before, &pruned);
            entry
        });
        if self.errors.len() > errors {
            self.doubts.truncate(doubts);
            return None;
        }
        entry
    }

    /// What a parser makes of a text, or its error at the text's place.
    fn parsed<T>(
        &mut self,
        text: &Spanned<String>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        parse(&text.value).map_err(|what| self.error(text.place, what)).ok()
    }

    /// Takes a name that must be the only one of its kind.
    fn name(&mut self, what: &'static str, name: &Spanned<String>) {
        let Spanned { place, value } = name;
        if let Some((other, line)) = self.names.get(value) {
            let what = format!("the {other} in line {line} is named '{value}' already");
            self.error(*place, what);
        }
        self.names.entry(value.clone()).or_insert((what, place.line));
        self.parsed(name, |name| rule_name(name, what));
    }

    fn rule(&mut self, entry: file::Rule) -> Option<Rule> {
        let place = entry.name.place;
        let matcher = self.matcher(entry.r#match, None);
        let except = entry.except.map(|except| {
            if is_empty(&except.value) {
                self.error(except.place, "an exception without a key would except everything");
            }
            Box::new(self.matcher(except.value, Some(&matcher)))
        });
        let (effect, places) = match (entry.suppress, entry.mitigate, entry.report) {
            (Some(suppress), None, None) => self.suppress(suppress, &entry.name.value)?,
            (None, Some(mitigate), None) => self.mitigate(&entry.name.value, mitigate.value, false),
            (None, None, Some(report)) => (self.report(&report), Box::default()),
            (None, None, None) => {
                self.error(place, "the rule does nothing: it needs one of suppress, mitigate and report");
                return None;
            }
            _ => {
                self.error(
                    place,
                    "the rule has more than one outcome: split it, the first that matches decides",
                );
                return None;
            }
        };
        let live = entry.stage == file::Stage::Live;
        Some(Rule { name: entry.name.value, place, live, matcher, except, effect, places })
    }

    fn suppress(&mut self, entry: Spanned<file::Suppress>, rule: &str) -> Option<(Effect, Box<[Place]>)> {
        let Spanned { place, value: entry } = entry;
        let (words, [reason, owner, ticket]) = self.words_on(entry.reason, entry.owner, entry.ticket, place);
        let (end, ends) = match (&entry.r#for, &entry.until, &entry.indefinitely) {
            (Some(text), None, None) => {
                let seconds = self.parsed(&text.0, milliseconds)? / 1000;
                (SuppressEnd::After { seconds, terms: Terms::new(rule, seconds, &words) }, text.0.place)
            }
            (None, Some(text), None) => (SuppressEnd::At(midnight(self.parsed(text, date)?)), text.place),
            (None, None, Some(Spanned { value: true, place })) => (SuppressEnd::Never, *place),
            _ => {
                let what =
                    "suppress needs exactly one of 'for: 90d', 'until: 2027-06-30' and 'indefinitely: true'";
                self.error(place, what);
                return None;
            }
        };
        Some((Effect::Suppress(Suppress { end, words }), [place, ends, reason, owner, ticket].into()))
    }

    /// The words on a suppression, and where each of them stands. Finds what of them is blank or too long.
    fn words_on(
        &mut self,
        reason: Spanned<String>,
        owner: Option<Spanned<String>>,
        ticket: Option<Spanned<String>>,
        place: Place,
    ) -> (Words, [Place; 3]) {
        let is_blank = |text: &str| text.chars().all(|c| c.is_whitespace() || is_unseen(c));
        if is_blank(&reason.value) {
            self.error(reason.place, "a suppression needs a reason that people can read");
        }
        if let Some(owner) = owner.as_ref().filter(|owner| is_blank(&owner.value)) {
            self.error(owner.place, "a suppression needs an owner who answers for it");
        }
        if let Some(ticket) = ticket.as_ref().filter(|ticket| is_blank(&ticket.value)) {
            self.error(ticket.place, "'ticket' is blank; leave it out, or say it");
        }
        for text in [Some(&reason), owner.as_ref(), ticket.as_ref()].into_iter().flatten() {
            let length = text.value.chars().count();
            if length > MAX_WORDS {
                self.error(text.place, format!("this has {length} characters; it may have {MAX_WORDS}"));
            }
        }
        let of = |text: &Option<Spanned<String>>| text.as_ref().map_or(place, |text| text.place);
        let places = [reason.place, of(&owner), of(&ticket)];
        let text = |text: Option<Spanned<String>>| text.map(|text| text.value);
        (Words { reason: reason.value, owner: text(owner), ticket: text(ticket) }, places)
    }

    fn mitigate(&mut self, rule: &str, entry: file::Mitigate, of_alarms: bool) -> (Effect, Box<[Place]>) {
        let file::Mitigate { actions, approval, canary, devices, windows } = entry;
        let devices = self.devices(devices);
        let approval = self.approval(approval, of_alarms);
        let canary = canary.and_then(|canary| self.canary(canary));
        let windows = windows.and_then(|windows| self.own_windows(Owner::Rule(rule.to_owned()), windows));
        let windows = windows.map(Box::new);
        let texts = &actions.value.0;
        if texts.len() > 5 {
            self.error(actions.place, format!("{} actions; a check can have at most 5", texts.len()));
        }
        for (at, text) in texts.iter().enumerate() {
            self.parsed(text, action_name);
            if texts.iter().take(at).any(|earlier| earlier.value == text.value) {
                self.error(text.place, format!("'{}' stands here twice", text.value));
            }
        }
        let actions = texts.iter().map(|text| text.value.clone()).collect();
        let mitigate = Mitigate { actions, approval, canary, devices, windows };
        (Effect::Mitigate(mitigate), texts.iter().map(|text| text.place).collect())
    }

    fn report(&mut self, entry: &Spanned<file::Report>) -> Effect {
        Effect::Report(match (entry.value.silent, entry.value.severity) {
            (false, severity) => Report::Alert(severity),
            (true, None) => Report::Silent,
            (true, Some(_)) => {
                self.error(entry.place, "a report is silent or has a severity, not both");
                Report::Silent
            }
        })
    }

    /// A protection that can match nothing would protect nothing.
    fn protections(&mut self, entry: file::Protect) -> Protections {
        let mut of = |texts, kind| self.globs(texts, &[kind], Level::Error).unwrap_or_default();
        Protections {
            things: of(entry.things, Kind::Thing),
            groups: of(entry.groups, Kind::ThingGroup),
            certificates: of(entry.certificates, Kind::Certificate),
            policies: of(entry.policies, Kind::Policy),
        }
    }
}

fn is_empty(entry: &file::Match) -> bool {
    let file::Match {
        check,
        severity,
        reason,
        kind,
        resource,
        account,
        region,
        older_than,
        seen_at_least,
        expires_within,
        thing,
        group,
        thing_type,
        attribute,
    } = entry;
    [check, severity, reason, kind, resource, account, region, thing, group, thing_type]
        .iter()
        .all(|texts| texts.is_none())
        && older_than.is_none()
        && seen_at_least.is_none()
        && expires_within.is_none()
        && attribute.as_ref().is_none_or(std::collections::BTreeMap::is_empty)
}

fn rule_name(name: &str, what: &str) -> Result<(), String> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=64).contains(&name.len()) && name.chars().all(valid) {
        return Ok(());
    }
    Err(format!("'{name}' is no name of a {what}: 1 to 64 letters, digits, '-', '_' and '.'"))
}

fn action_name(name: &str) -> Result<(), String> {
    if is_name(name) {
        return Ok(());
    }
    Err(format!("'{name}' is no name of a mitigation action: 1 to 128 letters, digits, '-' and '_'"))
}

fn known_check(text: &str) -> Result<CheckName, String> {
    let name = CheckName::new(text);
    if name.is_known() {
        return Ok(name);
    }
    let near = nearest(text, check::KNOWN).or_else(|| nearest_by_words(text));
    Err(format!("'{text}' is no audit check; did you mean '{}'?", near.unwrap_or_default()))
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// The check whose name has the most words in common with a text, and the fewest besides.
fn nearest_by_words(text: &str) -> Option<&'static str> {
    let distance = |known: &&str| {
        let shared = known.split('_').filter(|word| text.split('_').any(|other| other == *word)).count();
        (known.split('_').count() + text.split('_').count()).saturating_sub(2 * shared)
    };
    check::KNOWN.iter().copied().min_by_key(distance)
}

/// A length of time, as `12h`, `90d` or `2w`, in milliseconds.
fn milliseconds(text: &str) -> Result<i64, String> {
    let wrong = || format!("'{text}' is no duration; write whole hours, days or weeks: 12h, 90d, 2w");
    let (digits, seconds) = [('h', 3_600), ('d', 86_400), ('w', 7 * 86_400)]
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))
        .ok_or_else(wrong)?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && digits.len() <= 5;
    let count = digits.parse::<i64>().ok().filter(|count| plain && *count > 0).ok_or_else(wrong)?;
    Ok(count * seconds * 1000)
}

fn date(text: &str) -> Result<Date, String> {
    // Other ways to write a date, such as 20270630, are for machines.
    let plain = text.len() == 10 && text.as_bytes().get(4) == Some(&b'-');
    let date = Some(text).filter(|_| plain).and_then(|text| text.parse().ok());
    date.ok_or_else(|| format!("'{text}' is no date; write it as 2027-06-30"))
}

/// The second since the epoch at which a day begins in UTC.
fn midnight(date: Date) -> i64 {
    Millis::midnight(date).seconds()
}
