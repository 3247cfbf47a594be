"""Every list to its end in pages of any size, and every token that is not the list's own refused."""

import re
import time
from datetime import datetime, timedelta, timezone

import pytest
from botocore.exceptions import ClientError
from conftest import ROLE, Endpoint
from judge import AUDIT_OPERATIONS, DETECT_OPERATIONS, PAGED, REGISTRY_OPERATIONS

SHARED = "DEVICE_CERTIFICATE_SHARED_CHECK"
INTERMEDIATE = "INTERMEDIATE_CA_REVOKED_FOR_ACTIVE_DEVICE_CERTIFICATES_CHECK"
NOW = datetime.now(timezone.utc)
PERIOD = {"startTime": NOW - timedelta(days=1), "endTime": NOW + timedelta(days=1)}
FLEET = "arn:aws:iot:us-east-1:123456789012:thinggroup/fleet"
LISTS = [operation for operation in [*AUDIT_OPERATIONS, *DETECT_OPERATIONS, *REGISTRY_OPERATIONS] if operation in PAGED]


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
        "ListThingGroupsForThing": {"thingName": thing},
        "ListThingsInThingGroup": {"thingGroupName": "fleet", "recursive": True},
        "ListSecurityProfilesForTarget": {"securityProfileTargetArn": FLEET, "recursive": True},
        "ListTargetsForSecurityProfile": {"securityProfileName": "p9"},
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

    everything = list(walk(250))
    assert len(everything) >= 3
    assert call(**members)[items] == everything[:25]
    assert len(everything) <= 25 or token in call(**members)
    for count in (1, 2, 7):
        if len(everything) <= 60 or count > 1:
            assert list(walk(count)) == everything
    for bad in ("made", "0" * 48, call(**members, **{size: 1})[token][:-1]):
        with pytest.raises(ClientError) as caught:
            call(**members, **{given: bad})
        assert caught.value.response["Error"]["Code"] == "InvalidRequestException"
        assert given in caught.value.response["Error"]["Message"]
