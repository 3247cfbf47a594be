"""Every list to its end in pages of any size, and every token that is not the list's own refused."""

import re
import time
from datetime import datetime, timedelta, timezone

import pytest
from botocore.exceptions import ClientError
from conftest import ROLE, Endpoint
from judge import AUDIT_OPERATIONS, DETECT_OPERATIONS, MODEL, PAGED, REACH_OPERATIONS, REGISTRY_OPERATIONS, SHAPES

SHARED = "DEVICE_CERTIFICATE_SHARED_CHECK"
INTERMEDIATE = "INTERMEDIATE_CA_REVOKED_FOR_ACTIVE_DEVICE_CERTIFICATES_CHECK"
NOW = datetime.now(timezone.utc)
PERIOD = {"startTime": NOW - timedelta(days=1), "endTime": NOW + timedelta(days=1)}
FLEET = "arn:aws:iot:us-east-1:123456789012:thinggroup/fleet"
LISTS = [operation for operation in [*AUDIT_OPERATIONS, *DETECT_OPERATIONS, *REGISTRY_OPERATIONS, *REACH_OPERATIONS] if operation in PAGED]


def define(iot):
    """Profiles, metrics and dimensions: three of each at least, and a target and a profile that have three of the other."""
    for number in range(30):
        iot.create_custom_metric(metricName=f"m{number}", metricType="number")
        iot.create_security_profile(securityProfileName=f"p{number}")
    for number in range(3):
        iot.create_dimension(name=f"d{number}", type="TOPIC_FILTER", stringValues=["a/#"])
        iot.attach_security_profile(securityProfileName=f"p{number}", securityProfileTargetArn=FLEET)
        below = FLEET.replace("fleet", ["production", "production-north", "lab"][number])
        iot.attach_security_profile(securityProfileName="p9", securityProfileTargetArn=below)


def violate(endpoint):
    """Violations of many things, models of many behaviors, three mitigation tasks; gives the members that their lists need."""
    iot = endpoint.client()
    limit = {"comparisonOperator": "less-than", "value": {"count": 0}, "durationSeconds": 300}
    model = {"mlDetectionConfig": {"confidenceLevel": "HIGH"}}
    metrics = ["messages-sent", "messages-received", "authorization-failures", "connection-attempts", "disconnects"]
    iot.create_security_profile(securityProfileName="busy", behaviors=[
        {"name": "b", "metric": "aws:num-messages-sent", "criteria": limit},
        *({"name": f"b{place}", "metric": f"aws:num-{metric}", "criteria": model} for place, metric in enumerate(metrics)),
    ])
    iot.attach_security_profile(securityProfileName="busy", securityProfileTargetArn=FLEET.replace("fleet", "production-north"))
    endpoint.control("POST", "clock", {"advanceMs": 7_200_000})
    violations = [violation["violationId"] for violation in iot.list_active_violations(maxResults=3)["activeViolations"]]
    for number in range(3):
        iot.start_detect_mitigation_actions_task(taskId=f"d{number}", target={"violationIds": violations}, actions=["a0"])
    while iot.describe_detect_mitigation_actions_task(taskId="d2")["taskSummary"]["taskStatus"] == "IN_PROGRESS":
        time.sleep(0.01)
    return {
        "ListMetricValues": observed(iot),
        "ListViolationEvents": PERIOD,
        "ListDetectMitigationActionsTasks": PERIOD,
        "ListDetectMitigationActionsExecutions": {"taskId": "d0"},
    }


def observed(iot):
    """The members of ListMetricValues of a thing that was connected for some time: which one is depends on the hour."""
    things = {violation["thingName"]: None for violation in iot.list_active_violations()["activeViolations"]}
    for thing in things:
        members = {"thingName": thing, "metricName": "aws:num-messages-sent", **PERIOD}
        if len(iot.list_metric_values(**members)["metricDatumList"]) >= 3:
            return members
    raise AssertionError(f"none of {len(things)} things has three values")


