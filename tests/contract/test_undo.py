"""What mitigation actions change is read and put back: by boto3, and by the AWS CLI as AWS's own tutorials do it."""

import json
import time

import pytest
from botocore.exceptions import ClientError
from conftest import ROLE

REVOKED = "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK"
CA = "REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK"
PERMISSIVE = "IOT_POLICY_OVERLY_PERMISSIVE_CHECK"
LOGGING = "LOGGING_DISABLED_CHECK"
BLANK = json.dumps({"Version": "2012-10-17", "Statement": []})
NONE = "a" * 64


def mitigate(endpoint, iot, check, findings, **params):
    iot.create_mitigation_action(actionName="act", roleArn=ROLE, actionParams=params)
    ids = [finding["findingId"] for finding in findings]
    iot.start_audit_mitigation_actions_task(
        taskId="task", target={"findingIds": ids}, auditCheckToActionsMapping={check: ["act"]}, clientRequestToken="task"
    )
    while iot.describe_audit_mitigation_actions_task(taskId="task")["taskStatus"] == "IN_PROGRESS":
        time.sleep(0.01)


def resource(finding):
    return finding["nonCompliantResource"]["resourceIdentifier"]


def fails(call, code, **members):
    with pytest.raises(ClientError) as failed:
        call(**members)
    assert failed.value.response["Error"]["Code"] == code


def test_a_certificate_is_activated_again(endpoint, iot, aws):
    finding = endpoint.findings(endpoint.audit(), checkName=REVOKED)[0]
    certificate = resource(finding)["deviceCertificateId"]
    before = iot.describe_certificate(certificateId=certificate)["certificateDescription"]
    mitigate(endpoint, iot, REVOKED, [finding], updateDeviceCertificateParams={"action": "DEACTIVATE"})
    assert iot.describe_certificate(certificateId=certificate)["certificateDescription"]["status"] == "INACTIVE"
    iot.update_certificate(certificateId=certificate, newStatus="ACTIVE")
    assert iot.describe_certificate(certificateId=certificate)["certificateDescription"] == before
    aws("update-certificate", "--certificate-id", certificate, "--new-status", "REVOKED")
    assert aws("describe-certificate", "--certificate-id", certificate)["certificateDescription"]["status"] == "REVOKED"
    fails(iot.update_certificate, "InvalidRequestException", certificateId=certificate, newStatus="PENDING_ACTIVATION")
    fails(iot.update_certificate, "CertificateStateException", certificateId=certificate, newStatus="REGISTER_INACTIVE")
    for call, members in ((iot.describe_certificate, {}), (iot.update_certificate, {"newStatus": "ACTIVE"})):
        fails(call, "ResourceNotFoundException", certificateId=NONE, **members)


def test_a_ca_certificate_is_activated_again(endpoint, iot, aws):
    finding = endpoint.findings(endpoint.audit(), checkName=CA)[0]
    certificate = resource(finding)["caCertificateId"]
    config = {"roleArn": ROLE, "templateBody": "{}"}
    iot.update_ca_certificate(certificateId=certificate, newAutoRegistrationStatus="ENABLE", registrationConfig=config)
    before = iot.describe_ca_certificate(certificateId=certificate)
    before.pop("ResponseMetadata")
    assert before["registrationConfig"] == config
    mitigate(endpoint, iot, CA, [finding], updateCACertificateParams={"action": "DEACTIVATE"})
    described = aws("describe-ca-certificate", "--certificate-id", certificate)["certificateDescription"]
    assert (described["status"], described["autoRegistrationStatus"]) == ("INACTIVE", "ENABLE")
    aws("update-ca-certificate", "--certificate-id", certificate, "--new-status", "ACTIVE")
    after = iot.describe_ca_certificate(certificateId=certificate)
    after.pop("ResponseMetadata")
    assert after == before
    for call in (iot.describe_ca_certificate, iot.update_ca_certificate):
        fails(call, "ResourceNotFoundException", certificateId=NONE)


def test_a_policy_gets_its_version_back(endpoint, iot, aws):
    findings = endpoint.findings(endpoint.audit(), checkName=PERMISSIVE)
    versions = {}
    for finding in findings:
        name = resource(finding)["policyVersionIdentifier"]["policyName"]
        versions[name] = iot.list_policy_versions(policyName=name)["policyVersions"]
    free = next(finding for finding in findings if len(versions[resource(finding)["policyVersionIdentifier"]["policyName"]]) < 4)
    name = resource(free)["policyVersionIdentifier"]["policyName"]
    before = iot.get_policy(policyName=name)
    mitigate(endpoint, iot, PERMISSIVE, [free], replaceDefaultPolicyVersionParams={"templateName": "BLANK_POLICY"})
    blank = iot.get_policy(policyName=name)
    assert json.loads(blank["policyDocument"])["Statement"] == []
    new = blank["defaultVersionId"]
    assert new not in [version["versionId"] for version in versions[name]]
    fails(iot.delete_policy_version, "DeleteConflictException", policyName=name, policyVersionId=new)
    aws("set-default-policy-version", "--policy-name", name, "--policy-version-id", before["defaultVersionId"])
    aws("delete-policy-version", "--policy-name", name, "--policy-version-id", new)
    assert aws("list-policy-versions", "--policy-name", name)["policyVersions"][0]["versionId"] == versions[name][0]["versionId"]
    assert iot.get_policy(policyName=name)["policyDocument"] == before["policyDocument"]
    assert iot.list_policy_versions(policyName=name)["policyVersions"] == versions[name]
    made = aws("create-policy-version", "--policy-name", name, "--policy-document", BLANK)
    iot.set_default_policy_version(policyName=name, policyVersionId=made["policyVersionId"])
    iot.set_default_policy_version(policyName=name, policyVersionId=before["defaultVersionId"])
    iot.delete_policy_version(policyName=name, policyVersionId=made["policyVersionId"])
    fails(iot.create_policy_version, "MalformedPolicyException", policyName=name, policyDocument="no")
    full = next(name for name, of in versions.items() if len(of) == 5)
    fails(iot.create_policy_version, "VersionsLimitExceededException", policyName=full, policyDocument=BLANK)
    iot.create_policy_version(policyName=name, policyDocument=BLANK)
    for call in (iot.set_default_policy_version, iot.delete_policy_version):
        fails(call, "ResourceNotFoundException", policyName=name, policyVersionId="99")
    fails(iot.list_policy_versions, "ResourceNotFoundException", policyName="none")
    fails(iot.create_policy_version, "ResourceNotFoundException", policyName="none", policyDocument=BLANK)


