"""Requests and answers that AWS published: the endpoint takes the ones, and gives what has the members of the others.

They lie in the folder that FLEETWARDEN_CASES names, or beside the checkout; without them there is nothing to test.
"""

import json
import os
import shlex
import time
from datetime import datetime
from pathlib import Path

import pytest
from botocore.parsers import create_parser
from botocore.session import get_session
from conftest import ROLE, ROOT
from judge import AUDIT_OPERATIONS, DETECT_OPERATIONS

FOLDER = Path(os.environ.get("FLEETWARDEN_CASES", ROOT.parent / "shared" / "cases"))
SERVICE = get_session().get_service_model("iot")
EXPIRING = "DEVICE_CERTIFICATE_EXPIRING_CHECK"
POLICY = "IOT_POLICY_OVERLY_PERMISSIVE_CHECK"
# Samples of the guide do not say of which operation they are.
OF_THE_GUIDE = {
    "devguide-dd-suppressions-example-1": "StartOnDemandAuditTask",
    "devguide-dd-suppressions-example-2": "DescribeAccountAuditConfiguration",
    "devguide-dd-suppressions-example-3": "ListAuditTasks",
    "devguide-dd-suppressions-example-4": "DescribeAuditTask",
    "devguide-dd-suppressions-example-5": "ListAuditFindings",
    "devguide-dd-suppressions-example-6": "ListAuditSuppressions",
    "devguide-dd-suppressions-example-7": "ListAuditSuppressions",
}
# Of a command that takes a file, the first sample is the file.
IS_REQUEST = {"awscli-create-mitigation-action-1"}


def command_of(operation):
    return "".join("-" + letter.lower() if letter.isupper() else letter for letter in operation).lstrip("-")


OPERATIONS = {command_of(operation): operation for operation in [*AUDIT_OPERATIONS, *DETECT_OPERATIONS]}


def samples():
    """(name, operation, command line, body) of every sample of an operation."""
    for path in sorted(FOLDER.glob("*.json")):
        sample = json.loads(path.read_text())
        if path.stem in OF_THE_GUIDE:
            yield path.stem, OF_THE_GUIDE[path.stem], None, sample
        elif isinstance(sample, dict) and sample.get("cli", "").startswith("aws iot "):
            # A line that goes on ends with a backslash, and some of them with spaces behind it.
            words = [word for word in shlex.split(sample["cli"])[2:] if word.strip()]
            if words[0] in OPERATIONS:
                yield path.stem, OPERATIONS[words[0]], words, sample["body"]


SAMPLES = {name: sample for name, *sample in samples()}
pytestmark = pytest.mark.skipif(not SAMPLES, reason=f"no samples of AWS's in {FOLDER}")


def written(shape, value):
    """A parsed answer as JSON again: timestamps are the one thing that parsing changes."""
    if shape.type_name == "structure":
        return {name: written(shape.members[name], item) for name, item in value.items()}
    if shape.type_name == "list":
        return [written(shape.member, item) for item in value]
    if shape.type_name == "map":
        return {key: written(shape.value, item) for key, item in value.items()}
    return value.timestamp() if shape.type_name == "timestamp" else value


def epochs(value, name=""):
    """The CLI writes its answers' times as RFC 3339: the service gives seconds."""
    if isinstance(value, dict):
        return {key: epochs(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [epochs(item) for item in value]
    is_time = isinstance(value, str) and name.endswith(("Time", "Date"))
    return datetime.fromisoformat(value).timestamp() if is_time else value


def parsed(operation, body):
    shape = SERVICE.operation_model(operation).output_shape
    response = {"headers": {}, "status_code": 200, "body": json.dumps(body).encode()}
    answer = create_parser("rest-json").parse(response, shape)
    answer.pop("ResponseMetadata")
    return written(shape, answer)


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in IS_REQUEST])
def test_an_answer_comes_back_the_same(name):
    operation, _, body = SAMPLES[name]
    assert parsed(operation, epochs(body)) == epochs(body)


def lacks(answer, sample):
    """Which members of a sample an answer does not have. Checks are not compared: an audit has those it was made of."""
    if isinstance(sample, dict) and isinstance(answer, dict):
        for key, item in sample.items():
            if key in answer:
                yield from lacks(answer[key], item)
            elif not key.endswith("_CHECK"):
                yield key
    elif isinstance(sample, list) and isinstance(answer, list) and sample and answer:
        yield from lacks(answer[0], sample[0])


