//! The part of the policy file that is about when mitigation may happen.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de;

use crate::policy::de::Spanned;

/// When mitigation may happen. What comes at another time waits for the next window. A rule and an action can have windows of
/// their own: then a mitigation starts only while all of them are open.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::policy) struct Windows {
    /// The time zone of all times here, by its IANA name, such as `Europe/Berlin` or `UTC`.
    #[cfg_attr(feature = "schema", schemars(example = "Europe/Berlin"))]
    pub(in crate::policy) zone: Spanned<String>,
    /// The windows: mitigation may happen in any of them. Left out: at any time outside of `freeze`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::policy) open: Option<Vec<Spanned<Window>>>,
    /// Days on which no mitigation happens, whatever `open` says.
    #[serde(default)]
    pub(in crate::policy) freeze: Vec<Spanned<Freeze>>,
}

/// When the mitigations of a rule, or those with an action, may start: `open`, `freeze` or both. They start only while the
/// policy's windows, the rule's and those of each of its actions are all open.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("anyOf" = [{"required": ["open"]}, {"required": ["freeze"]}]))
)]
pub(in crate::policy) struct OwnWindows {
    /// The time zone of all times here, by its IANA name. Left out: that of the policy's windows.
    #[cfg_attr(feature = "schema", schemars(example = "Europe/Berlin"))]
    pub(in crate::policy) zone: Option<Spanned<String>>,
    /// The windows: any of them. Left out: at any time outside of `freeze`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::policy) open: Option<Vec<Spanned<Window>>>,
    /// Days on which none of these mitigations happens, whatever `open` says.
    #[serde(default)]
    pub(in crate::policy) freeze: Vec<Spanned<Freeze>>,
}

/// A window of the week.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::policy) struct Window {
    /// The days on which it begins. Left out: every day.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::policy) days: Option<Spanned<Vec<Day>>>,
    /// From when to when, as `22:00-06:00`. One that ends before it begins ends on the next day. Left out: the
    /// whole day.
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = r"^\d\d:\d\d-\d\d:\d\d$"), example = "22:00-06:00")
    )]
    pub(in crate::policy) hours: Option<Spanned<String>>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(missing_docs, reason = "the names say all")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// Days on which nothing is mitigated: once, or without a year in every year. In a year without 29 February, `02-29` as the
/// first day means 1 March, and as the last day 28 February.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::policy) struct Freeze {
    /// The first day, as `2026-12-19`, or as `12-19` for every year.
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = r"^(\d{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"), example = "12-19")
    )]
    pub(in crate::policy) from: Spanned<String>,
    /// The last day, as `2027-01-06`, or as `01-06` for every year; it is frozen too. Both days have a year, or none has.
    /// Without years, a last day that comes before the first is in the next year.
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = r"^(\d{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"), example = "01-06")
    )]
    pub(in crate::policy) to: Spanned<String>,
}

/// What the policy says of a mitigation action, whichever rule or command applies it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::policy) struct ActionSettings {
    /// When mitigations with the action may start, within the policy's windows and the rule's. They hold a mitigation as a
    /// whole, with its other actions.
    pub(in crate::policy) windows: Spanned<OwnWindows>,
}

/// A mapping from names of mitigation actions, each with its place.
pub(in crate::policy) struct ByName<T>(pub(in crate::policy) Vec<(Spanned<String>, T)>);

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ByName<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = ByName<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping from names of mitigation actions")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<ByName<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(ByName(entries))
            }
        }
        deserializer.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

#[cfg(feature = "schema")]
impl<T: schemars::JsonSchema> schemars::JsonSchema for ByName<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("{}ByName", T::schema_name()).into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (name, of) = (generator.subschema_for::<super::schema::Action>(), generator.subschema_for::<T>());
        schemars::json_schema!({ "type": "object", "propertyNames": name, "additionalProperties": of })
    }
}
