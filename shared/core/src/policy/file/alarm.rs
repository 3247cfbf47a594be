//! The part of the file that is about alarms: settings, and rules with `alarm` instead of `match`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Approvals;
use super::Devices;
use super::OwnWindows;
use super::Report;
use super::Stage;
use super::Texts;
#[cfg(feature = "schema")]
use super::schema;
use crate::policy::de::Spanned;

/// How alarms are handled before a rule decides.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::policy) struct Alarms {
    /// How long an alarm settles before a rule decides on it, `0m` to `15m`, so that an incident is recognized and an alarm
    /// that ends at once is known to have ended. Left out: `2m`.
    pub(in crate::policy) settle: Option<Minutes>,
    /// When a device raises the same alarm repeatedly.
    pub(in crate::policy) flaps: Flaps,
    /// When many devices raise the same alarm at once. Of an incident there is one alert, and no device of it is
    /// mitigated.
    pub(in crate::policy) incidents: Incidents,
}

/// When a device raises the same alarm repeatedly: one alert with a count, then none until the device is quiet.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::policy) struct Flaps {
    /// Number of alarms within `quiet` from which on the device flaps: 2 to 50. Left out: 3.
    #[cfg_attr(feature = "schema", schemars(range(min = 2, max = 50)))]
    pub(in crate::policy) after: Option<Spanned<u32>>,
    /// Time without such an alarm after which the device is quiet: `5m` to `7d`. Left out: `1h`.
    pub(in crate::policy) quiet: Option<Minutes>,
}

/// When many devices raise the same alarm at once. Either of `devices` and `share` is enough.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::policy) struct Incidents {
    /// The time in which the devices are counted: `5m` to `24h`. Left out: `15m`.
    pub(in crate::policy) window: Option<Minutes>,
    /// More than this number of devices is an incident: 1 to 1000000. Left out: 20.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
    pub(in crate::policy) devices: Option<Spanned<u32>>,
    /// More than this share of the devices that the security profile watches is an incident, as `10%`: `0%` to `100%`. It
    /// counts from 5 devices on. Left out: `10%`.
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = r"^(100|[0-9]{1,2}(\.[0-9]{1,2})?)%$"), example = "10%")
    )]
    pub(in crate::policy) share: Option<Spanned<String>>,
}

/// A rule on alarms: what it matches, and exactly one of `mitigate`, `report` and `verify`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("oneOf" = [{"required": ["mitigate"]}, {"required": ["report"]}, {"required": ["verify"]}]))
)]
pub(in crate::policy) struct AlarmRule {
    /// A name that no other rule has: 1 to 64 letters, digits, `-`, `_` and `.`. It stands in every decision.
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = "^[A-Za-z0-9._-]{1,64}$"), example = "compromised-camera")
    )]
    pub(in crate::policy) name: Spanned<String>,
    /// Whether the rule acts.
    #[serde(default)]
    pub(in crate::policy) stage: Stage,
    /// What the rule matches: all keys must hold, and a list means any of its values. `{}`: every alarm.
    pub(in crate::policy) alarm: AlarmMatch,
    /// What the rule does not match although `alarm` holds: if all keys here hold, the rule does not match.
    #[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1)))]
    pub(in crate::policy) except: Option<Spanned<AlarmMatch>>,
    /// Add the thing to a thing group. Alarms of other sources than Device Defender, of devices that are not registered,
    /// and those that have ended are reported instead.
    pub(in crate::policy) mitigate: Option<Spanned<AlarmMitigate>>,
    /// Alert people, or only count.
    pub(in crate::policy) report: Option<Spanned<Report>>,
    /// Set the verification state of the alarm, without an alert.
    pub(in crate::policy) verify: Option<Spanned<Verify>>,
}

