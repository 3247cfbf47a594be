//! The states of resources that mitigation actions change: read before a task starts, and when it is undone.
//!
//! Which reads are made follows from the actions' types (`DescribeMitigationAction`) and from what a finding is about. A
//! read that fails is an error: nothing may start whose state before is not known.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use aws_sdk_iot::Client;
use aws_sdk_iot::operation::describe_mitigation_action::DescribeMitigationActionOutput;
use aws_sdk_iot::types;
use fleetwarden_core::model::action::ActionKind;
use fleetwarden_core::model::mitigation::before::Befores;
use fleetwarden_core::model::mitigation::before::LoggingOptions;
use fleetwarden_core::model::mitigation::before::LoggingRole;
use fleetwarden_core::model::mitigation::before::State;
use fleetwarden_core::model::mitigation::before::key;
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;
use fleetwarden_core::untrusted::shown;
use fleetwarden_core::untrusted::visible;

use crate::Error;
use crate::clock::millis;
use crate::registry::certificates_of;
use crate::thing_groups::ThingGroups;
use crate::thing_groups::missing;

/// The error code of what does not exist.
const NOT_FOUND: &str = "ResourceNotFoundException";
/// The error code of logging options that were never set.
const NOT_CONFIGURED: &str = "NotConfiguredException";
/// How many entries of a list are asked for at once.
const PAGE: i32 = 250;
/// How many versions a policy has at most (`CreatePolicyVersion`).
pub const MOST_VERSIONS: usize = 5;

/// Reads states, by way of the typed client of AWS IoT.
#[derive(Clone, Debug)]
pub struct States {
    iot: Client,
    /// An ARN of a device certificate up to its id.
    certificates: String,
    groups: ThingGroups,
}

/// What a mitigation action changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The status of device certificates.
    Certificates,
    /// The status of CA certificates.
    CaCertificates,
    /// The groups of things.
    Groups {
        /// To which groups it adds them.
        groups: Vec<String>,
        /// Whether it may take them out of dynamic groups.
        overrides: bool,
    },
    /// The default version of policies.
    Policies,
    /// The logging of the account, to this.
    Logging(LoggingRole),
    /// Nothing in the fleet.
    Nothing,
}

impl Change {
    /// The type of the action, as the service has it.
    pub const fn kind(&self) -> ActionKind {
        match self {
            Self::Certificates => ActionKind::UpdateDeviceCertificate,
            Self::CaCertificates => ActionKind::UpdateCaCertificate,
            Self::Groups { .. } => ActionKind::AddThingsToThingGroup,
            Self::Policies => ActionKind::ReplaceDefaultPolicyVersion,
            Self::Logging(_) => ActionKind::EnableIotLogging,
            Self::Nothing => ActionKind::PublishFindingToSns,
        }
    }
}

/// Mitigation actions by name, with what each changes.
pub type Changes = BTreeMap<String, Change>;

/// A finding of a task, as far as its states need it.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Its id.
    pub finding_id: &'a str,
    /// What it is about, if it names anything.
    pub resource: Option<&'a ResourceIdentifier>,
    /// The names of the things behind it, if somebody knows them.
    pub things: Option<&'a [String]>,
}

/// A policy as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyNow {
    /// The default version.
    pub default_version: String,
    /// All versions, with the moment at which each was made.
    pub versions: BTreeMap<String, Millis>,
}

/// The status and the auto-registration of a CA certificate.
pub type CaNow = (String, Option<String>);

impl States {
    /// By this client, in this account and region.
    pub fn new(iot: Client, account: &str, region: &str) -> Self {
        let groups = ThingGroups::new(iot.clone());
        Self { iot, certificates: certificates_of(account, region), groups }
    }

