//! The JSON Schema of the language, made from its types: for editors, other tools and the reference.
//!
//! The schema refuses nothing that a policy is likely to say and the reader takes, and it takes some that the reader
//! refuses: that a name stands twice, that a zone does not exist. Numbers stand for texts where people leave out
//! the quotes, as with accounts.

use std::borrow::Cow;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use schemars::json_schema;
use schemars::transform::RecursiveTransform;
use serde_json::Value;

use super::AlarmRule;
use super::File;
use super::Rule;
use super::Texts;
use crate::ids::check;
use crate::policy::glob;

/// The schema of a policy file: JSON Schema 2020-12.
pub fn schema() -> Value {
    schema_of::<File>()
}

/// The schema of a file that is read into a type, in the form of that of a policy.
pub fn schema_of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(tidy)).into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

/// Takes out what comes of Rust and not of the language: nothing is ever null, a number has no width, and a
/// description has no line ends but those between paragraphs.
fn tidy(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(any)) = schema.get_mut("anyOf") {
        any.retain(|of| of.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(only)] = any.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            for (key, value) in only {
                schema.insert(key, value);
            }
        }
    }
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if schema.get("format").is_some_and(|format| format != "date") {
        schema.remove("format");
    }
    if let Some(Value::String(text)) = schema.get_mut("description") {
        let paragraphs: Vec<_> = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
        *text = paragraphs.join("\n\n");
    }
}

/// How bad a finding is, worst first.
#[derive(JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum Severity {
    Critical,
    High,
    Medium,
    Low,
}

/// How a behavior is evaluated.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum Criteria {
    /// By a value that the security profile has.
    Static,
    /// By a percentile of the fleet.
    Statistical,
    /// By a model.
    Ml,
}

/// The source of an alarm.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum AlarmSource {
    /// Device Defender Detect. Only its alarms can be mitigated and verified.
    DeviceDefender,
    /// A CloudWatch alarm.
    CloudWatch,
    /// A tool of the operator's own.
    Other,
}

/// A rule: on alarms if it has the key `alarm`, or else on findings.
pub(super) struct AnyRule;

impl JsonSchema for AnyRule {
    fn schema_name() -> Cow<'static, str> {
        "AnyRule".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (finding, alarm) = (generator.subschema_for::<Rule>(), generator.subschema_for::<AlarmRule>());
        json_schema!({ "if": { "required": ["alarm"] }, "then": alarm, "else": finding })
    }
}

/// One value, or a list of them that means any.
pub(super) struct OneOrMany<T>(std::marker::PhantomData<T>);

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrList", T::schema_name()).into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}

impl JsonSchema for Texts {
    fn schema_name() -> Cow<'static, str> {
        OneOrMany::<Pattern>::schema_name()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        OneOrMany::<Pattern>::json_schema(generator)
    }
}

struct Pattern;

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A text, in which `*` stands for any characters, also none, and `?` for any one. Large and \
                small letters differ. With `*`, put it in quotes.",
            "type": ["string", "number"],
            "minLength": 1,
            "maxLength": glob::MAX_BYTES,
            "examples": ["lab-*"],
        })
    }
}

/// The name of a check.
pub(super) struct Check;

impl JsonSchema for Check {
    fn schema_name() -> Cow<'static, str> {
        "Check".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let [known, old] = names_of_checks();
        json_schema!({
            "description": "The name of an audit check, or a pattern with `*` and `?`, which may also mean checks to come.",
            "anyOf": [
                known,
                old,
                { "description": "A pattern.", "type": "string", "pattern": "[*?]", "maxLength": glob::MAX_BYTES },
            ],
        })
    }
}

/// The name of a check that there is.
pub(super) struct KnownCheck;

impl JsonSchema for KnownCheck {
    fn schema_name() -> Cow<'static, str> {
        "KnownCheck".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "The name of an audit check.", "anyOf": names_of_checks() })
    }
}

fn names_of_checks() -> [Schema; 2] {
    let old: Vec<_> = check::ALIASES.iter().map(|(old, _)| *old).collect();
    let about_old = "A name that stands in older documents of AWS.";
    [
        json_schema!({ "enum": check::KNOWN }),
        json_schema!({ "description": about_old, "enum": old, "deprecated": true }),
    ]
}

/// The name of a thing group or a thing type.
pub(super) struct Name;

impl JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The name of a thing group or a thing type: 1 to 128 letters, digits, `:`, `_` and `-`.",
            "type": ["string", "number"],
            "pattern": "^[a-zA-Z0-9:_-]{1,128}$",
            "examples": ["lab"],
        })
    }
}

/// Names of mitigation actions.
pub(super) struct Actions;

impl JsonSchema for Actions {
    fn schema_name() -> Cow<'static, str> {
        "Actions".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<Action>();
        let many = json_schema!({ "type": "array", "items": one, "minItems": 1, "maxItems": 5, "uniqueItems": true });
        json_schema!({ "anyOf": [one, many] })
    }
}

pub(super) struct Action;

impl JsonSchema for Action {
    fn schema_name() -> Cow<'static, str> {
        "Action".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The name of a mitigation action: 1 to 128 letters, digits, `-` and `_`.",
            "type": "string",
            "pattern": "^[A-Za-z0-9_-]{1,128}$",
            "examples": ["FleetwardenDeactivateDeviceCertificate"],
        })
    }
}
