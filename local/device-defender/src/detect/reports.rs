//! Which of a device's reports count: one each 300 seconds at most, the others are dropped without an answer.
//!
//! A device reports every 300 seconds. A chatty one reports more often for a while; what it measures is still what
//! happened since its report before, so most of it is lost with the reports that are dropped.

use crate::detect::rhythm::PERIOD_MS;
use crate::detect::scenario::Scenario;

/// Calls `take` with the time of each report that counts, after one moment and up to another, and with how much time
/// it is about. `phase` says where in each 300 seconds the device reports by itself.
pub(crate) fn accepted(
    phase: i64,
    chatty: &[&Scenario],
    (after, until): (i64, i64),
    mut take: impl FnMut(i64, i64),
) {
    // No report counts before `free`; those of the device itself are given from behind `begun` on.
    let (mut free, mut begun) = (i64::MIN, i64::MIN);
    for scenario in chatty {
        // Where two overlap, the first goes on.
        if scenario.from < begun {
            continue;
        }
        regular(phase, free, (after.max(begun), until.min(scenario.from)), &mut take);
        let last = (scenario.from - phase).div_euclid(PERIOD_MS) * PERIOD_MS + phase;
        free = if last > begun && last >= free { last + PERIOD_MS } else { free };
        free = chatter(scenario, free, (after, until), &mut take);
        begun = scenario.to;
    }
    regular(phase, free, (after.max(begun), until), &mut take);
}

/// The reports of a device by itself.
fn regular(phase: i64, free: i64, (after, until): (i64, i64), take: &mut impl FnMut(i64, i64)) {
    let periods = (after - phase).div_euclid(PERIOD_MS) + 1..=(until - phase).div_euclid(PERIOD_MS);
    let times = periods.map(|period| period * PERIOD_MS + phase);
    times.filter(|at| *at >= free).for_each(|at| take(at, PERIOD_MS));
}

/// The reports of a chatty time. Gives from when on a report counts again.
fn chatter(
    scenario: &Scenario,
    free: i64,
    (after, until): (i64, i64),
    take: &mut impl FnMut(i64, i64),
) -> i64 {
    let interval = scenario.report_ms.max(1);
    let round_up = |length: i64| (length + interval - 1).div_euclid(interval) * interval;
    let first = scenario.from + round_up((free - scenario.from).max(1));
    if first > scenario.to {
        return free;
    }
    let step = round_up(PERIOD_MS);
    let skipped = ((after - first).div_euclid(step) + 1).max(0);
    let mut at = first + skipped * step;
    while at <= scenario.to.min(until) {
        take(at, interval);
        at += step;
    }
    let last = first + (scenario.to - first).div_euclid(step) * step;
    last.saturating_add(PERIOD_MS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::detect::scenario::Kind;

    fn scenario(from: i64, to: i64, report_ms: i64) -> Scenario {
        let (kind, devices) = (Kind::Chatty, BTreeSet::new());
        Scenario { kind, devices, from, to, turns: None, effects: Vec::new(), report_ms }
    }

    fn times(chatty: &[&Scenario], after: i64, until: i64) -> Vec<(i64, i64)> {
        let mut times = Vec::new();
        accepted(7_000, chatty, (after, until), |at, span| times.push((at, span)));
        times
    }

    #[test]
    fn a_device_by_itself_reports_every_five_minutes() {
        assert_eq!(times(&[], 0, 700_000), [(7_000, 300_000), (307_000, 300_000), (607_000, 300_000)]);
        assert_eq!(times(&[], 7_000, 306_999), []);
    }

    #[test]
    fn a_chatty_device_is_heard_every_five_minutes_and_says_less() {
        let chatty = scenario(400_000, 1_200_000, 70_000);
        let heard = times(&[&chatty], 0, 2_200_000);
        let by_itself = |at| (at, 300_000);
        let expected = [
            by_itself(7_000),
            by_itself(307_000),
            (610_000, 70_000),
            (960_000, 70_000),
            by_itself(1_507_000),
            by_itself(1_807_000),
            by_itself(2_107_000),
        ];
        assert_eq!(heard, expected);
        let endless = scenario(400_000, i64::MAX, 20_000);
        assert_eq!(times(&[&endless], 0, 1_000_000).last(), Some(&(920_000, 20_000)));
    }

    proptest! {
        #[test]
        fn no_two_reports_count_within_five_minutes_and_cuts_make_no_difference(
            from in 0_i64..2_000_000,
            length in 1_i64..2_000_000,
            interval in 1_i64..300,
            gap in 0_i64..2_000_000,
            cut in 0_i64..5_000_000,
        ) {
            let one = scenario(from, from + length, interval * 1_000);
            let other = scenario(from + length + gap, from + 2 * length + gap, 45_000);
            let chatty = [&one, &other];
            let whole = times(&chatty, 0, 5_000_000);
            prop_assert!(whole.windows(2).all(|two| two[1].0 - two[0].0 >= PERIOD_MS), "{:?}", whole);
            prop_assert!(whole.windows(2).all(|two| two[1].0 - two[0].0 < 4 * PERIOD_MS), "{:?}", whole);
            let mut parts = times(&chatty, 0, cut);
            parts.extend(times(&chatty, cut, 5_000_000));
            prop_assert_eq!(parts, whole);
        }
    }
}
