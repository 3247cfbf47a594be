//! The state of a function from one invocation to the next: one item of the ledger, as JSON.
//!
//! Two invocations may change it at once. A change is applied to what was read and written only in its place; if
//! another invocation was faster, it is applied again to what that one wrote.

use std::time::Duration;

use fleetwarden_core::alert::Alert;
use fleetwarden_core::alert::notices::Notices;
use fleetwarden_core::timestamp::Millis;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::alerts::Alerts;
use crate::ledger::Item;
use crate::ledger::Ledger;
use crate::ledger::nonce;

const LATEST: &str = "latest";
/// The attribute of the state.
const STATE: &str = "kept";
/// The attribute that says which write it was.
const WRITTEN: &str = "written";
/// How often a change is applied again, because another invocation was faster.
const ROUNDS: u32 = 8;

/// The state of one function.
#[derive(Clone, Debug)]
pub struct StateItem {
    ledger: Ledger,
    key: String,
}

/// A state that has [`Notices`].
pub trait HasNotices: Default + Serialize + DeserializeOwned {
    /// The notices.
    fn notices(&mut self) -> &mut Notices;
}

impl StateItem {
    /// The state in the item with this partition key (`sk` `latest`, as JSON in `kept`).
    pub const fn new(ledger: Ledger, key: String) -> Self {
        Self { ledger, key }
    }

    /// The state, or the default. A state that cannot be read was written by another version: it starts over.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn read<T: Default + DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(self.ledger.get(&self.key, LATEST).await?.as_ref().and_then(value).unwrap_or_default())
    }

    /// Changes the state, and gives the state after it. The change may be applied several times, each time to the state of
    /// that moment.
    ///
    /// # Errors
    /// If the table does not answer, or others write the item as often as this is tried.
    pub async fn change<T: Default + Serialize + DeserializeOwned>(
        &self,
        now: Millis,
        mut change: impl FnMut(&mut T),
    ) -> Result<T, Error> {
        let mut found = self.ledger.get(&self.key, LATEST).await?;
        for round in 0..ROUNDS {
            let mut state: T = found.as_ref().and_then(value).unwrap_or_default();
            change(&mut state);
            let own = nonce();
            let item = Item::new(&self.key, LATEST, now).json(STATE, &state).text(WRITTEN, &own);
            let read = found.as_ref().and_then(|item| item.get_text(WRITTEN));
            match self.ledger.put_in_place(item, WRITTEN, read).await? {
                None => return Ok(state),
                // An answer was lost, and the SDK sent the item again.
                Some(there) if there.get_text(WRITTEN) == Some(&own) => return Ok(state),
                there => found = there,
            }
            tokio::time::sleep(Duration::from_millis(20) * 2_u32.pow(round)).await;
        }
        Err(Error::Later(format!("{}: still written by others after {ROUNDS} tries", self.key)))
    }

    /// Raises the pending alerts, and removes those that the topic has taken. One that fails does not stop the others.
    /// Says how many were pending.
    ///
    /// # Errors
    /// If topic or table do not answer: what was not raised is still pending.
    pub async fn raise_pending<T: HasNotices>(
        &self,
        alerts: &Alerts,
        state: &mut T,
        now: Millis,
    ) -> Result<usize, Error> {
        let pending: Vec<Alert> = state.notices().pending().to_vec();
        if pending.is_empty() {
            return Ok(0);
        }
        let (mut raised, mut result) = (Vec::new(), Ok(()));
        for alert in &pending {
            match alerts.raise(alert).await {
                Ok(()) => raised.push(alert.clone()),
                error => result = Error::of_both(result, error),
            }
        }
        let removed = self.change(now, |state: &mut T| state.notices().mark_raised(&raised)).await.map(drop);
        Error::of_both(result, removed).map(|()| pending.len())
    }
}

fn value<T: DeserializeOwned>(item: &Item) -> Option<T> {
    item.get_text(STATE).and_then(|text| serde_json::from_str(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Answer;
    use crate::testing::cloud::Cloud;
    use crate::testing::cloud::START;
    use crate::testing::gate::Moment;

    fn state(cloud: &Cloud) -> StateItem {
        StateItem::new(Ledger::new(cloud.clients().dynamodb(), "ledger".into()), "watch".into())
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_changes_at_once_none_is_lost() {
        let cloud = Cloud::default();
        let state = state(&cloud);
        let add = async |number: u32| {
            state.change(START, |numbers: &mut Vec<u32>| numbers.push(number)).await.unwrap()
        };
        assert_eq!(add(1).await, [1]);
        let (one, other) = cloud.interleave(Moment::before("PutItem", 0), add(2), add(3)).await;
        assert_eq!((one, other), (vec![1, 3, 2], Some(vec![1, 3])));
        assert_eq!(state.read::<Vec<u32>>().await.unwrap(), [1, 3, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_whose_answer_is_lost_is_made_once() {
        let cloud = Cloud::default();
        let state = state(&cloud);
        cloud.lose("PutItem", Answer::broken());
        let numbers = state.change(START, |numbers: &mut Vec<u32>| numbers.push(1)).await.unwrap();
        assert_eq!((numbers, state.read::<Vec<u32>>().await.unwrap()), (vec![1], vec![1]));
    }
}
