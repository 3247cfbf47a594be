//! One suppression: created, updated, or left alone.
//!
//! The first call is the one that changes something, because most suppressions are new: N of them cost N
//! calls. What exists is looked at before it is touched, since "already exists" says neither that it is still
//! in force nor whose it is. Before each change the ledger is asked for a later audit: a suppression does not say which
//! audit decided on it, and an older decision must not replace a newer one.

use aws_sdk_iot::operation::describe_audit_suppression::DescribeAuditSuppressionOutput;
use aws_sdk_iot::primitives::DateTime;
use fleetwarden_aws::Error;
use fleetwarden_core::api;
use fleetwarden_core::digest::Digest;
use fleetwarden_core::message::SuppressionMessage;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::suppression::Described;
use fleetwarden_core::model::suppression::MARK;
use fleetwarden_core::model::suppression::Maker;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;

use crate::ApplySuppressions;
use crate::convert;
use crate::message::Asked;

/// How often a suppression is tried that is deleted between two calls.
const TRIES: usize = 2;

/// What came of one finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The suppression was created, or would have been.
    Created,
    /// It was a rule's or had lapsed, and now says what the policy says, or would have.
    Updated,
    /// It was there just so.
    Unchanged,
    /// It is in force, and was made by a person or by a standing suppression of the policy.
    LeftAlone,
    /// The policy of now decides otherwise, for this reason.
    Superseded(String),
    /// This later audit has looked at the check.
    Overtaken(String),
}

/// One suppression as it should be.
pub(crate) struct Wish<'m> {
    function: &'m ApplySuppressions,
    message: &'m SuppressionMessage,
    description: String,
    resource: &'m ResourceIdentifier,
    mode: Mode,
}

impl<'m> Wish<'m> {
    /// The suppression of one resource of a message.
    pub(crate) fn new(
        function: &'m ApplySuppressions,
        asked: &Asked<'m>,
        resource: &'m ResourceIdentifier,
    ) -> Self {
        let Asked { message, written, mode, .. } = *asked;
        Self { function, message, description: written.description(), resource, mode }
    }

    /// Sees to it that the suppression is as it should be.
    ///
    /// # Errors
    /// What the service said.
    pub(crate) async fn fulfil(&self) -> Result<Outcome, Error> {
        for _ in 0..TRIES {
            if self.mode == Mode::Enforce {
                if let Some(later) = self.later_audit().await? {
                    return Ok(Outcome::Overtaken(later));
                }
                if self.create().await? {
                    return Ok(Outcome::Created);
                }
            }
            let Some(current) = self.describe().await? else {
                if self.mode == Mode::Observe {
                    return Ok(Outcome::Created);
                }
                continue;
            };
            let outcome = self.compare(&current, self.function.consumer.clock.now());
            if outcome != Outcome::Updated || self.mode == Mode::Observe {
                return Ok(outcome);
            }
            if let Some(later) = self.later_audit().await? {
                return Ok(Outcome::Overtaken(later));
            }
            if self.update().await? {
                return Ok(outcome);
            }
        }
        Err(Error::Later(format!("the suppression of {} is deleted as often as it is created", self.label())))
    }

    async fn later_audit(&self) -> Result<Option<String>, Error> {
        let function = self.function;
        function.ledger.later_audit(&self.message.audit, &self.message.check).await
    }

    /// What the existing suppression asks for. Pure.
    fn compare(&self, current: &DescribeAuditSuppressionOutput, now: Millis) -> Outcome {
        let indefinite = current.suppress_indefinitely() == Some(true);
        // The service keeps seconds; a fraction that comes back says nothing.
        let end = current.expiration_date().map(DateTime::secs).filter(|_| !indefinite);
        let description = current.description().unwrap_or_default();
        let same_end = match self.message.expires_at {
            None => indefinite,
            wanted => !indefinite && end == wanted,
        };
        if same_end && description == self.description {
            return Outcome::Unchanged;
        }
        // One without any end is taken as in force: nothing says that it is not.
        let in_force = indefinite || end.is_none_or(|end| end > now.seconds());
        if in_force && !self.may_replace(description) { Outcome::LeftAlone } else { Outcome::Updated }
    }

    /// Whether a rule may replace what has this description. What the policy has standing is the more exact statement.
    fn may_replace(&self, description: &str) -> bool {
        match Described::read(description).map(|described| described.maker) {
            Some(Maker::Standing(name)) => {
                let standing = self.function.policy.standing();
                !standing.iter().any(|standing| standing.name() == name && standing.is_live())
            }
            _ => description.starts_with(MARK),
        }
    }

    /// Whether it was created; else there is one already.
    async fn create(&self) -> Result<bool, Error> {
        // A token that was used can never be used again, so the time is part of it: what was deleted meanwhile can be
        // created again by the next delivery.
        let token = Digest::new("suppression")
            .part(self.message.check.as_str())
            .part(&self.function.consumer.clock.now().0.to_string());
        let create = self
            .function
            .suppressions
            .create_audit_suppression()
            .check_name(self.message.check.as_str())
            .resource_identifier(convert::identifier(self.resource))
            .set_expiration_date(self.message.expires_at.map(DateTime::from_secs))
            .suppress_indefinitely(self.message.expires_at.is_none())
            .description(&self.description)
            .client_request_token(self.resource.add_to(token).hex());
        let name = "CreateAuditSuppression";
        let send = async || create.clone().send().await.map_err(Error::aws(name, &self.label()));
        match self.paced(name, send).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_code("ResourceAlreadyExistsException") => Ok(false),
            Err(error) if error.is_code("LimitExceededException") => Err(Error::Later(format!(
                "CreateAuditSuppression on {}: LimitExceededException: the account holds as many audit \
                 suppressions as it may; delete some that are not needed, or ask AWS Support for more; the \
                 message is tried again",
                self.label()
            ))),
            Err(error) => Err(error),
        }
    }

    async fn describe(&self) -> Result<Option<DescribeAuditSuppressionOutput>, Error> {
        let describe = self
            .function
            .suppressions
            .describe_audit_suppression()
            .check_name(self.message.check.as_str())
            .resource_identifier(convert::identifier(self.resource));
        let name = "DescribeAuditSuppression";
        let send = async || describe.clone().send().await.map_err(Error::aws(name, &self.label()));
        match self.paced(name, send).await {
            Err(error) if error.is_code("ResourceNotFoundException") => Ok(None),
            current => current.map(Some),
        }
    }

    /// Whether it was updated; else it has gone meanwhile.
    async fn update(&self) -> Result<bool, Error> {
        let update = self
            .function
            .suppressions
            .update_audit_suppression()
            .check_name(self.message.check.as_str())
            .resource_identifier(convert::identifier(self.resource))
            .set_expiration_date(self.message.expires_at.map(DateTime::from_secs))
            .suppress_indefinitely(self.message.expires_at.is_none())
            .description(&self.description);
        let name = "UpdateAuditSuppression";
        let send = async || update.clone().send().await.map_err(Error::aws(name, &self.label()));
        match self.paced(name, send).await {
            Err(error) if error.is_code("ResourceNotFoundException") => Ok(false),
            updated => updated.map(|_| true),
        }
    }

    async fn paced<T>(
        &self,
        name: &'static str,
        call: impl AsyncFn() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let operation = api::audit(name).map_err(Error::Input)?;
        self.function.pace.call(operation, call).await
    }

    fn label(&self) -> String {
        format!("{} {}", self.message.check, shown(&self.resource.label()))
    }
}