@pytest.fixture(scope="module")
def populated():
    """An endpoint that has several of everything, and the members with which each list is asked for."""
    endpoint = Endpoint("--findings", 200, "--rate-scale", 0, "--audit-ms", 10, "--mitigation-ms", 10)
    iot = endpoint.client()
    audits = [endpoint.audit() for _ in range(3)]
    findings = endpoint.findings(audits[0], checkName=SHARED)
    finding = findings[0]["findingId"]
    certificate = findings[0]["nonCompliantResource"]["resourceIdentifier"]["deviceCertificateId"]
    for number, other in enumerate(findings[:3]):
        iot.create_scheduled_audit(scheduledAuditName=f"s{number}", frequency="DAILY", targetCheckNames=[SHARED])
        iot.create_mitigation_action(
            actionName=f"a{number}", roleArn=ROLE,
            actionParams={"addThingsToThingGroupParams": {"thingGroupNames": [f"group-{number}"]}},
        )
        iot.create_audit_suppression(
            checkName=SHARED, resourceIdentifier=other["nonCompliantResource"]["resourceIdentifier"], suppressIndefinitely=True
        )
    for number in range(3):
        iot.start_audit_mitigation_actions_task(
            taskId=f"t{number}", target={"findingIds": [finding]}, auditCheckToActionsMapping={SHARED: ["a0", "a1", "a2"]}
        )
    thing = iot.list_things_in_thing_group(thingGroupName="production-north")["things"][0]
    for order in (
        {"thingName": thing, "thingGroupName": "critical", "member": True},
        {"thingName": thing, "thingGroupName": "seen", "member": True},
    ):
        endpoint.control("POST", "membership", order)
    for other in findings[:3]:
        id = other["nonCompliantResource"]["resourceIdentifier"]["deviceCertificateId"]
        endpoint.control("POST", "attachment", {"thingName": thing, "certificateId": id, "attached": True})
    for number in range(3):
        endpoint.control("POST", "things", {"thingName": f"late-{number}"})
        late = {"thingName": f"late-{number}", "certificateId": certificate, "attached": True}
        endpoint.control("POST", "attachment", late)
    while iot.describe_audit_mitigation_actions_task(taskId="t2")["taskStatus"] == "IN_PROGRESS":
        time.sleep(0.01)
    define(iot)
    issuer = endpoint.findings(audits[0], checkName=INTERMEDIATE)[0]["findingId"]
    members = {
        "ListAuditFindings": {"taskId": audits[0]},
        "ListAuditTasks": PERIOD,
        "ListRelatedResourcesForAuditFinding": {"findingId": issuer},
        "ListAuditMitigationActionsTasks": PERIOD,
        "ListAuditMitigationActionsExecutions": {"taskId": "t0", "findingId": finding},
        "ListPrincipalThings": {"principal": f"arn:aws:iot:us-east-1:123456789012:cert/{certificate}"},
        "ListThingPrincipals": {"thingName": thing},
        "ListTargetsForPolicy": {"policyName": "device-policy-0"},
        "ListCertificatesByCA": {"caCertificateId": iot.list_ca_certificates()["certificates"][0]["certificateId"]},
        "ListThingGroupsForThing": {"thingName": thing},
        "ListThingsInThingGroup": {"thingGroupName": "fleet", "recursive": True},
        "ListSecurityProfilesForTarget": {"securityProfileTargetArn": FLEET, "recursive": True},
        "ListTargetsForSecurityProfile": {"securityProfileName": "p9"},
        **violate(endpoint),
    }
    yield iot, members
    endpoint.close()
    assert endpoint.judge.verdicts == []


@pytest.mark.parametrize("operation", LISTS)
def test_a_list_to_its_end(populated, operation):
    iot, members = populated
    members = members.get(operation, {})
    paging = PAGED[operation]
    size, given, token, items = (paging[key] for key in ("limit_key", "input_token", "output_token", "result_key"))
    call = getattr(iot, re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=CA)(?=Cert)", "_", operation).lower())

    def walk(count):
        query = {**members, size: count}
        while True:
            page = call(**query)
            assert len(page[items]) == count or token not in page
            yield from page[items]
            if token not in page:
                return
            query[given] = page[token]

    most = SHAPES[SHAPES[MODEL["operations"][operation]["input"]["shape"]]["members"][size]["shape"]]["max"]
    usual = min(most, 25)
    everything = list(walk(most))
    assert len(everything) >= 3
    assert call(**members)[items] == everything[:usual]
    assert len(everything) <= usual or token in call(**members)
    for count in (1, 2, 7):
        if len(everything) <= 60 or count > 1:
            assert list(walk(count)) == everything
    for bad in ("made", "0" * 48, call(**members, **{size: 1})[token][:-1]):
        with pytest.raises(ClientError) as caught:
            call(**members, **{given: bad})
        assert caught.value.response["Error"]["Code"] == "InvalidRequestException"
        assert given in caught.value.response["Error"]["Message"]
