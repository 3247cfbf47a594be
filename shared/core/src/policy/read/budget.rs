//! From the budgets of a policy file to those of a policy.

use super::Reader;
use super::action_name;
use super::milliseconds;
use crate::ids::names::is_thing_name;
use crate::nearest::did_you_mean;
use crate::policy::budget::Budget;
use crate::policy::budget::MAX_BUDGETS;
use crate::policy::de::Spanned;
use crate::policy::file::Budgets;
use crate::policy::file::Texts;
use crate::policy::file::budget;

/// The longest time of a budget, in milliseconds: 30 days.
const LONGEST_MS: i64 = 30 * 86_400_000;
/// The largest number of a budget.
const LARGEST: u64 = 1_000_000;

impl Reader {
    /// The budgets. None: the file says nothing of them, and there is one by default.
    pub(super) fn budgets(&mut self, entry: Option<Spanned<Budgets>>) -> Vec<Budget> {
        let Some(Spanned { place, value }) = entry else { return vec![Budget::default()] };
        let list = match value {
            Budgets::None => return Vec::new(),
            Budgets::List(list) => list,
        };
        if list.is_empty() {
            self.error(place, "there is no budget in the list; write 'budgets: none' to lift all of them");
        }
        if list.len() > MAX_BUDGETS {
            let what = format!("{} budgets; a policy has at most {MAX_BUDGETS}", list.len());
            self.error(place, what);
        }
        let mut budgets: Vec<Budget> = Vec::with_capacity(list.len());
        for entry in list {
            let Some(budget) = self.budget(entry) else { continue };
            let key = budget.key();
            if let Some(other) = budgets.iter().find(|other| other.key() == key) {
                let what = format!(
                    "the budget in line {} counts the same in the same time: keep the one that is meant",
                    other.place.line
                );
                self.error(budget.place, what);
            }
            budgets.push(budget);
        }
        budgets
    }

    fn budget(&mut self, entry: Spanned<budget::Budget>) -> Option<Budget> {
        let Spanned { place, value } = entry;
        let budget::Budget { most, or_share, within, actions, rules, group } = value;
        if !(1..=LARGEST).contains(&most.value) {
            let most_of = most.value;
            let what = if most_of == 0 {
                "a budget of 0 never holds a task: write 1 or more, or 'mode: observe' to mitigate nothing"
                    .to_owned()
            } else {
                format!(
                    "a budget of {most_of} is too large: at most {LARGEST}, or 'budgets: none' for no budget"
                )
            };
            self.error(most.place, what);
        }
        let or_share = or_share.and_then(|text| self.parsed(&text, share));
        let within_seconds = self.parsed(&within.0, |text| {
            let milliseconds = milliseconds(text)?;
            if milliseconds > LONGEST_MS {
                return Err(format!("'{text}' is too long for a budget: at most 30d"));
            }
            Ok(milliseconds / 1000)
        });
        let texts = |texts: Option<Texts>| texts.map(|texts| texts.0).unwrap_or_default();
        let actions = texts(actions);
        for action in &actions {
            self.parsed(action, action_name);
        }
        let rules = texts(rules);
        for rule in &rules {
            let known =
                self.names.iter().filter(|(_, (what, _))| *what == "rule").map(|(name, _)| name.as_str());
            if !known.clone().any(|known| known == rule.value) {
                let what = format!("there is no rule '{}'{}", rule.value, did_you_mean(&rule.value, known));
                self.error(rule.place, what);
            }
        }
        let group = group.and_then(|group| self.parsed(&group, group_name));
        let values = |texts: Vec<Spanned<String>>| texts.into_iter().map(|text| text.value).collect();
        Some(Budget {
            most: most.value,
            or_share,
            within_seconds: within_seconds?,
            actions: values(actions),
            rules: values(rules),
            group,
            place,
        })
    }
}

/// The name of one thing group: a share is a share of one, and a pattern names several.
fn group_name(text: &str) -> Result<String, String> {
    if is_thing_name(text) {
        return Ok(text.to_owned());
    }
    Err(format!("'{text}' is no name of a thing group: 1 to 128 letters, digits, ':', '_' and '-'"))
}

/// A share, as `1%` or `0.25%`, in hundredths of a percent.
fn share(text: &str) -> Result<u32, String> {
    let wrong = || format!("'{text}' is no share of a fleet; write 0.01% to 100%, as 1% or 0.25%");
    hundredths(text).ok_or_else(wrong)
}

/// A share, in hundredths of a percent. None: it is none, or not more than 0% and at most 100%.
pub(super) fn hundredths(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits =
        |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole, 3) || !digits(part, 2) {
        return None;
    }
    let part = format!("{part:0<2}");
    let share =
        whole.parse::<u32>().ok().zip(part.parse::<u32>().ok()).map(|(whole, part)| whole * 100 + part);
    share.filter(|share| (1..=10_000).contains(share))
}
