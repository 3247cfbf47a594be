"""Misbehaviour on order reaches a client as it was ordered. The judge is told nothing: it would object."""

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError
from conftest import ROLE, Endpoint

EXPIRING = "DEVICE_CERTIFICATE_EXPIRING_CHECK"
DEACTIVATE = {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}}


@pytest.fixture(scope="module")
def bare():
    endpoint = Endpoint("--findings", 100, "--rate-scale", 0, "--audit-ms", 10, "--mitigation-ms", 10)
    yield endpoint
    endpoint.close()


@pytest.fixture
def order(bare):
    bare.control("POST", "reset", {})
    task = bare.audit(EXPIRING)
    bare.judge.url = bare.url  # past the judge
    iot = bare.client()

    def give(kind, operation="ListAuditFindings", **more):
        bare.control("POST", "faults", {"faults": [{"operation": operation, "kind": kind, **more}]})
        return iot, task

    return give


def test_answers_that_are_spoilt(order):
    iot, task = order("nulls", count=1)
    assert "findings" not in iot.list_audit_findings(taskId=task)
    order("no-resource", count=1)
    assert "nonCompliantResource" not in iot.list_audit_findings(taskId=task)["findings"][0]
    order("unknown-enum", count=1, skip=1)
    assert iot.list_audit_findings(taskId=task)["findings"][0]["severity"] == "MEDIUM"
    assert iot.list_audit_findings(taskId=task)["findings"][0]["severity"] == "SOMETHING_NEW"
    order("unknown-members", count=1)
    assert iot.list_audit_findings(taskId=task)["findings"]


def test_the_same_token_for_ever(order):
    iot, task = order("repeat-token")
    token = iot.list_audit_findings(taskId=task, maxResults=5)["nextToken"]
    for _ in range(3):
        assert iot.list_audit_findings(taskId=task, maxResults=5, nextToken=token)["nextToken"] == token


def test_errors_of_the_network(order):
    iot, task = order("html", count=1)
    with pytest.raises(ClientError) as caught:
        iot.list_audit_findings(taskId=task)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    order("reset", count=1)
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        iot.list_audit_findings(taskId=task)
    order("broken-json", count=1)
    assert "findings" not in iot.list_audit_findings(taskId=task)  # boto3 takes it for an empty answer
    order("delay", count=1, delayMs=50)
    assert iot.list_audit_findings(taskId=task)["findings"]


def test_answers_about_things(order):
    iot, _ = order("unknown-members", "DescribeThing", count=1)
    thing = iot.list_things_in_thing_group(thingGroupName="fleet", recursive=True)["things"][0]
    assert set(iot.describe_thing(thingName=thing)["attributes"]) == {"site", "stage", "firmware"}
    order("nulls", "ListThingGroupsForThing", count=1)
    assert "thingGroups" not in iot.list_thing_groups_for_thing(thingName=thing)
    order("repeat-token", "ListThingsInThingGroup", count=2)
    first = iot.list_things_in_thing_group(thingGroupName="fleet", maxResults=1)
    assert iot.list_things_in_thing_group(thingGroupName="fleet", maxResults=1, nextToken=first["nextToken"])["nextToken"] == first["nextToken"]
    order("broken-json", "DescribeThingGroup", count=1)
    assert "thingGroupArn" not in iot.describe_thing_group(thingGroupName="fleet")
    order("reset", "ListPrincipalThings", count=1)
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        iot.list_principal_things(principal="arn:aws:iam::123456789012:role/Operator")


@pytest.mark.parametrize("kind", ["done-but-failed", "lost-answer"])
def test_an_effect_whose_answer_is_lost(bare, order, kind):
    iot, task = order(kind, "StartAuditMitigationActionsTask", count=1)
    iot.create_mitigation_action(actionName="off", roleArn=ROLE, actionParams=DEACTIVATE)
    finding = iot.list_audit_findings(taskId=task)["findings"][0]["findingId"]
    request = {"taskId": "t", "target": {"findingIds": [finding]}, "clientRequestToken": "t",
               "auditCheckToActionsMapping": {EXPIRING: ["off"]}}
    with pytest.raises((ClientError, HTTPClientError)):
        iot.start_audit_mitigation_actions_task(**request)
    assert iot.start_audit_mitigation_actions_task(**request)["taskId"] == "t"
    bare.control("POST", "clock", {"advanceMs": 1000})
    assert bare.control("GET", "state")["fleet"]["inactiveDeviceCertificates"] == 1
    effects = bare.control("GET", "calls")["effects"]
    assert (effects["total"], effects["repeated"]) == (1, [])
