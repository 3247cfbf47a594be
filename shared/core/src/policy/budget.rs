//! Budgets: how much may be mitigated in a time. What has been spent is in the ledger; here is what may be, and on what.
//! Which findings count in the budget of a thing group is in [`groups`](super::groups).

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use super::Policy;
use super::diagnostic::Place;
use crate::digest::Digest;
use crate::digest::hex;
use crate::model::mitigation::MAX_FINDINGS;

/// How many budgets a policy has at most: each that concerns a task is an item of the transaction that claims it.
pub(super) const MAX_BUDGETS: usize = 10;
/// The budget of a policy that says nothing of budgets.
const DEFAULT_MOST: u64 = 10;
const DEFAULT_SHARE: u32 = 100;
const DEFAULT_WITHIN_SECONDS: i64 = 3_600;

/// At most so many findings and violations are mitigated in a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many.
    pub most: u64,
    /// Or so many hundredths of a percent of the fleet or of the thing group, if that is more.
    pub or_share: Option<u32>,
    /// In how many seconds, up to now.
    pub within_seconds: i64,
    /// Of tasks with any of these mitigation actions. Empty: of all.
    pub actions: Vec<String>,
    /// Of tasks of any of these rules. Empty: of all rules and commands.
    pub rules: Vec<String>,
    /// Of findings and violations with a thing in this thing group, or in one below it. None: of all.
    pub group: Option<String>,
    /// Where it stands in the file. The default stands nowhere.
    pub place: Place,
}

/// By what the ledger knows a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BudgetKey([u8; 16]);

impl fmt::Display for BudgetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl FromStr for BudgetKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| fits);
        number.map(|number| Self(number.to_be_bytes())).ok_or("the key of a budget is 32 hexadecimal digits")
    }
}

impl Serialize for BudgetKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BudgetKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            most: DEFAULT_MOST,
            or_share: Some(DEFAULT_SHARE),
            within_seconds: DEFAULT_WITHIN_SECONDS,
            actions: Vec::new(),
            rules: Vec::new(),
            group: None,
            place: Place::default(),
        }
    }
}

impl Budget {
    /// Whether a task counts: of a rule, or of a command, with these actions.
    #[must_use]
    pub fn concerns(&self, rule: Option<&str>, actions: &[String]) -> bool {
        let of_rule =
            self.rules.is_empty() || rule.is_some_and(|rule| self.rules.iter().any(|of| of == rule));
        of_rule && (self.actions.is_empty() || actions.iter().any(|action| self.actions.contains(action)))
    }

    /// How many it lets through, in a fleet or a group of so many things. None: that is unknown, and the share counts as
    /// nothing.
    #[must_use]
    pub fn limit(&self, things: Option<u64>) -> u64 {
        let share = self.or_share.zip(things).map_or(0, |(share, things)| {
            u64::try_from(u128::from(things) * u128::from(share) / 10_000).unwrap_or(u64::MAX)
        });
        self.most.max(share)
    }

    /// By what the ledger knows it: what it counts and in which time, so that what is spent stays spent when a policy
    /// changes only how much it lets through.
    #[must_use]
    pub fn key(&self) -> BudgetKey {
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort_unstable();
            names.dedup();
            names.join(",")
        };
        let digest = Digest::new("budget").part(&sorted(&self.actions)).part(&sorted(&self.rules));
        let digest = digest.part(&self.within_seconds.to_string());
        BudgetKey(match &self.group {
            Some(group) => digest.part(group).bytes(),
            None => digest.bytes(),
        })
    }

    /// It in words, as `10 or 1% of the fleet in 1h, of Quarantine, by rule lab`, or `5 of group pumps in 1d`.
    #[must_use]
    pub fn label(&self) -> String {
        let share = self.or_share.map(|share| format!(" or {}", percent(share))).unwrap_or_default();
        let share = match (&self.group, self.or_share) {
            (Some(group), _) => format!("{share} of group {group}"),
            (None, Some(_)) => format!("{share} of the fleet"),
            (None, None) => share,
        };
        let of = |what: &str, names: &[String]| match names {
            [] => String::new(),
            names => format!(", {what} {}", names.join(" or ")),
        };
        let (actions, rules) = (of("of", &self.actions), of("by rule", &self.rules));
        format!("{}{share} in {}{actions}{rules}", self.most, length(self.within_seconds))
    }
}

impl Policy {
    /// The budgets. Empty: the policy lifts them.
    pub fn budgets(&self) -> &[Budget] {
        &self.budgets
    }

