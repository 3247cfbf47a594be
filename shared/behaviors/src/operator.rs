//! The comparison operators. A criterion states what is expected: `less-than 50` alarms at 50 or more.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::metric::Kind;

/// An operator as the service names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the service's names say it")]
pub enum ComparisonOperator {
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
    InCidrSet,
    NotInCidrSet,
    InPortSet,
    NotInPortSet,
    InSet,
    NotInSet,
}

/// The operators on ordered values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the service's names say it")]
pub enum Comparison {
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
}

/// The operators on lists: where every reported element is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the service's names say it")]
pub enum Membership {
    Inside,
    Outside,
}

/// An operator by what it compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// With a limit.
    Compare(Comparison),
    /// With a set.
    Member(Membership),
}

impl ComparisonOperator {
    /// The operator, if it applies to a metric of that kind. `aws:disconnect-duration` has `less-than*` only.
    pub fn on(self, kind: Kind) -> Option<Operator> {
        let (operator, applies) = match self {
            Self::LessThan => (Operator::Compare(Comparison::LessThan), kind.is_numeric()),
            Self::LessThanEquals => (Operator::Compare(Comparison::LessThanEquals), kind.is_numeric()),
            Self::GreaterThan => (Operator::Compare(Comparison::GreaterThan), kind.is_numeric()),
            Self::GreaterThanEquals => (Operator::Compare(Comparison::GreaterThanEquals), kind.is_numeric()),
            Self::InCidrSet => (Operator::Member(Membership::Inside), kind == Kind::Addresses),
            Self::NotInCidrSet => (Operator::Member(Membership::Outside), kind == Kind::Addresses),
            Self::InPortSet => (Operator::Member(Membership::Inside), kind == Kind::Ports),
            Self::NotInPortSet => (Operator::Member(Membership::Outside), kind == Kind::Ports),
            Self::InSet => {
                (Operator::Member(Membership::Inside), matches!(kind, Kind::Numbers | Kind::Strings))
            }
            Self::NotInSet => {
                (Operator::Member(Membership::Outside), matches!(kind, Kind::Numbers | Kind::Strings))
            }
        };
        let upward = matches!(self, Self::GreaterThan | Self::GreaterThanEquals);
        (applies && !(upward && kind == Kind::Disconnected)).then_some(operator)
    }
}

impl Comparison {
    /// If a value in that order to the limit is as expected.
    pub const fn holds(self, value_to_limit: Ordering) -> bool {
        match self {
            Self::LessThan => value_to_limit.is_lt(),
            Self::LessThanEquals => value_to_limit.is_le(),
            Self::GreaterThan => value_to_limit.is_gt(),
            Self::GreaterThanEquals => value_to_limit.is_ge(),
        }
    }

    /// If the limit is a maximum. Of several values the one nearest to violating is compared: the largest here.
    pub const fn is_maximum(self) -> bool {
        matches!(self, Self::LessThan | Self::LessThanEquals)
    }
}

impl Membership {
    /// If an element is as expected.
    pub const fn holds(self, is_in_set: bool) -> bool {
        matches!((self, is_in_set), (Self::Inside, true) | (Self::Outside, false))
    }
}
