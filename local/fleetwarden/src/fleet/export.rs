//! The file of things and groups, made from the registry of an account.
//!
//! `ListThings` has type and attributes of each thing, `ListThingPrincipals` its certificates, `ListThingGroups` and
//! `DescribeThingGroup` the tree of groups, and `ListThingsInThingGroup` who is in each. Certificates cost a call for each
//! thing and take nearly all of the time, so groups come after them: they are as new as the end of the export. What
//! was written is not asked for again by an export that goes on.

use super::file::{Below, Described, Exported};
use super::part::{List, Part};
use crate::aws::registry::{Listing, Refused, Registry};
use crate::output::note;
use anyhow::{Context as _, Result, bail};
use aws_sdk_iot::types::ThingAttribute;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How many entries a page has, the most that the service gives.
const PAGE: i32 = 250;
/// How many calls are under way at once.
const AT_ONCE: usize = 10;

/// What is exported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The certificates of each thing.
    pub(crate) certificates: bool,
    /// From the beginning, whatever an earlier export has left.
    pub(crate) restart: bool,
}

/// How many there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) things: usize,
    pub(crate) groups: usize,
}

/// Writes what is in an account's registry to a file, or goes on with it.
pub(crate) async fn export(registry: &Registry, file: &Path, wanted: Wanted, now: String) -> Result<Counts> {
    if wanted.restart {
        Part::forget(file)?;
    }
    let from = origin(registry).await?;
    let exported = Exported { from, begun: now, certificates: wanted.certificates };
    let (part, begun) = Part::open(file, &exported)?;
    if let Some(begun) = begun {
        note(format!("fleetwarden: going on with the export that began at {begun} (--restart begins anew)"));
    }
    let mut export = Export { registry, part, bar: bar() };
    let things = export.things(wanted.certificates).await?;
    let groups = export.groups().await?;
    export.certificates().await?;
    export.policies().await?;
    export.bar.finish_and_clear();
    export.part.finish()?;
    Ok(Counts { things, groups })
}

/// Partition, region and account, which an ARN of any thing or group begins with.
async fn origin(registry: &Registry) -> Result<String> {
    let things = registry.ask("ListThings", async {
        let page = registry.iot.list_things().max_results(1).send().await?;
        Ok(page
            .things
            .ok_or_else(|| Refused::without("things"))?
            .into_iter()
            .find_map(|thing| thing.thing_arn))
    });
    let groups = registry.ask("ListThingGroups", async {
        let page = registry.iot.list_thing_groups().max_results(1).send().await?;
        Ok(page
            .thing_groups
            .ok_or_else(|| Refused::without("groups"))?
            .into_iter()
            .find_map(|group| group.group_arn))
    });
    let arn = match things.await?.flatten() {
        Some(arn) => arn,
        None => groups
            .await?
            .flatten()
            .context("there are no things and no groups to export: see AWS_REGION and AWS_PROFILE")?,
    };
    let origin = arn.rsplit_once(':').map(|(origin, _)| origin);
    origin.map(str::to_owned).with_context(|| format!("'{arn}' is no ARN"))
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

struct Export<'r> {
    registry: &'r Registry,
    part: Part,
    bar: ProgressBar,
}

