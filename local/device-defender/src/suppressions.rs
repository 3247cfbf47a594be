//! The suppressions of an account, in the order in which they are listed.
//!
//! There can be a million: a page begins at its cursor in that order, an audit looks only at those of its checks,
//! and nothing is sorted or copied for a call.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::checks::Check;
use crate::clock::seconds;
use crate::paging::Key;

/// Where a suppression without an end stands: behind all others.
const NEVER: u64 = u64::MAX;

/// When a suppression ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    Never,
    At(i64),
}

impl Expiry {
    const fn place(self) -> u64 {
        match self {
            Self::Never => NEVER,
            Self::At(expires) => expires.unsigned_abs(),
        }
    }
}

/// What a request said.
#[derive(Debug)]
pub(crate) struct Suppression {
    /// The resource as it was named, in JSON.
    pub(crate) resource: Box<str>,
    pub(crate) expires: Expiry,
    pub(crate) description: Option<Arc<str>>,
    /// None, if it was made by the control.
    pub(crate) token: Option<Box<str>>,
}

/// A suppression, and what it suppresses.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) check: Check,
    pub(crate) resource: Arc<str>,
    pub(crate) suppression: Suppression,
}

impl Listed {
    /// Whether it still suppresses.
    pub(crate) const fn active(&self, at: i64) -> bool {
        match self.suppression.expires {
            Expiry::Never => true,
            Expiry::At(expires) => expires > at,
        }
    }

    /// `AuditSuppression` of the service model.
    pub(crate) fn describe(&self) -> Value {
        let Suppression { resource, expires, description, .. } = &self.suppression;
        let mut described = json!({
            "checkName": self.check.name(),
            "resourceIdentifier": serde_json::from_str::<Value>(resource).unwrap_or_default(),
            "suppressIndefinitely": *expires == Expiry::Never,
        });
        if let Some(described) = described.as_object_mut() {
            if let Expiry::At(expires) = expires {
                described.insert("expirationDate".to_owned(), json!(seconds(*expires)));
            }
            if let Some(description) = description {
                described.insert("description".to_owned(), description.as_ref().into());
            }
        }
        described
    }
}

/// All suppressions.
#[derive(Debug, Default)]
pub(crate) struct Suppressions {
    /// By their end, and those with one end by their age.
    ordered: BTreeMap<Key, Listed>,
    by_check: BTreeMap<Check, HashMap<Arc<str>, Key>>,
    tokens: HashSet<Box<str>>,
}

impl Suppressions {
    pub(crate) fn len(&self) -> usize {
        self.ordered.len()
    }

    pub(crate) fn has_token(&self, token: &str) -> bool {
        self.tokens.contains(token)
    }

    /// The suppression for a check and resource.
    pub(crate) fn get(&self, check: Check, resource: &str) -> Option<&Listed> {
        self.get_placed(check, resource).map(|(_, listed)| listed)
    }

    /// The same, and where it stands in the list.
    pub(crate) fn get_placed(&self, check: Check, resource: &str) -> Option<(Key, &Listed)> {
        let place = self.by_check.get(&check)?.get(resource)?;
        Some((*place, self.ordered.get(place)?))
    }

    /// Adds one for a check and resource that have none. `number` is one that nothing had before.
    pub(crate) fn add(&mut self, check: Check, resource: &str, number: u32, suppression: Suppression) {
        let resource: Arc<str> = resource.into();
        let place = (suppression.expires.place(), number.into());
        self.by_check.entry(check).or_default().insert(Arc::clone(&resource), place);
        self.tokens.extend(suppression.token.clone());
        self.ordered.insert(place, Listed { check, resource, suppression });
    }

    /// Changes one, which may move it in the order.
    pub(crate) fn update(&mut self, check: Check, resource: &str, change: impl FnOnce(&mut Suppression)) {
        let Some(place) = self.by_check.get_mut(&check).and_then(|of_check| of_check.get_mut(resource))
        else {
            return;
        };
        let Some(mut listed) = self.ordered.remove(place) else { return };
        change(&mut listed.suppression);
        place.0 = listed.suppression.expires.place();
        self.ordered.insert(*place, listed);
    }

