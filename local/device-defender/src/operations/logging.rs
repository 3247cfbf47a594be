//! Logging options: those of version 2, and the older ones.

use serde_json::{Value, json};

use crate::args::Args;
use crate::failure::{Code, Failure};
use crate::fleet::logging::{FirstOptions, Options};
use crate::operations::{EMPTY, Outcome};
use crate::world::World;

/// `GetV2LoggingOptions`. Options that were never set are an error. Events are told only when they are asked for.
pub(crate) fn get(world: &mut World, args: &Args) -> Outcome {
    let options = world.fleet.logging.options.as_ref();
    let options = options.ok_or_else(|| Failure::new(Code::NotConfigured, "Logging is not configured"))?;
    let mut told = json!({ "defaultLogLevel": options.level, "disableAllLogs": options.disabled });
    if let Some(told) = told.as_object_mut() {
        if let Some(role) = &options.role {
            told.insert("roleArn".to_owned(), role.as_str().into());
        }
        if args.flag("verbose") == Some(true) {
            told.insert("eventConfigurations".to_owned(), options.events.clone().into());
        }
    }
    Ok(told.to_string())
}

/// `SetV2LoggingOptions`. Who sets a level for the first time names a role; what is left out stays as it was, or has its
/// default.
pub(crate) fn set(world: &mut World, args: &Args) -> Outcome {
    let before = world.fleet.logging.options.clone();
    let text = |name: &str| args.text(name).map(str::to_owned);
    let role = text("roleArn").or_else(|| before.as_ref().and_then(|before| before.role.clone()));
    let disabled = args.flag("disableAllLogs").unwrap_or(false);
    if role.is_none() && !disabled {
        return Err(Failure::invalid("roleArn must be given"));
    }
    let level = text("defaultLogLevel").or_else(|| before.as_ref().map(|before| before.level.clone()));
    let events = match args.read::<Vec<Value>>("eventConfigurations")? {
        Some(events) => events,
        None => before.map(|before| before.events).unwrap_or_default(),
    };
    let level = level.unwrap_or_else(|| "DISABLED".to_owned());
    world.fleet.logging.set(Options { role, level, disabled, events });
    Ok(EMPTY.to_owned())
}

/// `GetLoggingOptions`. Options that were never set are told as none.
#[expect(clippy::unnecessary_wraps, reason = "as every operation answers")]
pub(crate) fn get_first(world: &mut World, _: &Args) -> Outcome {
    let FirstOptions { role, level } = &world.fleet.logging.first;
    let mut told = json!({});
    for (name, value) in [("roleArn", role), ("logLevel", level)] {
        if let Some(told) = told.as_object_mut().filter(|_| !value.is_empty()) {
            told.insert(name.to_owned(), value.as_str().into());
        }
    }
    Ok(told.to_string())
}

/// `SetLoggingOptions`.
pub(crate) fn set_first(world: &mut World, args: &Args) -> Outcome {
    let (role, level) = (args.required("roleArn").to_owned(), args.required("logLevel").to_owned());
    if !role.starts_with("arn:") {
        return Err(Failure::invalid("loggingOptionsPayload.roleArn is not the ARN of a role"));
    }
    world.fleet.logging.first = FirstOptions { role, level };
    Ok(EMPTY.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::harness::Desk;

    const ROLE: &str = "arn:aws:iam::123456789012:role/Logs";

    #[test]
    fn options_are_told_as_they_were_set() {
        let desk = Desk::new(100);
        let get =
            |verbose: bool| desk.call("GET", &format!("/v2LoggingOptions?verbose={verbose}"), &Value::Null);
        let set = |body: &Value| desk.call("POST", "/v2LoggingOptions", body).0;
        assert_eq!(get(false).0, 404);
        assert_eq!(set(&json!({ "defaultLogLevel": "INFO" })), 400, "no role");
        assert_eq!(set(&json!({ "defaultLogLevel": "LOUD", "roleArn": ROLE })), 400);
        let events = json!([{ "eventType": "Connect", "logLevel": "DEBUG" }]);
        let body = json!({ "roleArn": ROLE, "defaultLogLevel": "WARN", "eventConfigurations": events });
        assert_eq!(set(&body), 200);
        let told = json!({ "roleArn": ROLE, "defaultLogLevel": "WARN", "disableAllLogs": false });
        assert_eq!(get(false).1, told);
        assert_eq!(get(true).1["eventConfigurations"], events);
        assert_eq!(desk.state()["fleet"]["loggingEnabled"], true);
        assert_eq!(set(&json!({ "disableAllLogs": true })), 200);
        assert_eq!(get(true).1["eventConfigurations"], events);
        assert_eq!(desk.state()["fleet"]["loggingEnabled"], false);
    }

    #[test]
    fn the_older_options_are_their_own() {
        let desk = Desk::new(100);
        let get = || desk.ok("GET", "/loggingOptions", &Value::Null);
        assert_eq!(get(), json!({}));
        let body = json!({ "roleArn": ROLE, "logLevel": "INFO" });
        assert_eq!(desk.call("POST", "/loggingOptions", &body).0, 200);
        assert_eq!(get(), json!({ "roleArn": ROLE, "logLevel": "INFO" }));
        assert_eq!(desk.call("POST", "/loggingOptions", &json!({ "roleArn": "x" })).0, 400);
        assert_eq!(desk.call("GET", "/v2LoggingOptions", &Value::Null).0, 404);
    }
}
