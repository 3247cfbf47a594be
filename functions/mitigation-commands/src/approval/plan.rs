//! What a person's word means, by what the ledger has. Pure.

use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::mitigations::KnownApproval;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Word;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_commands::Failure;
use fleetwarden_core::model::mitigation::approval::Standing;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;

/// What a person wants to approve.
pub(super) struct Asked<'a> {
    /// The task.
    pub(super) id: &'a str,
    /// The person's word.
    pub(super) word: &'a Word,
    /// The name of the explanation that the person has seen.
    pub(super) explanation: Option<&'a str>,
}

/// What an approval does.
#[derive(Debug)]
pub(super) enum Plan<'k> {
    /// It is written.
    Approve(&'k KnownApproval),
    /// It is written already, by the same words.
    Repeat(&'k KnownApproval),
    /// The time is over: that is written.
    Lapse(&'k KnownApproval, Failure),
    /// Nothing, and why.
    Refuse(Failure),
}

/// What an approval of a task does.
pub(super) fn approve<'k>(
    state: Option<State>,
    known: Option<&'k KnownApproval>,
    asked: &Asked<'_>,
    now: Millis,
) -> Plan<'k> {
    let Asked { id, word, explanation } = asked;
    let refuse = |name, what| Plan::Refuse(refused(name, what));
    let is_held = state == Some(State::Held);
    let Some(known) = known else {
        let what = if is_held {
            format!("mitigation task '{id}' is held, but waits for no approval: MitigationShow says for what")
        } else {
            format!("mitigation task '{id}' is {}: it waits for no approval", in_words(state))
        };
        return refuse("NotWaiting", what);
    };
    match known.standing {
        Standing::Rejected | Standing::Lapsed => return Plan::Refuse(over(id, Some(known))),
        Standing::Approved if known.word.as_ref().is_some_and(|(said, _)| is_same(said, word)) => {
            return Plan::Repeat(known);
        }
        Standing::Approved if !is_held || !known.is_over(now) => {
            let what = format!("mitigation task '{id}' is approved already{}", said(known));
            return refuse("AlreadyApproved", what);
        }
        Standing::Approved | Standing::Waiting => {}
    }
    if !is_held {
        let what =
            format!("mitigation task '{id}' is {}: it waits for no approval any more", in_words(state));
        return refuse("NotWaiting", what);
    }
    if known.is_over(now) {
        return Plan::Lapse(known, lapsed(id, known));
    }
    let there = known.asking.explanation.id();
    if explanation.is_some_and(|explanation| explanation != there) {
        let what = format!(
            "what mitigation task '{id}' would do has changed since: its explanation is {there}; see MitigationShow"
        );
        return refuse("ExplanationChanged", what);
    }
    if known.asking.requested_by.is_some() && known.asking.requested_by == word.by {
        let what = format!(
            "mitigation task '{id}' was asked for by {}: another person has to approve it",
            word.by.as_deref().map(shown).unwrap_or_default()
        );
        return refuse("SamePerson", what);
    }
    Plan::Approve(known)
}

/// Whether two words are the same person's same words: a repeat.
pub(super) fn is_same(one: &Word, other: &Word) -> bool {
    one.by == other.by && one.reason == other.reason
}

/// Why nothing is to be decided: it is rejected.
pub(super) fn over(id: &str, known: Option<&KnownApproval>) -> Failure {
    if let Some(known) = known.filter(|known| known.standing == Standing::Lapsed) {
        return lapsed(id, known);
    }
    let said = known.map(said).unwrap_or_default();
    refused("AlreadyRejected", format!("mitigation task '{id}' is rejected already{said}"))
}

/// The time of its approval is over.
fn lapsed(id: &str, known: &KnownApproval) -> Failure {
    let until = known.until.rfc3339();
    refused(
        "ApprovalLapsed",
        format!("mitigation task '{id}' could be approved until {until}: it is rejected"),
    )
}

/// Why what is not held cannot be rejected.
pub(super) fn not_held(id: &str, state: Option<State>, task: &Item) -> Failure {
    match state {
        Some(State::Started | State::Claimed) => {
            let runs = if state == Some(State::Started) { "runs" } else { "is about to start" };
            let what = format!("mitigation task '{id}' {runs}: cancel it with MitigationCancel");
            refused("MitigationRuns", what)
        }
        state => {
            let why = task.get_text(attribute::REASON).map(|why| format!(" ({})", shown(why)));
            let what = format!("mitigation task '{id}' is {}{}", in_words(state), why.unwrap_or_default());
            refused("NotWaiting", format!("{what}: there is nothing to reject"))
        }
    }
}

/// Who said it, when and why.
fn said(known: &KnownApproval) -> String {
    let Some((word, at)) = &known.word else { return String::new() };
    let by = word.by.as_deref().map(|by| format!(", by {}", shown(by))).unwrap_or_default();
    format!(": at {}{by}, because: {}", at.rfc3339(), shown(&word.reason))
}

fn in_words(state: Option<State>) -> &'static str {
    state.map_or("in an unknown state", State::as_str)
}

/// A refusal.
pub(crate) const fn refused(name: &'static str, what: String) -> Failure {
    Failure::Refused { name, what }
}