    /// Removes one, if it is there.
    pub(crate) fn remove(&mut self, check: Check, resource: &str) {
        let place = self.by_check.get_mut(&check).and_then(|of_check| of_check.remove(resource));
        let removed = place.and_then(|place| self.ordered.remove(&place));
        if let Some(token) = removed.and_then(|removed| removed.suppression.token) {
            self.tokens.remove(&token);
        }
    }

    /// Those behind a place in the list, in its order: by their end, and backwards if that is wanted.
    pub(crate) fn behind(
        &self,
        after: Option<Key>,
        ascending: bool,
    ) -> Box<dyn Iterator<Item = (Key, &Listed)> + '_> {
        fn plain<'a>((place, listed): (&Key, &'a Listed)) -> (Key, &'a Listed) {
            (*place, listed)
        }
        let beyond = after.map_or(Bound::Unbounded, Bound::Excluded);
        if ascending {
            Box::new(self.ordered.range((beyond, Bound::Unbounded)).map(plain))
        } else {
            Box::new(self.ordered.range((Bound::Unbounded, beyond)).rev().map(plain))
        }
    }

    /// The resources that are suppressed for a check.
    pub(crate) fn active(&self, check: Check, at: i64) -> impl Iterator<Item = &str> {
        let places = self.by_check.get(&check).into_iter().flat_map(HashMap::values);
        places
            .filter_map(move |place| self.ordered.get(place))
            .filter(move |listed| listed.active(at))
            .map(|listed| &*listed.resource)
    }

    /// Removes those that have ended.
    pub(crate) fn forget_lapsed(&mut self, at: i64) {
        while let Some((_, first)) = self.ordered.first_key_value().filter(|(_, first)| !first.active(at)) {
            let (check, resource) = (first.check, Arc::clone(&first.resource));
            self.remove(check, &resource);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn suppression(expires: Expiry) -> Suppression {
        Suppression { resource: "{}".into(), expires, description: None, token: Some("t".into()) }
    }

    proptest! {
        #[test]
        fn the_order_holds_whatever_happens(
            steps in prop::collection::vec((0_u8..3, 0_u8..6, prop::option::of(0_i64..5)), 0..60)
        ) {
            let mut all = Suppressions::default();
            let mut plain: BTreeMap<String, Option<i64>> = BTreeMap::new();
            for (number, (what, resource, end)) in (1..).zip(steps) {
                let resource = resource.to_string();
                let expires = end.map_or(Expiry::Never, Expiry::At);
                match what {
                    0 if !plain.contains_key(&resource) => {
                        all.add(Check::DeviceAge, &resource, number, suppression(expires));
                        plain.insert(resource, end);
                    }
                    1 => {
                        all.update(Check::DeviceAge, &resource, |one| one.expires = expires);
                        plain.entry(resource).and_modify(|known| *known = end);
                    }
                    2 => {
                        all.remove(Check::DeviceAge, &resource);
                        plain.remove(&resource);
                    }
                    _ => {}
                }
                prop_assert_eq!(all.len(), plain.len());
                let forwards: Vec<Key> = all.behind(None, true).map(|(place, _)| place).collect();
                prop_assert!(forwards.is_sorted());
                let mut backwards: Vec<Key> = all.behind(None, false).map(|(place, _)| place).collect();
                backwards.reverse();
                prop_assert_eq!(&forwards, &backwards);
                for (at, place) in forwards.iter().enumerate() {
                    prop_assert!(all.behind(Some(*place), true).map(|(place, _)| place).eq(forwards[at + 1..].iter().copied()));
                    prop_assert_eq!(all.behind(Some(*place), false).count(), at);
                }
                for (resource, end) in &plain {
                    let known = all.get(Check::DeviceAge, resource).unwrap();
                    prop_assert_eq!(known.suppression.expires, end.map_or(Expiry::Never, Expiry::At));
                }
                let active = plain.values().filter(|end| end.is_none_or(|end| end > 2)).count();
                prop_assert_eq!(all.active(Check::DeviceAge, 2).count(), active);
                prop_assert_eq!(all.active(Check::DeviceShared, 2).count(), 0);
            }
            all.forget_lapsed(2);
            prop_assert_eq!(all.len(), all.active(Check::DeviceAge, 2).count());
            prop_assert!(all.len() > 0 || !all.has_token("t") || !plain.is_empty());
        }
    }
}
