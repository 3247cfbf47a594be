//! A second person, whose approval the commands wait for.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::Rejection;
use fleetwarden_aws::mitigations::Word;
use fleetwarden_core::model::mitigation::approval::Standing;
use fleetwarden_core::timestamp::Millis;

/// A person's word on a task that waits: approved, or rejected.
///
/// # Panics
/// If the task does not wait, or the word is not taken.
pub async fn say(mitigations: &Mitigations, task: &str, by: &str, approves: bool, now: Millis) {
    let known = mitigations.approval(task).await.unwrap().unwrap();
    let word = Word { by: Some(by.into()), ..Word::default() };
    if approves {
        assert!(mitigations.approve(task, &known, &word, now).await.unwrap().is_some());
    } else {
        let rejected = (Standing::Rejected, &word);
        assert_eq!(mitigations.reject(task, Some(&known), rejected, now).await.unwrap(), Rejection::Done);
    }
}
