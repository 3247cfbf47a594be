//! Retries that cannot help.

use aws_sdk_iot::operation::create_audit_suppression::CreateAuditSuppressionError;
use aws_sdk_iot::operation::start_audit_mitigation_actions_task::StartAuditMitigationActionsTaskError;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::ClassifyRetry;
use aws_smithy_runtime_api::client::retries::classifiers::RetryAction;
use aws_smithy_runtime_api::client::retries::classifiers::RetryClassifierPriority;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// `LimitExceededException` means that ten mitigation tasks run, or that some quota is used up: the same call
/// some milliseconds later meets the same answer. The SDK would send it three times.
#[derive(Debug)]
pub(crate) struct NoPointlessRetry;

impl ClassifyRetry for NoPointlessRetry {
    fn classify_retry(&self, ctx: &InterceptorContext) -> RetryAction {
        let error = ctx.output_or_error().and_then(Result::err).and_then(|e| e.as_operation_error());
        let start = error.and_then(|e| e.downcast_ref::<StartAuditMitigationActionsTaskError>());
        let create = error.and_then(|e| e.downcast_ref::<CreateAuditSuppressionError>());
        match start.and_then(ProvideErrorMetadata::code).or(create.and_then(ProvideErrorMetadata::code)) {
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
