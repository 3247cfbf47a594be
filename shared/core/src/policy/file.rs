//! The policy file as the operator writes it. These types are the language: the reader takes files by them, and
//! the JSON Schema and the reference are made from their documentation.

mod alarm;
mod approval;
pub(super) mod budget;
mod canary;
mod devices;
#[cfg(feature = "schema")]
pub(super) mod schema;
mod windows;

pub(super) use alarm::AlarmMatch;
pub(super) use alarm::AlarmMitigate;
pub(super) use alarm::AlarmRule;
pub(super) use alarm::Alarms;
pub(super) use alarm::Minutes;
pub(super) use alarm::Verify;
pub(super) use alarm::VerifyState;
pub(super) use approval::Approvals;
pub(super) use budget::Budgets;
pub(super) use canary::Canary;
pub(super) use devices::DeviceLimits;
pub(super) use devices::Devices;
pub(super) use windows::ActionSettings;
pub(super) use windows::ByName;
pub use windows::Day;
pub(super) use windows::Freeze;
pub(super) use windows::OwnWindows;
pub(super) use windows::Window;
pub(super) use windows::Windows;

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de;

use super::Mode;
use super::de::Spanned;

/// What Fleetwarden does with each audit finding and each Detect alarm of AWS IoT Device Defender.
///
/// Rules are read from the top and the first one that matches decides. What no rule matches is reported. A rule is about
/// findings, or with `alarm` about alarms.
///
/// A file has at most 1 MiB, a mapping at most 64 keys, and values nest at most 16 deep. Anchors, aliases, tags and
/// further documents are refused, and so is a file as a whole if anything in it is wrong.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(title = "Fleetwarden policy"))]
pub(super) struct File {
    /// The version of this language. There is only 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1)))]
    #[expect(dead_code, reason = "it is looked at before all else is read")]
    pub(super) version: Spanned<u32>,
    /// Whether Fleetwarden may change anything at all.
    #[serde(default)]
    pub(super) mode: Mode,
    /// What no rule may ever mitigate.
    #[serde(default)]
    pub(super) protect: Protect,
    /// When mitigation may happen. Left out: at any time.
    pub(super) windows: Option<Spanned<Windows>>,
    /// What the policy says of single mitigation actions, by their names, whichever rule or command applies them.
    #[serde(default)]
    pub(super) actions: ByName<ActionSettings>,
    /// How much may be mitigated in a time: a list of budgets, all of which count, or `none`. Left out: one budget of 10
    /// findings and violations an hour, or of 1 % of the fleet if that is more.
    pub(super) budgets: Option<Spanned<Budgets>>,
    /// Whether a mitigation that a command asks for needs the approval of another person than the one who asks.
    #[serde(default)]
    pub(super) two_persons: bool,
    /// How alarms are handled before a rule decides.
    #[serde(default)]
    pub(super) alarms: Alarms,
    /// Standing suppressions: what is suppressed before any audit finds it. At most 200.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(max = 200)))]
    #[expect(dead_code, reason = "each is read by itself, as rules are")]
    pub(super) suppressions: Vec<Standing>,
    /// The rules, in the order of their evaluation. At most 2000.
    #[cfg_attr(feature = "schema", schemars(length(max = 2000), with = "Vec<schema::AnyRule>"))]
    #[expect(dead_code, reason = "each is read by itself, so that an error in one hides none in another")]
    pub(super) rules: Vec<Rule>,
}

/// What no rule may ever mitigate, whatever it says. A finding that a rule would mitigate is reported instead,
/// and the explanation names the protection.
///
/// While things or groups are protected, a resource with unknown things is not mitigated either. That is always so for
/// policies and issuers, which can stand for any number of things.
///
/// A pattern that no legal name can match is refused: it would protect nothing.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Protect {
    /// Names of things. A resource is protected if any of the things behind it is.
    pub(super) things: Option<Texts>,
    /// Names of thing groups. Membership in a group below counts.
    pub(super) groups: Option<Texts>,
    /// Ids of device and CA certificates: 64 of the digits `0-9` and `a-f`. An ARN ends with the id.
    pub(super) certificates: Option<Texts>,
    /// Names of AWS IoT policies, without a version.
    pub(super) policies: Option<Texts>,
}

