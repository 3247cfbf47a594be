//! Whose a message is: a function takes messages of its own account only.

use serde::Deserialize;
use serde::de::Error as _;

use super::CheckMessage;
use super::ExportMessage;
use super::SuppressionMessage;
use super::alarm_record::AlarmExportMessage;
use crate::ids::AccountId;
use crate::json;
use crate::json::JsonError;
use crate::untrusted::shown;

/// A message that names its account.
pub trait OfAccount {
    /// The path of the member that names the account.
    const PATH: &'static str;

    /// The account.
    fn account(&self) -> &AccountId;
}

impl OfAccount for CheckMessage {
    const PATH: &'static str = "audit.account";

    fn account(&self) -> &AccountId {
        &self.audit.account
    }
}

impl OfAccount for SuppressionMessage {
    const PATH: &'static str = "audit.account";

    fn account(&self) -> &AccountId {
        &self.audit.account
    }
}

impl OfAccount for ExportMessage<'_> {
    const PATH: &'static str = "audit.account";

    fn account(&self) -> &AccountId {
        &self.audit.account
    }
}

impl OfAccount for AlarmExportMessage<'_> {
    const PATH: &'static str = "account";

    fn account(&self) -> &AccountId {
        &self.account
    }
}

/// Reads a message of an account.
///
/// # Errors
/// What is wrong, with the path of the member: also that the message is of another account.
pub fn read_own<'t, M: OfAccount + Deserialize<'t>>(text: &'t str, account: &str) -> Result<M, JsonError> {
    let message: M = json::read(text)?;
    if message.account() != account {
        let what = format!("this is account {account}, not '{}'", shown(message.account()));
        return Err(JsonError { path: M::PATH.to_owned(), reason: serde_json::Error::custom(what) });
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(member: &str, value: &str) -> String {
        let mut message = serde_json::json!({
            "audit": {"account": "123456789012", "region": "us-east-1", "taskId": "t", "startedAt": 0},
            "check": "LOGGING_DISABLED_CHECK",
            "nonCompliant": 1,
        });
        *message.pointer_mut(member).unwrap() = value.into();
        read_own::<CheckMessage>(&message.to_string(), "123456789012").unwrap_err().to_string()
    }

    #[test]
    fn the_member_that_is_wrong_is_named() {
        let errors = [
            error("/audit/account", "210987654321"),
            error("/audit/account", "the-one-that-you-own"),
            error("/audit/region", "../x"),
            error("/audit/taskId", "t/.."),
            error("/check", "A:CHECK"),
        ];
        insta::assert_snapshot!(errors.join("\n"));
    }
}
