"""What things are behind a finding, and which resources there are: boto3 asks, and the control call knows the truth."""

import json
import re
import time
from collections import Counter

import pytest
from conftest import ROLE
from judge import REGISTRY_OPERATIONS

SHARED = "DEVICE_CERTIFICATE_SHARED_CHECK"
REVOKED = "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK"
ARN = "arn:aws:iot:us-east-1:123456789012"
BELOW_FLEET = {"lab", "production", "production-north", "production-south"}


def principal(finding):
    return f"{ARN}:cert/{finding['nonCompliantResource']['resourceIdentifier']['deviceCertificateId']}"


def all_of(iot, operation, member, size=None, **members):
    """Every item of a list, page by page. No page but the last may be short."""
    paging = {"PageSize": size} if size else {}
    pages = [page[member] for page in iot.get_paginator(operation).paginate(**members, PaginationConfig=paging)]
    assert all(len(page) == (size or 25) for page in pages[:-1]) and len(pages[-1]) <= (size or 25)
    return [item for page in pages for item in page]


def things_of(iot, finding, size=None):
    return all_of(iot, "list_principal_things", "things", size, principal=principal(finding))


def things_in(iot, group, recursive=False, size=250):
    return all_of(iot, "list_things_in_thing_group", "things", size, thingGroupName=group, recursive=recursive)


def groups_of(iot, thing, size=None):
    groups = all_of(iot, "list_thing_groups_for_thing", "thingGroups", size, thingName=thing)
    assert all(group["groupArn"] == f"{ARN}:thinggroup/{group['groupName']}" for group in groups)
    return [group["groupName"] for group in groups]


@pytest.fixture
def findings(endpoint):
    """Findings about device certificates, each certificate once; as shared, if it is."""
    task = endpoint.audit()
    found = endpoint.findings(task, checkName=REVOKED) + endpoint.findings(task, checkName=SHARED)
    return list({principal(finding): finding for finding in found}.values())


def test_most_certificates_have_one_thing(iot, findings):
    behind = [things_of(iot, finding) for finding in findings]
    counts = Counter(map(len, behind))
    assert set(counts) == {0, 1, 2, 3}
    assert counts[0] < len(findings) / 10 and counts[1] > len(findings) / 2
    names = [name for things in behind for name in things]
    assert len(names) == len(set(names))
    assert [things_of(iot, finding) for finding in findings[:9]] == behind[:9]
    for finding, things in zip(findings, behind):
        if len(things) > 1:
            assert finding["checkName"] == SHARED
            assert things_of(iot, finding, 1) == things_of(iot, finding, 2) == things


def test_things_are_the_same_after_a_reset_and_others_with_another_seed(endpoint, iot):
    seen = []
    for seed in (1, 1, 2):
        endpoint.control("POST", "reset", {"seed": seed})
        fleet = things_in(iot, "fleet", recursive=True)
        seen.append((fleet, [iot.describe_thing(thingName=name)["thingId"] for name in fleet[:5]]))
    endpoint.control("POST", "reset", {"seed": 1})
    assert seen[0] == seen[1] and seen[0][0] != seen[2][0]


def test_a_thing(iot, findings):
    kinds, stages, sites = Counter(), Counter(), Counter()
    names = [name for finding in findings for name in things_of(iot, finding)]
    for name in names:
        thing = iot.describe_thing(thingName=name)
        assert (thing["thingName"], thing["defaultClientId"], thing["version"]) == (name, name, 1)
        assert thing["thingArn"] == f"{ARN}:thing/{name}"
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", thing["thingId"])
        kinds[thing.get("thingTypeName")] += 1
        stages[thing["attributes"]["stage"]] += 1
        sites[thing["attributes"].get("site")] += 1
    assert set(kinds) <= {"sensor", "gateway", "camera", None} and kinds["sensor"] > len(names) / 2
    assert set(stages) <= {"production", "lab", "pilot", "new"} and stages["production"] > len(names) / 2
    assert {"north", "south"} < set(sites) <= {"north", "south", "harbor", "campus", None}


