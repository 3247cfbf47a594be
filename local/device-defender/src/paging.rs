//! Pages and their tokens.
//!
//! A token seals the key of the last item that was given, so that a page costs what it holds and items that
//! come and go between two pages neither repeat nor hide others. It also carries a mark of its query:
//! another query refuses it, as AWS does.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::random::{Cipher, domain, fingerprint};

/// The page size when a request names none.
const DEFAULT_PAGE: usize = 25;

/// What a request calls its page size and its token; the second of each is of the registry's older lists.
const SIZES: [&str; 2] = ["maxResults", "pageSize"];
pub(crate) const TOKENS: [&str; 2] = ["nextToken", "marker"];

/// Where an item stands in its list.
pub(crate) type Key = (u64, u64);

/// The key of what was made under a number, where the newest comes first.
pub(crate) fn newest_first(number: u32) -> Key {
    (u64::from(u32::MAX - number), 0)
}

/// What a request says about its page, and how to write the token for the next.
pub(crate) struct Pager {
    cipher: Cipher,
    query: u64,
    pub(crate) after: Option<Key>,
    pub(crate) size: usize,
}

impl Pager {
    /// Reads how long the page is and where it begins; the other members are the query that the token is bound
    /// to.
    pub(crate) fn new(seed: u64, operation: &str, members: &Map<String, Value>) -> Result<Self, Failure> {
        let mut query = format!("{seed}{operation}");
        for (name, value) in members {
            if ![SIZES, TOKENS].iter().any(|names| names.contains(&name.as_str())) {
                let _ = write!(query, "\n{name}={value}");
            }
        }
        let size = SIZES.iter().find_map(|name| members.get(*name)).and_then(Value::as_u64);
        let mut pager = Self {
            cipher: Cipher::new(seed, domain::TOKEN),
            query: fingerprint(query.as_bytes()),
            after: None,
            size: size.and_then(|size| usize::try_from(size).ok()).unwrap_or(DEFAULT_PAGE),
        };
        let token = TOKENS.iter().find_map(|name| Some((name, members.get(*name)?.as_str()?)));
        if let Some((name, token)) = token {
            let key = pager.open(token);
            pager.after = Some(key.ok_or_else(|| Failure::invalid(format!("Invalid {name}")))?);
        }
        Ok(pager)
    }

    /// The token for the page after the item at `key`.
    pub(crate) fn token(&self, key: Key) -> String {
        format!("{}{:016x}", self.cipher.seal(key.0, key.1), self.mark(key))
    }

    /// The page of a whole list, in the order of keys, with the token for the next.
    pub(crate) fn page<T>(&self, items: impl Iterator<Item = (Key, T)>) -> (Vec<T>, Option<String>) {
        let mut items: Vec<(Key, T)> =
            items.filter(|(key, _)| self.after.is_none_or(|after| *key > after)).collect();
        items.sort_by_key(|(key, _)| *key);
        self.cut(items.into_iter())
    }

    /// The page of items that already come in order and begin after the last one given.
    pub(crate) fn cut<T>(&self, mut items: impl Iterator<Item = (Key, T)>) -> (Vec<T>, Option<String>) {
        let page: Vec<(Key, T)> = items.by_ref().take(self.size).collect();
        let last = page.last().map(|(key, _)| *key);
        let next = last.filter(|_| items.next().is_some()).map(|key| self.token(key));
        (page.into_iter().map(|(_, item)| item).collect(), next)
    }

    fn mark(&self, key: Key) -> u64 {
        let mut bytes = self.query.to_le_bytes().to_vec();
        bytes.extend(key.0.to_le_bytes());
        bytes.extend(key.1.to_le_bytes());
        fingerprint(&bytes)
    }

    fn open(&self, token: &str) -> Option<Key> {
        let key = self.cipher.open(token.get(..32)?)?;
        (token.get(32..)? == format!("{:016x}", self.mark(key))).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn pager(query: &Value) -> Result<Pager, Failure> {
        Pager::new(1, "List", query.as_object().unwrap())
    }

    fn walk(count: u64, size: u64) -> Vec<u64> {
        let (mut seen, mut token) = (Vec::new(), Value::Null);
        loop {
            let query = json!({ "maxResults": size, "nextToken": token, "filter": "x" });
            let (page, next) = pager(&query).ok().unwrap().page((0..count).map(|n| ((n / 3, n), n)));
            seen.extend(page);
            match next {
                Some(next) => token = Value::String(next),
                None => return seen,
            }
        }
    }

    proptest! {
        #[test]
        fn pages_give_every_item_once(count in 0_u64..200, size in 1_u64..60) {
            prop_assert_eq!(walk(count, size), (0..count).collect::<Vec<_>>());
        }

        #[test]
        fn made_up_tokens_are_refused(token in ".{0,60}") {
            let query = json!({ "nextToken": token });
            prop_assert!(pager(&query).is_err());
        }
    }

    #[test]
    fn a_token_belongs_to_its_query() {
        let token = pager(&json!({ "filter": "x" })).ok().unwrap().token((3, 4));
        assert!(pager(&json!({ "filter": "x", "nextToken": token, "maxResults": 9 })).is_ok());
        assert!(pager(&json!({ "filter": "y", "nextToken": token })).is_err());
    }
}
