//! Rules on alarms and their settings.

use super::Reader;
use super::file;
use super::file::Minutes;
use super::file::Texts;
use crate::model::alarm::CriteriaType;
use crate::model::alarm::Source;
use crate::model::alarm::Verification;
use crate::nearest::did_you_mean;
use crate::policy::AlarmEffect;
use crate::policy::AlarmMitigate;
use crate::policy::AlarmRule;
use crate::policy::AlarmSettings;
use crate::policy::Effect;
use crate::policy::Verify;
use crate::policy::alarm::length::seconds;
use crate::policy::alarm::matcher::AlarmMatcher;
use crate::policy::alarm::matcher::Raised;
use crate::policy::alarm::matcher::criteria_bit;
use crate::policy::alarm::matcher::source_bit;
use crate::policy::alarm::metrics::METRICS;
use crate::policy::de::Spanned;
use crate::policy::diagnostic::Diagnostic;
use crate::policy::diagnostic::Level;
use crate::policy::diagnostic::Place;
use crate::policy::glob::Glob;
use crate::policy::legal::Kind;
use crate::policy::matcher::ThingMatcher;
use crate::untrusted::is_unseen;

pub(super) const MINUTE: i64 = 60;
pub(super) const DAY: i64 = 86_400;
/// The longest that a rule can ask an alarm to last: Device Defender lists violations of at least 14 days.
const MAX_LASTING: i64 = 14 * DAY;
/// The longest time after which what was added to a group is released.
const MAX_RELEASE: i64 = 30 * DAY;
/// The longest description of a verification state, in characters (`PutVerificationStateOnViolation`).
const MAX_DESCRIPTION: usize = 1000;

const CRITERIA: [(&str, CriteriaType); 3] = [
    ("static", CriteriaType::Static),
    ("statistical", CriteriaType::Statistical),
    ("ml", CriteriaType::MachineLearning),
];
const SOURCES: [(&str, Source); 3] = [
    ("deviceDefender", Source::DeviceDefender),
    ("cloudWatch", Source::CloudWatch),
    ("other", Source::Other),
];

impl Reader {
    pub(super) fn alarm_rule(&mut self, entry: file::AlarmRule) -> Option<AlarmRule> {
        let place = entry.name.place;
        let matcher = self.alarm_matcher(entry.alarm, Level::Warning);
        let except = entry.except.map(|except| {
            if is_empty(&except.value) {
                self.error(except.place, "an exception without a key would except everything");
            }
            Box::new(self.alarm_matcher(except.value, Level::Error))
        });
        let (effect, places) = match (entry.mitigate, entry.report, entry.verify) {
            (Some(mitigate), None, None) => self.alarm_mitigate(&entry.name.value, mitigate.value),
            (None, Some(report), None) => match self.report(&report) {
                Effect::Report(report) => (AlarmEffect::Report(report), Box::default()),
                Effect::Suppress(_) | Effect::Mitigate(_) => return None,
            },
            (None, None, Some(verify)) => self.verify(&verify.value)?,
            (None, None, None) => {
                self.error(place, "the rule does nothing: it needs one of mitigate, report and verify");
                return None;
            }
            _ => {
                self.error(
                    place,
                    "the rule has more than one outcome: split it, the first that matches decides",
                );
                return None;
            }
        };
        let live = entry.stage == file::Stage::Live;
        Some(AlarmRule { name: entry.name.value, place, live, matcher, except, effect, places })
    }

