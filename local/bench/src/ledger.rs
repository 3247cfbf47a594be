//! A ledger that keeps what is written to it, and refuses what its conditions refuse: the DynamoDB that the functions'
//! own tests have. It costs more than the [`Sink`](crate::sink::Sink), and no time is taken with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dynamodb_table::{Attributes, Table};
use hyper::body::Bytes;
use serde_json::Value;

use crate::sink::{JSON, Reply};

#[derive(Default)]
struct State {
    table: Table,
    now: i64,
}

/// The ledger. Its clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<State>>);

impl Ledger {
    /// Answers a call of DynamoDB.
    pub(crate) fn answer(&self, operation: &str, body: &Bytes) -> Reply {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut state = self.state();
        let now = state.now;
        match state.table.answer(operation, &body, now) {
            Some(answer) => (answer.status, JSON, answer.body.to_string().into()),
            None => (400, JSON, r#"{"__type":"UnknownOperationException"}"#.into()),
        }
    }

    /// Sets the ledger's clock: a transaction that is repeated within ten minutes is the one that was made.
    pub(crate) fn set_time(&self, millis: i64) {
        self.state().now = millis;
    }

    /// Gives each item with this sort key to a function.
    pub(crate) fn each<E>(&self, sk: &str, see: impl FnMut(&Attributes) -> Result<(), E>) -> Result<(), E> {
        let state = self.state();
        let mut items = state.table.items.iter().filter(|((_, of), _)| of == sk).map(|(_, item)| item);
        items.try_for_each(see)
    }

    /// Gives each item whose sort key begins so to a function.
    pub(crate) fn each_of(&self, sk: &str, mut see: impl FnMut(&Attributes)) {
        let state = self.state();
        state.table.items.iter().filter(|((_, of), _)| of.starts_with(sk)).for_each(|(_, item)| see(item));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_items_and_looks_at_conditions() {
        let ledger = Ledger::default();
        let put = Bytes::from_static(
            br#"{"Item": {"pk": {"S": "a"}, "sk": {"S": "b"}}, "ConditionExpression": "attribute_not_exists(pk)"}"#,
        );
        let statuses = [0, 0].map(|_| ledger.answer("PutItem", &put).0);
        let mut kept = 0;
        ledger
            .each("b", |_| {
                kept += 1;
                Ok::<_, ()>(())
            })
            .unwrap();
        assert_eq!((statuses, kept), ([200, 400], 1));
    }
}
