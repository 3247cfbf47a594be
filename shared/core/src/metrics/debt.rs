//! The debt of suppressions.

use std::cmp::Reverse;

use super::Dimensions;
use super::Metric;
use super::Record;
use super::line;
use crate::model::debt::Debt;
use crate::model::debt::Owned;
use crate::timestamp::Millis;

/// How many owners have metrics of their own: each is a dimension, and dimensions cost.
const OWNERS: usize = 20;

/// The metric lines of the debt of suppressions: one of all, and one for each of the largest owners.
pub fn debt_lines(debt: &Debt) -> Vec<String> {
    let mut owners: Vec<_> = debt.owners.iter().filter(|(owner, _)| !owner.is_empty()).collect();
    owners.sort_by_key(|(owner, owned)| (Reverse(owned.suppressions), *owner));
    let of_owner = |(owner, owned): (&String, &Owned)| line(&OfOwner { at: debt.reviewed_at, owner, owned });
    [line(debt)].into_iter().chain(owners.into_iter().take(OWNERS).map(of_owner)).collect()
}

impl Record for Debt {
    fn at(&self) -> Millis {
        self.reviewed_at
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![
            Metric::count("Suppressions", self.suppressions),
            Metric::count("Indefinite", self.indefinite),
            Metric::count("Lapsed", self.lapsed),
            Metric::count("Ending", self.ending),
            Metric::count("Ownerless", self.ownerless),
            Metric::count("ByHand", self.by_hand),
            Metric::count("Idle", self.idle),
            Metric::fraction("HiddenShare", self.hidden_share().unwrap_or_default()),
            Metric::seconds("OldestSuppressionAgeSeconds", age(self.oldest, self.reviewed_at)),
        ]
    }
}

/// The suppressions of one owner.
struct OfOwner<'d> {
    at: Millis,
    owner: &'d str,
    owned: &'d Owned,
}

impl Record for OfOwner<'_> {
    fn at(&self) -> Millis {
        self.at
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![
            Metric::count("Suppressions", self.owned.suppressions),
            Metric::count("Indefinite", self.owned.indefinite),
            Metric::seconds("OldestSuppressionAgeSeconds", age(self.owned.oldest, self.at)),
        ]
    }

    fn dimensions(&self) -> Dimensions<'_> {
        Dimensions::by([("Owner", self.owner)])
    }
}

fn age(oldest: Option<Millis>, now: Millis) -> i64 {
    oldest.map_or(0, |at| now.seconds() - at.seconds())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_debt_has_a_line_of_all_and_one_for_each_of_the_largest_owners() {
        let owned =
            |suppressions| Owned { suppressions, indefinite: 1, oldest: Some(Millis(1_795_305_600_000)) };
        let mut owners: BTreeMap<String, Owned> =
            (0..30).map(|n| (format!("team-{n:02}"), owned(n))).collect();
        owners.insert(String::new(), owned(99));
        let debt = Debt {
            reviewed_at: Millis(1_795_392_000_000),
            suppressions: 534,
            indefinite: 31,
            hidden: 1,
            non_compliant: 4,
            oldest: Some(Millis(1_795_305_600_000)),
            owners,
            ..Debt::default()
        };
        let lines = debt_lines(&debt);
        assert_eq!(lines.len(), 21);
        insta::assert_snapshot!(lines[..2].join("\n"));
    }
}
