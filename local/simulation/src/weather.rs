//! Which faults strike the calls of a run, and how often.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

/// What can happen to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The service is asked too often.
    Throttled,
    /// The service is broken, and nothing is done.
    Broken,
    /// It is done, and the answer is that the service is broken.
    DoneButBroken,
    /// The connection is reset before anything is done.
    Reset,
    /// It is done, and the connection is reset before the answer.
    DoneButReset,
    /// There is no answer until the client gives up.
    Hangs,
    /// Another transaction is at the same items.
    Conflict,
    /// It is done, and half of the answer arrives.
    Torn,
    /// The process dies before anything is done.
    KilledBefore,
    /// It is done, and the process dies before the answer.
    KilledAfter,
}

impl Fault {
    const ALL: [Self; 10] = [
        Self::Throttled,
        Self::Broken,
        Self::DoneButBroken,
        Self::Reset,
        Self::DoneButReset,
        Self::Hangs,
        Self::Conflict,
        Self::Torn,
        Self::KilledBefore,
        Self::KilledAfter,
    ];

    /// Its name in traces and figures.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Broken => "broken",
            Self::DoneButBroken => "doneButBroken",
            Self::Reset => "reset",
            Self::DoneButReset => "doneButReset",
            Self::Hangs => "hangs",
            Self::Conflict => "conflict",
            Self::Torn => "torn",
            Self::KilledBefore => "killedBefore",
            Self::KilledAfter => "killedAfter",
        }
    }
}

/// How often each thing goes wrong: the share of calls, deliveries or starts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weather {
    faults: BTreeMap<Fault, f64>,
    /// A message is delivered again while it is worked on, or an event twice.
    pub(crate) repeats: f64,
    /// A call takes seconds.
    pub(crate) slow: f64,
    /// A function starts anew although an environment is there.
    pub(crate) cold: f64,
    /// Lists come in another order each time.
    pub(crate) reorders: bool,
    /// DynamoDB deletes an item as soon as it has expired. Else it deletes none: it may take days.
    pub(crate) expires: bool,
}

impl Weather {
    /// Draws the weather of a run: most seeds have a few kinds of fault, some none, some many.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let kinds = [0.0, 0.15, 0.3, 0.6][rng.usize(..4)];
        let mut share = |most: f64| {
            let strikes = rng.f64() < kinds;
            // From one in a thousand to the most, evenly on a logarithmic scale.
            let drawn = 0.001 * (most / 0.001).powf(rng.f64());
            if strikes { drawn } else { 0.0 }
        };
        let faults = Fault::ALL.into_iter().map(|fault| {
            let most = match fault {
                Fault::KilledBefore | Fault::KilledAfter | Fault::Hangs | Fault::Torn => 0.02,
                _ => 0.08,
            };
            (fault, share(most))
        });
        let (faults, slow, cold) = (faults.collect(), share(0.1), share(0.5));
        // Also in a run without a fault, so that whatever is done again is done because of a repeat.
        let repeats = if rng.bool() { 0.3 * rng.f64() } else { 0.0 };
        let (reorders, expires) = (rng.bool(), rng.bool());
        Self { faults, repeats, slow, cold, reorders, expires }
    }

    /// When something that is delivered at once is delivered again: often beside the worker that has it, in the end.
    pub(crate) fn again(rng: &mut Rng, at_last: Duration) -> Duration {
        let most = if rng.bool() { Duration::from_millis(300) } else { at_last };
        Duration::from_millis(rng.u64(0..u64::try_from(most.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The fault that strikes a call, if one does.
    pub(crate) fn strike(&self, rng: &mut Rng) -> Option<Fault> {
        let mut drawn = rng.f64();
        for (fault, share) in &self.faults {
            if drawn < *share {
                return Some(*fault);
            }
            drawn -= share;
        }
        None
    }
}
