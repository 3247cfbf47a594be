//! One suppression: created, updated, or left alone.
//!
//! The first call is the one that changes something, because most suppressions are new: N of them cost N
//! calls. What exists is looked at before it is changed, since "already exists" says neither that it is still
//! in force nor whose it is; and what the ledger knows of is looked at first. Before each change the ledger is asked for a later audit: a suppression does not say which
//! audit decided on it, and an older decision must not replace a newer one.

use aws_sdk_iot::primitives::DateTime;
use fleetwarden_aws::Error;
use fleetwarden_aws::clock::Clock;
use fleetwarden_aws::ledger::Ledger;
use fleetwarden_aws::pace::Pace;
use fleetwarden_aws::suppressions::identifier;
use fleetwarden_aws::suppressions::state;
use fleetwarden_core::api;
use fleetwarden_core::digest::Digest;
use fleetwarden_core::model::suppression::change::State;
use fleetwarden_core::policy::Mode;
use fleetwarden_core::policy::Policy;

use crate::plan::Existing;
use crate::plan::Wish;
use crate::record::Announced;
use crate::record::announce;
use crate::record::note;
use crate::record::withdraw;
use crate::summary::Effect;

/// How often a suppression is tried that is deleted between two calls.
const TRIES: usize = 2;

/// The suppressions of the account.
#[derive(Clone, Copy)]
pub(crate) struct Suppressions<'h> {
    /// AWS IoT.
    pub(crate) client: &'h aws_sdk_iot::Client,
    /// How fast it is called.
    pub(crate) pace: &'h Pace,
    /// What is known of audits.
    pub(crate) ledger: &'h Ledger,
    /// What the operator wants now.
    pub(crate) policy: &'h Policy,
    /// The time.
    pub(crate) clock: &'h Clock,
}

impl Suppressions<'_> {
    /// Makes a suppression what it should be; in observe, says what that would take.
    ///
    /// # Errors
    /// What the service said.
    pub(crate) async fn apply(&self, wish: &Wish<'_>, mode: Mode) -> Result<Effect, Error> {
        if mode == Mode::Observe {
            return self.observe(wish).await;
        }
        for _ in 0..TRIES {
            let known = announce(self.ledger, wish, self.clock.now()).await?;
            if let Announced::Undone(why) = known {
                return Ok(Effect::Superseded(why));
            }
            if let Announced::New(_) = known {
                if let Some(later) = self.later_audit(wish).await? {
                    return Ok(Effect::Overtaken(later));
                }
                if self.create(wish).await? {
                    return Ok(Effect::Created);
                }
            }
            let Some(current) = self.describe(wish).await? else {
                if let Announced::Known(record) = known {
                    note(self.ledger, record, wish, None, self.clock.now()).await?;
                }
                if let Some(later) = self.later_audit(wish).await? {
                    return Ok(Effect::Overtaken(later));
                }
                if self.create(wish).await? {
                    return Ok(Effect::Created);
                }
                continue;
            };
            match wish.compare(&current, self.policy, self.clock.now()) {
                Existing::Keep => return Ok(Effect::Unchanged),
                Existing::LeaveAlone => {
                    if let Announced::New(record) | Announced::Own(record) = known {
                        withdraw(self.ledger, record, self.clock.now()).await?;
                    }
                    return Ok(Effect::LeftAlone);
                }
                Existing::Update => {
                    if let Announced::New(record) | Announced::Own(record) | Announced::Known(record) = known
                    {
                        note(self.ledger, record, wish, Some(current), self.clock.now()).await?;
                    }
                }
            }
            if let Some(later) = self.later_audit(wish).await? {
                return Ok(Effect::Overtaken(later));
            }
            if self.update(wish).await? {
                return Ok(Effect::Updated);
            }
        }
        Err(Error::Later(format!("the suppression of {} is deleted as often as it is created", wish.label())))
    }

    async fn observe(&self, wish: &Wish<'_>) -> Result<Effect, Error> {
        let Some(current) = self.describe(wish).await? else { return Ok(Effect::Created) };
        Ok(match wish.compare(&current, self.policy, self.clock.now()) {
            Existing::Keep => Effect::Unchanged,
            Existing::LeaveAlone => Effect::LeftAlone,
            Existing::Update => Effect::Updated,
        })
    }

    async fn later_audit(&self, wish: &Wish<'_>) -> Result<Option<String>, Error> {
        self.ledger.later_audit(&wish.message.audit, &wish.message.check).await
    }

    /// Creates a suppression. Says whether it did: otherwise there is one already.
    async fn create(&self, wish: &Wish<'_>) -> Result<bool, Error> {
        // A token that was used can never be used again, so the time is part of it: what was deleted meanwhile can be
        // created again by the next delivery.
        let token = Digest::new("suppression")
            .part(wish.message.check.as_str())
            .part(&self.clock.now().0.to_string());
        let create = self
            .client
            .create_audit_suppression()
            .check_name(wish.message.check.as_str())
            .resource_identifier(identifier(wish.resource))
            .set_expiration_date(wish.message.expires_at.map(DateTime::from_secs))
            .suppress_indefinitely(wish.message.expires_at.is_none())
            .description(&wish.description)
            .client_request_token(wish.resource.add_to(token).hex());
        let name = "CreateAuditSuppression";
        let send = async || create.clone().send().await.map_err(Error::aws(name, &wish.label()));
        match self.paced(name, send).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_code("ResourceAlreadyExistsException") => Ok(false),
            Err(error) if error.is_code("LimitExceededException") => Err(Error::Later(format!(
                "CreateAuditSuppression on {}: LimitExceededException: the account has reached its quota of audit \
                 suppressions; delete suppressions that are not needed, or ask AWS Support for a higher quota; the \
                 message is retried",
                wish.label()
            ))),
            Err(error) => Err(error),
        }
    }

    async fn describe(&self, wish: &Wish<'_>) -> Result<Option<State>, Error> {
        let describe = self
            .client
            .describe_audit_suppression()
            .check_name(wish.message.check.as_str())
            .resource_identifier(identifier(wish.resource));
        let name = "DescribeAuditSuppression";
        let send = async || describe.clone().send().await.map_err(Error::aws(name, &wish.label()));
        match self.paced(name, send).await {
            Err(error) if error.is_code("ResourceNotFoundException") => Ok(None),
            current => current.map(|current| Some(state(&current))),
        }
    }

    /// Updates a suppression. Says whether it did: otherwise it has been deleted meanwhile.
    async fn update(&self, wish: &Wish<'_>) -> Result<bool, Error> {
        let update = self
            .client
            .update_audit_suppression()
            .check_name(wish.message.check.as_str())
            .resource_identifier(identifier(wish.resource))
            .set_expiration_date(wish.message.expires_at.map(DateTime::from_secs))
            .suppress_indefinitely(wish.message.expires_at.is_none())
            .description(&wish.description);
        let name = "UpdateAuditSuppression";
        let send = async || update.clone().send().await.map_err(Error::aws(name, &wish.label()));
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
        self.pace.call(operation, call).await
    }
}
