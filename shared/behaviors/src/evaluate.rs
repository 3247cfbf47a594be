//! From datapoints to alarms: one thing, one security profile, up to one moment.
//!
//! Time is what the datapoints say and what the caller passes as `until`: a window is evaluated once it has ended
//! by then. A caller that allows for datapoints to come late passes a moment that is as much earlier. Then the
//! order in which they come makes no difference, a repeat makes none ever, and what comes later than that is
//! counted and changes nothing. Windows tumble and are aligned to UTC: AWS says neither this nor the opposite.

use std::time::Duration;

use fleetwarden_core::timestamp::Millis;

use crate::behavior::{Behavior, Behaviors};
use crate::criteria::{Criteria, Expectation};
use crate::datapoint::{Datapoint, Reading};
use crate::event::{Band, Event, EventType, Measurement, Results};
use crate::fleet::Fleet;
use crate::metric::Kind;
use crate::state::{Alarm, BehaviorState, ThingState};
use crate::value::{MetricValue, Quantity};

/// An alarm without a comparable datapoint for longer than this is invalidated (developer guide,
/// troubleshooting: "more than two days"). A row of datapoints does not span a gap of that length either.
pub const SILENCE: Duration = Duration::from_hours(48);
/// How far ahead of `until` a datapoint can be: a window, and as much again for what comes late.
pub const AHEAD: Duration = Duration::from_hours(2);
/// How far before `until` a datapoint can be: as long as Detect stores metrics (its quotas). An older one would
/// also have a model's training begin long ago, and expire.
pub const BEHIND: Duration = Duration::from_hours(14 * 24);
/// Datapoints that a state holds for a behavior until their windows end: of an hour there are twelve.
pub const MOST_PENDING: usize = 32;

/// Evaluates a thing's datapoints, in any order, and all windows that have ended by `until`.
///
/// What the fleet is known to do is not changed: give the outcome's measurements to [`Fleet::learn`].
pub fn evaluate(
    behaviors: &Behaviors,
    fleet: &Fleet,
    state: &mut ThingState,
    datapoints: &[Datapoint],
    until: Millis,
    outcome: &mut Results,
) {
    state.align(behaviors);
    for (at, (behavior, state)) in behaviors.iter().zip(&mut state.behaviors).enumerate() {
        let Some(criteria) = behavior.criteria() else { continue };
        let kind = behavior.stream().metric.kind();
        let mut one = Evaluation { at, kind, criteria, fleet, state, outcome };
        for datapoint in datapoints.iter().filter(|datapoint| datapoint.stream() == behavior.stream()) {
            one.take(datapoint, until);
        }
        one.close_windows(until);
        one.invalidate(until);
    }
}

/// Ends the alarms of behaviors that the thing is no longer evaluated for: those of `old` that are not in `new`.
///
/// AWS does not say whether a detached or deleted profile sends an event; the caller may keep these to itself.
pub fn retire(old: &Behaviors, new: &Behaviors, state: &mut ThingState, at: Millis, outcome: &mut Results) {
    let is_kept = |behavior: &Behavior| new.iter().any(|kept| kept.identity == behavior.identity);
    for (index, behavior) in old.iter().enumerate().filter(|(_, behavior)| !is_kept(behavior)) {
        let Some(state) = state.behaviors.iter_mut().find(|state| state.identity == behavior.identity) else {
            continue;
        };
        if let Some(alarm) = std::mem::take(state).alarm {
            outcome.events.push(ending(index, EventType::AlarmInvalidated, at, &alarm));
        }
    }
    state.align(new);
}

fn ending(behavior: usize, event_type: EventType, at: Millis, alarm: &Alarm) -> Event {
    Event { behavior, event_type, at, started_at: alarm.started_at, value: None, expected: None }
}

/// One behavior of one thing.
struct Evaluation<'a> {
    at: usize,
    kind: Kind,
    criteria: &'a Criteria,
    fleet: &'a Fleet,
    state: &'a mut BehaviorState,
    outcome: &'a mut Results,
}