    /// What mitigation actions change. Or why nothing may start with them: one is missing, or its type is not known.
    ///
    /// # Errors
    /// If the service does not answer.
    pub async fn changes(&self, actions: &[String]) -> Result<Result<Changes, String>, Error> {
        let mut changes = Changes::new();
        for action in actions {
            let described = self.iot.describe_mitigation_action().action_name(action).send().await;
            let described = match described.map_err(Error::aws("DescribeMitigationAction", action)) {
                Err(error) if error.is_code(NOT_FOUND) => {
                    return Ok(Err(format!("there is no mitigation action '{action}'")));
                }
                described => described?,
            };
            match change(&described) {
                Ok(change) => drop(changes.insert(action.clone(), change)),
                Err(why) => return Ok(Err(format!("mitigation action '{action}' {why}"))),
            }
        }
        Ok(Ok(changes))
    }

    /// Reads the states of all resources of a finding that actions will change. Or why it is not to be mitigated: what it
    /// is about is gone, or its policy can take no further version.
    ///
    /// # Errors
    /// If the service does not answer.
    pub async fn read(
        &self,
        befores: &mut Befores,
        about: About<'_>,
        changes: &Changes,
    ) -> Result<Result<(), String>, Error> {
        let Some(resource) = about.resource else { return Ok(Ok(())) };
        let part = about.finding_id;
        for (action, change) in changes {
            let read = match change {
                Change::Nothing => Ok(()),
                Change::Certificates => self.read_certificates(befores, about, resource).await?,
                Change::CaCertificates => self.read_authority(befores, part, resource).await?,
                Change::Policies => self.read_policy(befores, part, resource).await?,
                Change::Groups { .. } => {
                    self.read_groups(befores, about, resource, (action, change)).await?;
                    Ok(())
                }
                Change::Logging(sets) => {
                    if resource.account.is_some() {
                        self.read_logging(befores, part, sets).await?;
                    }
                    Ok(())
                }
            };
            if read.is_err() {
                return Ok(read);
            }
        }
        Ok(Ok(()))
    }

    /// Reads the groups of a thing that a violation is about. False: there is no such thing.
    ///
    /// # Errors
    /// If the service does not answer.
    pub async fn read_thing(
        &self,
        befores: &mut Befores,
        part: &str,
        thing: &str,
        changes: &Changes,
    ) -> Result<bool, Error> {
        let Some(groups) = self.groups.of_thing(thing).await? else { return Ok(false) };
        for (action, change) in changes {
            if let Some(state) = joins(&groups, action, change) {
                befores.add(thing, state, part);
            }
        }
        Ok(true)
    }

    async fn read_certificates(
        &self,
        befores: &mut Befores,
        about: About<'_>,
        resource: &ResourceIdentifier,
    ) -> Result<Result<(), String>, Error> {
        for certificate in self.certificates(about, resource).await? {
            if befores.has(&key("certificate", &certificate), about.finding_id) {
                continue;
            }
            match self.certificate(&certificate).await? {
                Some(status) => befores.add(&certificate, State::Certificate { status }, about.finding_id),
                // Of what an issuer signed, one that is gone takes nothing from the others.
                None if resource.issuer_certificate_identifier.is_some() => {}
                None => return Ok(Err("its certificate is gone".to_owned())),
            }
        }
        Ok(Ok(()))
    }

    async fn read_authority(
        &self,
        befores: &mut Befores,
        part: &str,
        resource: &ResourceIdentifier,
    ) -> Result<Result<(), String>, Error> {
        let Some(id) = &resource.ca_certificate_id else { return Ok(Ok(())) };
        if befores.has(&key("ca-certificate", id), part) {
            return Ok(Ok(()));
        }
        let Some((status, auto_registration)) = self.authority(id).await? else {
            return Ok(Err("its CA certificate is gone".to_owned()));
        };
        befores.add(id, State::CaCertificate { status, auto_registration }, part);
        Ok(Ok(()))
    }

