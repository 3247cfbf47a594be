//! The errors that the API declares, with the status that the service model gives each.
//!
//! Clients must classify by code: a throttle is 400, a limit is 410.

use serde_json::json;

/// The error codes of the operations, and the two that come from before any operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidRequest,
    ResourceNotFound,
    ResourceAlreadyExists,
    TaskAlreadyExists,
    LimitExceeded,
    VersionConflict,
    VersionsLimitExceeded,
    DeleteConflict,
    MalformedPolicy,
    NotConfigured,
    CertificateState,
    IndexNotReady,
    Throttling,
    InternalFailure,
    Internal,
    UnknownOperation,
    MissingAuthenticationToken,
}

impl Code {
    /// The name on the wire, in `x-amzn-ErrorType`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "InvalidRequestException",
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::ResourceAlreadyExists => "ResourceAlreadyExistsException",
            Self::TaskAlreadyExists => "TaskAlreadyExistsException",
            Self::LimitExceeded => "LimitExceededException",
            Self::VersionConflict => "VersionConflictException",
            Self::VersionsLimitExceeded => "VersionsLimitExceededException",
            Self::DeleteConflict => "DeleteConflictException",
            Self::MalformedPolicy => "MalformedPolicyException",
            Self::NotConfigured => "NotConfiguredException",
            Self::CertificateState => "CertificateStateException",
            Self::IndexNotReady => "IndexNotReadyException",
            Self::Throttling => "ThrottlingException",
            Self::InternalFailure => "InternalFailureException",
            Self::Internal => "InternalException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::MissingAuthenticationToken => "MissingAuthenticationTokenException",
        }
    }

    /// The HTTP status.
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest
            | Self::TaskAlreadyExists
            | Self::Throttling
            | Self::MalformedPolicy
            | Self::IndexNotReady => 400,
            Self::MissingAuthenticationToken => 403,
            Self::ResourceNotFound | Self::UnknownOperation | Self::NotConfigured => 404,
            Self::CertificateState => 406,
            Self::ResourceAlreadyExists
            | Self::VersionConflict
            | Self::VersionsLimitExceeded
            | Self::DeleteConflict => 409,
            Self::LimitExceeded => 410,
            Self::InternalFailure | Self::Internal => 500,
        }
    }
}

/// A refusal: its code, its words, and for a duplicate what is already there.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    message: String,
    existing: Option<(String, String)>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), existing: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::ResourceNotFound, message)
    }

    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self::new(Code::LimitExceeded, message)
    }

    pub(crate) fn throttled() -> Self {
        Self::new(Code::Throttling, "Rate exceeded")
    }

    pub(crate) fn internal() -> Self {
        Self::new(Code::InternalFailure, "An unexpected error has occurred.")
    }

    /// The same as an operation declares it: those on logging have a name of their own for a failure of the service.
    pub(crate) fn of(self, operation: &str) -> Self {
        let code = match self.code {
            Code::InternalFailure if operation.ends_with("LoggingOptions") => Code::Internal,
            code => code,
        };
        Self { code, ..self }
    }

    /// A duplicate of something that has an id and an ARN.
    pub(crate) fn exists(message: impl Into<String>, id: String, arn: String) -> Self {
        Self { existing: Some((id, arn)), ..Self::new(Code::ResourceAlreadyExists, message) }
    }

    /// The body on the wire.
    pub(crate) fn body(&self) -> String {
        match &self.existing {
            None => json!({ "message": self.message }),
            Some((id, arn)) => {
                json!({ "message": self.message, "resourceId": id, "resourceArn": arn })
            }
        }
        .to_string()
    }
}
