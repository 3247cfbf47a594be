//! `MitigationApprove` and `MitigationReject`: a person's word on a mitigation that waits for it.
//!
//! What the word means is decided on what the ledger has ([`plan`]), and written only in place of that. After an approval the
//! task's message is sent as the next of its chain, so that it is looked at at once; its own next look comes anyway. If the
//! answer is lost, the same words give the same answer, and send the message again.

mod plan;

use std::sync::Arc;

use fleetwarden_aws::Error;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Item;
use fleetwarden_aws::ledger::keys;
use fleetwarden_aws::ledger::nonce;
use fleetwarden_aws::mitigations::Chain;
use fleetwarden_aws::mitigations::KnownApproval;
use fleetwarden_aws::mitigations::Mitigations;
use fleetwarden_aws::mitigations::Rejection;
use fleetwarden_aws::mitigations::State;
use fleetwarden_aws::mitigations::Word;
use fleetwarden_aws::mitigations::attribute;
use fleetwarden_aws::queue::Outgoing;
use fleetwarden_aws::queue::Queue;
use fleetwarden_aws::telemetry;
use fleetwarden_commands::Command;
use fleetwarden_commands::Failure;
use fleetwarden_core::message::MitigationMessage;
use fleetwarden_core::message::Round;
use fleetwarden_core::message::alarm::AlarmMitigationMessage;
use fleetwarden_core::metrics::approvals;
use fleetwarden_core::metrics::approvals::Event;
use fleetwarden_core::model::mitigation::approval::Answered;
use fleetwarden_core::model::mitigation::approval::Standing;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;
use serde_json::Value;

use plan::Asked;
use plan::Plan;
use plan::approve;
use plan::not_held;
pub(crate) use plan::refused;

/// How often a word is tried while others write the approval.
const ROUNDS: u32 = 8;
/// What comes after an approval.
const STARTS: &str = "it starts within a minute, if its guards let it: fleetwarden mitigation show";
/// What comes after the approval of a command's task.
const REPEAT: &str = "give the command again with the same taskId: then its task starts";
/// What comes after a rejection.
const NEVER: &str = "it never starts; the next audit decides on what is still there";

/// Gives a person's word.
pub(crate) struct Deciding<'a> {
    pub(crate) mitigations: &'a Mitigations,
    /// The mitigation queue, made when it is needed.
    pub(crate) queue: &'a Arc<dyn Fn() -> Result<Queue, Error> + Send + Sync>,
    pub(crate) clock: &'a Clock,
    pub(crate) request_id: &'a str,
}