    /// The conditions of a rule, or of its exception if what can match nothing is an error.
    fn alarm_matcher(&mut self, entry: file::AlarmMatch, level: Level) -> AlarmMatcher {
        let sources = self.bits(entry.source.as_ref(), "source", &SOURCES, |of| source_bit(*of));
        let criteria =
            self.bits(entry.criteria.as_ref(), "kind of criteria", &CRITERIA, |of| criteria_bit(*of));
        let only_models = criteria_bit(CriteriaType::MachineLearning);
        if let Some(confidence) =
            entry.confidence.as_ref().filter(|_| criteria != 0 && criteria & only_models == 0)
        {
            let what = "only the alarms of a model have a confidence, and 'criteria' leaves them out: this never holds";
            self.certain(level, confidence.place, what.into());
        }
        let service = source_bit(Source::DeviceDefender);
        let of_service = match sources {
            0 => None,
            bits => (bits == service || bits & service == 0).then_some(bits == service),
        };
        let registered = entry.registered.map(|registered| registered.value);
        let things = self.alarm_things(entry.group, entry.thing_type, entry.attribute, registered, level);
        AlarmMatcher {
            sources,
            accounts: self.globs(entry.account, &[Kind::Account], level),
            regions: self.regions(entry.region, level),
            profiles: self.service_names(entry.profile, "security profile", of_service, level),
            behaviors: self.service_names(entry.behavior, "behavior", of_service, level),
            metrics: self.metrics(entry.metric, level),
            criteria,
            confidence: entry.confidence.map(|confidence| confidence.value),
            names: self.globs(entry.thing, &[Kind::ClientId, Kind::Thing], level),
            raised: entry.raised_at_least.and_then(|raised| {
                let most = AlarmSettings::MAX_RAISES;
                let times = self.number(&raised.times, "times", 2, most);
                let most = AlarmSettings::MAX_QUIET_SECONDS;
                let within = self.minutes(&raised.within, "within", MINUTE, most);
                Some(Raised { times: times?, within: within? * 1000 })
            }),
            lasts: entry.lasts_longer_than.and_then(|text| {
                self.minutes(&text, "lastsLongerThan", MINUTE, MAX_LASTING).map(|seconds| seconds * 1000)
            }),
            registered,
            things,
        }
    }

    fn alarm_things(
        &mut self,
        group: Option<Texts>,
        thing_type: Option<Texts>,
        attribute: Option<std::collections::BTreeMap<String, Texts>>,
        registered: Option<bool>,
        level: Level,
    ) -> Option<Box<ThingMatcher>> {
        let attributes = attribute.unwrap_or_default();
        let texts = [&group, &thing_type].into_iter().flatten().chain(attributes.values());
        let place = texts.flat_map(|texts| &texts.0).next()?.place;
        if registered == Some(false) {
            let what =
                "a device that is not registered has no groups, no type and no attributes: this never holds";
            self.certain(level, place, what.into());
        }
        Some(Box::new(ThingMatcher {
            names: None,
            groups: self.globs(group, &[Kind::ThingGroup], level),
            types: self.globs(thing_type, &[Kind::ThingType], level),
            attributes: attributes
                .into_iter()
                .filter_map(|(name, texts)| self.attribute(name, texts, level))
                .collect(),
        }))
    }

    /// Patterns of names that Device Defender has given, if the rule takes only its alarms (`of_service`: none if it takes
    /// others too). Other sources have other names, so that what can match none of Device Defender's is then only doubted.
    fn service_names(
        &mut self,
        texts: Option<Texts>,
        what: &str,
        of_service: Option<bool>,
        level: Level,
    ) -> Option<Box<[Glob]>> {
        let globs = self.globs(texts, &[], level)?;
        let strange = |glob: &&Glob| of_service != Some(false) && !Kind::Thing.admits(glob.text());
        for glob in globs.iter().filter(strange) {
            let text = format!(
                "'{}' can match no {what} of Device Defender: a name is 1 to 128 letters, digits, ':', '_' and '-'",
                glob.text()
            );
            if of_service == Some(true) {
                self.certain(level, glob.place(), text);
            } else {
                let hint = "; for another source say 'source: cloudWatch' or 'source: other'";
                let said = format!("{text}{hint}");
                self.doubts.push(Diagnostic::warning(glob.place(), said));
            }
        }
        Some(globs)
    }