/// Conditions on an alarm. All keys must hold; a list means any of its values; `*` stands for any characters and `?` for
/// one.
///
/// The keys `registered`, `group`, `thingType` and `attribute` are about the thing with the name of the device, which is
/// looked up. If the lookup fails, a rule that needs it does not match, and then no later rule mitigates or verifies the
/// alarm; it is reported.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::policy) struct AlarmMatch {
    /// The security profile. An alarm of another source has what its source gives in place of one.
    pub(in crate::policy) profile: Option<Texts>,
    /// The behavior. Of a CloudWatch alarm, its name.
    pub(in crate::policy) behavior: Option<Texts>,
    /// The metric, such as `aws:num-messages-sent`, or one of the account. An alarm without a metric never matches.
    pub(in crate::policy) metric: Option<Texts>,
    /// How the behavior is evaluated: `static` (a value), `statistical` (a percentile of the fleet) or `ml` (a model).
    #[cfg_attr(feature = "schema", schemars(with = "Option<schema::OneOrMany<schema::Criteria>>"))]
    pub(in crate::policy) criteria: Option<Texts>,
    /// The least confidence of the model: `LOW`, `MEDIUM` or `HIGH`. Alarms of static and statistical behaviors never match.
    pub(in crate::policy) confidence: Option<Spanned<crate::model::alarm::Confidence>>,
    /// The name of the thing; of a device that is not registered, its client id. An alarm about no device never matches.
    pub(in crate::policy) thing: Option<Texts>,
    /// A group that the thing is in, also by way of a group below it.
    pub(in crate::policy) group: Option<Texts>,
    /// The type of the thing.
    pub(in crate::policy) thing_type: Option<Texts>,
    /// Attributes of the thing, each with its value. All must hold.
    pub(in crate::policy) attribute: Option<BTreeMap<String, Texts>>,
    /// Whether a thing with the name of the device is registered. An alarm about no device never matches.
    pub(in crate::policy) registered: Option<Spanned<bool>>,
    /// The alarm has lasted for at least this time, `1m` to `14d`. Until then the later rules decide; if it still lasts after
    /// that time, the policy decides again.
    pub(in crate::policy) lasts_longer_than: Option<Minutes>,
    /// How often the device has raised an alarm on this behavior, this one included.
    pub(in crate::policy) raised_at_least: Option<RaisedAtLeast>,
    /// The account: 12 digits, in quotes so that no zero is lost.
    pub(in crate::policy) account: Option<Texts>,
    /// The region, such as `eu-west-1`.
    pub(in crate::policy) region: Option<Texts>,
    /// The source of the alarm: `deviceDefender`, `cloudWatch` or `other`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<schema::OneOrMany<schema::AlarmSource>>"))]
    pub(in crate::policy) source: Option<Texts>,
}

/// How often a device has raised an alarm.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::policy) struct RaisedAtLeast {
    /// The least number of alarms, this one included: 2 to 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 2, max = 50)))]
    pub(in crate::policy) times: Spanned<u32>,
    /// Within this time before the alarm began: `1m` to `7d`.
    pub(in crate::policy) within: Minutes,
}

/// How to mitigate an alarm.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::policy) struct AlarmMitigate {
    /// One to five names of mitigation actions, applied in this order. Device Defender takes only those of the type
    /// `ADD_THINGS_TO_THING_GROUP` for an alarm.
    #[cfg_attr(feature = "schema", schemars(with = "schema::Actions"))]
    pub(in crate::policy) actions: Spanned<Texts>,
    /// How many devices may stand behind an alarm: numbers, or `any`. An alarm is about one thing, so that only `connected`
    /// makes a difference.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Devices>"))]
    pub(in crate::policy) devices: Option<Spanned<Devices>>,
    /// Take the thing out of the groups again when the alarm has been clear for this time, as `after 24h`: `after 1m` to
    /// `after 30d`. Left out: a person releases it.
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = "^after [0-9]{1,5}[mhdw]$"), example = "after 24h")
    )]
    pub(in crate::policy) release: Option<Spanned<String>>,
    /// When it waits for the approval of a person. An action that cannot be taken back waits for one always.
    pub(in crate::policy) approval: Option<Spanned<Approvals>>,
    /// When the mitigations of the rule may start, within the policy's windows and those of its actions. Left out: at any time of
    /// those.
    pub(in crate::policy) windows: Option<Spanned<OwnWindows>>,
}

/// How to verify an alarm.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::policy) struct Verify {
    /// The state.
    pub(in crate::policy) state: Spanned<VerifyState>,
    /// Why this is right, in 1 to 1000 characters. It stands in the description of the verification state.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 1000)))]
    pub(in crate::policy) description: Spanned<String>,
}

/// The verification state of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::enum_variant_names, reason = "they are the words of the service")]
pub(in crate::policy) enum VerifyState {
    /// The alarm was false.
    FalsePositive,
    /// The alarm was right, and nothing bad had happened.
    BenignPositive,
    /// The alarm was right.
    TruePositive,
}

/// A whole number of minutes, hours, days or weeks, as `10m`, `12h`, `3d` or `2w`.
#[derive(Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::policy) struct Minutes(
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[0-9]{1,5}[mhdw]$"), example = "10m"))]
    pub(in crate::policy) Spanned<String>,
);
