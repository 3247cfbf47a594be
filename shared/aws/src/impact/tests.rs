use std::sync::Arc;
use std::sync::Mutex;

use fleetwarden_core::model::mitigation::impact::Number;
use fleetwarden_core::model::resource::IssuerCertificateIdentifier;
use fleetwarden_core::model::resource::PolicyVersionIdentifier;
use serde_json::Value;
use serde_json::json;

use super::*;
use crate::clients::Pace;
use crate::testing::Answer;
use crate::testing::Call;
use crate::testing::clients;

/// The calls that were made, without their methods.
type Calls = Arc<Mutex<Vec<String>>>;

/// A reader of a service that answers so.
fn reader(answer: impl Fn(&str, &Call) -> Answer + Clone + Send + Sync + 'static) -> (Impacts, Calls) {
    let calls = Calls::default();
    let seen = Arc::clone(&calls);
    let shared = clients(move |call| {
        let (_, path) = call.operation.split_once(' ').unwrap();
        let principal = call.headers.iter().find(|(name, _)| name == "x-amzn-principal");
        let on = principal.map_or(path.to_owned(), |(_, of)| of.rsplit('/').next().unwrap().to_owned());
        seen.lock().unwrap().push(on.clone());
        answer(&on, &call)
    });
    let iot = shared.registry(Pace::Prompt).client().clone();
    (Impacts::new(iot, "123456789012", "us-east-1"), calls)
}

fn id(number: u32) -> String {
    format!("{number:064x}")
}

fn certificate(number: u32) -> ResourceIdentifier {
    ResourceIdentifier { device_certificate_id: Some(id(number)), ..ResourceIdentifier::default() }
}

fn authority() -> ResourceIdentifier {
    ResourceIdentifier { ca_certificate_id: Some(id(99)), ..ResourceIdentifier::default() }
}

fn policy() -> ResourceIdentifier {
    let version =
        PolicyVersionIdentifier { policy_name: Some("P".into()), policy_version_id: Some("1".into()) };
    ResourceIdentifier { policy_version_identifier: Some(version), ..ResourceIdentifier::default() }
}

fn changes(change: Change) -> Changes {
    Changes::from([("Act".to_owned(), change)])
}

async fn behind(
    reader: &mut Impacts,
    resource: &ResourceIdentifier,
    change: Change,
    limit: Option<u64>,
) -> Result<Option<ResourceDevices>, Error> {
    let about = About { finding_id: "f-1", resource: Some(resource), things: None };
    reader.behind(about, &changes(change), limit).await
}

fn things(names: &[&str]) -> BTreeSet<Device> {
    names.iter().map(|name| Device::Thing((*name).to_owned())).collect()
}