    async fn read_policy(
        &self,
        befores: &mut Befores,
        part: &str,
        resource: &ResourceIdentifier,
    ) -> Result<Result<(), String>, Error> {
        let version = resource.policy_version_identifier.as_ref();
        let Some(name) = version.and_then(|version| version.policy_name.as_ref()) else { return Ok(Ok(())) };
        if befores.has(&key("policy", name), part) {
            return Ok(Ok(()));
        }
        let Some(PolicyNow { default_version, versions }) = self.policy(name).await? else {
            return Ok(Err(format!("policy '{}' is gone", shown(name))));
        };
        if versions.len() >= MOST_VERSIONS {
            return Ok(Err(format!(
                "policy '{}' has {} versions, the most that AWS IoT takes, so that no blank one can be made: delete one",
                shown(name),
                versions.len()
            )));
        }
        let versions = versions.into_keys().collect();
        befores.add(name, State::Policy { default_version, versions }, part);
        Ok(Ok(()))
    }

    async fn read_groups(
        &self,
        befores: &mut Befores,
        about: About<'_>,
        resource: &ResourceIdentifier,
        (action, change): (&str, &Change),
    ) -> Result<(), Error> {
        let listed;
        let things = if let Some(things) = about.things {
            things
        } else {
            listed = self.things(about, resource).await?;
            &listed
        };
        for thing in things {
            // One that is gone is in no group.
            let Some(groups) = self.groups.of_thing(thing).await? else { continue };
            if let Some(state) = joins(&groups, action, change) {
                befores.add(thing, state, about.finding_id);
            }
        }
        Ok(())
    }

    async fn read_logging(&self, befores: &mut Befores, part: &str, sets: &LoggingRole) -> Result<(), Error> {
        if befores.has(&key("logging", ""), part) {
            return Ok(());
        }
        let (options, first) = (self.logging().await?, self.first_logging().await?);
        befores.add("", State::Logging { options, first, sets: sets.clone() }, part);
        Ok(())
    }

    /// The ids of the device certificates behind a finding: its own, or those that an issuer has signed.
    pub(crate) async fn certificates(
        &self,
        about: About<'_>,
        resource: &ResourceIdentifier,
    ) -> Result<Vec<String>, Error> {
        if let Some(id) = &resource.device_certificate_id {
            return Ok(vec![id.clone()]);
        }
        if let Some(arn) = &resource.device_certificate_arn {
            return Ok(vec![of_arn(arn)]);
        }
        if resource.issuer_certificate_identifier.is_none() {
            return Ok(Vec::new());
        }
        let operation = "ListRelatedResourcesForAuditFinding";
        let (mut ids, mut pages) = (BTreeSet::new(), Pages::default());
        loop {
            let list = self.iot.list_related_resources_for_audit_finding().finding_id(about.finding_id);
            let list = list.max_results(PAGE).set_next_token(pages.token().map(ToOwned::to_owned));
            let page = list.send().await.map_err(Error::aws(operation, about.finding_id))?;
            let related =
                page.related_resources.ok_or_else(|| without_content(operation, about.finding_id))?;
            ids.extend(related.into_iter().filter_map(|related| related.resource_identifier).filter_map(
                |of| of.device_certificate_id.or_else(|| of.device_certificate_arn.as_deref().map(of_arn)),
            ));
            if !turn(&mut pages, operation, page.next_token)? {
                return Ok(ids.into_iter().collect());
            }
        }
    }

    /// The names of the things behind a finding.
    async fn things(&self, about: About<'_>, resource: &ResourceIdentifier) -> Result<Vec<String>, Error> {
        let operation = "ListPrincipalThings";
        let mut names = BTreeSet::new();
        for certificate in self.certificates(about, resource).await? {
            let principal = format!("{}{certificate}", self.certificates);
            let mut pages = Pages::default();
            loop {
                let list = self.iot.list_principal_things().principal(&principal).max_results(PAGE);
                let list = list.set_next_token(pages.token().map(ToOwned::to_owned));
                let page = list.send().await.map_err(Error::aws(operation, &certificate))?;
                names.extend(page.things.ok_or_else(|| without_content(operation, &certificate))?);
                if !turn(&mut pages, operation, page.next_token)? {
                    break;
                }
            }
        }
        Ok(names.into_iter().collect())
    }

