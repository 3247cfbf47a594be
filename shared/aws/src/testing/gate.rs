//! What comes between a caller and the cloud: answers that take the place of the service's, calls at which the caller's
//! process dies, and calls during which another invocation runs.

use std::future;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::Either;
use futures_util::future::select;
use tokio::sync::Notify;

use super::Answer;
use super::Call;
use super::cloud::Cloud;

/// A moment in an invocation: right before or right after the effect of one of its calls.
#[derive(Clone, Debug)]
pub struct Moment {
    operation: String,
    passes: usize,
    after_effect: bool,
}

impl Moment {
    /// Before the effect of a call of an operation, the first being 0. The operation is as in [`Cloud::calls`].
    pub fn before(operation: &str, nth: usize) -> Self {
        Self { operation: operation.to_owned(), passes: nth, after_effect: false }
    }

    /// After the effect of a call of an operation, before its answer arrives.
    pub fn after(operation: &str, nth: usize) -> Self {
        Self { after_effect: true, ..Self::before(operation, nth) }
    }

    /// The moments of an invocation, in order and without end: a test stops when the invocation ends before one.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).flat_map(|nth| [Self::before("", nth), Self::after("", nth)])
    }

    /// Whether a call is the one, or else counts it.
    fn is_reached(&mut self, call: &Call) -> bool {
        if !is_call_of(call, &self.operation) {
            return false;
        }
        let reached = self.passes == 0;
        self.passes = self.passes.saturating_sub(1);
        reached
    }
}

/// Faults and stops that are still to come.
#[derive(Default)]
pub(super) struct Gate {
    faults: Vec<Fault>,
    stop: Option<Stop>,
    /// The process of the caller has died: its other calls under way have no effect either.
    dead: bool,
}

struct Fault {
    from: Moment,
    times: usize,
    answer: Answer,
}

/// A moment at which the caller waits until it is resumed, if ever.
#[derive(Clone)]
struct Stop {
    at: Moment,
    kills: bool,
    reached: Arc<Notify>,
    resumed: Arc<Notify>,
}

impl Gate {
    /// The stop at this call, if there is one.
    fn stop_at(&mut self, call: &Call) -> Option<Stop> {
        self.stop.as_mut().filter(|_| !self.dead)?.at.is_reached(call).then(|| self.stop.take())?
    }

    /// Whether the effect comes first, and the answer in place of the service's.
    fn fault_at(&mut self, call: &Call) -> Option<(bool, Answer)> {
        let mut coming = self.faults.iter_mut().filter(|fault| fault.times > 0);
        let fault = coming.find(|fault| is_call_of(call, &fault.from.operation))?;
        if !fault.from.is_reached(call) {
            return None;
        }
        fault.times -= 1;
        Some((fault.from.after_effect, fault.answer.clone()))
    }
}

impl Cloud {
    /// The next calls of an operation get this answer and have no effect.
    pub fn fail(&self, operation: &str, times: usize, answer: Answer) {
        self.fail_later(operation, 0, times, answer);
    }

    /// As [`fail`](Self::fail), after some calls have passed.
    pub fn fail_later(&self, operation: &str, passes: usize, times: usize, answer: Answer) {
        self.fault(Moment::before(operation, passes), times, answer);
    }

    /// The next call of an operation has its effect, and the caller gets this answer all the same: after
    /// [`Answer::broken`] and [`Answer::Reset`] the SDK sends the call again.
    pub fn lose(&self, operation: &str, answer: Answer) {
        self.lose_later(operation, 0, answer);
    }

    /// As [`lose`](Self::lose), after some calls have passed.
    pub fn lose_later(&self, operation: &str, passes: usize, answer: Answer) {
        self.fault(Moment::after(operation, passes), 1, answer);
    }

    /// Runs an invocation whose process dies at a moment: what it returns if it ends before, else nothing.
    pub async fn kill<T>(&self, at: Moment, invocation: impl Future<Output = T>) -> Option<T> {
        let stop = self.stop(at, true);
        let ended = match select(pin!(invocation), pin!(stop.reached.notified())).await {
            Either::Left((ended, _)) => Some(ended),
            Either::Right(_) => None,
        };
        // Only here is the invocation dropped: until now nothing that it had under way could take effect.
        self.with_gate(|gate| (gate.stop, gate.dead) = (None, false));
        ended
    }