def test_a_thing_changes_several_groups_at_once(endpoint, iot, aws):
    thing = iot.list_things_in_thing_group(thingGroupName="production")["things"][0]
    group = lambda: sorted(found["groupName"] for found in iot.list_thing_groups_for_thing(thingName=thing)["thingGroups"])
    before = group()
    endpoint.control("POST", "membership", {"thingName": iot.list_things()["things"][0]["thingName"], "thingGroupName": "quarantine", "member": True})
    iot.update_thing_groups_for_thing(thingName=thing, thingGroupsToAdd=["quarantine"], thingGroupsToRemove=["production"])
    assert group() == sorted(set(before) - {"production"} | {"quarantine"})
    aws("update-thing-groups-for-thing", "--thing-name", thing, "--thing-groups-to-add", "production", "--thing-groups-to-remove", "quarantine")
    assert group() == before
    fails(iot.update_thing_groups_for_thing, "InvalidRequestException", thingName=thing, thingGroupsToAdd=["lab"])
    fails(iot.update_thing_groups_for_thing, "ResourceNotFoundException", thingName=thing, thingGroupsToAdd=["none"])


def test_a_thing_in_ten_groups_leaves_a_dynamic_one(endpoint, iot):
    thing = iot.list_things_in_thing_group(thingGroupName="production")["things"][0]
    endpoint.control("POST", "dynamic-groups", {"thingGroupName": "connected"})
    member = lambda name: endpoint.control("POST", "membership", {"thingName": thing, "thingGroupName": name, "member": True})
    groups = lambda: {found["groupName"] for found in iot.list_thing_groups_for_thing(thingName=thing, maxResults=250)["thingGroups"]}
    member("connected")
    for number in range(10 - len(groups())):
        member(f"group-{number}")
    endpoint.control("POST", "membership", {"thingName": iot.list_things()["things"][0]["thingName"], "thingGroupName": "quarantine", "member": True})
    fails(iot.add_thing_to_thing_group, "InvalidRequestException", thingName=thing, thingGroupName="quarantine")
    iot.add_thing_to_thing_group(thingName=thing, thingGroupName="quarantine", overrideDynamicGroups=True)
    assert "quarantine" in groups() and "connected" not in groups() and len(groups()) == 10
    fails(iot.add_thing_to_thing_group, "InvalidRequestException", thingName=thing, thingGroupName="connected")


def test_logging_is_set_as_the_tutorial_does_it(endpoint, iot, aws):
    fails(iot.get_v2_logging_options, "NotConfiguredException")
    aws("set-v2-logging-options", "--role-arn", ROLE, "--default-log-level", "INFO")
    assert aws("get-v2-logging-options") == {"roleArn": ROLE, "defaultLogLevel": "INFO", "disableAllLogs": False}
    aws("set-logging-options", "--logging-options-payload", f"roleArn={ROLE},logLevel=WARN")
    assert aws("get-logging-options") == {"roleArn": ROLE, "logLevel": "WARN"}
    assert endpoint.control("GET", "state")["fleet"]["loggingEnabled"]
    iot.set_v2_logging_options(disableAllLogs=True)
    iot.set_logging_options(loggingOptionsPayload={"roleArn": ROLE, "logLevel": "DISABLED"})
    assert iot.get_v2_logging_options(verbose=True)["disableAllLogs"] and iot.get_logging_options()["logLevel"] == "DISABLED"
    assert not endpoint.control("GET", "state")["fleet"]["loggingEnabled"]
    finding = endpoint.findings(endpoint.audit(), checkName=LOGGING)[0]
    mitigate(endpoint, iot, LOGGING, [finding], enableIoTLoggingParams={"roleArnForLogging": ROLE, "logLevel": "ERROR"})
    options = iot.get_v2_logging_options()
    assert (options["defaultLogLevel"], options["disableAllLogs"]) == ("ERROR", False)
    fails(iot.set_logging_options, "InvalidRequestException", loggingOptionsPayload={"roleArn": "x"})
