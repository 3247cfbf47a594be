//! Lambda: the environment that the template leaves out, and a call of a deployed function.

use super::{Cloud, refused};
use anyhow::{Result, bail};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Environment, LastUpdateStatus, RecursiveLoop, State};
use hyper::body::Bytes;
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(100);
/// A change of the configuration takes half a second.
const ATTEMPTS: u32 = 300;

impl Cloud {
    /// Shortens a function's time-out, and adds variables to its environment. The rest stays as the template
    /// set it, and so does a time-out that is shorter already.
    pub(crate) async fn hasten(
        &self,
        function: &str,
        timeout: Duration,
        variables: &[(&str, &str)],
    ) -> Result<()> {
        let now = self.lambda.get_function_configuration().function_name(function).send().await;
        let now = now.map_err(refused(format!("cannot read the configuration of {function}")))?;
        let given = now.environment.and_then(|environment| environment.variables).unwrap_or_default();
        let added = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = given.into_iter().chain(added).collect();
        let seconds = i32::try_from(timeout.as_secs()).unwrap_or(i32::MAX);
        let update = self.lambda.update_function_configuration().function_name(function);
        let update = update
            .timeout(now.timeout.map_or(seconds, |given| given.min(seconds)))
            .environment(Environment::builder().set_variables(Some(environment)).build());
        update.send().await.map_err(refused(format!("cannot configure {function}")))?;
        Ok(())
    }

    /// Waits until a function's new configuration is there: until then it takes no events.
    pub(crate) async fn configured(&self, function: &str) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let now = self.lambda.get_function_configuration().function_name(function).send().await;
            let now = now.map_err(refused(format!("cannot read the configuration of {function}")))?;
            let is_done = now.last_update_status.is_none_or(|status| status == LastUpdateStatus::Successful);
            if is_done && now.state.is_none_or(|state| state == State::Active) {
                return Ok(());
            }
            tokio::time::sleep(EVERY).await;
        }
        bail!("the configuration of {function} is still being changed")
    }

    /// Sets what becomes of a function in a recursive loop: `Allow` or `Terminate`.
    pub(crate) async fn set_recursive_loop(&self, function: &str, setting: &str) -> Result<()> {
        let put = self.lambda.put_function_recursion_config().function_name(function);
        let put = put.recursive_loop(RecursiveLoop::from(setting)).send().await;
        put.map_err(refused(format!("cannot configure the recursion of {function}")))?;
        Ok(())
    }

    /// Calls a deployed function and waits for its answer.
    pub(crate) async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes> {
        let invoke = self.lambda.invoke().function_name(function).payload(Blob::new(event));
        let answer = invoke.send().await.map_err(refused(format!("cannot invoke {function}")))?;
        Ok(answer.payload.map(Blob::into_inner).unwrap_or_default().into())
    }
}
