//! The life of one violation: what its events say, whatever their order and however often each came.

use serde::Deserialize;
use serde::Serialize;

use super::Alarm;
use super::AlarmEvent;
use super::EventType;
use super::Verification;
use crate::timestamp::Millis;

/// What a decision is noted as in the actions: the words of its outcomes.
const OUTCOMES: [&str; 2] = ["mitigate", "report"];
const VERIFY: &str = "verify";
/// The longest reason that is kept, in characters.
const LONGEST_REASON: usize = 500;

/// One violation, as the ledger has it.
///
/// Of each kind of event only the latest time counts, so that merging events in any order, and any of them twice, gives
/// the same life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Life {
    /// What the alarm is, by its latest event in alarm, or else by its latest event.
    pub alarm: Alarm,
    /// When it began. None: only its end was heard so far.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub raised_at: Option<Millis>,
    /// What was measured when it began.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<serde_json::Value>,
    /// When it was cleared.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cleared_at: Option<Millis>,
    /// When it was invalidated.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub invalidated_at: Option<Millis>,
    /// What people said of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verification: Option<Verification>,
    /// When they said so, by the time of the event that told of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verified_at: Option<Millis>,
    /// The incident that it is part of, by its id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub incident: Option<String>,
    /// What was decided and done, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub actions: Vec<Action>,
}

/// Something that was decided or done about a violation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// When.
    pub at: Millis,
    /// The raise that it was about: another may have been heard of since. None: it is told by the time of the action.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub raised_at: Option<Millis>,
    /// One word: `mitigate`, `verify`, `report`, `mitigated`, `released`, …
    pub what: String,
    /// The rule, if one decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<String>,
    /// The mitigation task, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task_id: Option<String>,
    /// Why, in words for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// Where a violation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// In alarm.
    Raised,
    /// The device behaves as expected again.
    Cleared,
    /// Nothing is known of the device any more.
    Invalidated,
}

impl Life {
    /// How many actions are kept.
    pub const KEPT: usize = 64;

    /// The life that one event alone tells of.
    pub fn of(event: &AlarmEvent) -> Self {
        let mut life = Self {
            alarm: event.alarm.clone(),
            raised_at: None,
            value: None,
            cleared_at: None,
            invalidated_at: None,
            verification: None,
            verified_at: None,
            incident: None,
            actions: Vec::new(),
        };
        life.hear(event);
        life
    }

    /// Merges an event. Says whether the life has changed.
    pub fn hear(&mut self, event: &AlarmEvent) -> bool {
        let before = self.clone();
        if self.is_told_by(event) {
            self.alarm = event.alarm.clone();
            if event.event == EventType::InAlarm {
                self.value.clone_from(&event.value);
            }
        }
        let at = Some(event.at);
        match event.event {
            EventType::InAlarm => self.raised_at = self.raised_at.max(at),
            EventType::AlarmCleared => self.cleared_at = self.cleared_at.max(at),
            EventType::AlarmInvalidated => self.invalidated_at = self.invalidated_at.max(at),
            EventType::Unknown(_) => {}
        }
        if let Some(verification) = event.verification {
            self.verify(verification, event.at);
        }
        *self != before
    }

    /// Merges what people said at a moment: the latest counts. Nothing said takes nothing back.
    pub fn verify(&mut self, verification: Verification, at: Millis) {
        let rank = |of: Option<Verification>| of.map(Verification::as_str);
        let later = (Some(at), rank(Some(verification))) > (self.verified_at, rank(self.verification));
        if verification != Verification::Unknown && later {
            (self.verification, self.verified_at) = (Some(verification), Some(at));
        }
    }

    /// Whether an event says better what the alarm is: the latest in alarm does, or else the latest of all. Of two at one
    /// moment their texts decide, so that the order in which they are heard does not.
    fn is_told_by(&self, event: &AlarmEvent) -> bool {
        let text =
            |alarm: &Alarm, value: Option<&serde_json::Value>| serde_json::to_string(&(alarm, value)).ok();
        let by_text = || text(&event.alarm, event.value.as_ref()) > text(&self.alarm, self.value.as_ref());
        let (known, told) = match event.event {
            EventType::InAlarm => (self.raised_at, Some(event.at)),
            _ if self.raised_at.is_some() => return false,
            // Words that are new here have no time that is kept.
            EventType::Unknown(_) => (self.cleared_at.max(self.invalidated_at), None),
            _ => (self.cleared_at.max(self.invalidated_at), Some(event.at)),
        };
        told > known || (told == known && by_text())
    }

