//! The part of the policy file that is about budgets.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de;

use super::Duration;
use super::Texts;
#[cfg(feature = "schema")]
use super::schema;
use crate::policy::de::Spanned;

/// How much may be mitigated in a time: `none`, or a list of budgets, all of which a mitigation has to fit into.
pub(in crate::policy) enum Budgets {
    /// Any number.
    None,
    /// Each of these at most.
    List(Vec<Spanned<Budget>>),
}

/// A budget: at most so many findings and violations are mitigated in a time. What would go over it is held as a whole,
/// and goes on when there is room. Commands count too, and are refused when there is no room.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::policy) struct Budget {
    /// How many findings and violations: 1 to 1000000. Tasks of rules are made no larger than this.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
    pub(in crate::policy) most: Spanned<u64>,
    /// Or this share of the things in the fleet index, or of those in the thing group, as `1%`, if that is more: more than
    /// `0%`, at most `100%`. Without a fleet index only `most` counts. Of a group no more than 10,000 things are counted.
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = r"^(100|[0-9]{1,2}(\.[0-9]{1,2})?)%$"), example = "1%")
    )]
    pub(in crate::policy) or_share: Option<Spanned<String>>,
    /// In which time, up to now: at most `30d`.
    pub(in crate::policy) within: Duration,
    /// Only of tasks with any of these mitigation actions. Left out: of all.
    #[cfg_attr(feature = "schema", schemars(with = "Option<schema::OneOrMany<schema::Name>>"))]
    pub(in crate::policy) actions: Option<Texts>,
    /// Only of tasks of these rules. Left out: of all rules, and of commands.
    #[cfg_attr(feature = "schema", schemars(with = "Option<schema::OneOrMany<schema::Name>>"))]
    pub(in crate::policy) rules: Option<Texts>,
    /// Only of findings and alarms with a thing in this thing group, or in one below it: its name. A finding of which that is
    /// not known counts, and so does one about a policy, an issuer or a CA certificate. Left out: of all.
    #[cfg_attr(feature = "schema", schemars(with = "Option<schema::Name>"))]
    pub(in crate::policy) group: Option<Spanned<String>>,
}

impl<'de> Deserialize<'de> for Budgets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Budgets;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of budgets, or none")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Budgets, E> {
                if word == "none" {
                    return Ok(Budgets::None);
                }
                Err(E::invalid_value(de::Unexpected::Str(word), &self))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Budgets, A::Error> {
                let mut list = Vec::new();
                while let Some(next) = items.next_element()? {
                    list.push(next);
                }
                Ok(Budgets::List(list))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Budgets {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Budgets".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let budget = generator.subschema_for::<Budget>();
        schemars::json_schema!({ "anyOf": [
            { "const": "none" },
            { "type": "array", "items": budget, "minItems": 1, "maxItems": 10 },
        ]})
    }
}