/// A rule on findings: what it matches, and exactly one of `suppress`, `mitigate` and `report`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("oneOf" = [{"required": ["suppress"]}, {"required": ["mitigate"]}, {"required": ["report"]}]))
)]
pub(super) struct Rule {
    /// A name that no other rule has: 1 to 64 letters, digits, `-`, `_` and `.`. It stands in every decision.
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = "^[A-Za-z0-9._-]{1,64}$"), example = "lab-certificates")
    )]
    pub(super) name: Spanned<String>,
    /// Whether the rule acts.
    #[serde(default)]
    pub(super) stage: Stage,
    /// Never here: a rule with it is read as one on alarms.
    #[cfg_attr(feature = "schema", schemars(skip))]
    #[expect(dead_code, reason = "it stands in the list of the keys that a rule can have")]
    pub(super) alarm: Option<de::IgnoredAny>,
    /// What the rule matches: all keys must hold, and a list means any of its values. Left out: every finding.
    #[serde(default)]
    pub(super) r#match: Match,
    /// What the rule does not match although `match` holds: if all keys here hold, the rule does not match. A pattern
    /// that no legal name can match is refused: the rule would act on what it should spare.
    #[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1)))]
    pub(super) except: Option<Spanned<Match>>,
    /// Suppress the resource in Device Defender from the next audit on.
    pub(super) suppress: Option<Spanned<Suppress>>,
    /// Apply mitigation actions to the finding.
    pub(super) mitigate: Option<Spanned<Mitigate>>,
    /// Alert people, or only count.
    pub(super) report: Option<Spanned<Report>>,
}

/// Whether a rule or a standing suppression acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum Stage {
    /// A rule decides; a standing suppression is reconciled.
    #[default]
    Live,
    /// A rule decides nothing. What it would have done is recorded with each finding that reaches it, and later rules
    /// are evaluated as if it were absent. For a standing suppression the review only reports what would change.
    Shadow,
}

/// Conditions. All keys must hold; a list means any of its values; `*` stands for any characters and `?` for one.
///
/// The keys `thing`, `group`, `thingType` and `attribute` are about the things behind the resource: those that a
/// device certificate is attached to, and for a client id the thing of that name. A rule that suppresses, mitigates or
/// silences matches if they hold for every thing behind the resource, and one that alerts if they hold for one; `except`
/// is the reverse. If a lookup fails, the answer is unknown: a rule that needs it does not match, and then no later rule
/// suppresses or mitigates the finding; it is reported.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Match {
    /// The check's name. A name without a pattern must be one that Device Defender has.
    #[cfg_attr(feature = "schema", schemars(with = "Option<schema::OneOrMany<schema::Check>>"))]
    pub(super) check: Option<Texts>,
    /// The finding's severity: `CRITICAL`, `HIGH`, `MEDIUM` or `LOW`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<schema::OneOrMany<schema::Severity>>"))]
    pub(super) severity: Option<Texts>,
    /// The reason code, such as `CERTIFICATE_APPROACHING_EXPIRATION`.
    pub(super) reason: Option<Texts>,
    /// The type of the resource, such as `DEVICE_CERTIFICATE` or `IOT_POLICY`.
    #[serde(rename = "type")]
    pub(super) kind: Option<Texts>,
    /// The resource: the certificate's id, the client id, the ARN, the pool's id, the account; for a policy
    /// `name:version`. A finding that names no resource never matches.
    pub(super) resource: Option<Texts>,
    /// The account of the audit: 12 digits, in quotes so that no zero is lost.
    pub(super) account: Option<Texts>,
    /// The region of the audit, such as `eu-west-1`.
    pub(super) region: Option<Texts>,
    /// The finding was first seen at least this long before the audit.
    pub(super) older_than: Option<Duration>,
    /// The finding was seen in at least so many audits, this one included.
    pub(super) seen_at_least: Option<u32>,
    /// The certificate expires within this time from the audit, or has expired. A finding that says nothing of
    /// an expiry does not match.
    pub(super) expires_within: Option<Duration>,
    /// The name of a thing behind the resource.
    pub(super) thing: Option<Texts>,
    /// A group that a thing behind the resource is in, also by way of a group below it.
    pub(super) group: Option<Texts>,
    /// The type of a thing behind the resource.
    pub(super) thing_type: Option<Texts>,
    /// Attributes of a thing behind the resource, each with its value. All must hold.
    pub(super) attribute: Option<BTreeMap<String, Texts>>,
}