def test_stage_and_groups_agree(iot, findings):
    for finding in findings:
        for name in things_of(iot, finding):
            groups = set(groups_of(iot, name)) - {"critical"}
            attributes = iot.describe_thing(thingName=name)["attributes"]
            wanted = {"lab": "lab", "pilot": "fleet", "production": "production"}.get(attributes["stage"])
            if wanted == "production" and attributes["site"] != "harbor":
                wanted += "-" + attributes["site"]
            assert groups == ({wanted} if wanted else set())


def test_groups_of_a_thing_are_direct_and_paged(iot):
    for name in things_in(iot, "critical"):
        groups = groups_of(iot, name)
        assert len(groups) == 2 and "fleet" not in groups and "critical" in groups
        assert groups_of(iot, name, 1) == groups


def test_a_group_and_its_parents(iot):
    parents = {"fleet": [], "critical": [], "lab": ["fleet"], "production": ["fleet"],
               "production-north": ["fleet", "production"], "production-south": ["fleet", "production"]}
    ids = set()
    for name, path in parents.items():
        group = iot.describe_thing_group(thingGroupName=name)
        assert (group["thingGroupName"], group["thingGroupArn"]) == (name, f"{ARN}:thinggroup/{name}")
        assert group["version"] == 1 and group["thingGroupProperties"]["thingGroupDescription"]
        metadata = group["thingGroupMetadata"]
        assert metadata["creationDate"].timestamp() <= time.time()
        assert metadata.get("parentGroupName") == (path[-1] if path else None)
        assert metadata.get("rootToParentThingGroups", []) == [
            {"groupName": above, "groupArn": f"{ARN}:thinggroup/{above}"} for above in path
        ]
        assert "status" not in group and "queryString" not in group
        ids.add(group["thingGroupId"])
    assert len(ids) == len(parents)


def test_groups_are_listed_with_those_below_them(endpoint, iot):
    groups = lambda **members: {group["groupName"] for group in all_of(iot, "list_thing_groups", "thingGroups", **members)}
    everything = {"fleet", "critical"} | BELOW_FLEET
    assert groups() == groups(recursive=True) == groups(size=1) == everything
    assert groups(recursive=False) == {"fleet", "critical"}
    assert groups(parentGroup="fleet") == {"lab", "production"} == groups(parentGroup="fleet", recursive=False)
    assert groups(parentGroup="fleet", recursive=True, size=2) == BELOW_FLEET
    assert groups(parentGroup="lab", recursive=True) == set()
    assert groups(namePrefixFilter="production-") == {"production-north", "production-south"}
    assert groups(namePrefixFilter="p", parentGroup="fleet") == {"production"}
    name = iot.list_things(maxResults=1)["things"][0]["thingName"]
    endpoint.control("POST", "membership", {"thingName": name, "thingGroupName": "later", "member": True})
    assert groups() == everything | {"later"} and groups(recursive=False) == {"fleet", "critical", "later"}
    assert all(group["groupArn"] == f"{ARN}:thinggroup/{group['groupName']}" for group in iot.list_thing_groups()["thingGroups"])


def test_things_in_a_group(endpoint, iot):
    sizes = endpoint.control("GET", "state")["fleet"]["groups"]
    assert set(sizes) == {"fleet", "critical"} | BELOW_FLEET and all(sizes.values())
    direct = {name: things_in(iot, name) for name in sizes}
    assert {name: len(set(things)) for name, things in direct.items()} == sizes
    assert [len(things) for things in direct.values()] == list(sizes.values())
    everything = things_in(iot, "fleet", recursive=True)
    assert sorted(everything) == sorted(name for group in {"fleet"} | BELOW_FLEET for name in direct[group])
    assert set(things_in(iot, "production", recursive=True)) == {
        name for group in BELOW_FLEET if group != "lab" for name in direct[group]
    }
    assert things_in(iot, "lab", recursive=True) == direct["lab"]
    assert iot.list_things_in_thing_group(thingGroupName="fleet")["things"] == direct["fleet"][:25]
    for size in (7, 100):
        assert things_in(iot, "fleet", recursive=True, size=size) == everything
    assert things_in(iot, "critical", size=1) == direct["critical"]