    /// `DescribeCertificate`: the status of a device certificate. None: there is no such certificate.
    ///
    /// # Errors
    /// If the service does not answer, or with nothing.
    pub async fn certificate(&self, id: &str) -> Result<Option<String>, Error> {
        let operation = "DescribeCertificate";
        let described = self.iot.describe_certificate().certificate_id(id).send().await;
        let described = match described.map_err(Error::aws(operation, &visible(id))) {
            Err(error) if error.is_code(NOT_FOUND) => return Ok(None),
            described => described?.certificate_description,
        };
        let status = described.and_then(|described| described.status);
        let status = status.ok_or_else(|| without_content(operation, id))?;
        Ok(Some(status.as_str().to_owned()))
    }

    /// `DescribeCACertificate`: the status and the auto-registration of a CA certificate. None: there is no such one.
    ///
    /// # Errors
    /// If the service does not answer, or with nothing.
    pub async fn authority(&self, id: &str) -> Result<Option<CaNow>, Error> {
        let operation = "DescribeCACertificate";
        let described = self.iot.describe_ca_certificate().certificate_id(id).send().await;
        let described = match described.map_err(Error::aws(operation, &visible(id))) {
            Err(error) if error.is_code(NOT_FOUND) => return Ok(None),
            described => described?.certificate_description,
        };
        let described = described.ok_or_else(|| without_content(operation, id))?;
        let status = described.status.ok_or_else(|| without_content(operation, id))?;
        let registers = described.auto_registration_status.map(|registers| registers.as_str().to_owned());
        Ok(Some((status.as_str().to_owned(), registers)))
    }

    /// `GetPolicy` and `ListPolicyVersions`. None: there is no such policy.
    ///
    /// # Errors
    /// If the service does not answer, or with nothing.
    pub async fn policy(&self, name: &str) -> Result<Option<PolicyNow>, Error> {
        let on = visible(name);
        let (get, list) = ("GetPolicy", "ListPolicyVersions");
        let policy = match self.iot.get_policy().policy_name(name).send().await.map_err(Error::aws(get, &on))
        {
            Err(error) if error.is_code(NOT_FOUND) => return Ok(None),
            policy => policy?,
        };
        let default_version = policy.default_version_id.ok_or_else(|| without_content(get, name))?;
        let listed = self.iot.list_policy_versions().policy_name(name).send().await;
        let listed = match listed.map_err(Error::aws(list, &on)) {
            Err(error) if error.is_code(NOT_FOUND) => return Ok(None),
            listed => listed?.policy_versions.ok_or_else(|| without_content(list, name))?,
        };
        let version = |version: types::PolicyVersion| {
            let made = version.create_date.as_ref().map(millis);
            Some((version.version_id?, made.unwrap_or(Millis(i64::MAX))))
        };
        Ok(Some(PolicyNow { default_version, versions: listed.into_iter().filter_map(version).collect() }))
    }

    /// `ListThingGroupsForThing`: the groups that a thing is in directly. None: there is no such thing.
    ///
    /// # Errors
    /// If the service does not answer.
    pub async fn groups(&self, thing: &str) -> Result<Option<BTreeSet<String>>, Error> {
        self.groups.of_thing(thing).await
    }

    /// `GetV2LoggingOptions`. None: they were never set.
    ///
    /// # Errors
    /// If the service does not answer.
    pub async fn logging(&self) -> Result<Option<LoggingOptions>, Error> {
        let options = self.iot.get_v2_logging_options().send().await;
        match options.map_err(Error::aws("GetV2LoggingOptions", "the account")) {
            Err(error) if error.is_code(NOT_CONFIGURED) => Ok(None),
            options => options.map(|options| {
                Some(LoggingOptions {
                    role: options.role_arn.filter(|role| !role.is_empty()),
                    level: options.default_log_level.map(|level| level.as_str().to_owned()),
                    disabled: options.disable_all_logs,
                })
            }),
        }
    }

