//! The switch that stops mitigation: one item of the ledger, which every claim of a mitigation task asks in its own
//! transaction, and every start reads once more right before it.
//!
//! The item stays when the pause is over, and then says who ended it. It has no end: a switch that expires would go back
//! to "on" by itself.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use fleetwarden_core::model::mitigation::pause::Pause;
use fleetwarden_core::timestamp::Millis;

use crate::Error;
use crate::ledger::Condition;
use crate::ledger::Item;
use crate::ledger::Ledger;
use crate::ledger::keys;
use crate::ledger::nonce;

/// The sort key of the switch.
pub(crate) const LATEST: &str = "latest";
/// How often a change is tried again, because another invocation was faster.
const ROUNDS: u32 = 8;

/// The attributes.
mod attribute {
    /// [`PAUSED`](super::PAUSED) or [`ON`](super::ON).
    pub(super) const STATE: &str = "state";
    pub(super) const REASON: &str = "reason";
    pub(super) const BY: &str = "by";
    pub(super) const SINCE: &str = "since";
    /// `yes` or `no`.
    pub(super) const SUPPRESSIONS: &str = "suppressions";
    pub(super) const REQUEST_ID: &str = "request_id";
    pub(super) const RESUMED_AT: &str = "resumed_at";
    pub(super) const RESUMED_BY: &str = "resumed_by";
    pub(super) const RESUME_REASON: &str = "resume_reason";
    /// Which write it was.
    pub(super) const WRITTEN: &str = "written";
}

/// Mitigation is paused.
const PAUSED: &str = "paused";
/// Mitigation goes on.
const ON: &str = "on";

/// Who ends a pause, and why.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resume<'r> {
    /// Who, as the command says.
    pub by: Option<&'r str>,
    /// Why.
    pub reason: Option<&'r str>,
}

/// The pause of now. None: mitigation goes on.
///
/// # Errors
/// If the table does not answer: then nothing may start.
pub async fn read(ledger: &Ledger) -> Result<Option<Pause>, Error> {
    Ok(ledger.get(&keys::pause(), LATEST).await?.as_ref().and_then(of))
}

/// Pauses. One that is paused already stays paused since its beginning, with the new reason; suppressions that it stops
/// stay stopped. Gives the pause that stands then.
///
/// # Errors
/// If the table does not answer, or others write the switch as often as this is tried.
pub async fn set(ledger: &Ledger, wanted: &Pause) -> Result<Pause, Error> {
    let pause = change(ledger, |there| {
        let earlier = there.and_then(of);
        let pause = Pause {
            since: earlier.as_ref().map_or_else(|| wanted.since.clone(), |earlier| earlier.since.clone()),
            suppressions: wanted.suppressions || earlier.is_some_and(|earlier| earlier.suppressions),
            ..wanted.clone()
        };
        let item = item(&pause).text(attribute::STATE, PAUSED);
        Some((item, pause))
    });
    let unwritten = || Error::Later("the pause is not written".to_owned());
    pause.await?.ok_or_else(unwritten)
}

/// Ends a pause. Gives the pause that has ended. None: there was none.
///
/// # Errors
/// As [`set`].
pub async fn end(ledger: &Ledger, resume: Resume<'_>, now: Millis) -> Result<Option<Pause>, Error> {
    change(ledger, |there| {
        let pause = there.and_then(of)?;
        let item = item(&pause).text(attribute::STATE, ON).text(attribute::RESUMED_AT, now.rfc3339());
        let said = [(attribute::RESUMED_BY, resume.by), (attribute::RESUME_REASON, resume.reason)];
        let said = said.into_iter().filter_map(|(name, said)| Some((name, said?)));
        Some((said.fold(item, |item, (name, said)| item.text(name, said)), pause))
    })
    .await
}

/// Writes the switch in place of what was read, and gives what the change gives. None: it changes nothing.
async fn change<T>(
    ledger: &Ledger,
    change: impl Fn(Option<&Item>) -> Option<(Item, T)>,
) -> Result<Option<T>, Error> {
    let mut found = ledger.get(&keys::pause(), LATEST).await?;
    for _ in 0..ROUNDS {
        let Some((item, result)) = change(found.as_ref()) else { return Ok(None) };
        let own = nonce();
        let read = found.as_ref().and_then(|item| item.get_text(attribute::WRITTEN));
        match ledger.put_in_place(item.text(attribute::WRITTEN, &own), attribute::WRITTEN, read).await? {
            None => return Ok(Some(result)),
            // An answer was lost, and the SDK sent the item again.
            Some(there) if there.get_text(attribute::WRITTEN) == Some(&own) => return Ok(Some(result)),
            there => found = there,
        }
    }
    Err(Error::Later(format!("the switch of mitigation is still written by others after {ROUNDS} tries")))
}

