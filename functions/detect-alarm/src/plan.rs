//! What needs no service: which raise is decided on, what an incident is, what flaps.

use fleetwarden_aws::alarms::Incident;
use fleetwarden_aws::alarms::Known;
use fleetwarden_core::model::alarm::Life;
use fleetwarden_core::model::alarm::Series;
use fleetwarden_core::policy::AlarmOutcome;
use fleetwarden_core::policy::AlarmSettings;
use fleetwarden_core::timestamp::Millis;

/// From how many devices on the share of a profile's devices counts: of four, one is a quarter.
const SHARE_FROM: u64 = AlarmSettings::SHARE_FROM;
/// Device Defender keeps a violation for 30 days. For one that was raised before there is an alert, and its device is not
/// mitigated.
const LATE_SECONDS: i64 = 30 * 86_400;
/// The longest that SQS hides a message, in seconds.
const LONGEST_DELAY: u32 = 900;

/// What becomes of a begin that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// A later raise of the violation is known.
    Stale,
    /// It is one of an incident that lasts.
    Joined,
    /// It was decided on before.
    Decided,
    /// It is to be decided on.
    Settles,
}

/// What becomes of a raise of this moment.
pub(crate) fn begin(known: &Known, raised_at: Millis) -> Begin {
    if known.life.raised_at != Some(raised_at) {
        Begin::Stale
    } else if is_member(&known.life, known.incident.as_ref()) {
        Begin::Joined
    } else if known.life.is_decided(None) {
        Begin::Decided
    } else {
        Begin::Settles
    }
}

/// Whether a violation is one of an incident that lasts.
fn is_member(life: &Life, incident: Option<&Incident>) -> bool {
    incident.is_some_and(|incident| life.incident.as_ref() == Some(&incident.id))
}

/// What the devices that alarm on one behavior are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowd {
    /// An incident.
    Incident,
    /// At least half as many as make an incident, and more than when they were counted before.
    Growing,
    /// Each for itself.
    Few,
}

/// What so many devices that alarm are. `before` is how many there were when the violation was last put off.
///
/// The alarms of an incident can be heard slowly, because service, topic or function are behind: those that are heard
/// first have settled when the others have not been heard yet. So a violation among half as many devices as make an
/// incident settles again, until the number no longer grows. A policy without a settling time does not wait.
pub(crate) fn crowd(
    devices: u64,
    before: Option<u64>,
    population: Option<u64>,
    settings: &AlarmSettings,
) -> Crowd {
    if settings.is_incident(devices, population) {
        return Crowd::Incident;
    }
    let is_growing = before.is_none_or(|before| devices > before);
    let is_half = settings.is_incident(twice(devices), population);
    if is_half && is_growing && settings.settle_seconds > 0 { Crowd::Growing } else { Crowd::Few }
}

/// As many devices again.
pub(crate) const fn twice(devices: u64) -> u64 {
    devices.saturating_mul(2)
}

/// Whether an outcome changes something that a raise is too old for.
pub(crate) fn is_too_late(outcome: AlarmOutcome<'_>, raised_at: Millis, now: Millis) -> bool {
    !matches!(outcome, AlarmOutcome::Report(_)) && raised_at < now.plus_seconds(-LATE_SECONDS)
}

/// How many devices of a profile are counted at most: of more, so many devices that alarm are no share that counts.
pub(crate) fn counted(devices: u64, settings: &AlarmSettings) -> Option<u64> {
    #[expect(clippy::cast_precision_loss, reason = "no fleet has more than 2^52 devices")]
    let most = devices as f64 / settings.incident_share;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 2^52")]
    (devices >= SHARE_FROM).then(|| if most.is_finite() { most.clamp(0.0, 1e6).ceil() as u64 + 1 } else { 1 })
}

/// A device and behavior that raise alarms again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flaps {
    /// How often, this raise included, since it was quiet.
    pub(crate) times: usize,
    /// When that began. None: longer ago than raises are kept, so that people were told long ago.
    pub(crate) since: Option<Millis>,
}