    /// `GetLoggingOptions`. None: they were never set.
    ///
    /// # Errors
    /// If the service does not answer.
    pub async fn first_logging(&self) -> Result<Option<LoggingRole>, Error> {
        let options = self.iot.get_logging_options().send().await;
        let options = options.map_err(Error::aws("GetLoggingOptions", "the account"))?;
        let level = options.log_level.map(|level| level.as_str().to_owned()).unwrap_or_default();
        Ok(options.role_arn.filter(|role| !role.is_empty()).map(|role| LoggingRole { role, level }))
    }
}

/// What an action makes of a thing in these groups. None: it is none that adds things to groups.
fn joins(groups: &BTreeSet<String>, action: &str, change: &Change) -> Option<State> {
    let Change::Groups { groups: to, overrides } = change else { return None };
    let adds = missing(&BTreeMap::from([(action.to_owned(), to.clone())]), groups);
    Some(State::Thing { groups: groups.clone(), adds, overrides: *overrides })
}

/// What an action changes, or what is wrong with it.
fn change(described: &DescribeMitigationActionOutput) -> Result<Change, String> {
    let params = described.action_params();
    match described.action_type().map(types::MitigationActionType::as_str) {
        Some("PUBLISH_FINDING_TO_SNS") => Ok(Change::Nothing),
        Some("UPDATE_DEVICE_CERTIFICATE") => Ok(Change::Certificates),
        Some("UPDATE_CA_CERTIFICATE") => Ok(Change::CaCertificates),
        Some("REPLACE_DEFAULT_POLICY_VERSION") => Ok(Change::Policies),
        Some("ADD_THINGS_TO_THING_GROUP") => {
            let adds = params.and_then(|params| params.add_things_to_thing_group_params());
            let adds = adds.ok_or("names no thing group")?;
            let overrides = adds.override_dynamic_groups().unwrap_or(false);
            Ok(Change::Groups { groups: adds.thing_group_names().to_vec(), overrides })
        }
        Some("ENABLE_IOT_LOGGING") => {
            let logging = params.and_then(|params| params.enable_io_t_logging_params());
            let logging = logging.ok_or("says nothing of a role and a level")?;
            let level = logging.log_level().as_str().to_owned();
            Ok(Change::Logging(LoggingRole { role: logging.role_arn_for_logging().to_owned(), level }))
        }
        Some(kind) => Err(format!("is of type {}, of which it is not known what it changes", shown(kind))),
        None => Err("has no type".to_owned()),
    }
}

/// The id of a certificate in its ARN.
fn of_arn(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or_default().to_owned()
}

fn without_content(operation: &str, on: &str) -> Error {
    Error::Later(format!("{operation} on {}: an answer without content", visible(on)))
}

/// Takes the token that came with a page, and says whether there is another page.
fn turn(pages: &mut Pages, operation: &str, token: Option<String>) -> Result<bool, Error> {
    pages.turn(token).map_err(|endless| Error::Later(format!("{operation}: {endless}")))
}

/// The service's identifier of a resource as our own.
pub fn identifier(of: types::ResourceIdentifier) -> ResourceIdentifier {
    use fleetwarden_core::model::resource::IssuerCertificateIdentifier;
    use fleetwarden_core::model::resource::PolicyVersionIdentifier;
    ResourceIdentifier {
        device_certificate_id: of.device_certificate_id,
        ca_certificate_id: of.ca_certificate_id,
        cognito_identity_pool_id: of.cognito_identity_pool_id,
        client_id: of.client_id,
        policy_version_identifier: of.policy_version_identifier.map(|of| PolicyVersionIdentifier {
            policy_name: of.policy_name,
            policy_version_id: of.policy_version_id,
        }),
        account: of.account,
        iam_role_arn: of.iam_role_arn,
        role_alias_arn: of.role_alias_arn,
        issuer_certificate_identifier: of.issuer_certificate_identifier.map(|of| {
            IssuerCertificateIdentifier {
                issuer_certificate_subject: of.issuer_certificate_subject,
                issuer_id: of.issuer_id,
                issuer_certificate_serial_number: of.issuer_certificate_serial_number,
            }
        }),
        device_certificate_arn: of.device_certificate_arn,
    }
}