    /// Whether something like this was done, or decided, about the raise that it is in.
    pub fn has(&self, what: &str, task_id: Option<&str>) -> bool {
        self.has_since(what, task_id, None)
    }

    /// The same, of what was done from a moment on.
    pub fn has_since(&self, what: &str, task_id: Option<&str>, since: Option<Millis>) -> bool {
        let same = |action: &Action| action.what == what && action.task_id.as_deref() == task_id;
        self.since_raise().any(|action| same(action) && since.is_none_or(|since| action.at >= since))
    }

    /// Whether this very action was noted, from a moment on: the same about the same raise.
    pub fn has_noted(&self, action: &Action, since: Option<Millis>) -> bool {
        let Some(raised) = action.raised_at else {
            return self.has_since(&action.what, action.task_id.as_deref(), since);
        };
        let is_same = |of: &Action| of.what == action.what && of.task_id == action.task_id;
        let mut same = self.actions.iter().filter(|of| is_same(of) && of.raised_at == Some(raised));
        same.any(|of| since.is_none_or(|since| of.at >= since))
    }

    /// Whether the raise that it is in was decided on. `over` is when the incident ended that it was part of: what was
    /// decided before that did not happen, or was only said. A verification state that was set stays.
    pub fn is_decided(&self, over: Option<Millis>) -> bool {
        self.has(VERIFY, None) || OUTCOMES.into_iter().any(|outcome| self.has_since(outcome, None, over))
    }

    /// Adds what was done. Of many actions the latest are kept, so that a violation that is raised again and again does
    /// not outgrow its item.
    pub fn act(&mut self, mut action: Action) {
        if let Some(reason) = &mut action.reason
            && let Some((end, _)) = reason.char_indices().nth(LONGEST_REASON)
        {
            reason.truncate(end);
            reason.push('…');
        }
        self.actions.push(action);
        let many = self.actions.len().saturating_sub(Self::KEPT);
        self.actions.drain(..many);
    }

    /// What was done, or decided, about the raise that it is in. What was done about an earlier one can have been done after
    /// this one began: then this one was heard of late.
    pub fn since_raise(&self) -> impl Iterator<Item = &Action> {
        let is_about = |action: &&Action| match (self.raised_at, action.raised_at) {
            (None, _) => true,
            (Some(raised), Some(about)) => raised == about,
            (Some(raised), None) => action.at >= raised,
        };
        self.actions.iter().filter(is_about)
    }

    /// When it ended, if it has. An end at the moment of the begin is an end.
    pub fn ended_at(&self) -> Option<Millis> {
        let end = self.cleared_at.max(self.invalidated_at);
        end.filter(|end| self.raised_at.is_none_or(|raised| *end >= raised))
    }

