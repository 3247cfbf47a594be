use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn record(n: u64, open: bool, first: i64, last: i64) -> Record {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&n.to_be_bytes());
    Record {
        key: FindingKey(key),
        first_seen: Millis::from_seconds(first),
        last_seen: Millis::from_seconds(last),
        times_seen: 1,
        severity: Severity::Medium,
        open,
        first_suppressed: None,
        suppressed: false,
    }
}

fn merged(before: &[Record], current: &[Record]) -> (Vec<Record>, u64) {
    let (mut out, mut fixed) = (vec![], 0);
    let (before, current) = (before.iter().copied().map(Ok), current.iter().copied().map(Ok));
    merge(
        before,
        current,
        Millis::from_seconds(1000),
        |change| fixed += u64::from(matches!(change, Change::Fixed(_))),
        |r| {
            out.push(*r);
            Ok(())
        },
    )
    .unwrap();
    (out, fixed)
}

#[test]
fn what_is_gone_is_fixed_once_and_remembered() {
    let (after, fixed) =
        merged(&[record(1, true, 5, 6), record(2, true, 5, 6)], &[record(2, true, 1000, 1000)]);
    let again = Record { times_seen: 2, ..record(2, true, 5, 1000) };
    assert_eq!(after, [record(1, false, 5, 6), again]);
    assert_eq!(fixed, 1);
    let (again, fixed) = merged(&after, &[record(2, true, 1000, 1000)]);
    assert_eq!((again.len(), fixed), (2, 0));
}

#[test]
fn what_comes_back_keeps_when_it_was_first_seen() {
    let (after, _) = merged(&[record(1, false, 5, 6)], &[record(1, true, 1000, 1000)]);
    assert_eq!(after, [Record { times_seen: 2, ..record(1, true, 5, 1000) }]);
    assert_eq!(Record::status(Some(&record(1, false, 5, 6))), Status::Returned);
}

#[test]
fn what_was_suppressed_is_remembered_as_the_latest_audit_has_it() {
    let first = |at, terms| Some(FirstSuppressed { at: Millis::from_seconds(at), terms: Terms(terms) });
    let suppressed = |n, at| Record { first_suppressed: first(at, 7), ..record(n, true, 5, 6) };
    let now = |n, first_suppressed| Record { first_suppressed, ..record(n, true, 1000, 1000) };
    // The last two were decided on before another audit ended, which had suppressed them.
    let (after, _) = merged(
        &[suppressed(1, 5), suppressed(2, 5), suppressed(3, 5), suppressed(4, 5)],
        &[now(2, first(1000, 8)), now(3, first(1000, 7)), now(4, None)],
    );
    let remembered: Vec<_> = after.iter().map(|record| record.first_suppressed).collect();
    assert_eq!(remembered, [first(5, 7), first(1000, 8), first(5, 7), first(5, 7)]);
}

#[test]
fn every_finding_is_counted_as_the_history_has_it_and_none_that_is_suppressed() {
    let before = [record(1, true, 5, 6), record(2, false, 7, 8), record(4, true, 2000, 2000)];
    let now = |n| record(n, true, 1000, 1000);
    let suppressed = Record { suppressed: true, ..now(3) };
    let mut changes = vec![];
    let current = [now(1), now(2), now(2), now(3), suppressed, now(4)];
    let (before, current) = (before.map(Ok).into_iter(), current.map(Ok).into_iter());
    merge(before, current, Millis::from_seconds(1000), |change| changes.push(change), |_| Ok(())).unwrap();
    let found = |status, first| Change::Found {
        status,
        severity: Severity::Medium,
        first_seen: Millis::from_seconds(first),
    };
    assert_eq!(
        changes,
        [
            found(Status::Known, 5),
            found(Status::Returned, 7),
            found(Status::Returned, 7),
            found(Status::New, 1000),
            found(Status::Known, 1000),
        ]
    );
}

#[test]
fn what_is_gone_for_long_is_forgotten() {
    let limit: i64 = 400 * 86_400;
    let gone = |seconds: i64| record(1, false, 5, 1000 - seconds);
    let after = |seconds| merged(&[gone(seconds)], &[]).0;
    assert_eq!(after(limit - 1), [gone(limit - 1)]);
    assert_eq!(after(limit), []);
}