impl Evaluation<'_> {
    /// The end of the window that a moment belongs to; each window has its end and not its beginning.
    fn window(&self, at: Millis) -> Millis {
        let Some(duration) = self.criteria.duration else { return at };
        let length = millis(duration);
        Millis(at.0.saturating_add(length - 1).div_euclid(length).saturating_mul(length))
    }

    /// Puts a datapoint with those whose windows have not ended.
    fn take(&mut self, datapoint: &Datapoint, until: Millis) {
        let at = datapoint.at();
        let is_evaluated = self.state.evaluated.is_some_and(|evaluated| self.window(at) <= evaluated);
        let is_late = is_evaluated || at.0 < until.0.saturating_sub(millis(BEHIND));
        let unused = &mut self.outcome.unused;
        if is_late {
            unused.late += 1;
            return;
        }
        if at.0 > until.0.saturating_add(millis(AHEAD)) {
            unused.early += 1;
            return;
        }
        let reading = Reading::of(&self.criteria.expectation, datapoint.value());
        let pending = &mut self.state.pending;
        // Most come in order: the search from the end is one step then.
        let after = pending.iter().rposition(|(held, _)| *held <= at).map_or(0, |place| place + 1);
        if let Some((held_at, held)) = after.checked_sub(1).and_then(|place| pending.get_mut(place))
            && *held_at == at
        {
            unused.repeated += 1;
            if reading.outranks(held) {
                *held = reading;
            }
        } else {
            pending.insert(after, (at, reading));
        }
    }

    fn close_windows(&mut self, until: Millis) {
        let mut pending = std::mem::take(&mut self.state.pending);
        let mut closed = 0;
        while let Some((first, reading)) = pending.get(closed) {
            let end = self.window(*first);
            if end > until {
                break;
            }
            let mut whole = reading.clone();
            closed += 1;
            while let Some((at, reading)) = pending.get(closed)
                && self.window(*at) == end
            {
                whole = self.accumulate(whole, reading);
                closed += 1;
            }
            self.close(end, whole);
        }
        pending.drain(..closed);
        let too_many = pending.len().saturating_sub(MOST_PENDING);
        pending.truncate(MOST_PENDING);
        self.outcome.unused.too_many += u32::try_from(too_many).unwrap_or(u32::MAX);
        self.state.pending = pending;
    }

    /// Two datapoints of one window: what happened adds up, of what is there the one nearer to violating counts.
    fn accumulate(&self, one: Reading, other: &Reading) -> Reading {
        let (Reading::Amount(a), Reading::Amount(b)) = (&one, other) else { return one };
        if self.kind == Kind::Flow {
            return Reading::Amount(a.plus(*b));
        }
        let is_less = b.order(*a).is_lt();
        if is_less == self.criteria.expectation.prefers_most() { one } else { Reading::Amount(*b) }
    }

    /// Compares a window's reading and counts it.
    fn close(&mut self, end: Millis, reading: Reading) {
        self.invalidate(end);
        let (violates, band) = match (&self.criteria.expectation, &reading) {
            (Expectation::Limit { comparison, limit, .. }, Reading::Amount(value)) => {
                (Some(!comparison.holds(value.order(*limit))), None)
            }
            (Expectation::Members { .. }, Reading::Offending(offending)) => (Some(offending.is_some()), None),
            (Expectation::Percentile { comparison, .. }, Reading::Amount(value)) => {
                self.measure(end, *value);
                let threshold = self.fleet.threshold(self.at, end);
                let violates = threshold.map(|limit| !comparison.holds(value.order(Quantity::Number(limit))));
                let band = threshold.map(|limit| {
                    let is_maximum = comparison.is_maximum();
                    Band { low: (!is_maximum).then_some(limit), high: is_maximum.then_some(limit) }
                });
                (violates, band)
            }
            (Expectation::Model { confidence }, Reading::Amount(value)) => {
                self.measure(end, *value);
                let band = self.fleet.band(self.at, *confidence, end);
                let number = value.as_number();
                let is_outside = |band: Band| {
                    band.low.is_some_and(|low| number < low) || band.high.is_some_and(|high| number > high)
                };
                (band.map(is_outside), band)
            }
            _ => (None, None),
        };
        self.state.evaluated = Some(end);
        // What cannot be compared neither violates nor conforms.
        if let Some(violates) = violates {
            self.count(end, violates, reading, band);
        }
    }

    fn measure(&mut self, at: Millis, quantity: Quantity) {
        self.outcome.measurements.push(Measurement { behavior: self.at, at, quantity });
    }

    fn count(&mut self, end: Millis, violates: bool, reading: Reading, expected: Option<Band>) {
        let state = &mut *self.state;
        state.compared = Some(end);
        state.run = match (violates, state.run) {
            (true, run @ 0..) => run.saturating_add(1),
            (true, _) => 1,
            (false, run @ ..=0) => run.saturating_sub(1),
            (false, _) => -1,
        };
        let value = || match reading {
            Reading::Amount(quantity) => quantity.to_value(),
            Reading::Offending(offending) => offending.unwrap_or_default(),
        };
        match &mut state.alarm {
            Some(alarm) if violates => {
                alarm.last_violation_at = end;
                alarm.last_value = value();
            }
            Some(alarm) if state.run.unsigned_abs() >= self.criteria.to_clear => {
                self.outcome.events.push(ending(self.at, EventType::AlarmCleared, end, alarm));
                state.alarm = None;
            }
            None if violates && state.run.unsigned_abs() >= self.criteria.to_alarm => {
                let value: MetricValue = value();
                self.outcome.events.push(Event {
                    behavior: self.at,
                    event_type: EventType::InAlarm,
                    at: end,
                    started_at: end,
                    value: Some(value.clone()),
                    expected,
                });
                let alarm = Alarm { started_at: end, last_violation_at: end, last_value: value };
                state.alarm = Some(alarm);
            }
            _ => {}
        }
    }

    /// Ends an alarm, and a row of datapoints, after two days without a comparable datapoint. The event is of the
    /// moment at which they were over, not of the one at which it was noticed.
    fn invalidate(&mut self, now: Millis) {
        let Some(compared) = self.state.compared else { return };
        let over = Millis(compared.0.saturating_add(millis(SILENCE)));
        if now > over {
            self.state.run = 0;
            if let Some(alarm) = self.state.alarm.take() {
                self.outcome.events.push(ending(self.at, EventType::AlarmInvalidated, over, &alarm));
            }
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
