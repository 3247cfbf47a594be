//! Lambda: the environment that the template leaves out, and a call of a deployed function.

use super::Cloud;
use anyhow::{Context as _, Result};
use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};
use std::time::Duration;

const FUNCTIONS: &str = "/2015-03-31/functions";

impl Cloud {
    /// Shortens a function's time-out, and adds variables to its environment. The rest stays as the template
    /// set it, and so does a time-out that is shorter already.
    pub(crate) async fn hasten(
        &self,
        function: &str,
        timeout: Duration,
        variables: &[(&str, &str)],
    ) -> Result<()> {
        let now = self.configuration(function).await?;
        let given = now.get("Timeout").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let environment = now.pointer("/Environment/Variables").and_then(Value::as_object);
        let mut environment = environment.cloned().unwrap_or_default();
        for (name, value) in variables {
            environment.insert((*name).to_owned(), Value::from(*value));
        }
        let timeout = given.min(timeout.as_secs());
        let body = json!({ "Timeout": timeout, "Environment": { "Variables": environment } });
        let path = format!("{FUNCTIONS}/{function}/configuration");
        let reply = self.rest("lambda", Method::PUT, &path, body.to_string()).await?;
        reply.json().with_context(|| format!("configure {function}"))?;
        Ok(())
    }

    async fn configuration(&self, function: &str) -> Result<Value> {
        let path = format!("{FUNCTIONS}/{function}/configuration");
        let reply = self.rest("lambda", Method::GET, &path, "").await?;
        reply.json().with_context(|| format!("read the configuration of {function}"))
    }

    /// Sets what becomes of a function in a recursive loop: `Allow` or `Terminate`.
    pub(crate) async fn set_recursive_loop(&self, function: &str, setting: &str) -> Result<()> {
        let path = format!("/2024-08-31/functions/{function}/recursion-config");
        let body = json!({ "RecursiveLoop": setting });
        let reply = self.rest("lambda", Method::PUT, &path, body.to_string()).await?;
        reply.ok().with_context(|| format!("configure the recursion of {function}"))?;
        Ok(())
    }

    /// Calls a deployed function and waits for its answer.
    pub(crate) async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes> {
        let path = format!("{FUNCTIONS}/{function}/invocations");
        let reply = self.rest("lambda", Method::POST, &path, event).await?;
        reply.ok().with_context(|| format!("invoke {function}"))
    }
}
