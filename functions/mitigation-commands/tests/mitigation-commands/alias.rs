//! By which alias a command may come.

use fleetwarden_core::api::MITIGATION;
use serde_json::Value;
use serde_json::json;

use crate::setup::Setup;

const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:fleetwarden-mitigation";

/// The name of the failure of a command that comes by an ARN, or nothing.
async fn name(setup: &Setup, arn: &str, event: Value) -> (String, String) {
    match setup.invoke_by(arn, event).await {
        Ok(_) => Default::default(),
        Err(failure) => (failure.name().to_owned(), failure.to_string()),
    }
}

#[tokio::test(start_paused = true)]
async fn an_alias_takes_its_own_commands_and_no_others() {
    for operation in &MITIGATION {
        let required = operation.members.iter().filter(|member| member.required);
        let mut event: Value = required
            .map(|member| (member.name.to_owned(), json!("x")))
            .collect::<serde_json::Map<_, _>>()
            .into();
        event["command"] = operation.name.into();
        for alias in ["read", "approve", "operate", "prod", "7", ""] {
            let setup = Setup::default();
            let (name, what) = name(&setup, &format!("{FUNCTION}:{alias}"), event.clone()).await;
            if operation.alias() == Some(alias) {
                assert_ne!(name, "WrongAlias", "{alias}: {what}");
                continue;
            }
            assert_eq!(name, "WrongAlias", "{} by {alias}: {what}", operation.name);
            assert!(what.contains(&format!("its alias '{}' takes it", operation.alias().unwrap())), "{what}");
            assert_eq!(setup.cloud.calls(""), [], "it is refused before any call");
        }
        for arn in [FUNCTION.to_owned(), format!("{FUNCTION}:$LATEST"), String::new()] {
            let (name, what) = name(&Setup::default(), &arn, event.clone()).await;
            assert_ne!(name, "WrongAlias", "{what}");
        }
    }
}
