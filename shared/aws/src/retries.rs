//! Retries that cannot help, or that do harm. Which call may be sent again, and why, is in docs/decisions.md.

use aws_sdk_cloudwatchlogs::operation::put_log_events::PutLogEventsError;
use aws_sdk_iot::operation::create_audit_suppression::CreateAuditSuppressionError;
use aws_sdk_iot::operation::start_audit_mitigation_actions_task::StartAuditMitigationActionsTaskError;
use aws_sdk_iot::operation::start_detect_mitigation_actions_task::StartDetectMitigationActionsTaskError;
use aws_smithy_runtime_api::client::interceptors::context::Error;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::ClassifyRetry;
use aws_smithy_runtime_api::client::retries::classifiers::RetryAction;
use aws_smithy_runtime_api::client::retries::classifiers::RetryClassifierPriority;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::rest::THROTTLING;

/// `LimitExceededException` means that the account holds as many suppressions as it may, or that as many mitigation tasks
/// run: the same call some milliseconds later gets the same answer. The SDK would send it three times.
#[derive(Debug)]
pub(crate) struct NoPointlessRetry;

impl ClassifyRetry for NoPointlessRetry {
    fn classify_retry(&self, ctx: &InterceptorContext) -> RetryAction {
        let error = ctx.output_or_error().and_then(Result::err).and_then(|e| e.as_operation_error());
        let code = error.and_then(|error| {
            code::<CreateAuditSuppressionError>(error)
                .or_else(|| code::<StartAuditMitigationActionsTaskError>(error))
                .or_else(|| code::<StartDetectMitigationActionsTaskError>(error))
        });
        match code {
            Some("LimitExceededException") => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "no retry on LimitExceededException"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

/// The code of an operation's error, if it is of this operation.
fn code<E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static>(error: &Error) -> Option<&str> {
    error.downcast_ref::<E>().and_then(ProvideErrorMetadata::code)
}

/// `PutLogEvents` appends: sent again after an answer that was lost, it writes its events twice. Only what was throttled
/// certainly wrote nothing.
#[derive(Debug)]
pub struct NoSecondAppend;

impl ClassifyRetry for NoSecondAppend {
    fn classify_retry(&self, ctx: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = ctx.output_or_error() else { return RetryAction::NoActionIndicated };
        let refused = error.as_operation_error().and_then(|e| e.downcast_ref::<PutLogEventsError>());
        match refused.and_then(ProvideErrorMetadata::code) {
            Some(code) if THROTTLING.contains(&code) => RetryAction::NoActionIndicated,
            _ => RetryAction::RetryForbidden,
        }
    }

    fn name(&self) -> &'static str {
        "no retry of what may have been appended"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}
