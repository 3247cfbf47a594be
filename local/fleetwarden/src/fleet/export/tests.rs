//! The export against the endpoint, whose lists by thing say what the file has by group.

use super::*;
use crate::aws::settings::tests::at;
use crate::fleet::Fleet;
use ::device_defender::{Endpoint, FleetSpec, NoPublisher, Settings};
use fleetwarden_core::model::resource::ResourceIdentifier;
use fleetwarden_core::model::thing::Things;
use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroU32;
use std::sync::Arc;
use tempfile::TempDir;

const NOW: &str = "2026-11-30T08:00:00Z";
const ALL: Wanted = Wanted { certificates: true, restart: false };

struct Account {
    _endpoint: Endpoint,
    registry: Registry,
    folder: TempDir,
}

impl Account {
    async fn open(findings: u32) -> Self {
        let fleet = FleetSpec { findings, seed: 1 };
        let settings = Settings { port: 0, fleet, rate_scale: None, ..Settings::default() };
        let endpoint = Endpoint::start(settings, Arc::new(NoPublisher)).await.unwrap();
        let registry = Registry::new(&at(&endpoint.url()), NonZeroU32::new(1_000_000).unwrap());
        Self { _endpoint: endpoint, registry, folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("things.json")
    }

    fn part(&self) -> std::path::PathBuf {
        self.folder.path().join("things.json.part")
    }

    async fn export(&self, wanted: Wanted) -> Result<Counts> {
        export(&self.registry, &self.file(), wanted, NOW.to_owned()).await
    }

    async fn written(&self, wanted: Wanted) -> String {
        self.export(wanted).await.unwrap();
        assert!(!self.part().exists());
        fs::read_to_string(self.file()).unwrap()
    }
}

fn joined(names: impl IntoIterator<Item = String>) -> String {
    names.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_file_knows_of_each_thing_what_the_registry_says_of_it() {
    let account = Account::open(900).await;
    let counts = account.export(ALL).await.unwrap();
    let text = fs::read_to_string(account.file()).unwrap();
    let fleet = Fleet::parse("things.json", &text).unwrap();
    let names = fleet.inventory().things.clone().unwrap();
    assert_eq!((counts.things, counts.groups), (names.len(), 6));
    assert!(names.len() > 500, "more than one page");
    let iot = &account.registry.iot;
    for name in names.iter().step_by(23) {
        let direct =
            iot.list_thing_groups_for_thing().thing_name(name).max_results(250).send().await.unwrap();
        let mut groups = Vec::new();
        for group in direct.thing_groups.unwrap().into_iter().filter_map(|group| group.group_name) {
            let described = iot.describe_thing_group().thing_group_name(&group).send().await.unwrap();
            let above =
                described.thing_group_metadata.unwrap().root_to_parent_thing_groups.unwrap_or_default();
            groups.extend(above.into_iter().filter_map(|group| group.group_name));
            groups.push(group);
        }
        let thing = fleet.thing(name).unwrap();
        assert_eq!(joined(thing.groups.clone().unwrap()), joined(groups), "{name}");
        let described = iot.describe_thing().thing_name(name).send().await.unwrap();
        let known = thing.described.as_ref().unwrap();
        assert_eq!(known.thing_type, described.thing_type_name);
        assert_eq!(known.attributes, described.attributes.unwrap_or_default().into_iter().collect());
    }
    let certificates = fleet.inventory().certificates.clone().unwrap();
    for id in certificates.iter().step_by(23) {
        let principal = format!("arn:aws:iot:us-east-1:123456789012:cert/{id}");
        let behind = iot.list_principal_things().principal(principal).send().await.unwrap().things.unwrap();
        let certificate =
            ResourceIdentifier { device_certificate_id: Some(id.clone()), ..ResourceIdentifier::default() };
        let mut things = Things::NotAsked;
        fleet.complete(&certificate, &mut things);
        let Things::Known(things) = things else { panic!("{id} is not known") };
        assert_eq!(joined(things.into_iter().map(|thing| thing.name)), joined(behind), "{id}");
    }
}

#[tokio::test]
async fn an_export_that_was_stopped_anywhere_goes_on_to_the_same_file() {
    let account = Account::open(60).await;
    let whole = account.written(ALL).await;
    let lists =
        ["\"groups\":[\n", "\"certificates\":[\n", "\"policies\":[\n"].map(|list| whole.find(list).unwrap());
    let (things, groups) = (lists[0], &whole[lists[0]..lists[1]]);
    let member = lists[0] + groups.find("\n  ").unwrap();
    let mut ends = vec![0, 1, 40, things / 2, things - 3, things - 1, whole.len() - 3, whole.len() - 1];
    ends.extend(lists.into_iter().flat_map(|at| [at - 2, at, at + 1, at + 9, at + 40]));
    ends.extend([member, member + 1, member + 4, member + 60]);
    for end in ends {
        fs::remove_file(account.file()).unwrap();
        fs::write(account.part(), &whole[..end]).unwrap();
        assert!(account.written(ALL).await == whole, "stopped after {end} bytes");
    }
    // What is no export is none to go on with.
    fs::write(account.part(), "things: [a]\n").unwrap();
    assert!(account.written(ALL).await == whole);
}

#[tokio::test]
async fn an_export_goes_on_only_with_one_of_its_kind() {
    let account = Account::open(60).await;
    let whole = account.written(ALL).await;
    let without = Wanted { certificates: false, restart: false };
    let mut told = String::new();
    for (from, to) in [("us-east-1", "us-east-1"), ("us-east-1", "eu-west-1")] {
        fs::write(account.part(), whole[..whole.len() / 2].replacen(from, to, 1)).unwrap();
        let error = account.export(if from == to { without } else { ALL }).await.unwrap_err();
        told += &format!("{error:#}\n").replace(&account.folder.path().display().to_string(), "FOLDER");
    }
    insta::assert_snapshot!(told);
    let anew = account.written(Wanted { restart: true, ..without }).await;
    let fleet = Fleet::parse("things.json", &anew).unwrap();
    let id = fleet.inventory().certificates.clone().unwrap().pop_first();
    let certificate = ResourceIdentifier { device_certificate_id: id, ..ResourceIdentifier::default() };
    let mut things = Things::NotAsked;
    fleet.complete(&certificate, &mut things);
    assert_eq!(things, Things::NotAsked);
}

#[tokio::test]
async fn two_exports_do_not_write_one_file() {
    let account = Account::open(10).await;
    let other = fs::File::create(account.part()).unwrap();
    other.lock().unwrap();
    let restart = Wanted { restart: true, ..ALL };
    for wanted in [ALL, restart] {
        let error = account.export(wanted).await.unwrap_err();
        assert_eq!(error.to_string(), format!("another export writes {}", account.part().display()));
    }
    drop(other);
    account.export(ALL).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_written_is_said() {
    let account = Account::open(60).await;
    let full = Path::new("/dev/full");
    let error = export(&account.registry, full, ALL, NOW.to_owned()).await.unwrap_err();
    assert_eq!(format!("{error:#}"), "cannot write /dev/full: No space left on device (os error 28)");
    assert!(fs::metadata(full).is_ok_and(|found| !found.is_file()) && !Path::new("/dev/full.part").exists());
}

#[tokio::test]
async fn a_refusal_of_the_service_names_operation_and_thing() {
    let refused = crate::aws::stand_in::serve(|request| {
        let body = r#"{"message": "not authorized to perform: iot:ListThingPrincipals"}"#;
        if !request.uri().path().ends_with("/principals") {
            let things = r#"{"things": [{"thingName": "a", "thingArn": "arn:aws:iot:r:1:thing/a"}]}"#;
            return Some(crate::aws::stand_in::said(200, things));
        }
        let mut answer = crate::aws::stand_in::said(403, body);
        answer.headers_mut().insert("x-amzn-errortype", "AccessDeniedException".parse().unwrap());
        Some(answer)
    });
    let registry = Registry::new(&at(&refused.await), NonZeroU32::MAX);
    let folder = tempfile::tempdir().unwrap();
    let error = export(&registry, &folder.path().join("f"), ALL, NOW.to_owned()).await.unwrap_err();
    let expected = "the thing a: ListThingPrincipals: AccessDeniedException: \
                    not authorized to perform: iot:ListThingPrincipals";
    assert_eq!(format!("{error:#}"), expected);
}
