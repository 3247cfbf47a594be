//! A function that makes recorded calls and nothing else. `PLAN` names the recording's folder; with `PARSES`
//! it reads what it gets.

use std::path::Path;
use std::sync::Arc;

use fleetwarden_bench::{Client, Plan};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let plan = &Plan::read(Path::new(&std::env::var("PLAN")?))?;
    let client = &Arc::new(Client::new(std::env::var_os("PARSES").is_some()));
    let replay = async |_: LambdaEvent<Value>| client.replay(plan).await.map_err(Error::from);
    lambda_runtime::run(service_fn(replay)).await
}