    /// Where it stands. None while its begin was not heard of.
    pub fn state(&self) -> Option<State> {
        let (_, ended) = (self.raised_at?, self.ended_at());
        Some(match ended {
            None => State::Raised,
            Some(end) if self.cleared_at == Some(end) => State::Cleared,
            Some(_) => State::Invalidated,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::model::alarm::CriteriaType;
    use crate::model::alarm::Source;

    fn event(kind: EventType, at: i64, text: &str, verification: Option<Verification>) -> AlarmEvent {
        let alarm = Alarm {
            source: Source::DeviceDefender,
            account: "123456789012".into(),
            region: "us-east-1".into(),
            violation_id: "v".into(),
            profile: "p".into(),
            behavior: "b".into(),
            metric: None,
            thing: Some("t".into()),
            criteria: CriteriaType::Static,
            confidence: None,
            expected: Some(json!(text)),
            suppressed: false,
        };
        AlarmEvent { alarm, event: kind, at: Millis(at), value: Some(json!(text)), verification }
    }

    fn life(events: &[AlarmEvent]) -> Life {
        let mut life = Life::of(&events[0]);
        for event in events {
            life.hear(event);
        }
        life
    }

    #[test]
    fn an_end_at_the_moment_of_the_begin_is_an_end() {
        let state = |events: &[(EventType, i64)]| {
            let events = events.iter().map(|(kind, at)| event(kind.clone(), *at, "x", None));
            life(&events.collect::<Vec<_>>()).state()
        };
        assert_eq!(state(&[(EventType::AlarmCleared, 5)]), None);
        assert_eq!(state(&[(EventType::AlarmCleared, 5), (EventType::InAlarm, 6)]), Some(State::Raised));
        assert_eq!(state(&[(EventType::AlarmCleared, 5), (EventType::InAlarm, 5)]), Some(State::Cleared));
        assert_eq!(
            state(&[(EventType::InAlarm, 1), (EventType::AlarmCleared, 5), (EventType::AlarmInvalidated, 6)]),
            Some(State::Invalidated)
        );
    }

    #[test]
    fn what_was_done_about_an_earlier_raise_is_not_done_about_this_one() {
        let mut life = life(&[event(EventType::InAlarm, 10, "x", None)]);
        let action = Action {
            at: Millis(11),
            raised_at: None,
            what: "report".into(),
            rule: None,
            task_id: None,
            reason: None,
        };
        life.actions.push(action);
        assert!(life.has("report", None) && !life.has("mitigate", None));
        life.hear(&event(EventType::InAlarm, 20, "x", None));
        assert!(!life.has("report", None));
    }

    #[test]
    fn what_was_done_about_an_earlier_raise_after_this_one_began_is_not_done_about_this_one() {
        let mut life = life(&[event(EventType::InAlarm, 10, "x", None)]);
        let about = |raised: i64| Action {
            at: Millis(30),
            raised_at: Some(Millis(raised)),
            what: "report".into(),
            rule: None,
            task_id: None,
            reason: None,
        };
        life.act(about(10));
        assert!(life.is_decided(None));
        life.hear(&event(EventType::InAlarm, 20, "x", None));
        assert!(
            !life.is_decided(None) && life.has_noted(&about(10), None) && !life.has_noted(&about(20), None)
        );
        life.act(about(20));
        assert!(life.is_decided(None) && life.has_noted(&about(20), None));
        assert!(!life.has_noted(&about(20), Some(Millis(31))));
    }

    #[test]
    fn what_was_decided_before_an_incident_is_not_decided_after_it() {
        let mut life = life(&[event(EventType::InAlarm, 10, "x", None)]);
        let action = |what: &str, at| Action {
            at: Millis(at),
            raised_at: None,
            what: what.into(),
            rule: None,
            task_id: None,
            reason: None,
        };
        life.act(action("mitigate", 11));
        assert!(life.is_decided(None) && life.is_decided(Some(Millis(11))));
        assert!(!life.is_decided(Some(Millis(12))));
        life.act(action("verify", 11));
        assert!(life.is_decided(Some(Millis(12))), "a state stays");
    }

    #[test]
    fn a_violation_that_is_raised_for_ever_stays_small() {
        let mut life = life(&[event(EventType::InAlarm, 0, "x", None)]);
        for at in 0..10_000 {
            life.hear(&event(EventType::InAlarm, at, "x", None));
            let reason = Some("\u{1f980}".repeat(5_000));
            life.act(Action {
                at: Millis(at),
                raised_at: None,
                what: "report".into(),
                rule: None,
                task_id: None,
                reason,
            });
            assert!(life.has("report", None));
        }
        assert_eq!((life.actions.len(), life.actions[0].at), (Life::KEPT, Millis(9_936)));
        assert!(serde_json::to_string(&life).unwrap().len() < 150_000);
    }

    fn any_event() -> impl Strategy<Value = AlarmEvent> {
        let kinds = prop_oneof![
            Just(EventType::InAlarm),
            Just(EventType::AlarmCleared),
            Just(EventType::AlarmInvalidated),
            Just(EventType::Unknown("odd".into())),
        ];
        let said = prop_oneof![
            Just(None),
            Just(Some(Verification::Unknown)),
            Just(Some(Verification::FalsePositive)),
            Just(Some(Verification::TruePositive)),
        ];
        (kinds, 0..4_i64, "[ab]", said).prop_map(|(kind, at, text, said)| event(kind, at, &text, said))
    }

    proptest! {
        #[test]
        fn no_order_and_no_repeat_changes_a_life(
            (events, shuffled) in proptest::collection::vec(any_event(), 1..8)
                .prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        ) {
            let told = life(&events);
            prop_assert_eq!(&told, &life(&shuffled));
            let mut again = told.clone();
            for event in &events {
                prop_assert!(!again.hear(event), "a repeat is no news");
            }
        }
    }
}