/// Whether a raise is one of many: no pause before it was quiet for long enough, back to where there were as many within
/// that time as make it flap.
pub(crate) fn flaps(raises: &[Millis], raised_at: Millis, settings: &AlarmSettings) -> Option<Flaps> {
    let quiet = |from: Millis, to: Millis| to >= from.plus_seconds(settings.quiet_seconds);
    let mut row: Vec<Millis> = Vec::new();
    for raise in raises.iter().rev().filter(|raise| **raise <= raised_at) {
        if row.last().is_some_and(|after| quiet(*raise, *after)) {
            break;
        }
        row.push(*raise);
    }
    if !settings.do_flap(&row) {
        return None;
    }
    let since = row.last().copied().filter(|_| row.len() < Series::KEPT);
    Some(Flaps { times: row.len(), since })
}

/// How long a message is hidden that is to be seen at a moment, in seconds: rounded up, and as long as may be.
pub(crate) fn delay(not_before: Millis, now: Millis) -> u32 {
    let seconds = not_before.0.saturating_sub(now.0).saturating_add(999) / 1000;
    u32::try_from(seconds.max(1)).unwrap_or(LONGEST_DELAY).min(LONGEST_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> AlarmSettings {
        AlarmSettings::default()
    }

    #[test]
    fn many_devices_or_a_large_share_are_an_incident() {
        let is = |devices, population| settings().is_incident(devices, population);
        assert_eq!([is(20, None), is(21, None), is(21, Some(1_000_000))], [false, true, true]);
        assert_eq!(
            [is(4, Some(4)), is(5, Some(49)), is(5, Some(50)), is(5, None)],
            [false, true, false, false]
        );
        for devices in 0..30 {
            let most = counted(devices, &settings());
            assert_eq!(most.is_some(), devices >= 5);
            let Some(most) = most.filter(|_| devices <= 20) else { continue };
            assert!(!is(devices, Some(most)) && is(devices, Some(most - 2)), "{devices} of {most}");
        }
        let all = AlarmSettings { incident_share: 0.0, ..settings() };
        assert_eq!((counted(5, &all), all.is_incident(5, Some(1_000_000))), (Some(1), true));
    }

    #[test]
    fn half_an_incident_is_waited_for_while_it_grows() {
        let crowd = |devices, before, population| crowd(devices, before, population, &settings());
        assert_eq!(
            [10, 11, 20, 21].map(|devices| crowd(devices, None, None)),
            [Crowd::Few, Crowd::Growing, Crowd::Growing, Crowd::Incident]
        );
        assert_eq!(
            [10, 11, 12].map(|before| crowd(11, Some(before), None)),
            [Crowd::Growing, Crowd::Few, Crowd::Few]
        );
        assert_eq!(
            [2, 3, 4, 5].map(|devices| crowd(devices, None, Some(49))),
            [Crowd::Few, Crowd::Growing, Crowd::Growing, Crowd::Incident]
        );
        let at_once = AlarmSettings { settle_seconds: 0, ..settings() };
        assert_eq!(super::crowd(20, None, None, &at_once), Crowd::Few);
    }

    fn raises(minutes: &[i64]) -> Vec<Millis> {
        minutes.iter().map(|minute| Millis(minute * 60_000)).collect()
    }

    #[test]
    fn it_flaps_from_the_third_raise_within_an_hour_until_an_hour_is_quiet() {
        let all = raises(&[0, 20, 40, 90, 149, 209, 230, 289]);
        let told: Vec<_> = all.iter().map(|at| flaps(&all, *at, &settings())).collect();
        let row = |times, minute: i64| Some(Flaps { times, since: Some(Millis(minute * 60_000)) });
        assert_eq!(told, [None, None, row(3, 0), row(4, 0), row(5, 0), None, None, None]);
        let slow = raises(&[0, 40, 80, 120, 160]);
        assert!(slow.iter().all(|at| flaps(&slow, *at, &settings()).is_none()), "never three within an hour");
        assert_eq!(flaps(&[], Millis(0), &settings()), None);
    }

    #[test]
    fn what_flaps_for_longer_than_is_kept_stays_silent() {
        let all = raises(&(0..64).collect::<Vec<_>>());
        assert_eq!(flaps(&all, all[63], &settings()), Some(Flaps { times: 64, since: None }));
    }

    #[test]
    fn a_message_wakes_at_its_time_and_never_before() {
        let delays = [-5, 0, 1, 1000, 1001, 900_001, i64::MAX].map(|at| delay(Millis(at), Millis(0)));
        assert_eq!(delays, [1, 1, 1, 1, 2, 900, 900]);
    }
}