def test_every_request_is_taken(endpoint, iot, aws):
    endpoint.enable()
    group = {"addThingsToThingGroupParams": {"thingGroupNames": ["QuarantineGroup1"]}}
    reset = {"replaceDefaultPolicyVersionParams": {"templateName": "BLANK_POLICY"}}
    # What the samples suppose to be there.
    iot.create_mitigation_action(actionName="AddThingsToQuarantineGroupAction", roleArn=ROLE, actionParams=group)
    iot.create_mitigation_action(actionName="ResetPolicyVersionAction", roleArn=ROLE, actionParams=reset)
    iot.create_scheduled_audit(
        scheduledAuditName="AWSIoTDeviceDefenderDailyAudit", frequency="DAILY", targetCheckNames=[POLICY]
    )
    greater = {"comparisonOperator": "greater-than", "value": {"count": 10}, "durationSeconds": 300}
    violated = {"name": "Authorization", "metric": "aws:num-authorization-failures", "criteria": greater}
    iot.create_security_profile(securityProfileName="Testprofile", behaviors=[violated])
    for target in ("unregistered", "registered"):
        arn = f"arn:aws:iot:us-east-1:123456789012:all/{target}-things"
        iot.attach_security_profile(securityProfileName="Testprofile", securityProfileTargetArn=arn)
    endpoint.control("POST", "clock", {"advanceMs": 1_200_000})
    assert iot.list_active_violations(securityProfileName="Testprofile")["activeViolations"]
    task = endpoint.audit(POLICY)
    finding = endpoint.findings(task)[0]["findingId"]
    _, _, file = SAMPLES["awscli-create-mitigation-action-1"]
    now = endpoint.control("GET", "clock")["nowMs"] // 1000
    period = {"--start-time": str(now - 3600), "--end-time": str(now + 3600)}
    # Values of the samples that name what was there when they were written.
    instead = {
        "create-mitigation-action": {"--cli-input-json": json.dumps(file)},
        "describe-audit-task": {"--task-id": task},
        "list-audit-tasks": period,
        "list-security-profiles-for-target": {
            "--security-profile-target-arn": "arn:aws:iot:us-east-1:123456789012:all/unregistered-things"
        },
        "start-audit-mitigation-actions-task": {"--target": f'findingIds=["{finding}"]'},
    }
    answers = {}
    for name, (operation, words, body) in sorted(
        SAMPLES.items(), key=lambda sample: (not sample[1][0].startswith(("Create", "Start")), sample[0])
    ):
        if words and tuple(words) not in answers:
            changed = instead.get(words[0], {})
            arguments = [
                changed.get(option, argument) for option, argument in zip([None, *words[1:]], words[1:])
            ]
            answers[tuple(words)] = aws(words[0], *arguments)
        if words and name not in IS_REQUEST:
            assert list(lacks(answers[tuple(words)], body)) == [], name
    assert endpoint.judge.bad_requests == []
    assert iot.describe_mitigation_action(actionName=file["actionName"])["actionParams"] == file["actionParams"]


def test_the_configuration_of_the_guide_is_taken_and_given(endpoint, iot):
    _, _, body = SAMPLES["devguide-dd-suppressions-example-2"]
    body = json.loads(json.dumps(body).replace("<accountid>", "123456789012"))
    iot.update_account_audit_configuration(**body)
    described = iot.describe_account_audit_configuration()
    assert all(described[member] == body[member] for member in body if member != "auditCheckConfigurations")
    checks = described["auditCheckConfigurations"]
    assert {check: checks[check] for check in body["auditCheckConfigurations"]} == body["auditCheckConfigurations"]
    task = iot.start_on_demand_audit_task(targetCheckNames=[EXPIRING])["taskId"]
    while iot.describe_audit_task(taskId=task)["taskStatus"] == "IN_PROGRESS":
        time.sleep(0.01)
    _, _, sample = SAMPLES["devguide-dd-suppressions-example-4"]
    sample.pop("scheduledAuditName")
    assert list(lacks(iot.describe_audit_task(taskId=task), sample)) == []
    _, _, sample = SAMPLES["devguide-dd-suppressions-example-5"]
    past = [
        finding for finding in endpoint.findings(task)
        if finding["reasonForNonComplianceCode"] == sample["findings"][0]["reasonForNonComplianceCode"]
    ]
    assert list(lacks({"findings": past}, sample)) == [] and past[0]["severity"] == sample["findings"][0]["severity"]
    assert past[0]["reasonForNonCompliance"] == sample["findings"][0]["reasonForNonCompliance"]


def test_the_suppression_of_the_guide_is_taken_and_given(endpoint, iot):
    _, _, empty = SAMPLES["devguide-dd-suppressions-example-7"]
    assert {"suppressions": iot.list_audit_suppressions()["suppressions"]} == empty
    _, _, sample = SAMPLES["devguide-dd-suppressions-example-6"]
    suppression, = sample["suppressions"]
    # The guide shortened the certificate's id, and its date is past.
    suppression["resourceIdentifier"]["deviceCertificateId"] = "c7691e".ljust(64, "0")
    suppression["expirationDate"] = float(int(time.time()) + 86_400)
    iot.create_audit_suppression(**suppression)
    listed, = iot.list_audit_suppressions()["suppressions"]
    assert {**listed, "expirationDate": listed["expirationDate"].timestamp()} == suppression


def test_nothing_configured_is_as_the_resource_handler_says(endpoint, iot):
    zero = FOLDER / "cfn-account-audit-zero-state.json"
    if not zero.exists():
        pytest.skip(f"no {zero}")
    described = iot.describe_account_audit_configuration()
    checks = json.loads(zero.read_text())["zeroStateSubset"]["auditCheckConfigurations"]
    assert {check: described["auditCheckConfigurations"][check] for check in checks} == checks
    assert not {"roleArn", "auditNotificationTargetConfigurations"} & set(described)
