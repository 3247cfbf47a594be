//! Days on which nothing is mitigated: once, or in every year.

use jiff::civil::Date;

/// Days without mitigation, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Freeze {
    /// From a day to another, each as year, month and day.
    Once { from: (i16, i8, i8), to: (i16, i8, i8) },
    /// From a day of the year to another, each as month and day; over the new year if the second comes first. A year without 29
    /// February has no such day, so that one from it begins on 1 March, and one to it ends on 28 February.
    EveryYear { from: (i8, i8), to: (i8, i8) },
}

impl Freeze {
    pub(super) fn holds(self, date: Date) -> bool {
        let day = (date.month(), date.day());
        match self {
            Self::Once { from, to } => (from..=to).contains(&(date.year(), date.month(), date.day())),
            Self::EveryYear { from, to } if from <= to => (from..=to).contains(&day),
            Self::EveryYear { from, to } => day >= from || day <= to,
        }
    }

    /// Whether it holds on each day of every year.
    pub(in crate::policy) fn is_all_year(self) -> bool {
        // A year that has each day.
        let first = Date::constant(2024, 1, 1);
        first.series(jiff::Span::new().days(1)).take(366).all(|date| match self {
            Self::Once { .. } => false,
            Self::EveryYear { .. } => self.holds(date),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_year(from: (i8, i8), to: (i8, i8)) -> Freeze {
        Freeze::EveryYear { from, to }
    }

    /// The days of a year that are frozen.
    fn frozen(freeze: Freeze, year: i16) -> Vec<String> {
        let first = Date::constant(year, 1, 1);
        let days = first.series(jiff::Span::new().days(1)).take_while(|date| date.year() == year);
        days.filter(|date| freeze.holds(*date)).map(|date| date.to_string()).collect()
    }

    #[test]
    fn one_of_every_year_has_both_its_days_and_goes_over_the_new_year() {
        assert_eq!(frozen(every_year((7, 1), (7, 3)), 2027), ["2027-07-01", "2027-07-02", "2027-07-03"]);
        assert_eq!(frozen(every_year((7, 1), (7, 1)), 2026), ["2026-07-01"]);
        assert_eq!(
            frozen(every_year((12, 30), (1, 2)), 2027),
            ["2027-01-01", "2027-01-02", "2027-12-30", "2027-12-31"]
        );
    }

    #[test]
    fn the_29th_of_february_is_left_out_where_there_is_none() {
        let (from, to, only) =
            (every_year((2, 29), (3, 1)), every_year((2, 28), (2, 29)), every_year((2, 29), (2, 29)));
        assert_eq!(
            [from, to, only].map(|freeze| frozen(freeze, 2027).join(" ")),
            ["2027-03-01", "2027-02-28", ""]
        );
        assert_eq!(
            [from, to, only].map(|freeze| frozen(freeze, 2028).join(" ")),
            ["2028-02-29 2028-03-01", "2028-02-28 2028-02-29", "2028-02-29"]
        );
    }

    #[test]
    fn one_holds_all_year_only_if_it_leaves_out_no_day() {
        let all = [((1, 1), (12, 31)), ((6, 2), (6, 1)), ((3, 1), (2, 29)), ((2, 29), (2, 28))];
        assert!(all.iter().all(|(from, to)| every_year(*from, *to).is_all_year()));
        let not = [((1, 1), (12, 30)), ((1, 2), (12, 31)), ((6, 2), (5, 31)), ((3, 1), (2, 28))];
        assert!(!not.iter().any(|(from, to)| every_year(*from, *to).is_all_year()));
        assert!(!Freeze::Once { from: (2000, 1, 1), to: (2099, 12, 31) }.is_all_year());
    }
}