def test_mitigation_adds_things_to_a_group(endpoint, iot, findings):
    chosen = [finding for finding in findings if finding["checkName"] == SHARED][:20]
    behind = [things_of(iot, finding) for finding in chosen]
    things = [name for names in behind for name in names]
    before = {name: groups_of(iot, name) for name in things}
    iot.create_mitigation_action(
        actionName="quarantine", roleArn=ROLE,
        actionParams={"addThingsToThingGroupParams": {"thingGroupNames": ["quarantine"]}},
    )
    mitigate(iot, "move", chosen, "quarantine")
    for name in things:
        assert sorted(groups_of(iot, name)) == sorted([*before[name], "quarantine"])
        assert groups_of(iot, name, 1) == groups_of(iot, name)
    assert sorted(things_in(iot, "quarantine", size=3)) == sorted(things)
    assert endpoint.control("GET", "state")["fleet"]["groups"]["quarantine"] == len(things)
    assert "parentGroupName" not in iot.describe_thing_group(thingGroupName="quarantine")["thingGroupMetadata"]
    assert [things_of(iot, finding) for finding in chosen] == behind


def test_a_thing_is_in_one_group_of_a_hierarchy(iot, findings):
    iot.create_mitigation_action(
        actionName="to-lab", roleArn=ROLE, actionParams={"addThingsToThingGroupParams": {"thingGroupNames": ["lab"]}}
    )
    for number, finding in enumerate([finding for finding in findings if finding["checkName"] == SHARED][:12]):
        stages = [iot.describe_thing(thingName=name)["attributes"]["stage"] for name in things_of(iot, finding)]
        done = mitigate(iot, f"task-{number}", [finding], "to-lab")
        assert done["taskStatus"] == ("COMPLETED" if set(stages) <= {"lab", "new"} else "FAILED")
        execution, = iot.list_audit_mitigation_actions_executions(
            taskId=f"task-{number}", findingId=finding["findingId"]
        )["actionsExecutions"]
        assert execution.get("errorCode") == (None if done["taskStatus"] == "COMPLETED" else "InvalidRequestException")


def test_every_thing_is_listed(endpoint, iot):
    state = endpoint.control("GET", "state")["fleet"]
    things = all_of(iot, "list_things", "things", 250)
    by_name = {thing["thingName"]: thing for thing in things}
    assert len(by_name) == len(things) > sum(state["groups"][group] for group in {"fleet"} | BELOW_FLEET)
    assert all_of(iot, "list_things", "things", 7) == things
    for name in list(by_name)[:20]:
        described = iot.describe_thing(thingName=name)
        assert {key: described[key] for key in by_name[name]} == by_name[name]
    for kind in ("sensor", "gateway", "camera", "none"):
        wanted = [thing for thing in things if thing.get("thingTypeName") == kind]
        assert all_of(iot, "list_things", "things", 100, thingTypeName=kind) == wanted
    north = [thing for thing in things if thing["attributes"].get("site") == "north"]
    site = {"attributeName": "site", "usePrefixAttributeValue": True}
    assert all_of(iot, "list_things", "things", 100, attributeValue="nor", **site) == north
    assert iot.list_things(attributeName="site", attributeValue="nor")["things"] == []
    cameras = [thing for thing in north if thing.get("thingTypeName") == "camera"]
    found = all_of(iot, "list_things", "things", 3, attributeName="site", attributeValue="north", thingTypeName="camera")
    assert found == cameras and len(cameras) > 3


def test_principals_lead_back(iot, findings):
    for finding in findings[:30]:
        for name in things_of(iot, finding):
            assert all_of(iot, "list_thing_principals", "principals", thingName=name) == [principal(finding)]


