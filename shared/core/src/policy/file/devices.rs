//! The part of the policy file that is about how many devices a mitigation may concern.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de;

use crate::policy::de::Spanned;

/// How many devices may stand behind a finding that is mitigated: `any`, or numbers.
pub(in crate::policy) enum Devices {
    /// Any number.
    Any,
    /// At most these.
    AtMost(DeviceLimits),
}

/// How many devices may stand behind what is mitigated for one finding: the things of a device certificate, of the
/// certificates that a CA certificate or an issuer has signed, or of all that a policy is attached to. A certificate without a
/// thing counts as one. A finding with more is left out, with an alert. So is one whose devices cannot be counted to the end.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::policy) struct DeviceLimits {
    /// How many devices: 1 to 5000.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 5_000)))]
    pub(in crate::policy) most: Spanned<u64>,
    /// How many of them may be connected: 0 to 5000. A device whose connection is unknown counts as connected. Left out: all.
    #[cfg_attr(feature = "schema", schemars(range(max = 5_000)))]
    pub(in crate::policy) connected: Option<Spanned<u64>>,
}

impl<'de> Deserialize<'de> for Devices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Devices;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any, or numbers as { most: 50, connected: 5 }")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Devices, E> {
                if word == "any" {
                    return Ok(Devices::Any);
                }
                Err(E::invalid_value(de::Unexpected::Str(word), &self))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Devices, A::Error> {
                DeviceLimits::deserialize(de::value::MapAccessDeserializer::new(map)).map(Devices::AtMost)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Devices {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Devices".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let limits = generator.subschema_for::<DeviceLimits>();
        schemars::json_schema!({ "anyOf": [{ "const": "any" }, limits] })
    }
}
