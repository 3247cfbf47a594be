"""The function drives every audit command through the judge: what it sends is what botocore's model accepts."""

import json
import time

import pytest
from conftest import ROLE, Endpoint
from function import ACCOUNT, Emulator, Failed, Function
from judge import AUDIT_OPERATIONS

LOGGING = "LOGGING_DISABLED_CHECK"
SHARED = "DEVICE_CERTIFICATE_SHARED_CHECK"
CLIENTS = "CONFLICTING_CLIENT_IDS_CHECK"
PARAMS = {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}}
POLICY = "version: 1\nmode: enforce\nbudgets: none\nrules: []\n"


@pytest.fixture(scope="module")
def emulator():
    emulator = Emulator()
    yield emulator
    emulator.close()


@pytest.fixture(scope="module")
def served():
    """An endpoint of its own, where an audit and a mitigation task last long enough to be canceled."""
    endpoint = Endpoint("--findings", 300, "--rate-scale", 0, "--audit-ms", 300, "--mitigation-ms", 300)
    yield endpoint
    endpoint.close()


@pytest.fixture(scope="module")
def function(served, emulator):
    function = Function(served.judge.url, emulator, POLICY)
    yield function
    function.close()


def ended(function, command, task):
    while (described := function.invoke(command, taskId=task))["taskStatus"] == "IN_PROGRESS":
        time.sleep(0.05)
    return described["taskStatus"]


