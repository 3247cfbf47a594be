//! The AWS IoT registry, opened for each message: what one message has asked for, another asks again.

use fleetwarden_aws::clients::RegistryClient;
use fleetwarden_aws::impact::Impacts;
use fleetwarden_aws::registry::Registry;

/// How a registry is opened.
#[derive(Clone)]
pub(crate) struct RegistryOf {
    pub(crate) iot: RegistryClient,
    pub(crate) account: String,
    pub(crate) region: String,
}

impl RegistryOf {
    /// A registry that has been asked nothing.
    pub(crate) fn open(&self) -> Registry {
        Registry::new(self.iot.clone(), &self.account, &self.region)
    }

    /// What asks for the devices behind resources, and has asked nothing.
    pub(crate) fn impacts(&self) -> Impacts {
        Impacts::new(self.iot.client().clone(), &self.account, &self.region)
    }
}
