//! `fleetwarden policy reference`: every key of the policy file, in Markdown, made from its JSON Schema.

use crate::exit::Exit;
use crate::output::{line, wrapped};
use fleetwarden_core::policy;
use serde_json::Value;
use std::fmt::Write as _;

const HEAD: &str = "\
# Every key of the policy

Made by `fleetwarden policy reference` from the types that read the file; [policy.md](policy.md) says how to use
them. `policies/policy.schema.json` says the same to editors: they complete keys and mark what is wrong.
";

/// How wide a line is.
const WIDTH: usize = 110;

/// Prints the reference.
pub(crate) fn run() -> Exit {
    line(text(&policy::schema()).trim_end());
    Exit::Done
}

/// The reference of a schema: the file, then every block below it, then the kinds of values.
fn text(schema: &Value) -> String {
    let mut out = HEAD.to_owned();
    let mut names = Vec::new();
    block(&mut out, "The file", schema, &mut names);
    let mut values = String::new();
    let mut next = 0;
    while let Some(name) = names.get(next).cloned() {
        next += 1;
        let Some(definition) = schema.get("$defs").and_then(|all| all.get(&name)) else { continue };
        if definition.get("properties").is_some() {
            // What a block names comes right after it, before what its neighbours name.
            let mut below = Names::new();
            block(&mut out, &name, definition, &mut below);
            below.retain(|name| !names.contains(name));
            names.splice(next..next, below);
        } else {
            value(&mut values, &name, definition);
        }
    }
    let _ = write!(out, "\n## Values\n\n| value | what it is | limits |\n|---|---|---|\n{values}");
    out
}

/// The definitions that are used, in the order of their first use.
type Names = Vec<String>;

/// A mapping: what it is, and a row a key.
fn block(out: &mut String, title: &str, block: &Value, names: &mut Names) {
    let _ = write!(
        out,
        "\n## {title}\n\n{}\n\n| key | value | what it says |\n|---|---|---|\n",
        described(block)
    );
    let required: Vec<_> = block.get("required").and_then(Value::as_array).into_iter().flatten().collect();
    let properties = block.get("properties").and_then(Value::as_object);
    let mut keys: Vec<_> = properties.into_iter().flatten().collect();
    keys.sort_by_key(|(key, _)| !required.iter().any(|name| *name == key.as_str()));
    for (key, of) in keys {
        let must = if required.iter().any(|name| *name == key.as_str()) { " (required)" } else { "" };
        let kind = kind(of, names);
        let mut what: Vec<_> = told(of).into_iter().collect();
        what.extend(limits(of));
        what.extend(of.get("default").map(|value| format!("Default: `{}`.", plain(value))));
        let _ = writeln!(out, "| `{key}`{must} | {kind} | {} |", cell(&what.join(" ")));
    }
}

/// A kind of value that has a name: what it is, and what it allows.
fn value(out: &mut String, name: &str, of: &Value) {
    let mut allowed: Vec<String> = limits(of).into_iter().collect();
    for key in ["oneOf", "anyOf"] {
        for one in of.get(key).and_then(Value::as_array).into_iter().flatten() {
            let what = told(one).map_or_else(String::new, |what| format!(": {what}"));
            match one.get("const") {
                Some(word) => allowed.push(format!("`{}`{what}", plain(word))),
                None => allowed.extend(limits(one).map(|limits| match told(one) {
                    Some(what) => format!("{what} {limits}"),
                    None => limits,
                })),
            }
        }
    }
    let name = format!("<a id=\"{}\"></a>{name}", name.to_lowercase());
    let what = told(of).unwrap_or_default();
    let _ = writeln!(out, "| {name} | {} | {} |", cell(&what), cell(&allowed.join("<br>")));
}

/// What stands behind a key, in words, with links to definitions.
fn kind(of: &Value, names: &mut Names) -> String {
    if let Some(name) = of.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let (Some(then), Some(otherwise)) = (of.get("then"), of.get("else")) {
        let (otherwise, then) = (kind(otherwise, names), kind(then, names));
        return format!("{otherwise} or {then}");
    }
    if let Some(any) = of.get("anyOf").and_then(Value::as_array) {
        let kinds: Vec<_> = any.iter().map(|of| kind(of, names)).collect();
        return match kinds.as_slice() {
            [one, many] if *many == format!("list of {one}") => format!("{one} or a list"),
            _ => kinds.join(" or "),
        };
    }
    let list = |of: &Value| kind(of, &mut *names);
    match of.get("type").and_then(Value::as_str) {
        Some("array") => format!("list of {}", of.get("items").map(list).unwrap_or_default()),
        Some("object") => {
            format!("mapping of names to {}", of.get("additionalProperties").map(list).unwrap_or_default())
        }
        Some("integer") => "whole number".into(),
        Some("boolean") => "`true` or `false`".into(),
        _ if of.get("format").is_some() => "date".into(),
        _ => "text".into(),
    }
}

/// What a schema says of itself, with its paragraphs one after the other.
fn told(of: &Value) -> Option<String> {
    let text = of.get("description")?.as_str()?;
    Some(text.replace("\n\n", " "))
}

/// What a schema allows, in words, as far as it does not say so itself. Its descriptions spell expressions out.
fn limits(of: &Value) -> Option<String> {
    let told = told(of).unwrap_or_default();
    let list = |key: &str| {
        let words = of.get(key)?.as_array()?.iter().map(|word| format!("`{}`", plain(word)));
        Some(words.collect::<Vec<_>>().join(", "))
    };
    let number = |key: &str| {
        let number = of.get(key)?.as_u64()?;
        (!told.contains(&number.to_string())).then_some(number)
    };
    let mut said: Vec<String> = list("enum").map(|words| format!("{words}.")).into_iter().collect();
    said.extend(number("maxLength").map(|most| format!("At most {most} bytes.")));
    said.extend(number("maxItems").map(|most| format!("At most {most}.")));
    said.extend(list("examples").filter(|words| !told.contains(words)).map(|words| format!("As {words}.")));
    (!said.is_empty()).then(|| said.join(" "))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A text for a table's cell, where a bar would end it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// A description as paragraphs of lines that are no wider than those of the other documents.
fn described(of: &Value) -> String {
    let text = of.get("description").and_then(Value::as_str).unwrap_or_default();
    text.split("\n\n").map(|paragraph| wrapped(paragraph, WIDTH)).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_that_ships_is_that_of_the_types() {
        let shipped = include_str!("../../../../../docs/policy-reference.md");
        let same = shipped.trim_end() == text(&policy::schema()).trim_end();
        assert!(same, "run: cargo run -p fleetwarden -- policy reference > docs/policy-reference.md");
    }
}