/// How to suppress: exactly one of `for`, `until` and `indefinitely`, and why.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("oneOf" = [{"required": ["for"]}, {"required": ["until"]}, {"required": ["indefinitely"]}]))
)]
pub(super) struct Suppress {
    /// For this long from the start of the audit in which the rule first suppressed the finding. When that is over, the
    /// rule matches the finding again only if its name, `for`, `reason`, `owner` or `ticket` is another.
    pub(super) r#for: Option<Duration>,
    /// Until this day begins in UTC, as `2027-06-30`. From that day on the rule does not match any more.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date"), example = "2027-06-30"))]
    pub(super) until: Option<Spanned<String>>,
    /// Until a person deletes the suppression.
    #[cfg_attr(feature = "schema", schemars(extend("const" = true)))]
    pub(super) indefinitely: Option<Spanned<bool>>,
    /// Why this is right. It stands in the suppression's description. At most 4,000 characters; Device Defender has it in
    /// ASCII, as far as there is room.
    pub(super) reason: Spanned<String>,
    /// The owner: who is responsible for it.
    pub(super) owner: Option<Spanned<String>>,
    /// Where it was agreed.
    #[cfg_attr(feature = "schema", schemars(extend("type" = ["string", "number"])))]
    pub(super) ticket: Option<Spanned<String>>,
}

/// A standing suppression: `suppression-review` maintains a suppression in Device Defender for each of its members.
/// New members get one, former members lose theirs, and all expire together.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Standing {
    /// A name that no rule and no other standing suppression has: 1 to 64 letters, digits, `-`, `_` and `.`. It
    /// stands in the description of each suppression.
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = "^[A-Za-z0-9._-]{1,64}$"), example = "lab-shared-certificates")
    )]
    pub(super) name: Spanned<String>,
    /// Whether its suppressions are reconciled.
    #[serde(default)]
    pub(super) stage: Stage,
    /// The checks for which its members are suppressed, by name. Patterns are refused.
    #[cfg_attr(feature = "schema", schemars(with = "schema::OneOrMany<schema::KnownCheck>"))]
    pub(super) check: Texts,
    /// Its members.
    pub(super) r#match: Spanned<Members>,
    /// Until when, why, and the owner.
    pub(super) suppress: Spanned<StandingSuppress>,
    /// Whether suppressions that people made by hand for its members become its own. Otherwise they are left alone.
    #[serde(default)]
    pub(super) adopt: bool,
}

/// The members of a standing suppression: exactly one of the keys.
///
/// `group`, `thingType` and `thing` are about things, and so only for checks of device certificates and client ids.
/// A certificate is a member if every thing that it is attached to is one, and there is one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("minProperties" = 1, "maxProperties" = 1))
)]
pub(super) struct Members {
    /// The things in any of these groups, also by way of a group below. Names, no patterns.
    #[cfg_attr(feature = "schema", schemars(with = "Option<schema::OneOrMany<schema::Name>>"))]
    pub(super) group: Option<Texts>,
    /// The things of any of these types. Names, no patterns.
    #[cfg_attr(feature = "schema", schemars(with = "Option<schema::OneOrMany<schema::Name>>"))]
    pub(super) thing_type: Option<Texts>,
    /// The things with these names.
    pub(super) thing: Option<Texts>,
    /// The resources with these names, as a rule's `resource` has them. Identity pools are in no list, and so named
    /// without patterns; clients are found by the names of things; issuers cannot be named.
    pub(super) resource: Option<Texts>,
}

