use super::*;

const FLEET: &str = "
things:
  - { name: pump-1, type: pump, groups: [lab], certificates: [1f00, 2a00] }
  - { name: pump-2, certificates: [1f00] }
  - gate-1
groups:
  - { name: lab, parent: plant }
  - { name: plant, parent: fleet }
  - spare
certificates: [1f00]
";

fn fleet(text: &str) -> Fleet {
    Fleet::parse("fleet.yaml", text).unwrap()
}

fn certificate(id: &str) -> ResourceIdentifier {
    ResourceIdentifier { device_certificate_id: Some(id.to_owned()), ..ResourceIdentifier::default() }
}

fn completed(fleet: &Fleet, identifier: &ResourceIdentifier, mut things: Things) -> Things {
    fleet.complete(identifier, &mut things);
    things
}

#[test]
fn a_thing_is_in_the_groups_above_its_own() {
    let Things::Known(things) = completed(&fleet(FLEET), &certificate("2a00"), Things::NotAsked) else {
        panic!("it is listed");
    };
    assert_eq!(things[0].groups.as_deref().unwrap().join(" "), "lab plant fleet");
}

#[test]
fn what_the_file_leaves_out_stays_unknown() {
    let of = fleet(FLEET);
    let unknown = Things::Unknown { unknown: "throttled".to_owned() };
    // The certificate of gate-1 may be this one.
    assert_eq!(completed(&of, &certificate("3b00"), unknown.clone()), unknown);
    let Things::Known(two) = completed(&of, &certificate("1f00"), unknown) else { panic!("it is listed") };
    assert_eq!((two.len(), &two[1].groups, &two[1].described), (2, &None, &None));
    let client =
        |name: &str| ResourceIdentifier { client_id: Some(name.to_owned()), ..ResourceIdentifier::default() };
    assert_eq!(completed(&of, &client("nowhere"), Things::NotAsked), Things::Known(Vec::new()));
    let all = fleet("things: [{ name: pump-1, certificates: [1f00] }]");
    assert_eq!(completed(&all, &certificate("3b00"), Things::NotAsked), Things::Known(Vec::new()));
    assert_eq!(completed(&fleet("groups: [a]"), &client("a"), Things::NotAsked), Things::NotAsked);
}

#[test]
fn what_was_recorded_is_completed_and_not_replaced() {
    let named = |groups: Option<Vec<String>>| {
        Things::Known(vec![Thing { name: "pump-1".to_owned(), described: None, groups }])
    };
    let then = named(Some(vec!["then".to_owned()]));
    let Things::Known(things) = completed(&fleet(FLEET), &certificate("1f00"), then) else { panic!() };
    assert_eq!(things[0].groups.as_deref().unwrap(), ["then"]);
    assert_eq!(things[0].described.as_ref().unwrap().thing_type.as_deref(), Some("pump"));
}

#[test]
fn what_contradicts_itself_is_refused() {
    let texts = [
        "things: [a, { name: a }]",
        "groups: [{ name: a, parent: b }, { name: b, parent: a }]",
        "groups: [{ name: a, parent: a }]",
        "groups: [{ name: a, parent: b }, { name: a, parent: c }]",
    ];
    let said = texts.map(|text| format!("{:#}", Fleet::parse("f.yaml", text).unwrap_err()));
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn yaml_and_json_say_the_same() {
    let json =
        r#"{"things": [{"name": "pump-1", "groups": ["lab", "fleet"]}, "gate-1"], "certificates": ["1f00"]}"#;
    let yaml = "things:\n  - { name: pump-1, groups: [lab, fleet] }\n  - gate-1\ncertificates: [1f00]\n";
    let inventory = fleet(yaml).inventory().clone();
    assert_eq!(&inventory, fleet(json).inventory());
    let names = |names: &Option<std::collections::BTreeSet<String>>| {
        names.as_ref().map(|names| names.iter().cloned().collect::<Vec<_>>().join(" "))
    };
    assert_eq!(names(&inventory.things).as_deref(), Some("gate-1 pump-1"));
    assert_eq!(names(&inventory.groups).as_deref(), Some("fleet lab"));
    assert_eq!(names(&inventory.certificates).as_deref(), Some("1f00"));
    assert_eq!(inventory.policies, None);
}

#[test]
fn what_is_misspelt_is_refused() {
    let error = Fleet::parse("fleet.yaml", "thigns: []\n").unwrap_err().to_string();
    assert!(
        error.starts_with("fleet.yaml:1:1: error: unknown key 'thigns'; did you mean 'things'?"),
        "{error}"
    );
    assert!(Fleet::parse("fleet.json", "{\"thigns\": []}").is_err());
}

#[test]
fn what_each_group_lists_is_known_of_each_thing() {
    let whole = "
things: [pump-1, { name: pump-2, groups: [spare] }, pump-3]
groups:
  - { name: lab, parent: plant, things: [pump-1, pump-2, gone] }
  - { name: plant, things: [] }
  - { name: spare, things: [] }
";
    let groups =
        |fleet: &Fleet, name: &str| fleet.thing(name).unwrap().groups.clone().map(|all| all.join(" "));
    let of = fleet(whole);
    assert_eq!(groups(&of, "pump-1").as_deref(), Some("lab plant"));
    assert_eq!(groups(&of, "pump-2").as_deref(), Some("spare lab plant"));
    assert_eq!(groups(&of, "pump-3").as_deref(), Some(""));
    // A group that does not list its things may have any.
    let of = fleet(&whole.replace("name: spare, things: []", "name: spare"));
    assert_eq!((groups(&of, "pump-1"), groups(&of, "pump-3")), (None, None));
    assert_eq!(groups(&of, "pump-2").as_deref(), Some("spare lab plant"));
}

#[test]
fn yaml_in_braces_is_yaml() {
    let of = fleet("{ things: [a], groups: [{ name: lab, things: [a] }] }");
    assert_eq!(of.thing("a").unwrap().groups.as_deref().unwrap(), ["lab"]);
}
