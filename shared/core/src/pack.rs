//! Packing bodies into batches that a service takes.

/// What one request may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most entries.
    pub entries: usize,
    /// The most bytes of all entries together.
    pub bytes: usize,
    /// What the service counts for each entry besides its text, in bytes.
    pub overhead: usize,
}

/// `SendMessageBatch`: 10 entries and 1 MiB, attributes included, for which a little is kept back.
pub const SQS: Limits = Limits { entries: 10, bytes: (1 << 20) - 4096, overhead: 0 };
/// `PutLogEvents`: 10,000 events and 1 MiB, each event counting 26 bytes more.
pub const LOGS: Limits = Limits { entries: 10_000, bytes: 1 << 20, overhead: 26 };

/// Cuts a list into the fewest consecutive runs that each fit the limits. An item that alone is too large
/// makes a run of its own: whoever sends it gets the service's error for it, and only for it.
pub fn runs<T>(items: &[T], limits: Limits, size: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut runs = Vec::new();
    let mut rest = items;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take(limits.entries).take_while(|item| {
            bytes += size(item) + limits.overhead;
            bytes <= limits.bytes
        });
        let (run, after) = rest.split_at(fitting.count().max(1));
        runs.push(run);
        rest = after;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_and_every_run_fits(sizes in proptest::collection::vec(0_usize..60, 0..200)) {
            let limits = Limits { entries: 7, bytes: 100, overhead: 3 };
            let runs = runs(&sizes, limits, |s| *s);
            assert_eq!(runs.concat(), sizes);
            for run in &runs {
                assert!(run.len() <= limits.entries && run.iter().map(|s| s + limits.overhead).sum::<usize>() <= limits.bytes);
            }
            for pair in runs.windows(2) {
                let joined = pair[0].iter().chain(&pair[1][..1]).map(|s| s + limits.overhead).sum::<usize>();
                assert!(pair[0].len() == limits.entries || joined > limits.bytes, "a run ended early");
            }
        }
    }

    #[test]
    fn the_limits_are_those_of_the_services() {
        let counts = |sizes: &[usize], limits| -> Vec<usize> {
            runs(sizes, limits, |size| *size).iter().map(|run| run.len()).collect()
        };
        assert_eq!(counts(&[1; 21], SQS), [10, 10, 1]);
        // 4 KiB less than 1 MiB.
        assert_eq!(counts(&[1_044_480 - 7, 7], SQS), [2]);
        assert_eq!(counts(&[1_044_480 - 7, 8], SQS), [1, 1]);
        assert_eq!(counts(&vec![0; 10_001], LOGS), [10_000, 1]);
        assert_eq!(counts(&[1_048_576 - 2 * 26 - 7, 7], LOGS), [2]);
        assert_eq!(counts(&[1_048_576 - 2 * 26 - 7, 8], LOGS), [1, 1]);
    }

    #[test]
    fn what_is_too_large_goes_alone() {
        let sizes = [1, 500, 1];
        let cut = runs(&sizes, Limits { entries: 10, bytes: 100, overhead: 0 }, |s| *s);
        assert_eq!(cut, [&[1][..], &[500], &[1]]);
    }
}