def test_principals_in_pages(endpoint, iot, findings):
    name = next(thing for finding in findings for thing in things_of(iot, finding))
    for finding in findings[:5]:
        certificate = finding["nonCompliantResource"]["resourceIdentifier"]["deviceCertificateId"]
        endpoint.control("POST", "attachment", {"thingName": name, "certificateId": certificate, "attached": True})
        assert name in things_of(iot, finding)
    listed = all_of(iot, "list_thing_principals", "principals", 2, thingName=name)
    assert len(listed) == len(set(listed)) >= 5
    assert {principal(finding) for finding in findings[:5]} <= set(listed)


@pytest.mark.parametrize(
    ("operation", "member", "kind"),
    [
        ("list_certificates", "certificates", "deviceCertificates"),
        ("list_ca_certificates", "certificates", "caCertificates"),
        ("list_policies", "policies", "policies"),
        ("list_role_aliases", "roleAliases", None),
    ],
)
def test_resources_are_listed_both_ways(endpoint, iot, operation, member, kind):
    listed = all_of(iot, operation, member, 250, ascendingOrder=True)
    assert all_of(iot, operation, member, 250, ascendingOrder=False) == listed[::-1]
    assert all_of(iot, operation, member, 3)[:9] == listed[::-1][:9]
    assert getattr(iot, operation)()[member] == listed[::-1][:25]
    if kind:
        assert len(listed) == endpoint.control("GET", "state")["fleet"][kind]
    if member == "certificates":
        dates = [certificate["creationDate"] for certificate in listed]
        assert dates == sorted(dates) and dates[-1].timestamp() <= time.time()


def test_a_policy_and_its_default_version(endpoint, iot):
    task = endpoint.audit("IOT_POLICY_OVERLY_PERMISSIVE_CHECK")
    wide = {
        version["policyName"]: version["policyVersionId"]
        for finding in endpoint.findings(task)
        for version in [finding["nonCompliantResource"]["resourceIdentifier"]["policyVersionIdentifier"]]
    }
    for listed in all_of(iot, "list_policies", "policies", 100):
        policy = iot.get_policy(policyName=listed["policyName"])
        assert policy["policyArn"] == listed["policyArn"] == f"{ARN}:policy/{listed['policyName']}"
        document = json.loads(policy["policyDocument"])
        assert (document["Statement"][0]["Action"] == "iot:*") == (listed["policyName"] in wide)
        assert policy["defaultVersionId"] == wide.get(listed["policyName"], policy["defaultVersionId"])


def test_things_come_join_and_leave(endpoint, iot):
    endpoint.control("POST", "things", {"thingName": "late", "thingTypeName": "camera", "attributes": {"site": "east"}})
    member = {"thingName": "late", "thingGroupName": "lab"}
    for joins in (True, False, True):
        assert endpoint.control("POST", "membership", {**member, "member": joins}) == {"changed": True}
        assert ("late" in things_in(iot, "lab")) == ("late" in things_in(iot, "fleet", recursive=True)) == joins
        assert groups_of(iot, "late") == (["lab"] if joins else [])
    assert iot.describe_thing(thingName="late")["attributes"] == {"site": "east"}
    assert all_of(iot, "list_things", "things", 250)[-1]["thingName"] == "late"
    assert iot.list_thing_principals(thingName="late")["principals"] == []
    settled = things_in(iot, "production-north")[0]
    leave = {"thingName": settled, "thingGroupName": "production-north", "member": False}
    assert endpoint.control("POST", "membership", leave) == {"changed": True}
    assert settled not in things_in(iot, "production-north") and "production-north" not in groups_of(iot, settled)


def mitigate(iot, task, findings, action):
    iot.start_audit_mitigation_actions_task(
        taskId=task, target={"findingIds": [finding["findingId"] for finding in findings]},
        auditCheckToActionsMapping={SHARED: [action]}, clientRequestToken=task,
    )
    while True:
        described = iot.describe_audit_mitigation_actions_task(taskId=task)
        if described["taskStatus"] != "IN_PROGRESS":
            return described
        time.sleep(0.01)


@pytest.fixture(scope="module", autouse=True)
def every_operation_was_seen(running):
    yield
    answered = {name for name, codes in running.judge.seen.items() if 200 in codes}
    assert set(REGISTRY_OPERATIONS) - answered == set()