    /// Runs an invocation, and all of a second one at a moment of the first: what both return. If the first ends
    /// before, the second does not run.
    pub async fn interleave<A, B>(
        &self,
        at: Moment,
        first: impl Future<Output = A>,
        second: impl Future<Output = B>,
    ) -> (A, Option<B>) {
        let stop = self.stop(at, false);
        let mut first = pin!(first);
        match select(first.as_mut(), pin!(stop.reached.notified())).await {
            Either::Left((ended, _)) => {
                self.with_gate(|gate| gate.stop = None);
                (ended, None)
            }
            Either::Right(_) => {
                let second = second.await;
                stop.resumed.notify_one();
                (first.await, Some(second))
            }
        }
    }

    /// Lets a call through to the service, unless a fault or a stop is due.
    pub(super) async fn pass(self, call: Call, service: impl Fn(Call) -> Answer) -> Answer {
        let stop = self.with_gate(|gate| gate.stop_at(&call));
        if self.with_gate(|gate| gate.dead) {
            return future::pending().await;
        }
        let (before, after) = match stop {
            Some(stop) if stop.at.after_effect => (None, Some(stop)),
            stop => (stop, None),
        };
        self.wait(before).await;
        let answer = match self.with_gate(|gate| gate.fault_at(&call)) {
            None => service(call),
            Some((true, answer)) => {
                service(call);
                answer
            }
            Some((false, answer)) => {
                self.record(call);
                answer
            }
        };
        self.wait(after).await;
        answer
    }

    async fn wait(&self, stop: Option<Stop>) {
        if let Some(stop) = stop {
            self.with_gate(|gate| gate.dead = stop.kills);
            stop.reached.notify_one();
            stop.resumed.notified().await;
        }
    }

    fn fault(&self, from: Moment, times: usize, answer: Answer) {
        self.with_gate(|gate| gate.faults.push(Fault { from, times, answer }));
    }

    fn stop(&self, at: Moment, kills: bool) -> Stop {
        let stop = Stop { at, kills, reached: Arc::default(), resumed: Arc::default() };
        self.with_gate(|gate| gate.stop = Some(stop.clone()));
        stop
    }
}

/// Whether a call is one of an operation; the calls of REST services go by their method alone, too, and all calls by
/// nothing.
pub(super) fn is_call_of(call: &Call, operation: &str) -> bool {
    let rest = call.operation.strip_prefix(operation);
    rest.is_some_and(|rest| operation.is_empty() || rest.is_empty() || rest.starts_with([' ', '/']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::ledger::Item;
    use crate::ledger::Ledger;

    /// Writes the items `a` and `b`, side by side.
    async fn write(cloud: &Cloud) -> Result<(), Error> {
        let ledger = Ledger::new(cloud.clients().dynamodb(), "ledger".into());
        let put = async |pk: &str| ledger.put(Item::new(pk, "x", cloud.clock().now())).await;
        let (a, b) = futures_util::future::join(put("a"), put("b")).await;
        a.and(b)
    }

    fn written(cloud: &Cloud) -> String {
        cloud.items("").into_keys().map(|(pk, _)| pk).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_makes_the_sdk_send_the_call_again() {
        for answer in [Answer::broken(), Answer::Reset] {
            let cloud = Cloud::default();
            cloud.lose_later("PutItem", 1, answer);
            write(&cloud).await.unwrap();
            assert_eq!((cloud.calls("PutItem").len(), written(&cloud).as_str()), (3, "ab"));
        }
        let cloud = Cloud::default();
        cloud.fail("PutItem", 1, Answer::Reset);
        write(&cloud).await.unwrap();
        assert_eq!(cloud.calls("PutItem").len(), 3);
    }

    #[tokio::test]
    async fn a_killed_process_has_no_further_effect() {
        let mut seen = Vec::new();
        for at in Moment::all() {
            let cloud = Cloud::default();
            let ended = cloud.kill(at, write(&cloud)).await;
            seen.push(written(&cloud));
            if ended.is_some() {
                break;
            }
            write(&cloud).await.unwrap();
            assert_eq!(written(&cloud), "ab", "the next process is alive");
        }
        assert_eq!(seen, ["", "a", "a", "ab", "ab"]);
    }

    #[tokio::test]
    async fn a_second_invocation_runs_at_a_moment_of_the_first() {
        let cloud = Cloud::default();
        let second = async { written(&cloud) };
        let (first, second) = cloud.interleave(Moment::after("PutItem", 0), write(&cloud), second).await;
        assert_eq!((first.is_ok(), second.as_deref()), (true, Some("ab")), "what runs beside it goes on");
        let second = async { written(&cloud) };
        assert_eq!(cloud.interleave(Moment::before("GetItem", 0), write(&cloud), second).await.1, None);
    }
}