    /// Patterns of metrics: one of AWS that there is not today is doubted.
    fn metrics(&mut self, texts: Option<Texts>, level: Level) -> Option<Box<[Glob]>> {
        let globs = self.globs(texts, &[], level)?;
        for glob in globs.iter().filter(|glob| glob.text().starts_with("aws:")) {
            if !METRICS.iter().any(|metric| glob.matches(metric)) {
                let near = did_you_mean(glob.text(), METRICS);
                let what = format!("Device Defender has no metric like '{}' today{near}", glob.text());
                self.doubts.push(Diagnostic { place: glob.place(), level, what });
            }
        }
        Some(globs)
    }

    /// The bits of words.
    fn bits<T>(
        &mut self,
        texts: Option<&Texts>,
        what: &str,
        words: &[(&str, T)],
        bit: impl Fn(&T) -> u8,
    ) -> u8 {
        let known = || words.iter().map(|(word, _)| *word);
        texts.into_iter().flat_map(|texts| &texts.0).fold(0, |bits, text| {
            let found = words.iter().find(|(word, _)| *word == text.value);
            let error = || {
                let near = did_you_mean(&text.value, known());
                let allowed = known().collect::<Vec<_>>().join(", ");
                format!("'{}' is no {what}{near} (allowed: {allowed})", text.value)
            };
            bits | self.parsed(text, |_| found.map(|(_, of)| bit(of)).ok_or_else(error)).unwrap_or(0)
        })
    }

    fn alarm_mitigate(&mut self, rule: &str, entry: file::AlarmMitigate) -> (AlarmEffect, Box<[Place]>) {
        let file::AlarmMitigate { actions, devices, approval, release, windows } = entry;
        let mitigate = file::Mitigate { actions, approval, canary: None, devices, windows };
        let (effect, places) = self.mitigate(rule, mitigate, true);
        let (actions, approval, devices, windows) = match effect {
            Effect::Mitigate(of) => (of.actions, of.approval, of.devices, of.windows),
            Effect::Suppress(_) | Effect::Report(_) => Default::default(),
        };
        let release = release.and_then(|text| {
            let Some(length) = text.value.strip_prefix("after ") else {
                self.error(
                    text.place,
                    "write when to release after the alarm is clear, as 'release: after 24h'",
                );
                return None;
            };
            let length = Spanned { place: text.place, value: length.trim().to_owned() };
            self.minutes(&Minutes(length), "release", MINUTE, MAX_RELEASE)
        });
        let mitigate = AlarmMitigate { actions, devices, release_after_seconds: release, approval, windows };
        (AlarmEffect::Mitigate(mitigate), places)
    }

    fn verify(&mut self, entry: &file::Verify) -> Option<(AlarmEffect, Box<[Place]>)> {
        let state = match entry.state.value {
            file::VerifyState::FalsePositive => Verification::FalsePositive,
            file::VerifyState::BenignPositive => Verification::BenignPositive,
            file::VerifyState::TruePositive => Verification::TruePositive,
        };
        let description = self.parsed(&entry.description, |text| {
            let length = text.chars().count();
            match text.chars().find(|c| is_unseen(*c)) {
                _ if text.trim().is_empty() => {
                    Err("a verification needs a description that people can read".into())
                }
                _ if length > MAX_DESCRIPTION => {
                    Err(format!("a description of {length} characters; {MAX_DESCRIPTION} is the most"))
                }
                Some(strange) => Err(format!(
                    "U+{:04X} is no character for a description; write it in one line",
                    u32::from(strange)
                )),
                None => Ok(text.to_owned()),
            }
        })?;
        Some((AlarmEffect::Verify(Verify { state, description }), [entry.state.place].into()))
    }