def test_every_command_sends_what_the_model_of_the_service_accepts(served, function, emulator):
    judge = served.judge
    call, now = function.invoke, time.time()
    period = {"startTime": now - 3600, "endTime": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now + 3600))}
    call("UpdateAccountAuditConfiguration", roleArn=ROLE, auditCheckConfigurations={
        LOGGING: {"enabled": True}, SHARED: {"enabled": True},
        "DEVICE_CERTIFICATE_AGE_CHECK": {"enabled": True, "configuration": {"CERT_AGE_THRESHOLD_IN_DAYS": "90"}},
    })
    assert call("DescribeAccountAuditConfiguration")["roleArn"] == ROLE
    schedule = {"scheduledAuditName": "nightly", "frequency": "WEEKLY", "dayOfWeek": "MON", "targetCheckNames": [LOGGING]}
    assert "scheduledAuditArn" in call("CreateScheduledAudit", **schedule, tags=[{"Key": "team", "Value": "ä b"}])
    call("UpdateScheduledAudit", scheduledAuditName="nightly", frequency="MONTHLY", dayOfMonth="LAST")
    assert call("DescribeScheduledAudit", scheduledAuditName="nightly")["dayOfMonth"] == "LAST"
    assert len(call("ListScheduledAudits", all=True)["scheduledAudits"]) == 1
    call("DeleteScheduledAudit", scheduledAuditName="nightly")

    task = call("StartOnDemandAuditTask", targetCheckNames=[LOGGING, SHARED], clientRequestToken="one")["taskId"]
    assert call("StartOnDemandAuditTask", targetCheckNames=[SHARED, LOGGING], clientRequestToken="one")["taskId"] == task
    assert ended(function, "DescribeAuditTask", task) == "COMPLETED"
    assert call("ListAuditTasks", **period, taskType="ON_DEMAND_AUDIT_TASK", taskStatus="COMPLETED", maxResults=5)["tasks"]
    findings = call("ListAuditFindings", taskId=task, checkName=SHARED, maxResults=7, all=True)["findings"]
    ids = [finding["findingId"] for finding in findings]
    assert call("ListAuditFindings", **period, listSuppressedFindings=False, maxResults=1)["findings"]
    assert call("DescribeAuditFinding", findingId=ids[0])["finding"] == findings[0]
    assert "relatedResources" in call("ListRelatedResourcesForAuditFinding", findingId=ids[0], maxResults=10)
    again = call("StartOnDemandAuditTask", targetCheckNames=[LOGGING], clientRequestToken="two")["taskId"]
    call("CancelAuditTask", taskId=again)

    key = {"checkName": CLIENTS, "resourceIdentifier": {"clientId": "a b/ü"}}
    end = time.strftime("%Y-%m-%dT%H:%M:%S.500Z", time.gmtime(now + 86_400))
    call("CreateAuditSuppression", **key, expirationDate=end, description="looked at")
    call("UpdateAuditSuppression", **key, suppressIndefinitely=True)
    assert call("DescribeAuditSuppression", **key)["suppressIndefinitely"] is True
    assert call("ListAuditSuppressions", **key, ascendingOrder=True, maxResults=3)["suppressions"]
    call("DeleteAuditSuppression", **key)

    action = {"actionName": "off", "roleArn": ROLE, "actionParams": PARAMS}
    call("CreateMitigationAction", **action, tags=[{"Key": "team", "Value": "fleet"}])
    call("UpdateMitigationAction", actionName="off", roleArn=ROLE)
    assert call("DescribeMitigationAction", actionName="off")["actionName"] == "off"
    assert call("ListMitigationActions", actionType="UPDATE_DEVICE_CERTIFICATE", all=True)["actionIdentifiers"]
    mitigate = {"taskId": "m", "target": {"findingIds": ids[:2]}, "auditCheckToActionsMapping": {SHARED: ["off"]}, "devices": {"any": True}}
    for _ in range(2):
        assert call("StartAuditMitigationActionsTask", **mitigate) == {"taskId": "m"}
    with pytest.raises(Failed) as taken:
        call("StartAuditMitigationActionsTask", **mitigate | {"taskId": "n"})
    assert taken.value.name == "FindingsTaken" and ids[0] in taken.value.words
    assert ended(function, "DescribeAuditMitigationActionsTask", "m") in ("COMPLETED", "FAILED")
    assert call("ListAuditMitigationActionsTasks", **period, auditTaskId=task, maxResults=5)["tasks"]
    of_finding = {"taskId": "m", "findingId": ids[0], "maxResults": 5}
    assert call("ListAuditMitigationActionsExecutions", **of_finding)["actionsExecutions"][0]["actionName"] == "off"
    whole = {"auditTaskId": task, "auditCheckToReasonCodeFilter": {SHARED: [findings[0]["reasonForNonComplianceCode"]]}}
    call("StartAuditMitigationActionsTask", **mitigate | {"taskId": "w", "target": whole})
    call("CancelAuditMitigationActionsTask", taskId="w")
    call("DeleteMitigationAction", actionName="off")
    call("DeleteAccountAuditConfiguration", deleteScheduledAudits=True, confirm=ACCOUNT)

    assert set(AUDIT_OPERATIONS) <= set(judge.seen), "each operation was called"
    assert judge.bad_requests == [] and judge.verdicts == []
    # The follow-ups are on the mitigation queue, also that of the task whose claim was refused; the ledger has the items.
    received, deadline = {}, time.monotonic() + 10
    while len(received) < 3 and time.monotonic() < deadline:
        messages = emulator.client("sqs").receive_message(QueueUrl=emulator.queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in messages.get("Messages", []):
            body = json.loads(message["Body"])
            received[body["request"]["command"]] = body["step"]
    assert received == {"m": "follow", "n": "follow", "w": "follow"}
    item = emulator.client("dynamodb").get_item(TableName="ledger", Key={"pk": {"S": "mitigation#m"}, "sk": {"S": "task"}})
    assert (item["Item"]["state"]["S"], item["Item"]["origin"]["S"]) == ("started", "command")


def test_errors_keep_their_names(served, function):
    for command, members, name in [
        ("DescribeAuditTask", {"taskId": "none"}, "ResourceNotFoundException"),
        ("ListAuditSuppressions", {"nextToken": "stale"}, "InvalidRequestException"),
        ("ListAuditTask", {}, "InvalidInput"),
        ("DeleteAccountAuditConfiguration", {}, "ConfirmationRequired"),
    ]:
        with pytest.raises(Failed) as caught:
            function.invoke(command, **members)
        assert caught.value.name == name
    fault = {"operation": "DescribeAccountAuditConfiguration", "kind": "throttle", "count": 2}
    served.control("POST", "faults", {"faults": [fault]})
    assert "auditCheckConfigurations" in function.invoke("DescribeAccountAuditConfiguration")
