//! The names of resources that a standing suppression names by patterns, from the lists that have them.

use std::collections::HashMap;

use fleetwarden_aws::Error;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::policy::Members;
use fleetwarden_core::policy::Standing;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::iot::Budget;
use crate::iot::Iot;
use crate::iot::List;
use crate::members::THINGS;
use crate::members::TOO_MANY;
use crate::resources::Kind;

const CERTIFICATES: List = List { operation: "ListCertificates", entries: "certificates", marked: true };
const AUTHORITIES: List = List { operation: "ListCACertificates", entries: "certificates", marked: true };
const POLICIES: List = List { operation: "ListPolicies", entries: "policies", marked: true };
const ROLE_ALIASES: List = List { operation: "ListRoleAliases", entries: "roleAliases", marked: true };

/// Finds names of resources.
pub(super) struct ResourceNames<'a> {
    pub(super) iot: Iot<'a>,
    pub(super) budget: Budget<'a>,
    /// 12 digits.
    pub(super) account: &'a str,
    pub(super) region: &'a str,
}

impl ResourceNames<'_> {
    /// The names of the resources that are members, by the place of their check, or why they are unknown. None if
    /// there was no time for all of them, unless it is tried for the last time (`again`).
    pub(super) async fn find(
        &self,
        standing: &Standing,
        again: bool,
    ) -> Option<Vec<(usize, Result<Vec<String>, String>)>> {
        let members = standing.members();
        let mut found = Vec::with_capacity(standing.checks().len());
        // Two checks may look at the same kind of resource.
        let mut listed: HashMap<&'static str, Result<Vec<String>, String>> = HashMap::new();
        for (at, check) in standing.checks().iter().enumerate() {
            let names = match (members.literals(), list_of(check)) {
                (_, Err(why)) => Err(why),
                (Some(names), _) => Ok(names.into_iter().map(ToOwned::to_owned).collect()),
                (None, Ok(Listed::Account)) => Ok(Some(self.account.to_owned())
                    .into_iter()
                    .filter(|name| members.matches(name))
                    .collect()),
                (None, Ok(Listed::Nowhere)) => {
                    Err(format!("no list has what {check} looks at; write whole names instead of patterns"))
                }
                (None, Ok(Listed::In(list, member))) => {
                    if !listed.contains_key(list.operation) {
                        let names = match self.names(list, member, members).await {
                            Ok(None) if !again => return None,
                            Ok(names) => names.ok_or_else(|| TOO_MANY.to_owned()),
                            Err(error) => Err(error.to_string()),
                        };
                        listed.insert(list.operation, names);
                    }
                    listed.get(list.operation).cloned().unwrap_or_else(|| Ok(Vec::new()))
                }
            };
            found.push((at, names));
        }
        Some(found)
    }

    /// The names of members in a list.
    async fn names(&self, list: List, member: &str, members: &Members) -> Result<Option<Vec<String>>, Error> {
        let mut names = Vec::new();
        let aliases =
            format!("arn:{}:iot:{}:{}:rolealias/", partition(self.region), self.region, self.account);
        let take = |entry: &Value| match entry.as_str() {
            Some(alias) => names.push(format!("{aliases}{alias}")),
            None => names.extend(entry.get(member).and_then(Value::as_str).map(ToOwned::to_owned)),
        };
        if !self.iot.list(list, Map::new(), &self.budget, take).await? {
            return Ok(None);
        }
        if list.operation == POLICIES.operation {
            for name in &mut names {
                if self.budget.is_over() {
                    return Ok(None);
                }
                let policy: Value = self.iot.ask("GetPolicy", json!({"policyName": name})).await?;
                let version = policy.get("defaultVersionId").and_then(Value::as_str).unwrap_or_default();
                *name = format!("{name}:{version}");
            }
        }
        names.retain(|name| members.matches(name));
        Ok(Some(names))
    }
}

/// Where the resources of a check are listed.
enum Listed {
    /// In a list, whose entries have the name in this member.
    In(List, &'static str),
    /// It is the account itself.
    Account,
    /// In none.
    Nowhere,
}

fn list_of(check: &CheckName) -> Result<Listed, String> {
    let kind = Kind::of(check)
        .ok_or_else(|| format!("what {check} looks at cannot be named; let a rule suppress it"))?;
    Ok(match kind {
        Kind::DeviceCertificate => Listed::In(CERTIFICATES, "certificateId"),
        Kind::CaCertificate => Listed::In(AUTHORITIES, "certificateId"),
        Kind::PolicyVersion => Listed::In(POLICIES, "policyName"),
        Kind::RoleAlias => Listed::In(ROLE_ALIASES, ""),
        Kind::ClientId => Listed::In(THINGS, "thingName"),
        Kind::Account => Listed::Account,
        Kind::IdentityPool => Listed::Nowhere,
    })
}

/// The partition that a region is in.
fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