impl Deciding<'_> {
    /// `MitigationApprove`.
    pub(crate) async fn approve(&self, command: &Command) -> Result<Answered, Failure> {
        let id = command.text("taskId");
        let word = self.word(command);
        let explanation = Some(command.text("explanation")).filter(|text| !text.is_empty());
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let (task, known) = self.read(id).await?;
            let asked = Asked { id, word: &word, explanation };
            let known = match approve(State::of(&task), known.as_ref(), &asked, now) {
                Plan::Approve(known) if command.dry_run => {
                    return self.answered(&task, Some(known), true).await;
                }
                Plan::Approve(known) => known,
                Plan::Repeat(known) => {
                    self.wake(&task, known).await?;
                    let answered = self.answered(&task, Some(known), false).await?;
                    return Ok(Answered { repeated: true, ..answered });
                }
                Plan::Lapse(known, failure) => {
                    if !command.dry_run {
                        self.lapse(id, known, now).await?;
                    }
                    return Err(failure);
                }
                Plan::Refuse(failure) => return Err(failure),
            };
            let Some(approved) = self.mitigations.approve(id, known, &word, now).await? else { continue };
            tracing::warn!(
                mitigation.task_id = id,
                approval.by = word.by,
                approval.reason = word.reason,
                "the mitigation is approved"
            );
            telemetry::emit(&approvals::Approval { event: Event::Approved, at: now }.line());
            self.wake(&task, &approved).await?;
            return self.answered(&task, Some(&approved), false).await;
        }
        Err(changes(id))
    }

    /// `MitigationReject`, and `MitigationCancel` of what is held.
    pub(crate) async fn reject(&self, command: &Command) -> Result<Answered, Failure> {
        let id = command.text("taskId");
        let word = self.word(command);
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let (task, known) = self.read(id).await?;
            match State::of(&task) {
                Some(State::Held) => {}
                Some(State::Rejected) => {
                    let is_same = known.as_ref().is_some_and(|known| {
                        known.standing == Standing::Rejected
                            && known.word.as_ref().is_some_and(|(said, _)| plan::is_same(said, &word))
                    });
                    if is_same {
                        let answered = Self::rejected(id, known.as_ref(), command.dry_run);
                        return Ok(Answered { repeated: true, ..answered });
                    }
                    return Err(plan::over(id, known.as_ref()));
                }
                state => return Err(not_held(id, state, &task)),
            }
            if command.dry_run {
                return Ok(Self::rejected(id, known.as_ref(), true));
            }
            let rejected = (Standing::Rejected, &word);
            match self.mitigations.reject(id, known.as_ref(), rejected, now).await? {
                Rejection::Done => {
                    tracing::warn!(
                        mitigation.task_id = id,
                        rejection.by = word.by,
                        rejection.reason = word.reason,
                        "the mitigation is rejected"
                    );
                    telemetry::emit(&approvals::Approval { event: Event::Rejected, at: now }.line());
                    let known = self.mitigations.approval(id).await?;
                    return Ok(Self::rejected(id, known.as_ref(), false));
                }
                // What is true now is read again.
                Rejection::Changed | Rejection::NotHeld(_) | Rejection::Unknown => {}
            }
        }
        Err(changes(id))
    }

    /// Who says what.
    pub(crate) fn word(&self, command: &Command) -> Word {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Word {
            by: text(command.text("by")),
            reason: command.text("reason").to_owned(),
            request_id: text(self.request_id),
        }
    }

    async fn read(&self, id: &str) -> Result<(Item, Option<KnownApproval>), Failure> {
        let known = self.mitigations.approval(id).await?;
        let task = task(self.mitigations, id).await?;
        Ok((task, known))
    }

    /// Writes that the time of an approval is over, if nobody has yet.
    async fn lapse(&self, id: &str, known: &KnownApproval, now: Millis) -> Result<(), Failure> {
        let word = known.lapse();
        if self.mitigations.reject(id, Some(known), (Standing::Lapsed, &word), now).await? == Rejection::Done
        {
            telemetry::emit(&approvals::Approval { event: Event::Lapsed, at: now }.line());
        }
        Ok(())
    }

    /// Sends the message of a rule's task as the next of its chain. What waits already ends when it finds that its number is
    /// taken.
    async fn wake(&self, task: &Item, known: &KnownApproval) -> Result<(), Failure> {
        let Some(message) = known.asking.message.as_ref().filter(|_| is_held(task)) else { return Ok(()) };
        let bad = |e: serde_json::Error| Error::Later(format!("the approval's message cannot be read: {e}"));
        let body: Value = serde_json::from_str(message).map_err(bad)?;
        let body = if body.get("alarms").is_some() {
            let message: AlarmMitigationMessage = serde_json::from_value(body).map_err(bad)?;
            let round = Some(self.round(&Chain::of_alarms(&message.alarms, message.step)).await?);
            serde_json::to_string(&AlarmMitigationMessage { round, ..message }).map_err(bad)?
        } else {
            let message: MitigationMessage = serde_json::from_value(body).map_err(bad)?;
            let round = Some(self.round(&Chain::of(&message.request, message.step)).await?);
            serde_json::to_string(&MitigationMessage { round, ..message }).map_err(bad)?
        };
        (self.queue)()?.send(&[Outgoing { body, delay_seconds: 0 }]).await?;
        Ok(())
    }

    async fn round(&self, chain: &Chain) -> Result<Round, Error> {
        Ok(Round { number: self.mitigations.next_round(chain).await?, id: nonce() })
    }

    async fn answered(
        &self,
        task: &Item,
        known: Option<&KnownApproval>,
        dry_run: bool,
    ) -> Result<Answered, Failure> {
        let pause = self.mitigations.pause().await?;
        let is_of_rule = known.is_some_and(|known| known.asking.message.is_some());
        let next = match &pause {
            Some(pause) => format!("{}: it starts when it is resumed", pause.why()),
            None if is_of_rule => STARTS.to_owned(),
            None => REPEAT.to_owned(),
        };
        Ok(Answered {
            dry_run,
            task_id: task.get_text(attribute::TASK_ID).unwrap_or_default().to_owned(),
            state: task.get_text(attribute::STATE).unwrap_or_default().to_owned(),
            repeated: false,
            approval: known.map(KnownApproval::view),
            pause,
            next,
        })
    }

    fn rejected(id: &str, known: Option<&KnownApproval>, dry_run: bool) -> Answered {
        let state = if dry_run { State::Held } else { State::Rejected };
        Answered {
            dry_run,
            task_id: id.to_owned(),
            state: state.as_str().to_owned(),
            approval: known.map(KnownApproval::view),
            next: NEVER.to_owned(),
            ..Answered::default()
        }
    }
}

/// The item of a task.
pub(crate) async fn task(mitigations: &Mitigations, id: &str) -> Result<Item, Failure> {
    let task = mitigations.ledger().get(&keys::mitigation(id), "task").await?;
    task.ok_or_else(|| {
        let what = format!(
            "the ledger has no mitigation task '{}': MitigationList has those of 400 days",
            shown(id)
        );
        refused("NoMitigation", what)
    })
}

fn is_held(task: &Item) -> bool {
    State::of(task) == Some(State::Held)
}

fn changes(id: &str) -> Failure {
    Error::Later(format!("{id}: others still write it after {ROUNDS} tries")).into()
}
