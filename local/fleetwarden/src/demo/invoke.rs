//! A function of the stack, asked as people and schedules ask it.

use crate::stack::Stack;
use anyhow::{Context as _, Result, bail};
use hyper::body::Bytes;
use serde_json::Value;

/// What a function answers, by the output that names it. A function that fails is an error.
pub(crate) async fn invoke(stack: &Stack, output: &str, event: &Value) -> Result<Value> {
    let answer = stack.cloud().invoke(stack.output(output)?, Bytes::from(event.to_string())).await?;
    let answer: Value =
        serde_json::from_slice(&answer).with_context(|| format!("{output}: the answer is not JSON"))?;
    if answer.get("errorType").is_some() {
        bail!("{output}: {answer}");
    }
    Ok(answer)
}