impl Export<'_> {
    /// Every thing, a page at a time.
    async fn things(&mut self, with_certificates: bool) -> Result<usize> {
        if !self.part.list(List::Things)? {
            return Ok(self.part.len(List::Things));
        }
        let (iot, registry) = (&self.registry.iot, self.registry);
        let mut listing = Listing::default();
        loop {
            let page = registry.page("ListThings", &mut listing, |token| async {
                let page = iot.list_things().max_results(PAGE).set_next_token(token).send().await?;
                Ok((page.things.ok_or_else(|| Refused::without("things"))?, page.next_token))
            });
            let Some(mut page) = page.await? else { break };
            page.retain(|thing| thing.thing_name().is_some_and(|name| !self.part.has(name)));
            let mut described = stream::iter(page)
                .map(|thing| described(registry, thing, with_certificates))
                .buffered(AT_ONCE);
            while let Some(thing) = described.try_next().await? {
                let Some(thing) = thing.filter(|thing| !self.part.has(&thing.name)) else { continue };
                self.part.entry(thing.name.clone(), &thing)?;
                self.bar.set_message(format!("{} things", self.part.len(List::Things)));
            }
            self.part.flush()?;
        }
        Ok(self.part.len(List::Things))
    }

    /// Every group with its parent and its things.
    async fn groups(&mut self) -> Result<usize> {
        if !self.part.list(List::Groups)? {
            return Ok(self.part.len(List::Groups));
        }
        let mut names = list_groups(self.registry).await?;
        names.retain(|name| !self.part.has(name));
        let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} groups, {eta} left");
        self.bar.set_style(style.context("the progress bar")?);
        self.bar.set_length(names.len() as u64);
        for name in names {
            self.group(name).await?;
            self.bar.inc(1);
        }
        Ok(self.part.len(List::Groups))
    }

    async fn group(&mut self, name: String) -> Result<()> {
        let iot = &self.registry.iot;
        let described = self.registry.ask("DescribeThingGroup", async {
            Ok(iot.describe_thing_group().thing_group_name(&name).send().await?)
        });
        let Some(described) = described.await.with_context(|| about(&name))? else { return Ok(()) };
        let parent = described.thing_group_metadata.and_then(|metadata| metadata.parent_group_name);
        let group = Below { name: name.clone(), parent, things: None };
        self.part.open_entry(name.clone(), &group, "things")?;
        let (mut listing, mut is_first) = (Listing::default(), true);
        loop {
            let page = self.registry.page("ListThingsInThingGroup", &mut listing, |token| {
                let list = iot.list_things_in_thing_group().thing_group_name(&name).max_results(PAGE);
                async {
                    let page = list.set_next_token(token).send().await?;
                    Ok((page.things.ok_or_else(|| Refused::without("things"))?, page.next_token))
                }
            });
            let Some(things) = page.await.with_context(|| about(&name))? else { break };
            self.part.more(&things, is_first)?;
            is_first &= things.is_empty();
        }
        self.part.end_entry()?;
        self.part.flush()
    }

    /// The ids of all certificates, for names in a policy that match none.
    async fn certificates(&mut self) -> Result<()> {
        let iot = &self.registry.iot;
        self.marked(List::Certificates, "ListCertificates", |token| async {
            let page = iot.list_certificates().page_size(PAGE).set_marker(token).send().await?;
            let certificates = page.certificates.ok_or_else(|| Refused::without("certificates"))?;
            Ok((certificates.into_iter().filter_map(|one| one.certificate_id).collect(), page.next_marker))
        })
        .await
    }

    /// The names of all policies.
    async fn policies(&mut self) -> Result<()> {
        let iot = &self.registry.iot;
        self.marked(List::Policies, "ListPolicies", |token| async {
            let page = iot.list_policies().page_size(PAGE).set_marker(token).send().await?;
            let policies = page.policies.ok_or_else(|| Refused::without("policies"))?;
            Ok((policies.into_iter().filter_map(|one| one.policy_name).collect(), page.next_marker))
        })
        .await
    }

    async fn marked<C>(
        &mut self,
        list: List,
        operation: &'static str,
        call: impl Fn(Option<String>) -> C,
    ) -> Result<()>
    where
        C: Future<Output = crate::aws::registry::Page<String>>,
    {
        if !self.part.list(list)? {
            return Ok(());
        }
        let mut listing = Listing::default();
        while let Some(names) = self.registry.page(operation, &mut listing, &call).await? {
            for name in names {
                if !self.part.has(&name) {
                    self.part.entry(name.clone(), &name)?;
                }
            }
            self.part.flush()?;
        }
        Ok(())
    }
}

fn about(group: &str) -> String {
    format!("the thing group {group}")
}

/// The names of all groups.
async fn list_groups(registry: &Registry) -> Result<Vec<String>> {
    let (mut names, mut listing) = (Vec::new(), Listing::default());
    loop {
        let page = registry.page("ListThingGroups", &mut listing, |token| async {
            let list = registry.iot.list_thing_groups().recursive(true).max_results(PAGE);
            let page = list.set_next_token(token).send().await?;
            Ok((page.thing_groups.ok_or_else(|| Refused::without("thing groups"))?, page.next_token))
        });
        let Some(groups) = page.await? else { return Ok(names) };
        names.extend(groups.into_iter().filter_map(|group| group.group_name));
    }
}

/// A thing with its certificates, if they are wanted. None if it was deleted meanwhile.
async fn described(
    registry: &Registry,
    thing: ThingAttribute,
    with_certificates: bool,
) -> Result<Option<Described>> {
    let ThingAttribute { thing_name, thing_type_name, attributes, .. } = thing;
    let Some(name) = thing_name else { bail!("ListThings: a thing has no name") };
    let certificates = if with_certificates {
        let certificates =
            certificates(registry, &name).await.with_context(|| format!("the thing {name}"))?;
        let Some(certificates) = certificates else { return Ok(None) };
        Some(certificates)
    } else {
        None
    };
    let attributes = Some(attributes.unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>());
    Ok(Some(Described { name, r#type: thing_type_name, attributes, groups: None, certificates }))
}

/// The ids of the certificates that a thing is attached to. None if it was deleted meanwhile.
async fn certificates(registry: &Registry, thing: &str) -> Result<Option<Vec<String>>> {
    let (mut ids, mut listing) = (Vec::new(), Listing::default());
    let mut is_there = false;
    loop {
        let page = registry.page("ListThingPrincipals", &mut listing, |token| async {
            let list = registry.iot.list_thing_principals().thing_name(thing).max_results(PAGE);
            let page = list.set_next_token(token).send().await?;
            Ok((page.principals.ok_or_else(|| Refused::without("principals"))?, page.next_token))
        });
        let Some(principals) = page.await? else { return Ok(is_there.then_some(ids)) };
        is_there = true;
        // Others are identities of Amazon Cognito.
        let certificates = principals.iter().filter_map(|principal| principal.split_once(":cert/"));
        ids.extend(certificates.map(|(_, id)| id.to_owned()));
    }
}

#[cfg(test)]
mod tests;
