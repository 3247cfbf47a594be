//! `--query`: an expression in JMESPath that picks a part of an answer.

use anyhow::{Result, anyhow};
use serde_json::Value;
use std::borrow::Cow;

/// An expression that picks a part of an answer.
#[derive(Debug)]
pub(crate) struct Query(jmespath::Expression<'static>);

impl Query {
    /// Reads it.
    ///
    /// # Errors
    /// If it is no expression, with the place.
    pub(crate) fn parse(expression: &str) -> Result<Self> {
        jmespath::compile(&literals(expression)).map(Self).map_err(|error| invalid(&error))
    }

    /// The part of an answer that it picks.
    ///
    /// # Errors
    /// If a function of it cannot take what it is given.
    pub(crate) fn pick(&self, answer: &Value) -> Result<Value> {
        let found = self.0.search(answer).map_err(|error| invalid(&error))?;
        Ok(serde_json::to_value(found.as_ref())?)
    }
}

/// The expression with quotes around each literal between backticks that is no JSON: the AWS CLI takes it as a string.
fn literals(expression: &str) -> String {
    let (mut out, mut rest) = (String::new(), expression);
    while let Some(at) = rest.find(['`', '\'', '"']) {
        let (before, from) = rest.split_at(at);
        let (mark, inside) = from.split_at(1);
        let mut escaped = false;
        let end = inside.find(|c| {
            let ends = mark.starts_with(c) && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let Some((literal, after)) = end.map(|end| inside.split_at(end)) else { break };
        let plain = literal.replace("\\`", "`");
        let is_word = mark == "`" && serde_json::from_str::<Value>(&plain).is_err();
        let quoted = || Value::from(plain.trim_start()).to_string().replace('`', "\\`");
        let literal = if is_word { Cow::Owned(quoted()) } else { Cow::Borrowed(literal) };
        out.extend([before, mark, &literal, mark]);
        rest = after.get(1..).unwrap_or_default();
    }
    out + rest
}

fn invalid(error: &jmespath::JmespathError) -> anyhow::Error {
    anyhow!("--query: {}", error.to_string().trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_no_expression_is_told_with_its_place() {
        let wrong = |expression| Query::parse(expression).unwrap_err().to_string();
        insta::assert_snapshot!([wrong("tasks[?"), wrong("a.b(c)[")].join("\n"));
        let failing =
            Query::parse("abs(tasks)").unwrap().pick(&json!({"tasks": "x"})).unwrap_err().to_string();
        assert!(failing.starts_with("--query: ") && failing.contains("abs"), "{failing}");
    }

    #[test]
    fn a_literal_between_backticks_may_be_a_word() {
        let answer = json!({"findings": [{"id": "1", "severity": "LOW", "n": 1}, {"id": "2", "severity": "HIGH", "n": 2}]});
        for (expression, expected) in [
            ("findings[?severity==`LOW`].id", json!(["1"])),
            ("findings[?severity==`\"LOW\"`].id", json!(["1"])),
            ("findings[?severity=='LOW'].id", json!(["1"])),
            ("findings[?n==`2`].id", json!(["2"])),
            ("findings[?severity==`a\\`b`]", json!([])),
            ("findings[?severity=='`LOW`'].\"id\"", json!([])),
        ] {
            assert_eq!(Query::parse(expression).unwrap().pick(&answer).unwrap(), expected, "{expression}");
        }
        assert_eq!(literals("a `b"), "a `b");
    }
}