/// Nothing is paused: the condition of a claim.
pub(crate) fn unless_paused() -> Condition {
    let values = HashMap::from([(":on".to_owned(), AttributeValue::S(ON.to_owned()))]);
    Condition { expression: "attribute_not_exists(pk) OR #state = :on".to_owned(), values }
}

/// The pause that an item says. A word that is not known stops as well: the claim's condition takes it so.
pub(crate) fn of(item: &Item) -> Option<Pause> {
    if item.get_text(attribute::STATE) == Some(ON) {
        return None;
    }
    let text = |name| item.get_text(name).map(ToOwned::to_owned);
    Some(Pause {
        reason: text(attribute::REASON).unwrap_or_default(),
        by: text(attribute::BY),
        since: text(attribute::SINCE).unwrap_or_default(),
        suppressions: item.get_text(attribute::SUPPRESSIONS) != Some("no"),
        request_id: text(attribute::REQUEST_ID),
    })
}

fn item(pause: &Pause) -> Item {
    let item = Item::lasting(&keys::pause(), LATEST)
        .text(attribute::REASON, &pause.reason)
        .text(attribute::SINCE, &pause.since)
        .text(attribute::SUPPRESSIONS, if pause.suppressions { "yes" } else { "no" });
    let texts = [(attribute::BY, &pause.by), (attribute::REQUEST_ID, &pause.request_id)];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
    texts.fold(item, |item, (name, text)| item.text(name, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Answer;
    use crate::testing::cloud::Cloud;
    use crate::testing::cloud::START;
    use crate::testing::gate::Moment;

    fn ledger(cloud: &Cloud) -> Ledger {
        Ledger::new(cloud.clients().dynamodb(), "ledger".into())
    }

    fn wanted(reason: &str, suppressions: bool) -> Pause {
        Pause { reason: reason.into(), since: START.rfc3339(), suppressions, ..Pause::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_stands_until_somebody_ends_it() {
        let cloud = Cloud::default();
        let ledger = ledger(&cloud);
        assert_eq!(read(&ledger).await.unwrap(), None);
        assert_eq!(end(&ledger, Resume::default(), START).await.unwrap(), None);
        let pause = Pause { by: Some("mia".into()), ..wanted("a bad rollout", false) };
        assert_eq!(set(&ledger, &pause).await.unwrap(), pause);
        assert_eq!(pause.why(), "mitigation is paused since 2026-11-23T00:00:00Z by mia: a bad rollout");
        let again = Pause { since: START.plus_seconds(60).rfc3339(), ..wanted("worse", true) };
        let stands = wanted("worse", true);
        assert_eq!(set(&ledger, &again).await.unwrap(), stands);
        // What suppressions are stopped by one person no other lets go on by the way.
        assert_eq!(set(&ledger, &wanted("worse", false)).await.unwrap(), stands);
        assert_eq!(read(&ledger).await.unwrap(), Some(stands.clone()));
        assert_eq!(end(&ledger, Resume::default(), START).await.unwrap(), Some(stands));
        assert_eq!(read(&ledger).await.unwrap(), None);
        assert_eq!(set(&ledger, &again).await.unwrap(), again);
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_pauses_at_once_both_stop_what_they_stop() {
        let cloud = Cloud::default();
        let ledger = ledger(&cloud);
        let other = wanted("other", false);
        let moment = Moment::before("PutItem", 0);
        let (slow, fast) =
            cloud.interleave(moment, set(&ledger, &other), set(&ledger, &wanted("one", true))).await;
        assert!(slow.unwrap().suppressions && fast.unwrap().unwrap().suppressions);
        assert!(read(&ledger).await.unwrap().unwrap().suppressions);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_whose_answer_is_lost_stands() {
        let cloud = Cloud::default();
        let ledger = ledger(&cloud);
        cloud.lose("PutItem", Answer::broken());
        assert_eq!(set(&ledger, &wanted("lost", false)).await.unwrap(), wanted("lost", false));
    }
}