    /// The budgets that a task of a rule, or of a command, has to fit into.
    pub fn budgets_of<'p>(
        &'p self,
        rule: Option<&'p str>,
        actions: &'p [String],
    ) -> impl Iterator<Item = &'p Budget> {
        self.budgets.iter().filter(move |budget| budget.concerns(rule, actions))
    }

    /// How many findings a task of a rule may have, so that each of its budgets can hold it whatever the fleet.
    pub fn most_of_a_task(&self, rule: &str, actions: &[String]) -> usize {
        let budgets = self.budgets_of(Some(rule), actions);
        let most = budgets.map(|budget| usize::try_from(budget.most).unwrap_or(usize::MAX)).min();
        most.unwrap_or(usize::MAX).clamp(1, MAX_FINDINGS)
    }
}

/// Hundredths of a percent, as `1%` or `0.25%`.
fn percent(share: u32) -> String {
    match (share / 100, share % 100) {
        (whole, 0) => format!("{whole}%"),
        (whole, part) if part % 10 == 0 => format!("{whole}.{}%", part / 10),
        (whole, part) => format!("{whole}.{part:02}%"),
    }
}

/// A length of time as the policy writes it.
fn length(seconds: i64) -> String {
    let units = [(7 * 86_400, 'w'), (86_400, 'd'), (3_600, 'h')];
    let unit = units.into_iter().find(|(unit, _)| seconds % unit == 0);
    unit.map_or_else(|| format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_has_the_largest_unit_that_it_is_a_whole_number_of() {
        let day = 86_400;
        let written = [7 * day, 14 * day, day, 8 * day, 3_600, 90_000, 90].map(length);
        assert_eq!(written, ["1w", "2w", "1d", "8d", "1h", "25h", "90s"]);
    }

    fn budget(actions: &[&str], rules: &[&str]) -> Budget {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Budget { actions: texts(actions), rules: texts(rules), ..Budget::default() }
    }

    #[test]
    fn a_share_counts_if_it_is_more_and_the_fleet_is_known() {
        let budget = budget(&[], &[]);
        let of = |fleet| budget.limit(fleet);
        assert_eq!(
            [None, Some(0), Some(1099), Some(1100), Some(u64::MAX)].map(of).map(|n| n.min(1000)),
            [10, 10, 10, 11, 1000]
        );
        assert_eq!(Budget { or_share: None, ..budget.clone() }.limit(Some(1_000_000)), 10);
        assert_eq!(Budget { or_share: Some(25), ..budget }.limit(Some(10_000)), 25);
    }

    #[test]
    fn it_concerns_what_it_names() {
        let actions = ["A".to_owned(), "B".to_owned()];
        let of = |budget: Budget, rule| budget.concerns(rule, &actions);
        assert!(
            of(budget(&[], &[]), None) && of(budget(&["B"], &[]), None) && of(budget(&[], &["r"]), Some("r"))
        );
        assert!(
            !of(budget(&["C"], &[]), Some("r"))
                && !of(budget(&[], &["r"]), None)
                && !of(budget(&["B"], &["r"]), Some("s"))
        );
    }

    #[test]
    fn its_key_is_of_what_it_counts_and_not_of_how_much() {
        let one = budget(&["A", "B"], &["r"]);
        assert_eq!(one.key(), Budget { most: 99, or_share: None, ..budget(&["B", "A", "A"], &["r"]) }.key());
        let of = |group: &str| Budget { group: Some(group.into()), ..one.clone() };
        for other in [
            budget(&["A"], &["r"]),
            budget(&["A", "B"], &[]),
            Budget { within_seconds: 60, ..one.clone() },
            of("pumps"),
        ] {
            assert_ne!(one.key(), other.key());
        }
        assert_ne!(of("pumps").key(), of("valves").key());
        // What was spent before there were budgets of a group is still spent.
        assert_eq!(budget(&[], &[]).key().to_string(), "b19c940ed63862619a89ccede95a9bc9");
        assert_eq!(serde_json::to_value(one.key()).unwrap(), one.key().to_string());
        assert_eq!(one.key().to_string().parse(), Ok(one.key()));
        assert!("12".parse::<BudgetKey>().is_err());
    }

    #[test]
    fn its_words_are_those_of_the_policy() {
        assert_eq!(budget(&[], &[]).label(), "10 or 1% of the fleet in 1h");
        let one = Budget { or_share: Some(125), within_seconds: 86_400, ..budget(&["A", "B"], &["r"]) };
        assert_eq!(one.label(), "10 or 1.25% of the fleet in 1d, of A or B, by rule r");
        let of_group = |or_share| Budget { or_share, group: Some("pumps".into()), ..budget(&["A"], &[]) };
        assert_eq!(of_group(None).label(), "10 of group pumps in 1h, of A");
        assert_eq!(of_group(Some(50)).label(), "10 or 0.5% of group pumps in 1h, of A");
        assert_eq!([5, 50, 100, 10_000].map(percent), ["0.05%", "0.5%", "1%", "100%"]);
    }
}
