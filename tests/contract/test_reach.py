"""Which devices are behind a policy and a CA certificate, and whether they are connected: by boto3 and the AWS CLI."""

import pytest
from botocore.exceptions import ClientError

CA = "REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK"
ARN = "arn:aws:iot:us-east-1:123456789012"
NONE = "a" * 64


def fails(call, code, **members):
    with pytest.raises(ClientError) as failed:
        call(**members)
    assert failed.value.response["Error"]["Code"] == code


def test_a_policy_is_attached_to_certificates_and_groups(iot, aws):
    policies = [policy["policyName"] for policy in iot.list_policies(ascendingOrder=True)["policies"]]
    certificates = []
    for name in policies:
        pages = iot.get_paginator("list_targets_for_policy").paginate(policyName=name, PaginationConfig={"PageSize": 3})
        targets = [target for page in pages for target in page["targets"]]
        certificates += [target for target in targets if target.startswith(f"{ARN}:cert/")]
        groups = [target for target in targets if target not in certificates]
        assert all(group.startswith(f"{ARN}:thinggroup/") for group in groups)
        for group in groups:
            iot.describe_thing_group(thingGroupName=group.split("/")[1])
        if name == policies[0]:
            assert groups and aws("list-targets-for-policy", "--policy-name", name)["targets"] == targets
    assert len(certificates) == len(set(certificates)) > len(policies)
    fails(iot.list_targets_for_policy, "ResourceNotFoundException", policyName="none")


def test_a_ca_certificate_has_signed_certificates(endpoint, iot, aws):
    for finding in endpoint.findings(endpoint.audit(), checkName=CA):
        certificate = finding["nonCompliantResource"]["resourceIdentifier"]["caCertificateId"]
        signed = iot.list_certificates_by_ca(caCertificateId=certificate, pageSize=250)["certificates"]
        assert signed and {one["status"] for one in signed} == {"ACTIVE"}
        oldest = aws("list-certificates-by-ca", "--ca-certificate-id", certificate, "--ascending-order")["certificates"]
        assert [one["certificateId"] for one in oldest] == [one["certificateId"] for one in reversed(signed)]
        iot.update_certificate(certificateId=signed[0]["certificateId"], newStatus="INACTIVE")
        assert iot.list_certificates_by_ca(caCertificateId=certificate)["certificates"][0]["status"] == "INACTIVE"
    assert iot.list_certificates_by_ca(caCertificateId=NONE)["certificates"] == []


def test_a_thing_is_connected_or_not_or_was_never_seen(endpoint, iot, aws):
    things = [thing["thingName"] for thing in iot.list_things(maxResults=250)["things"]]
    states = {thing: iot.get_thing_connectivity_data(thingName=thing) for thing in things}
    on = [thing for thing, state in states.items() if state["connected"]]
    never = [thing for thing, state in states.items() if "timestamp" not in state]
    assert len(on) > len(things) / 2 and never and not set(on) & set(never)
    assert aws("get-thing-connectivity-data", "--thing-name", on[0])["connected"] is True
    endpoint.control("POST", "connections", {"thingName": on[0], "connected": False})
    state = iot.get_thing_connectivity_data(thingName=on[0], includeSocketInformation=True)
    assert (state["connected"], state["disconnectReason"], state["thingName"]) == (False, "CLIENT_INITIATED_DISCONNECT", on[0])
    # Who has no active certificate is disconnected.
    for principal in iot.list_thing_principals(thingName=on[1])["principals"]:
        iot.update_certificate(certificateId=principal.split("/")[1], newStatus="INACTIVE")
    assert iot.get_thing_connectivity_data(thingName=on[1])["connected"] is False
    fails(iot.get_thing_connectivity_data, "ResourceNotFoundException", thingName="none")
    endpoint.control("POST", "index", {"ready": False})
    fails(iot.get_thing_connectivity_data, "IndexNotReadyException", thingName=on[0])
    endpoint.control("POST", "index", {"ready": True})