    pub(super) fn alarms(&mut self, entry: &file::Alarms) -> AlarmSettings {
        let file::Alarms { settle, flaps, incidents } = entry;
        let default = AlarmSettings::default();
        let mut minutes = |text: &Option<Minutes>, key, least, most, default| {
            text.as_ref().and_then(|text| self.minutes(text, key, least, most)).unwrap_or(default)
        };
        let settle_seconds =
            minutes(settle, "settle", 0, AlarmSettings::MAX_SETTLE_SECONDS, default.settle_seconds);
        let quiet_seconds = minutes(
            &flaps.quiet,
            "quiet",
            5 * MINUTE,
            AlarmSettings::MAX_QUIET_SECONDS,
            default.quiet_seconds,
        );
        let incident_window_seconds = minutes(
            &incidents.window,
            "window",
            5 * MINUTE,
            AlarmSettings::MAX_WINDOW_SECONDS,
            default.incident_window_seconds,
        );
        let mut number = |of: &Option<Spanned<u32>>, key, least, most, default| {
            of.as_ref().and_then(|of| self.number(of, key, least, most)).unwrap_or(default)
        };
        let flaps_after = number(&flaps.after, "after", 2, AlarmSettings::MAX_RAISES, default.flaps_after);
        let incident_devices = number(&incidents.devices, "devices", 1, 1_000_000, default.incident_devices);
        let share = incidents.share.as_ref().and_then(|text| self.parsed(text, share));
        AlarmSettings {
            settle_seconds,
            flaps_after,
            quiet_seconds,
            incident_window_seconds,
            incident_devices,
            incident_share: share.unwrap_or(default.incident_share),
        }
    }

    /// A length of time within limits, in seconds.
    pub(super) fn minutes(&mut self, text: &Minutes, key: &str, least: i64, most: i64) -> Option<i64> {
        self.parsed(&text.0, |text| {
            let seconds = seconds(text)?;
            if (least..=most).contains(&seconds) {
                return Ok(seconds);
            }
            Err(format!("'{text}': '{key}' can be {} to {}", length(least), length(most)))
        })
    }

    /// A number within limits.
    pub(super) fn number(&mut self, number: &Spanned<u32>, key: &str, least: u32, most: u32) -> Option<u32> {
        let Spanned { place, value } = *number;
        if (least..=most).contains(&value) {
            return Some(value);
        }
        self.error(place, format!("{value}: '{key}' can be {least} to {most}"));
        None
    }
}

fn is_empty(entry: &file::AlarmMatch) -> bool {
    let file::AlarmMatch {
        profile,
        behavior,
        metric,
        criteria,
        confidence,
        thing,
        group,
        thing_type,
        attribute,
        registered,
        lasts_longer_than,
        raised_at_least,
        account,
        region,
        source,
    } = entry;
    [profile, behavior, metric, criteria, thing, group, thing_type, account, region, source]
        .iter()
        .all(|texts| texts.is_none())
        && confidence.is_none()
        && registered.is_none()
        && lasts_longer_than.is_none()
        && raised_at_least.is_none()
        && attribute.as_ref().is_none_or(std::collections::BTreeMap::is_empty)
}

/// A limit in the largest unit that says it.
fn length(seconds: i64) -> String {
    match seconds {
        _ if seconds > DAY && seconds % DAY == 0 => format!("{}d", seconds / DAY),
        _ if seconds >= 3_600 && seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        _ => format!("{}m", seconds / 60),
    }
}

/// A share, as `10%` or `2.5%`, as a part of one.
fn share(text: &str) -> Result<f64, String> {
    let wrong = || format!("'{text}' is no share; write 0% to 100%, as 10% or 2.5%");
    let number = text.strip_suffix('%').ok_or_else(wrong)?;
    let (whole, part) = number.split_once('.').map_or((number, None), |(whole, part)| (whole, Some(part)));
    let digits =
        |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole, 3) || part.is_some_and(|part| !digits(part, 2)) {
        return Err(wrong());
    }
    let share = number.parse::<f64>().map_err(|_| wrong())? / 100.0;
    if share <= 1.0 { Ok(share) } else { Err(wrong()) }
}
