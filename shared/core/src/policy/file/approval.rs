//! The part of the policy file that is about approvals.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de;

use super::Minutes;
#[cfg(feature = "schema")]
use super::schema;
use crate::policy::de::Spanned;

/// When a mitigation waits for a person: `always`, or when any of the keys says so.
pub(in crate::policy) enum Approvals {
    /// Whatever it is.
    Always,
    /// When any of these says so.
    When(Approval),
}

/// What a mitigation waits for a person for: any of the keys is enough. Without an approval it is rejected after a time. A
/// mitigation that waits for a window or for room in a budget starts without an approval when it has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::policy) struct Approval {
    /// Every mitigation of the rule.
    #[serde(default)]
    pub(in crate::policy) always: bool,
    /// Any of its findings is at least this severe: `CRITICAL`, `HIGH`, `MEDIUM` or `LOW`. An alarm has no severity.
    #[cfg_attr(feature = "schema", schemars(with = "Option<schema::Severity>"))]
    pub(in crate::policy) severity: Option<Spanned<String>>,
    /// More devices than this stand behind all of it together: `0` to `5000`. Where nobody counts them, as with
    /// `devices: any`, it waits.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 5000)))]
    pub(in crate::policy) devices: Option<Spanned<u32>>,
    /// More than this of these devices are connected: `0` to `5000`. Where the rule's `devices` has no `connected`, all of
    /// them count.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 5000)))]
    pub(in crate::policy) connected: Option<Spanned<u32>>,
    /// It would start outside of the windows: the policy's, the rule's or those of an action. With an approval it does.
    #[serde(default)]
    pub(in crate::policy) outside_of_window: bool,
    /// It would go over a budget. With an approval it does, once, and counts.
    #[serde(default)]
    pub(in crate::policy) over_budget: bool,
    /// In which time a person has to approve, `15m` to `7d`; what is approved has as long to start. Left out: `24h`.
    pub(in crate::policy) within: Option<Minutes>,
}

impl<'de> Deserialize<'de> for Approvals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Approvals;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("always, or a mapping of what needs an approval")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Approvals, E> {
                if word == "always" {
                    return Ok(Approvals::Always);
                }
                Err(E::invalid_value(de::Unexpected::Str(word), &self))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Approvals, A::Error> {
                Approval::deserialize(de::value::MapAccessDeserializer::new(map)).map(Approvals::When)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Approvals {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Approvals".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let when = generator.subschema_for::<Approval>();
        schemars::json_schema!({ "anyOf": [{ "const": "always" }, when] })
    }
}