#[tokio::test]
async fn a_certificate_has_its_things_or_is_a_device_itself() {
    let (mut reader, calls) = reader(|on, _| {
        let things = if on == id(1) { json!(["lamp", "pump"]) } else { json!([]) };
        Answer::ok(json!({"things": things}))
    });
    for _ in 0..2 {
        let found =
            behind(&mut reader, &certificate(1), Change::Certificates, Some(9)).await.unwrap().unwrap();
        assert_eq!((found.kind, found.devices), ("certificate", things(&["lamp", "pump"])));
    }
    let found = behind(&mut reader, &certificate(2), Change::Certificates, None).await.unwrap().unwrap();
    assert_eq!(found.devices, BTreeSet::from([Device::Certificate(id(2))]));
    assert_eq!(*calls.lock().unwrap(), [id(1), id(2)], "each once");
    // Who knows its things needs no call, and what an action does not touch has none.
    let known = ["known".to_owned()];
    let about = About { finding_id: "f", resource: Some(&certificate(3)), things: Some(&known) };
    let found = reader.behind(about, &changes(Change::Certificates), None).await.unwrap().unwrap();
    assert_eq!((found.devices, found.or_more), (things(&["known"]), false));
    for change in [Change::Nothing, Change::Policies, Change::CaCertificates] {
        assert_eq!(behind(&mut reader, &certificate(4), change, None).await.unwrap(), None);
    }
    assert_eq!(calls.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_policy_has_the_devices_of_all_its_targets() {
    let (mut reader, calls) = reader(|on, call| {
        Answer::ok(match on {
            "/policy-targets/P" if call.query.contains("marker=m") => {
                json!({"targets": [format!("arn:aws:iot:us-east-1:123456789012:cert/{}", id(2)), "us-east-1:0"]})
            }
            "/policy-targets/P" => json!({"nextMarker": "m", "targets": [
                format!("arn:aws:iot:us-east-1:123456789012:cert/{}", id(1)),
                "arn:aws:iot:us-east-1:123456789012:thinggroup/site:7"]}),
            "/thing-groups/site%3A7/things" => {
                assert!(call.query.contains("recursive=true"), "{}", call.query);
                json!({"things": ["lamp", "pump"]})
            }
            _ if on == id(1) => json!({"things": ["lamp"]}),
            _ => json!({"things": []}),
        })
    });
    let found = behind(&mut reader, &policy(), Change::Policies, Some(50)).await.unwrap().unwrap();
    let mut wanted = things(&["lamp", "pump"]);
    wanted.extend([Device::Certificate(id(2)), Device::Principal("us-east-1:0".to_owned())]);
    assert_eq!((found.kind, found.name.as_str(), found.devices), ("policy", "P", wanted));
    assert!(!found.or_more);
    assert_eq!(calls.lock().unwrap().len(), 5);
    // Where none may be there, only the lists are read.
    calls.lock().unwrap().clear();
    let found = behind(&mut reader, &policy(), Change::Policies, None).await.unwrap().unwrap();
    assert_eq!(found.number(), Number { count: 3, or_more: true });
    assert_eq!(*calls.lock().unwrap(), ["/policy-targets/P", "/thing-groups/site%3A7/things"]);
}

#[tokio::test]
async fn a_ca_has_the_devices_of_what_it_signed_and_that_is_not_off() {
    let (mut reader, calls) = reader(|on, _| {
        let signed = |number, status| json!({"certificateId": id(number), "status": status});
        if on.starts_with("/certificates-by-ca/") {
            let all: Vec<Value> = (1..=4).map(|number| signed(number, "ACTIVE")).collect();
            let off = [signed(5, "INACTIVE"), signed(6, "REVOKED"), signed(7, "PENDING_ACTIVATION")];
            let all = [all, off.to_vec()].concat();
            return Answer::ok(json!({"certificates": all}));
        }
        Answer::ok(
            json!({"things": [if on == id(2) { "thing-1".to_owned() } else { format!("thing-{}", &on[63..]) }]}),
        )
    });
    let found = behind(&mut reader, &authority(), Change::CaCertificates, Some(5)).await.unwrap().unwrap();
    assert_eq!(found.devices, things(&["thing-1", "thing-3", "thing-4", "thing-7"]), "two have one thing");
    assert_eq!(calls.lock().unwrap().len(), 6);
    // Five certificates are too many for four devices: no thing is looked up.
    calls.lock().unwrap().clear();
    let found = behind(&mut reader, &authority(), Change::CaCertificates, Some(4)).await.unwrap().unwrap();
    assert_eq!((found.number(), calls.lock().unwrap().len()), (Number { count: 5, or_more: true }, 1));
}

#[tokio::test]
async fn a_list_is_read_no_further_than_it_matters() {
    let (mut reader, calls) = reader(|_, call| {
        let page = call.query.split("marker=").nth(1).and_then(|page| page.parse().ok()).unwrap_or(0_u32);
        let signed = |number| json!({"certificateId": id(250 * page + number), "status": "ACTIVE"});
        let all: Vec<Value> = (0..250).map(signed).collect();
        Answer::ok(json!({"certificates": all, "nextMarker": (page + 1).to_string()}))
    });
    for (limit, count) in [(None, 250), (Some(300), 500), (Some(u64::MAX), MOST_DEVICES + 250)] {
        calls.lock().unwrap().clear();
        let found = behind(&mut reader, &authority(), Change::CaCertificates, limit).await.unwrap().unwrap();
        assert_eq!(found.number(), Number { count, or_more: true }, "{limit:?}");
        assert_eq!(calls.lock().unwrap().len() as u64, count / 250);
    }
}

#[tokio::test]
async fn an_issuer_has_the_devices_of_its_certificates_and_a_client_itself() {
    let (mut reader, calls) = reader(|on, _| {
        if on == "/audit/relatedResources" {
            let related = |number| json!({"resourceIdentifier": {"deviceCertificateId": id(number)}});
            return Answer::ok(json!({"relatedResources": [related(1), related(2)]}));
        }
        Answer::ok(json!({"things": [on]}))
    });
    let serial = IssuerCertificateIdentifier {
        issuer_certificate_serial_number: Some("ab".into()),
        ..Default::default()
    };
    let issuer = ResourceIdentifier { issuer_certificate_identifier: Some(serial), ..Default::default() };
    let found = behind(&mut reader, &issuer, Change::Certificates, Some(2)).await.unwrap().unwrap();
    assert_eq!((found.kind, found.name.as_str(), found.devices.len()), ("issuer", "ab", 2));
    let groups = || Change::Groups { groups: vec!["q".into()], overrides: false };
    calls.lock().unwrap().clear();
    for (name, device) in [("lamp", Device::Thing("lamp".into())), ("la mp", Device::Client("la mp".into()))]
    {
        let client = ResourceIdentifier { client_id: Some(name.into()), ..Default::default() };
        let found = behind(&mut reader, &client, groups(), None).await.unwrap().unwrap();
        assert_eq!(found.devices, BTreeSet::from([device]));
    }
    assert!(calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_known_counts_as_connected_and_no_more_is_asked_than_matters() {
    let (mut reader, calls) = reader(|on, _| {
        let name = on.strip_prefix("/things/").unwrap().strip_suffix("/connectivity-data").unwrap();
        match name {
            "off" => Answer::ok(json!({"thingName": name, "connected": false, "timestamp": 1})),
            "never-seen" => Answer::ok(json!({"thingName": name, "connected": false})),
            "gone" => Answer::error(404, "ResourceNotFoundException", "{}"),
            "no-index" => Answer::error(400, "IndexNotReadyException", "{}"),
            _ => Answer::ok(json!({"thingName": name, "connected": true, "timestamp": 1})),
        }
    });
    let mut devices = things(&["on", "off", "never-seen", "gone", "no-index"]);
    devices.insert(Device::Certificate(id(1)));
    let of = ResourceDevices { kind: "policy", name: "P".into(), devices, or_more: false };
    for _ in 0..2 {
        let found = reader.connections(&of, 99).await.unwrap();
        let number = found.number();
        assert_eq!((number.devices, number.unknown), (Number::exactly(5), 4));
        assert_eq!(found.connected, things(&["on"]));
    }
    assert_eq!(calls.lock().unwrap().len(), 5, "each once");
    let many: Vec<String> = (0..100).map(|number| format!("many-{number:03}")).collect();
    let devices = many.iter().cloned().map(Device::Thing).collect();
    let of = ResourceDevices { devices, ..of };
    calls.lock().unwrap().clear();
    let found = reader.connections(&of, 9).await.unwrap().number();
    assert_eq!((found.devices, calls.lock().unwrap().len()), (Number { count: 16, or_more: true }, 16));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_is_an_error_and_no_answer() {
    let faults: [fn() -> Answer; 4] = [
        || Answer::error(400, "ThrottlingException", "{}"),
        Answer::refused,
        Answer::broken,
        || Answer::ok(json!({})),
    ];
    for fault in faults {
        let (mut reader, _) = reader(move |_, _| fault());
        let cases = [
            (certificate(1), Change::Certificates),
            (authority(), Change::CaCertificates),
            (policy(), Change::Policies),
        ];
        for (resource, change) in cases {
            assert!(behind(&mut reader, &resource, change, Some(9)).await.is_err(), "{resource:?}");
        }
        let of = ResourceDevices { devices: things(&["lamp"]), ..ResourceDevices::default() };
        assert!(reader.connections(&of, 0).await.is_err());
    }
    // What is gone has no devices: it is left out by what reads its state.
    let (mut reader, _) = reader(|_, _| Answer::error(404, "ResourceNotFoundException", "{}"));
    assert_eq!(
        behind(&mut reader, &policy(), Change::Policies, None).await.unwrap().unwrap().number(),
        Number::default()
    );
}
