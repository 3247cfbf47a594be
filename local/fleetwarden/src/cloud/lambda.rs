//! Lambda: the environment that the template leaves out, and a call of a deployed function.

use super::Cloud;
use anyhow::{Context as _, Result};
use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Map, Value, json};

const FUNCTIONS: &str = "/2015-03-31/functions";

impl Cloud {
    /// Adds variables to a function's environment and leaves the others as the template set them.
    pub(crate) async fn add_environment(&self, function: &str, more: &[(&str, String)]) -> Result<()> {
        let path = format!("{FUNCTIONS}/{function}/configuration");
        let mut variables = self.environment(function).await?;
        for (name, value) in more {
            variables.insert((*name).to_owned(), Value::from(value.as_str()));
        }
        let body = json!({ "Environment": { "Variables": variables } }).to_string();
        let reply = self.rest("lambda", Method::PUT, &path, body).await?;
        reply.json().with_context(|| format!("set the environment of {function}"))?;
        Ok(())
    }

    /// A deployed function's own variables.
    pub(crate) async fn environment(&self, function: &str) -> Result<Map<String, Value>> {
        let path = format!("{FUNCTIONS}/{function}/configuration");
        let reply = self.rest("lambda", Method::GET, &path, "").await?;
        let now = reply.json().with_context(|| format!("read the configuration of {function}"))?;
        Ok(now.pointer("/Environment/Variables").and_then(Value::as_object).cloned().unwrap_or_default())
    }

    /// Calls a deployed function and waits for its answer.
    pub(crate) async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes> {
        let path = format!("{FUNCTIONS}/{function}/invocations");
        let reply = self.rest("lambda", Method::POST, &path, event).await?;
        reply.ok().with_context(|| format!("invoke {function}"))
    }
}