/// How a standing suppression suppresses: exactly one of `until` and `indefinitely`, why, and the owner.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("oneOf" = [{"required": ["until"]}, {"required": ["indefinitely"]}]))
)]
pub(super) struct StandingSuppress {
    /// Refused, with a word on what to write instead.
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub(super) r#for: Option<Duration>,
    /// Until this day begins in UTC, as `2027-06-30`. From that day on nothing is reconciled.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date"), example = "2027-06-30"))]
    pub(super) until: Option<Spanned<String>>,
    /// For as long as the standing suppression is in the policy.
    #[cfg_attr(feature = "schema", schemars(extend("const" = true)))]
    pub(super) indefinitely: Option<Spanned<bool>>,
    /// Why this is right. It stands in the description of each suppression. At most 4,000 characters; Device Defender has
    /// it in ASCII, as far as there is room.
    pub(super) reason: Spanned<String>,
    /// The owner: who is responsible for it.
    pub(super) owner: Spanned<String>,
    /// Where it was agreed.
    #[cfg_attr(feature = "schema", schemars(extend("type" = ["string", "number"])))]
    pub(super) ticket: Option<Spanned<String>>,
}

/// How to mitigate a finding.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Mitigate {
    /// One to five names of mitigation actions, applied in this order.
    #[cfg_attr(feature = "schema", schemars(with = "schema::Actions"))]
    pub(super) actions: Spanned<Texts>,
    /// When it waits for the approval of a person. An action that cannot be taken back waits for one always.
    pub(super) approval: Option<Spanned<Approvals>>,
    /// Let a few findings go first, and the rest only if nothing happens to them. Left out: all at once.
    pub(super) canary: Option<Spanned<Canary>>,
    /// How many devices may stand behind a finding: numbers, or `any`. Left out: a device certificate that one device uses is
    /// deactivated, and one that several use is not; no CA certificate is deactivated and no policy is replaced.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Devices>"))]
    pub(super) devices: Option<Spanned<Devices>>,
    /// When the mitigations of the rule may start, within the policy's windows and those of its actions. Left out: at any time of
    /// those.
    pub(super) windows: Option<Spanned<OwnWindows>>,
}

/// How to report: at most one of the keys. Without any, the alert is as severe as the finding or the alarm.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("not" = {"required": ["severity", "silent"], "properties": {"silent": {"const": true}}}))
)]
pub(super) struct Report {
    /// How severe the alert is.
    pub(super) severity: Option<crate::model::severity::AlertSeverity>,
    /// Count and export it without an alert.
    pub(super) silent: bool,
}

/// A whole number of hours, days or weeks, as `12h`, `90d` or `2w`.
#[derive(Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Duration(
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[1-9][0-9]{0,4}[hdw]$"), example = "90d"))]
    pub(super) Spanned<String>,
);

/// One text, or a list of them that means any.
#[derive(Debug)]
pub(super) struct Texts(pub(super) Vec<Spanned<String>>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { place, value } = Spanned::deserialize(deserializer)?;
        Ok(match value {
            Written::One(value) => Self(vec![Spanned { place, value }]),
            Written::Many(many) => Self(many),
        })
    }
}

/// How texts are written.
enum Written {
    One(String),
    Many(Vec<Spanned<String>>),
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Written;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E: de::Error>(self, one: &str) -> Result<Written, E> {
                Ok(Written::One(one.to_owned()))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Written, A::Error> {
                let mut many = Vec::new();
                while let Some(next) = items.next_element()? {
                    many.push(next);
                }
                if many.is_empty() {
                    let what = "an empty list matches nothing; leave the key out to match all";
                    return Err(de::Error::custom(what));
                }
                Ok(Written::Many(many))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
