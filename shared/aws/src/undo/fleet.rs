//! The present states of resources, and the calls that put them back.

use crate::Error;
use crate::states::States;
use aws_sdk_iot::Client;
use aws_sdk_iot::types::AutoRegistrationStatus;
use aws_sdk_iot::types::CaCertificateStatus;
use aws_sdk_iot::types::CertificateStatus;
use aws_sdk_iot::types::LogLevel;
use aws_sdk_iot::types::LoggingOptionsPayload;
use fleetwarden_core::model::mitigation::before::Before;
use fleetwarden_core::model::mitigation::before::State;

use super::plan::Now;
use super::plan::Step;

/// The error code of what does not exist.
const NOT_FOUND: &str = "ResourceNotFoundException";

/// What a fleet is like now.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// AWS IoT.
    pub iot: Client,
    /// Reads states.
    pub states: States,
}

impl Fleet {
    /// The present state of a resource.
    pub(crate) async fn now(&self, before: &Before) -> Result<Now, Error> {
        let Self { states, .. } = self;
        let name = &before.name;
        Ok(match &before.state {
            State::Certificate { .. } => Now::Certificate(states.certificate(name).await?),
            State::CaCertificate { .. } => Now::CaCertificate(states.authority(name).await?),
            State::Policy { .. } => Now::Policy(states.policy(name).await?),
            State::Thing { .. } => Now::Thing(states.groups(name).await?),
            State::Logging { .. } => Now::Logging(states.logging().await?, states.first_logging().await?),
        })
    }

    /// Makes one call that puts something of a resource back. Each can be made again.
    pub(crate) async fn put_back(&self, name: &str, step: &Step) -> Result<(), Error> {
        let Self { iot, .. } = self;
        match step {
            Step::Certificate(status) => {
                let update = iot.update_certificate().certificate_id(name);
                let update = update.new_status(CertificateStatus::from(status.as_str()));
                update.send().await.map(drop).map_err(Error::aws("UpdateCertificate", name))
            }
            Step::CaCertificate { status, auto_registration } => {
                let update = iot.update_ca_certificate().certificate_id(name);
                let status = status.as_deref().map(CaCertificateStatus::from);
                let registers = auto_registration.as_deref().map(AutoRegistrationStatus::from);
                let update = update.set_new_status(status).set_new_auto_registration_status(registers);
                update.send().await.map(drop).map_err(Error::aws("UpdateCACertificate", name))
            }
            Step::DefaultVersion(version) => {
                let set = iot.set_default_policy_version().policy_name(name).policy_version_id(version);
                set.send().await.map(drop).map_err(Error::aws("SetDefaultPolicyVersion", name))
            }
            Step::DeleteVersion(version) => {
                let delete = iot.delete_policy_version().policy_name(name).policy_version_id(version);
                // An answer may have been lost: then it is gone.
                match delete.send().await.map_err(Error::aws("DeletePolicyVersion", name)) {
                    Err(error) if error.is_code(NOT_FOUND) => Ok(()),
                    deleted => deleted.map(drop),
                }
            }
            Step::Leave(group) => {
                let leave = iot.remove_thing_from_thing_group().thing_name(name).thing_group_name(group);
                leave.send().await.map(drop).map_err(Error::aws("RemoveThingFromThingGroup", name))
            }
            Step::Join(group) => {
                let join = iot.add_thing_to_thing_group().thing_name(name).thing_group_name(group);
                join.send().await.map(drop).map_err(Error::aws("AddThingToThingGroup", name))
            }
            Step::Logging(options) => {
                let set = iot.set_v2_logging_options().set_role_arn(options.role.clone());
                let level = options.level.as_deref().map(LogLevel::from);
                let set = set.set_default_log_level(level).disable_all_logs(options.disabled);
                set.send().await.map(drop).map_err(Error::aws("SetV2LoggingOptions", "the account"))
            }
            Step::FirstLogging(options) => {
                let payload = LoggingOptionsPayload::builder().role_arn(&options.role);
                let payload = payload.log_level(LogLevel::from(options.level.as_str())).build();
                let payload = payload.map_err(|e| Error::Input(e.to_string()))?;
                let set = iot.set_logging_options().logging_options_payload(payload);
                set.send().await.map(drop).map_err(Error::aws("SetLoggingOptions", "the account"))
            }
        }
    }
}
