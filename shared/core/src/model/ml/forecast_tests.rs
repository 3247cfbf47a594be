use proptest::prelude::*;

use super::*;

const BEGAN: Millis = Millis(1_795_392_000_000);

fn day(day: i64) -> Millis {
    BEGAN.plus_seconds(day * DAY_SECONDS)
}

/// What a fleet has in the trailing 14 days of a moment, in hours from the begin, whose rate (datapoints a day) changes
/// once.
fn in_window(at_hours: i64, rates: (f64, f64), changes_at_hours: i64) -> f64 {
    let hours = (at_hours - DAYS * 24).max(0)..at_hours;
    hours.map(|hour| if hour < changes_at_hours { rates.0 } else { rates.1 } / 24.0).sum()
}

/// The samples of every day up to one, at six in the morning.
fn samples(days: i64, rates: (f64, f64), changes_at_day: i64) -> Vec<Sample> {
    let sample = |day: i64| {
        let hours = day * 24 + 6;
        let collected = in_window(hours, rates, changes_at_day * 24).min(25_000.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 25,000")]
        Sample { at: BEGAN.plus_seconds(hours * 3_600), collected: collected as u32 }
    };
    (0..=days).map(sample).collect()
}

fn rate(devices: u32, minutes: u32) -> f64 {
    f64::from(devices) * 1_440.0 / f64::from(minutes)
}

fn steady(days: i64, devices: u32, minutes: u32) -> Forecast {
    let rate = rate(devices, minutes);
    forecast(&samples(days, (rate, rate), 0), Some(BEGAN), Some(devices.into()))
}

#[test]
fn the_fleets_of_the_guide_have_enough_on_the_fourteenth_day() {
    for (devices, minutes) in [(60, 45), (40, 30), (15, 10), (7, 5)] {
        for days in 1..=13 {
            let reached = Forecast::Reached { at: day(14) };
            assert_eq!(steady(days, devices, minutes), reached, "{devices} at {minutes} min, day {days}");
        }
        assert_eq!(steady(15, devices, minutes), Forecast::Enough);
    }
}

#[test]
fn six_devices_at_five_minutes_never_have_enough() {
    for days in 1..=40 {
        let Forecast::NotReached { datapoints, more_devices, needed_interval_seconds, .. } =
            steady(days, 6, 5)
        else {
            panic!("day {days}: {:?}", steady(days, 6, 5));
        };
        // A device may not report more often than every five minutes.
        assert_eq!((more_devices, needed_interval_seconds), (Some(1), None));
        assert!((24_180..=24_200).contains(&datapoints), "day {days}: {datapoints}");
    }
}

#[test]
fn a_fleet_that_is_too_small_is_told_what_it_takes() {
    let forecast = steady(20, 20, 30);
    insta::assert_json_snapshot!(forecast);
    let unknown = super::forecast(&samples(20, (rate(20, 30), rate(20, 30)), 0), Some(BEGAN), None);
    let all = [&forecast, &unknown, &steady(3, 6, 5), &steady(3, 60, 45), &steady(20, 60, 45)];
    let words = all.map(Forecast::words).join("\n");
    insta::assert_snapshot!(words);
}

#[test]
fn a_fleet_that_sends_nothing_has_no_date() {
    assert_eq!(forecast(&[], None, Some(5)), Forecast::NoDatapoints);
    let zero = [Sample { at: day(1), collected: 0 }];
    assert_eq!(forecast(&zero, None, Some(5)), Forecast::NoDatapoints);
    assert_eq!(forecast(&zero, Some(BEGAN), None), Forecast::NoDatapoints);
    // It fell silent five days ago.
    let silent = samples(19, (rate(7, 5), 0.0), 14);
    assert_eq!(forecast(&silent, Some(BEGAN), Some(7)), Forecast::NoDatapoints);
}

#[test]
fn devices_that_are_added_bring_the_date_and_devices_that_leave_take_it() {
    // Five devices at first, fifteen from the twentieth day on: the datapoints of the five leave one day after the other.
    let grown = samples(24, (rate(5, 10), rate(15, 10)), 20);
    let Forecast::Reached { at } = forecast(&grown, Some(BEGAN), Some(15)) else { panic!() };
    // 10,080 + 1,440 a day more: 25,000 on the eleventh day of the growth.
    assert!(at >= day(30) && at <= day(32), "{}", at.rfc3339());
    let shrunk = samples(30, (rate(14, 10), rate(7, 10)), 21);
    let forecast = forecast(&shrunk, Some(BEGAN), Some(7));
    let Forecast::NotReached { datapoints, .. } = forecast else { panic!("{forecast:?}") };
    assert!((14_000..=14_300).contains(&datapoints), "{datapoints}");
}

#[test]
fn a_watch_that_begins_late_says_the_same() {
    for begins in [3, 13, 14, 30] {
        let all = samples(32, (rate(20, 30), rate(20, 30)), 0);
        let late = forecast(&all[begins..], Some(BEGAN), Some(20));
        let Forecast::NotReached { datapoints, .. } = late else { panic!("{begins}: {late:?}") };
        assert!((13_300..=13_500).contains(&datapoints), "{begins}: {datapoints}");
    }
}

proptest! {
    #[test]
    fn a_steady_fleet_has_its_formula(devices in 1_u32..120, minutes in 5_u32..90, days in 1_i64..35) {
        let in_14_days = rate(devices, minutes) * 14.0;
        prop_assume!((in_14_days - 25_000.0).abs() > 150.0);
        let forecast = steady(days, devices, minutes);
        match forecast {
            Forecast::NotReached { datapoints, more_devices, needed_interval_seconds, .. } => {
                prop_assert!(in_14_days < 25_000.0);
                prop_assert!((f64::from(datapoints) - in_14_days).abs() < 40.0, "{datapoints} for {in_14_days}");
                // What it says it takes is enough, as far as whole datapoints of a day tell.
                prop_assume!(in_14_days > 5_000.0);
                let more = u32::try_from(more_devices.unwrap()).unwrap();
                prop_assert!(rate(devices + more, minutes) * 14.0 > 24_900.0);
                prop_assert!(more < 3 || rate(devices + more - 2, minutes) * 14.0 < 25_100.0);
                if let Some(seconds) = needed_interval_seconds {
                    let every = f64::from(u32::try_from(seconds).unwrap());
                    prop_assert!(f64::from(devices) * 14.0 * 86_400.0 / every > 24_800.0);
                }
            }
            Forecast::Reached { at } => {
                prop_assert!(in_14_days > 25_000.0);
                prop_assert!(at >= day(14) && at <= day(15), "{}", at.rfc3339());
            }
            Forecast::Enough => prop_assert!(in_14_days > 25_000.0 && days >= 14),
            Forecast::NoDatapoints => prop_assert!(in_14_days < 50.0),
        }
    }

    /// Three days after a fleet has changed its size, the date is right to a day and a half.
    #[test]
    fn a_fleet_that_changes_once_has_its_date(
        before in 200.0_f64..1_700.0, after in 1_900.0_f64..4_000.0, changes in 2_i64..30,
    ) {
        let days = changes + 4;
        let Forecast::Reached { at } = forecast(&samples(days, (before, after), changes), Some(BEGAN), None) else {
            let now = in_window(days * 24 + 6, (before, after), changes * 24);
            prop_assert!(now > 24_900.0 && days >= 14);
            return Ok(());
        };
        let truth = (14 * 24..2_000).find(|hours| {
            *hours >= days * 24 + 6 && in_window(*hours, (before, after), changes * 24) >= 25_000.0
        });
        let truth = BEGAN.plus_seconds(truth.unwrap() * 3_600);
        let off = (at.seconds() - truth.seconds()).abs();
        prop_assert!(off <= 3 * DAY_SECONDS / 2, "{} for {}", at.rfc3339(), truth.rfc3339());
    }

    #[test]
    fn no_samples_make_it_panic(
        numbers in proptest::collection::vec((any::<i32>(), any::<u32>()), 0..20),
        since in proptest::option::of(any::<i64>()),
        devices in proptest::option::of(any::<u64>()),
    ) {
        let mut samples: Vec<Sample> = numbers
            .into_iter()
            .map(|(at, collected)| Sample { at: BEGAN.plus_seconds(i64::from(at) / 1_000), collected })
            .collect();
        samples.sort_by_key(|sample| sample.at);
        let _ = forecast(&samples, since.map(Millis), devices).words();
    }
}
