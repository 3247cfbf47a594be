//! The AWS IoT registry, opened for each message: what one message has asked for, another asks again.

use fleetwarden_aws::iot_api::IotApi;
use fleetwarden_aws::registry::Registry;

/// How a registry is opened.
#[derive(Clone)]
pub(crate) struct RegistryOf {
    pub(crate) iot: IotApi,
    pub(crate) account: String,
    pub(crate) region: String,
}

impl RegistryOf {
    /// A registry that has been asked nothing.
    pub(crate) fn open(&self) -> Registry {
        Registry::new(self.iot.clone(), fleetwarden_aws::registry::Pace::Patient, &self.account, &self.region)
    }
}