#[test]
fn a_fault_of_an_input_ends_the_merge() {
    let broken = std::iter::once(Err(io::Error::other("gone")));
    let result = merge(broken, std::iter::empty(), Millis(0), |_| {}, |_| Ok(()));
    assert_eq!(result.unwrap_err().to_string(), "gone");
}

#[test]
fn a_million_records_are_searched_in_a_few_reads() {
    let records: Vec<Record> =
        (0..1_000_000_u64).map(|n| record(n * 18_446_744_073_709, true, 0, 0)).collect();
    let reads: u32 = records.iter().step_by(1009).map(|wanted| reads(&records, wanted)).sum();
    assert!(reads / (1_000_000 / 1009) < 8, "{reads} reads");
}

/// How many records are read to find one of them.
fn reads(records: &[Record], wanted: &Record) -> u32 {
    let mut reads = 0;
    let found = find(wanted.key, records.len() as u64, |at| {
        reads += 1;
        Ok(records[usize::try_from(at).unwrap()])
    });
    assert_eq!(found.unwrap(), Some(*wanted));
    reads
}

#[test]
fn where_keys_lie_evenly_the_first_guess_is_right() {
    // Each is the last key of its share.
    let records: Vec<Record> =
        (1..=1024_u64).map(|n| record((n << 54).wrapping_sub(1), true, 0, 0)).collect();
    assert!(records.iter().all(|record| reads(&records, record) == 1));
}

#[test]
fn where_keys_lie_unevenly_every_second_guess_halves() {
    let mut records: Vec<Record> = (0..1_000).map(|n| record(n, true, 0, 0)).collect();
    records.push(record(u64::MAX, true, 0, 0));
    let most = records.iter().map(|record| reads(&records, record)).max();
    assert!(most <= Some(20), "{most:?} reads");
}

proptest! {
    #[test]
    fn merging_is_the_union(before in prop::collection::btree_map(0_u64..60, any::<bool>(), 0..40),
                            current in prop::collection::vec(0_u64..60, 0..60)) {
        let old: Vec<Record> = before.iter().map(|(n, open)| record(*n, *open, 1, 2)).collect();
        let mut sorted = current.clone();
        sorted.sort_unstable();
        let now: Vec<Record> = sorted.iter().map(|n| record(*n, true, 1000, 1000)).collect();
        let (after, fixed) = merged(&old, &now);
        let mut expected: BTreeMap<u64, Record> = before.keys().map(|n| (*n, record(*n, false, 1, 2))).collect();
        for n in &current {
            let (first, times_seen) = if before.contains_key(n) { (1, 2) } else { (1000, 1) };
            expected.insert(*n, Record { times_seen, ..record(*n, true, first, 1000) });
        }
        prop_assert_eq!(after, expected.into_values().collect::<Vec<_>>());
        let gone = before.iter().filter(|(n, open)| **open && !current.contains(n)).count();
        prop_assert_eq!(fixed, gone as u64);
    }

    #[test]
    fn finding_agrees_with_a_map(keys in prop::collection::btree_set(any::<u64>(), 0..300), other: u64) {
        let records: Vec<Record> = keys.iter().map(|n| record(*n, true, 0, 0)).collect();
        let look = |n| find(record(n, true, 0, 0).key, records.len() as u64, |at| Ok(records[usize::try_from(at).unwrap()]));
        for n in &keys {
            prop_assert!(look(*n).unwrap().is_some());
        }
        prop_assert_eq!(look(other).unwrap().is_some(), keys.contains(&other));
    }

    #[test]
    fn a_record_round_trips(
        n: u64, open: bool, hidden: bool, first in 0_i64..4_000_000_000, last in 0_i64..4_000_000_000,
        suppressed in prop::option::of((1_i64..4_000_000_000, any::<u32>())),
    ) {
        let first_suppressed =
            suppressed.map(|(at, terms)| FirstSuppressed { at: Millis::from_seconds(at), terms: Terms(terms) });
        let record = Record { first_suppressed, suppressed: hidden, ..record(n, open, first, last) };
        prop_assert_eq!(Record::decode(&record.encode()), record);
    }
}
