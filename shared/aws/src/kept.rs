//! What a function keeps from one invocation to the next, in one item of the ledger, as JSON.
//!
//! Two invocations may keep something at once. A change is made on what was read and written only in its place; if
//! another was faster, it is made again on what that one wrote.

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
const KEPT: &str = "kept";
/// Which write it was.
const WRITTEN: &str = "written";
/// How often a change is made again, because another was faster.
const ROUNDS: u32 = 8;

/// The item of one function.
#[derive(Clone, Debug)]
pub struct Kept {
    ledger: Ledger,
    about: String,
}

/// What has [`Notices`] among what a function keeps.
pub trait HasNotices: Default + Serialize + DeserializeOwned {
    /// The notices.
    fn notices(&mut self) -> &mut Notices;
}

impl Kept {
    /// The item about this (`sk` `latest`, as JSON in `kept`).
    pub const fn new(ledger: Ledger, about: String) -> Self {
        Self { ledger, about }
    }

    /// What is kept, or the default. What cannot be read was kept by another version, and it begins anew.
    ///
    /// # Errors
    /// If the table does not answer.
    pub async fn read<T: Default + DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(self.ledger.get(&self.about, LATEST).await?.as_ref().and_then(value).unwrap_or_default())
    }

    /// Changes what is kept. Gives what is kept then. The change may be made several times, each time on what is kept by
    /// then.
    ///
    /// # Errors
    /// If the table does not answer, or others write the item as often as this is tried.
    pub async fn change<T: Default + Serialize + DeserializeOwned>(
        &self,
        now: Millis,
        mut change: impl FnMut(&mut T),
    ) -> Result<T, Error> {
        let mut found = self.ledger.get(&self.about, LATEST).await?;
        for round in 0..ROUNDS {
            let mut kept: T = found.as_ref().and_then(value).unwrap_or_default();
            change(&mut kept);
            let own = nonce();
            let item = Item::new(&self.about, LATEST, now).json(KEPT, &kept).text(WRITTEN, &own);
            let read = found.as_ref().and_then(|item| item.get_text(WRITTEN));
            match self.ledger.put_in_place(item, WRITTEN, read).await? {
                None => return Ok(kept),
                // An answer was lost, and the SDK sent the item again.
                Some(there) if there.get_text(WRITTEN) == Some(&own) => return Ok(kept),
                there => found = there,
            }
            tokio::time::sleep(Duration::from_millis(20) * 2_u32.pow(round)).await;
        }
        Err(Error::Later(format!("{}: others write it, {ROUNDS} times", self.about)))
    }

    /// Raises the alerts that are due, and takes them out when the topic has taken them. One that fails keeps no other
    /// back. Says how many were due.
    ///
    /// # Errors
    /// If topic or table do not answer: what was not raised is still due.
    pub async fn tell<T: HasNotices>(
        &self,
        alerts: &Alerts,
        kept: &mut T,
        now: Millis,
    ) -> Result<usize, Error> {
        let due: Vec<Alert> = kept.notices().pending().to_vec();
        if due.is_empty() {
            return Ok(0);
        }
        let (mut raised, mut outcome) = (Vec::new(), Ok(()));
        for alert in &due {
            match alerts.raise(alert).await {
                Ok(()) => raised.push(alert.clone()),
                error => outcome = Error::of_both(outcome, error),
            }
        }
        let taken = self.change(now, |kept: &mut T| kept.notices().told(&raised)).await.map(drop);
        Error::of_both(outcome, taken).map(|()| due.len())
    }
}

fn value<T: DeserializeOwned>(item: &Item) -> Option<T> {
    item.get_text(KEPT).and_then(|text| serde_json::from_str(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Answer;
    use crate::testing::cloud::Cloud;
    use crate::testing::cloud::START;
    use crate::testing::gate::Moment;

    fn kept(cloud: &Cloud) -> Kept {
        Kept::new(Ledger::new(cloud.clients().dynamodb(), "ledger".into()), "watch".into())
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_changes_at_once_none_is_lost() {
        let cloud = Cloud::default();
        let kept = kept(&cloud);
        let add = async |number: u32| {
            kept.change(START, |numbers: &mut Vec<u32>| numbers.push(number)).await.unwrap()
        };
        assert_eq!(add(1).await, [1]);
        let (one, other) = cloud.interleave(Moment::before("PutItem", 0), add(2), add(3)).await;
        assert_eq!((one, other), (vec![1, 3, 2], Some(vec![1, 3])));
        assert_eq!(kept.read::<Vec<u32>>().await.unwrap(), [1, 3, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_whose_answer_is_lost_is_made_once() {
        let cloud = Cloud::default();
        let kept = kept(&cloud);
        cloud.lose("PutItem", Answer::broken());
        let numbers = kept.change(START, |numbers: &mut Vec<u32>| numbers.push(1)).await.unwrap();
        assert_eq!((numbers, kept.read::<Vec<u32>>().await.unwrap()), (vec![1], vec![1]));
    }
}
