//! One suppression: made, brought up to date, or left alone.
//!
//! The first call is the one that changes something, because most suppressions are new: N of them cost N
//! calls. What exists is looked at before it is touched, since "already exists" says neither that it is still
//! in force nor whose it is.

use aws_sdk_iot::operation::create_audit_suppression::CreateAuditSuppressionError;
use aws_sdk_iot::operation::describe_audit_suppression::DescribeAuditSuppressionError;
use aws_sdk_iot::operation::describe_audit_suppression::DescribeAuditSuppressionOutput;
use aws_sdk_iot::operation::update_audit_suppression::UpdateAuditSuppressionError;
use aws_sdk_iot::primitives::DateTime;
use aws_sdk_iot::types;
use fleetwarden_aws::Error;
use fleetwarden_core::digest::Digest;
use fleetwarden_core::message::SuppressionMessage;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::resource::ResourceIdentifier;
use fleetwarden_core::suppression::MARK;

use crate::convert;

/// How often a suppression is tried that somebody deletes while we look at it.
const TRIES: usize = 2;

/// What came of one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// It was made, or would have been.
    Created,
    /// It was ours or had lapsed, and now says what the policy says, or would have.
    Updated,
    /// It was there just so.
    Unchanged,
    /// Somebody made it by hand and it is in force.
    LeftAlone,
}

/// One suppression as it should be.
pub(crate) struct Wish<'m> {
    message: &'m SuppressionMessage,
    resource: types::ResourceIdentifier,
    token: Digest,
    label: String,
    mode: Mode,
    now: i64,
}

impl<'m> Wish<'m> {
    /// The suppression of one resource of a message, at a second since the epoch.
    pub(crate) fn new(
        message: &'m SuppressionMessage,
        resource: &ResourceIdentifier,
        mode: Mode,
        now: i64,
    ) -> Self {
        let expires = message.expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        // A token that was used can never be used again, so the audit is part of it: what somebody deleted
        // since the last audit can be made anew.
        let token = Digest::new("suppression")
            .part(&message.audit.task_id)
            .part(message.check.as_str())
            .part(&expires)
            .part(&message.description);
        Self {
            message,
            resource: convert::identifier(resource),
            token: resource.add_to(token),
            label: format!("{} {}", message.check, resource.label()),
            mode,
            now,
        }
    }

    /// Sees to it that the suppression is as it should be.
    ///
    /// # Errors
    /// What the service said.
    pub(crate) async fn fulfil(&self, iot: &aws_sdk_iot::Client) -> Result<Outcome, Error> {
        for attempt in 0..TRIES {
            if self.mode == Mode::Enforce && self.create(iot, attempt).await? {
                return Ok(Outcome::Created);
            }
            let Some(current) = self.describe(iot).await? else {
                if self.mode == Mode::Observe {
                    return Ok(Outcome::Created);
                }
                continue;
            };
            let outcome = self.compare(&current);
            if outcome != Outcome::Updated || self.mode == Mode::Observe || self.update(iot).await? {
                return Ok(outcome);
            }
        }
        Err(Error::Later(format!("the suppression of {} is deleted as often as it is made", self.label)))
    }

    /// What the existing suppression asks for. Pure.
    fn compare(&self, current: &DescribeAuditSuppressionOutput) -> Outcome {
        let indefinite = current.suppress_indefinitely() == Some(true);
        // The service keeps seconds; a fraction that comes back says nothing.
        let end = current.expiration_date().map(DateTime::secs).filter(|_| !indefinite);
        let description = current.description().unwrap_or_default();
        let same_end = match self.message.expires_at {
            None => indefinite,
            wanted => !indefinite && end == wanted,
        };
        if same_end && description == self.message.description {
            return Outcome::Unchanged;
        }
        // One without any end is taken as in force: it is not ours to decide that it is not.
        let in_force = indefinite || end.is_none_or(|end| end > self.now);
        if !description.starts_with(MARK) && in_force { Outcome::LeftAlone } else { Outcome::Updated }
    }

    /// Whether it was made; else there is one already, or the token is spent.
    async fn create(&self, iot: &aws_sdk_iot::Client, attempt: usize) -> Result<bool, Error> {
        let token = self.token.clone().part(&attempt.to_string()).hex();
        let create = iot
            .create_audit_suppression()
            .check_name(self.message.check.as_str())
            .resource_identifier(self.resource.clone())
            .set_expiration_date(self.message.expires_at.map(DateTime::from_secs))
            .suppress_indefinitely(self.message.expires_at.is_none())
            .description(&self.message.description)
            .client_request_token(token);
        let Err(error) = create.send().await else { return Ok(true) };
        match error.as_service_error() {
            Some(CreateAuditSuppressionError::ResourceAlreadyExistsException(_)) => Ok(false),
            Some(CreateAuditSuppressionError::LimitExceededException(_)) => Err(Error::Later(format!(
                "CreateAuditSuppression on {}: LimitExceededException: the account holds as many audit \
                 suppressions as it may; delete some that nobody needs, or ask AWS Support for more; the \
                 message is tried again",
                self.label
            ))),
            _ => Err(Error::aws("CreateAuditSuppression", &self.label)(error)),
        }
    }

    async fn describe(
        &self,
        iot: &aws_sdk_iot::Client,
    ) -> Result<Option<DescribeAuditSuppressionOutput>, Error> {
        let describe = iot
            .describe_audit_suppression()
            .check_name(self.message.check.as_str())
            .resource_identifier(self.resource.clone());
        match describe.send().await {
            Ok(current) => Ok(Some(current)),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DescribeAuditSuppressionError::is_resource_not_found_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(Error::aws("DescribeAuditSuppression", &self.label)(error)),
        }
    }

    /// Whether it was brought up to date; else it has gone meanwhile.
    async fn update(&self, iot: &aws_sdk_iot::Client) -> Result<bool, Error> {
        let update = iot
            .update_audit_suppression()
            .check_name(self.message.check.as_str())
            .resource_identifier(self.resource.clone())
            .set_expiration_date(self.message.expires_at.map(DateTime::from_secs))
            .suppress_indefinitely(self.message.expires_at.is_none())
            .description(&self.message.description);
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateAuditSuppressionError::is_resource_not_found_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(Error::aws("UpdateAuditSuppression", &self.label)(error)),
        }
    }
}
