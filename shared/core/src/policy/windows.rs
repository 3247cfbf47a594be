//! When mitigation may happen: the windows of the file, of a rule and of an action.
//!
//! The zone's name is only looked up where a window is asked about: the rules of all zones are large, and most
//! functions never ask.

mod calendar;
mod freeze;
mod zone;

use jiff::civil::Weekday;

pub use calendar::Calendar;
pub use calendar::Closed;
pub(super) use calendar::SEARCHED_DAYS;
pub(super) use calendar::listed;
pub(super) use freeze::Freeze;
#[cfg(test)]
pub(super) use zone::ABBREVIATIONS;

use super::Policy;
use super::diagnostic::Diagnostic;
use super::diagnostic::Place;
use super::diagnostic::PolicyErrors;

/// The minutes of a day.
const DAY: u16 = 24 * 60;

/// When the mitigations of a policy, of a rule or with an action may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    pub(super) of: Owner,
    /// Where they stand.
    pub(super) place: Place,
    pub(super) zone: String,
    /// Where their zone stands. None: it is that of the file's windows.
    pub(super) zone_place: Option<Place>,
    /// None: at any time that no freeze holds.
    pub(super) open: Option<Vec<Window>>,
    pub(super) freezes: Vec<Freeze>,
}

/// Whose windows they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Those of the file: of every mitigation.
    Policy,
    /// Those of a rule of this name.
    Rule(String),
    /// Those of a mitigation action of this name.
    Action(String),
}

/// A window of the week. Minutes are from midnight; `to` may be on the next day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) place: Place,
    pub(super) days: Vec<super::file::Day>,
    pub(super) from: u16,
    pub(super) to: u16,
}

impl Owner {
    /// Whose, in words.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Policy => "the policy".to_owned(),
            Self::Rule(name) => format!("rule {name}"),
            Self::Action(name) => format!("action {name}"),
        }
    }

    /// Its windows, in words.
    pub(super) fn windows(&self) -> String {
        match self {
            Self::Policy => "the policy's windows".to_owned(),
            Self::Rule(_) | Self::Action(_) => format!("the windows of {}", self.name()),
        }
    }
}

impl Policy {
    /// When a mitigation of a rule, or of a command, with these actions may start: the windows of the file, those of the rule and
    /// those of each action, all of which have to be open. None: nothing says when.
    ///
    /// # Errors
    /// If a time zone of them does not exist.
    pub fn calendar_of(
        &self,
        rule: Option<&str>,
        actions: &[String],
    ) -> Result<Option<Calendar<'_>>, Diagnostic> {
        let windows = self.windows_of(self.windows_of_rule(rule), actions);
        let calendar = Calendar::new(windows)?;
        Ok(Some(calendar).filter(|calendar| !calendar.is_empty()))
    }

    /// Whether each time zone that the policy names exists.
    ///
    /// # Errors
    /// Those that do not.
    pub fn check_zones(&self) -> Result<(), PolicyErrors> {
        let unknown: Vec<Diagnostic> = self
            .all_windows()
            .filter(|windows| windows.zone_place.is_some())
            .filter_map(|windows| Calendar::new([windows]).err())
            .collect();
        if unknown.is_empty() { Ok(()) } else { Err(PolicyErrors(unknown)) }
    }

    /// Whether a mitigation with these windows of its rule and these actions may have to wait for a window.
    pub(super) fn has_windows(&self, own: Option<&Windows>, actions: &[String]) -> bool {
        self.windows_of(own, actions).next().is_some()
    }

    /// The windows that hold a mitigation, given those of its rule.
    pub(super) fn windows_of<'p>(
        &'p self,
        own: Option<&'p Windows>,
        actions: &[String],
    ) -> impl Iterator<Item = &'p Windows> {
        let of_actions = actions.iter().filter_map(|action| self.actions.get(action));
        self.windows.iter().chain(own).chain(of_actions)
    }

    /// All windows, in no order.
    pub(super) fn all_windows(&self) -> impl Iterator<Item = &Windows> {
        let of_rules = self.mitigations().filter_map(|of| of.windows);
        self.windows.iter().chain(of_rules).chain(self.actions.values())
    }

    fn windows_of_rule(&self, rule: Option<&str>) -> Option<&Windows> {
        self.mitigations().find(|of| Some(of.rule) == rule).and_then(|of| of.windows)
    }
}

impl Window {
    /// Whether it is open so many minutes after the midnight with which a day began.
    fn holds(&self, day: Weekday, minutes: u16) -> bool {
        let begins = self.days.iter().any(|named| weekday(*named) == day);
        begins && (self.from..self.to).contains(&minutes)
    }
}

const fn weekday(day: super::file::Day) -> Weekday {
    use super::file::Day;
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}
