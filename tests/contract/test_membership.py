"""Things are put into thing groups and taken out of them, as a release from quarantine does, and scenarios of Detect."""

import pytest
from botocore.exceptions import ClientError
from conftest import ROLE, TOPIC, Endpoint, driving

ARN = "arn:aws:iot:us-east-1:123456789012"
MINUTE = 60_000


def members(iot, group):
    return iot.list_things_in_thing_group(thingGroupName=group, recursive=True, maxResults=250)["things"]


def test_a_thing_is_released_from_quarantine(endpoint, iot, aws):
    thing, other = members(iot, "production")[:2]
    endpoint.control("POST", "membership", {"thingName": other, "thingGroupName": "quarantine", "member": True})
    iot.add_thing_to_thing_group(thingGroupName="quarantine", thingName=thing)
    iot.add_thing_to_thing_group(thingGroupArn=f"{ARN}:thinggroup/quarantine", thingArn=f"{ARN}:thing/{thing}", overrideDynamicGroups=True)
    assert sorted(members(iot, "quarantine")) == sorted([thing, other])
    iot.remove_thing_from_thing_group(thingGroupName="quarantine", thingName=thing)
    iot.remove_thing_from_thing_group(thingGroupName="quarantine", thingName=thing)
    assert members(iot, "quarantine") == [other]
    aws("add-thing-to-thing-group", "--thing-group-name", "quarantine", "--thing-name", thing)
    aws("remove-thing-from-thing-group", "--thing-group-name", "quarantine", "--thing-name", other)
    assert members(iot, "quarantine") == [thing]
    for call in (iot.add_thing_to_thing_group, iot.remove_thing_from_thing_group):
        for names in ({"thingGroupName": "none", "thingName": thing}, {"thingGroupName": "quarantine", "thingName": "none"}):
            with pytest.raises(iot.exceptions.ResourceNotFoundException):
                call(**names)
        with pytest.raises(iot.exceptions.InvalidRequestException):
            call(thingGroupName="quarantine")
    with pytest.raises(iot.exceptions.InvalidRequestException):
        iot.add_thing_to_thing_group(thingGroupName="lab", thingName=thing)


@pytest.fixture
def floor():
    """An endpoint of its own for a test that moves the clock."""
    endpoint = Endpoint("--findings", 60, "--rate-scale", 0, "--mitigation-ms", 1000)
    yield endpoint
    endpoint.close()
    assert endpoint.judge.verdicts == [] and endpoint.judge.bad_requests == []


def profile(iot, target, *behaviors):
    iot.create_security_profile(
        securityProfileName="p", behaviors=behaviors, alertTargets={"SNS": {"alertTargetArn": TOPIC, "roleArn": ROLE}}
    )
    iot.attach_security_profile(securityProfileName="p", securityProfileTargetArn=f"{ARN}:{target}")


def below(name, metric, count):
    criteria = {"comparisonOperator": "less-than", "value": {"count": count}, "durationSeconds": 300}
    return {"name": name, "metric": metric, "criteria": criteria}


def test_scenarios_end_as_scripted(floor):
    iot = floor.client()
    profile(
        iot, "all/registered-things", below("connects", "aws:num-connection-attempts", 10),
        {"name": "ports", "metric": "aws:listening-tcp-ports", "criteria": {"comparisonOperator": "in-port-set", "value": {"ports": [22, 443]}}},
    )
    things = iot.list_things(maxResults=250)["things"]
    thing = things[0]["thingName"]
    floor.control("POST", "detect/scenarios", {"kind": "compromised", "thingNames": [thing], "forSeconds": 1800})
    storm = floor.control("POST", "detect/scenarios", {"kind": "reconnect-storm", "forSeconds": 900})
    assert len(storm["thingNames"]) * 3 > len(things)
    floor.control("POST", "clock", {"advanceMs": 12 * MINUTE})
    active = [violation for page in iot.get_paginator("list_active_violations").paginate(PaginationConfig={"PageSize": 7})
              for violation in page["activeViolations"]]
    ports = [violation for violation in active if violation["behavior"]["name"] == "ports"]
    assert [violation["thingName"] for violation in ports] == [thing]
    assert ports[0]["lastViolationValue"] == {"ports": [4444, 31337]}
    alarmed = {violation["thingName"] for violation in active if violation["behavior"]["name"] == "connects"}
    assert alarmed <= set(storm["thingNames"]) and len(alarmed) * 2 > len(storm["thingNames"]) * 0.6
    floor.control("POST", "clock", {"advanceMs": 60 * MINUTE})
    assert iot.list_active_violations()["activeViolations"] == []
    state = floor.control("GET", "detect/state")
    assert state["events"] == 2 * len(active) and state["alerts"]["queued"] == state["events"]


def test_a_quarantined_thing_can_leave_a_profile(floor):
    iot, aws = floor.client(), driving(floor)
    profile(iot, "thinggroup/production", below("sent", "aws:num-messages-sent", 0))
    floor.control("POST", "clock", {"advanceMs": 20 * MINUTE})
    thing = iot.list_active_violations()["activeViolations"][0]["thingName"]
    group = iot.list_thing_groups_for_thing(thingName=thing)["thingGroups"][0]["groupName"]
    floor.control("POST", "detect/switches", {"detach": "event"})
    iot.remove_thing_from_thing_group(thingGroupName=group, thingName=thing)
    assert iot.list_active_violations(thingName=thing)["activeViolations"] == []
    now = floor.control("GET", "clock")["nowMs"] / 1000
    events = aws("list-violation-events", "--thing-name", thing, "--start-time", str(now - 86400), "--end-time", str(now + 1))
    assert [event["violationEventType"] for event in events["violationEvents"]] == ["alarm-invalidated", "in-alarm"]
    with pytest.raises(ClientError):
        floor.client().list_active_violations(securityProfileName="none")
