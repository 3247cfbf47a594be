//! The functions as they ship: each starts from its environment and handles the event that Lambda gives it.

use std::pin::Pin;
use std::rc::Rc;

use lambda_runtime::Context;
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde_json::Value;

/// An invocation: the function's answer, or its error.
pub(crate) type Handling = Pin<Box<dyn Future<Output = Result<Value, String>>>>;
/// A function that has started.
pub(crate) type Handler = Rc<dyn Fn(Value, Context) -> Handling>;

fn answer<T: Serialize>(answer: Result<T, impl std::fmt::Display>) -> Result<Value, String> {
    let answer = answer.map_err(|error| error.to_string())?;
    serde_json::to_value(answer).map_err(|error| error.to_string())
}

/// A started function, called as its binary calls it.
macro_rules! handler {
    ($started:expr, |$function:ident, $event:ident, $context:ident| $call:expr) => {{
        let started = Rc::new($started.map_err(|error| error.to_string())?);
        let handler: Handler = Rc::new(move |$event: Value, $context: Context| {
            let $function = Rc::clone(&started);
            Box::pin(async move { answer($call.await) }) as Handling
        });
        handler
    }};
}

macro_rules! event {
    ($event:ident) => {
        serde_json::from_value($event).map_err(|error| error.to_string())?
    };
}

/// Starts a function by its name, in the environment around the call.
pub(crate) async fn start(name: &str) -> Result<Handler, String> {
    Ok(match name {
        "audit-notification" => handler!(audit_notification::Handler::from_env(), |f, event, context| f
            .handle(LambdaEvent::new(event, context))),
        "triage-findings" => {
            handler!(triage_findings::Handler::from_env().await, |f, event, context| f
                .handle(LambdaEvent::new(event!(event), context)))
        }
        "apply-suppressions" => {
            handler!(apply_suppressions::Handler::from_env().await, |f, event, context| f
                .handle(LambdaEvent::new(event!(event), context)))
        }
        "apply-mitigations" => {
            handler!(apply_mitigations::ApplyMitigations::from_env().await, |f, event, context| f
                .handle(event!(event), &context))
        }
        "export-findings" => handler!(export_findings::Handler::from_env(), |f, event, context| f
            .handle(LambdaEvent::new(event!(event), context))),
        "suppression-review" => {
            handler!(suppression_review::Handler::from_env().await, |f, event, context| f
                .handle(LambdaEvent::new(event, context)))
        }
        "detect-alarm" => {
            handler!(detect_alarm::DetectAlarm::from_env().await, |f, event, context| f
                .handle(event!(event), &context))
        }
        "audit-watch" => handler!(audit_watch::Handler::from_env(), |f, event, context| f
            .handle(LambdaEvent::new(event, context))),
        "alarm-watch" => {
            handler!(alarm_watch::AlarmWatch::from_env().await, |f, event, context| f.handle(event, &context))
        }
        "ml-model-status" => {
            handler!(ml_model_status::MlModelStatus::from_env().await, |f, event, context| f
                .handle(event, &context))
        }
        "audit-commands" => {
            handler!(audit_commands::AuditCommands::from_env(), |f, event, context| f.handle(event, &context))
        }
        "detect-commands" => {
            handler!(detect_commands::DetectCommands::from_env(), |f, event, context| f
                .handle(event, &context))
        }
        "mitigation-commands" => {
            handler!(mitigation_commands::MitigationCommands::from_env(), |f, event, context| f
                .handle(event, &context))
        }
        other => return Err(format!("there is no function {other}")),
    })
}
