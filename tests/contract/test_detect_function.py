"""The function drives every command of Detect through the judge: what it sends is what botocore's model accepts."""

import json
import time

import pytest
from conftest import ROLE, TOPIC
from function import ACCOUNT, REGION, Emulator, Failed, Function
from judge import DETECT_OPERATIONS
from test_violations import QUARANTINE, Floor, fewer, model

POLICY = "version: 1\nmode: enforce\nbudgets: none\nrules: []\n"
ARN = f"arn:aws:iot:{REGION}:{ACCOUNT}"
LAB = f"{ARN}:thinggroup/lab"
FLEET = f"{ARN}:thinggroup/fleet"
SENT = "aws:num-messages-sent"


@pytest.fixture(scope="module")
def emulator():
    emulator = Emulator()
    yield emulator
    emulator.close()


@pytest.fixture(scope="module")
def floor():
    """An endpoint where a mitigation task lasts until its clock is moved."""
    floor = Floor("--findings", 20, "--rate-scale", 0, "--mitigation-ms", 60_000)
    yield floor
    floor.close()


@pytest.fixture(scope="module")
def function(floor, emulator):
    function = Function(floor.judge.url, emulator, POLICY, "detect-commands")
    yield function
    function.close()


def test_every_command_sends_what_the_model_of_the_service_accepts(floor, function, emulator):
    call, now = function.invoke, time.time()
    period = {"startTime": now - 3600, "endTime": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now + 7200))}

    metric = {"metricName": "battery", "metricType": "number", "displayName": "Battery, %"}
    made = call("CreateCustomMetric", **metric, tags=[{"Key": "team", "Value": "ä b"}])
    assert made["metricName"] == "battery"
    call("UpdateCustomMetric", metricName="battery", displayName="Charge")
    assert call("DescribeCustomMetric", metricName="battery")["displayName"] == "Charge"
    assert call("ListCustomMetrics", all=True) == {"metricNames": ["battery"]}
    dimension = {"name": "admin", "type": "TOPIC_FILTER", "stringValues": ["admin/#"]}
    for _ in range(2):
        assert call("CreateDimension", **dimension)["name"] == "admin"
    call("UpdateDimension", name="admin", stringValues=["root/+", "admin/#"])
    assert call("DescribeDimension", name="admin")["stringValues"] == ["root/+", "admin/#"]
    assert call("ListDimensions", maxResults=3) == {"dimensionNames": ["admin"]}

    narrow = fewer("narrow", 5000, metricDimension={"dimensionName": "admin", "operator": "NOT_IN"})
    low = {"name": "low", "metric": "battery", "criteria": {"comparisonOperator": "greater-than", "value": {"number": 1.5}}}
    assert call("ValidateSecurityProfileBehaviors", behaviors=[narrow, low]) == {"valid": True, "validationErrors": []}
    target = {"SNS": {"alertTargetArn": TOPIC, "roleArn": ROLE}}
    retained = [{"metric": "aws:num-disconnects"}]
    made = call("CreateSecurityProfile", securityProfileName="noisy", behaviors=[fewer("always", 0), narrow, low],
                alertTargets=target, additionalMetricsToRetainV2=retained, securityProfileDescription="each thing alarms")
    assert made["securityProfileArn"].endswith("securityprofile/noisy")
    call("AttachSecurityProfile", securityProfileName="noisy", securityProfileTargetArn=LAB)
    updated = call("UpdateSecurityProfile", securityProfileName="noisy", behaviors=[fewer("always", 0)])
    assert updated["version"] == 2 and updated["alertTargets"] == target
    with pytest.raises(Failed) as conflict:
        call("UpdateSecurityProfile", securityProfileName="noisy", expectedVersion=1, deleteAlertTargets=True)
    assert conflict.value.name == "VersionConflictException"
    assert call("ListTargetsForSecurityProfile", securityProfileName="noisy")["securityProfileTargets"] == [{"arn": LAB}]
    attached = call("ListSecurityProfilesForTarget", securityProfileTargetArn=LAB, recursive=True, all=True)
    assert len(attached["securityProfileTargetMappings"]) == 1

    call("CreateSecurityProfile", securityProfileName="trained", behaviors=[model("learned", SENT)])
    call("AttachSecurityProfile", securityProfileName="trained", securityProfileTargetArn=FLEET)
    assert call("GetBehaviorModelTrainingSummaries", securityProfileName="trained", all=True)["summaries"]
    assert len(call("ListSecurityProfiles", all=True)["securityProfileIdentifiers"]) == 2

    floor.advance(20)
    active = call("ListActiveViolations", securityProfileName="noisy", all=True)["activeViolations"]
    one, other = active[:2]
    assert call("ListViolationEvents", **period, thingName=one["thingName"], behaviorCriteriaType="STATIC")["violationEvents"]
    values = {"thingName": one["thingName"], "metricName": SENT, "maxResults": 1}
    assert call("ListMetricValues", **period, **values)["metricDatumList"][0]["value"]["count"] >= 0
    verified = {"verificationState": "BENIGN_POSITIVE", "verificationStateDescription": "ein Test: ü"}
    call("PutVerificationStateOnViolation", violationId=one["violationId"], **verified)
    tried = call("AttachSecurityProfile", securityProfileName="trained", securityProfileTargetArn=FLEET,
                 tryOn=[one["thingName"]], tryHours=2, dryRun=True)
    assert tried["tried"]["behaviors"][0]["verdict"] == "untried"

    floor.client().create_mitigation_action(actionName="quarantine", roleArn=ROLE, actionParams=QUARANTINE)
    mitigate = {"taskId": "m", "target": {"violationIds": [one["violationId"]]}, "actions": ["quarantine"]}
    for _ in range(2):
        assert call("StartDetectMitigationActionsTask", **mitigate) == {"taskId": "m"}
    with pytest.raises(Failed) as taken:
        call("StartDetectMitigationActionsTask", **mitigate | {"taskId": "n"})
    assert taken.value.name == "ViolationsTaken" and one["violationId"] in taken.value.words
    summary = call("DescribeDetectMitigationActionsTask", taskId="m")["taskSummary"]
    assert (summary["onlyActiveViolationsIncluded"], summary["suppressedAlertsIncluded"]) == (True, False)
    assert call("ListDetectMitigationActionsTasks", **period, maxResults=5)["tasks"]
    assert "actionsExecutions" in call("ListDetectMitigationActionsExecutions", taskId="m", all=True)
    wider = {"target": {"violationIds": [other["violationId"]]}, "includeSuppressedAlerts": True}
    call("StartDetectMitigationActionsTask", **mitigate | {"taskId": "w"} | wider)
    call("CancelDetectMitigationActionsTask", taskId="w")
    # Who asks about an incident that nobody knows is told so.
    with pytest.raises(Failed) as unknown:
        call("AlarmIncident", incidentId="none", decision="leave")
    assert unknown.value.name == "ResourceNotFoundException"

    call("DetachSecurityProfile", securityProfileName="noisy", securityProfileTargetArn=LAB)
    with pytest.raises(Failed) as lossy:
        call("DeleteSecurityProfile", securityProfileName="trained")
    assert lossy.value.name == "ConfirmationRequired" and "'learned'" in lossy.value.words
    call("DeleteSecurityProfile", securityProfileName="trained", confirm=ACCOUNT)
    call("DeleteSecurityProfile", securityProfileName="noisy")
    call("DeleteCustomMetric", metricName="battery")
    call("DeleteDimension", name="admin")

    assert set(DETECT_OPERATIONS) <= set(floor.judge.seen), "each operation was called"
    assert floor.judge.verdicts == [] and floor.judge.bad_requests == []
    # The follow-ups are on the mitigation queue, also that of the task whose claim was refused; the ledger has the items.
    received, deadline = {}, time.monotonic() + 10
    while len(received) < 3 and time.monotonic() < deadline:
        messages = emulator.client("sqs").receive_message(QueueUrl=emulator.queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in messages.get("Messages", []):
            body = json.loads(message["Body"])
            received[body["alarms"]["command"]] = (body["step"], body["alarms"]["behavior"])
    assert received == {"m": ("follow", "always"), "n": ("follow", "always"), "w": ("follow", "always")}
    item = emulator.client("dynamodb").get_item(TableName="ledger", Key={"pk": {"S": "mitigation#m"}, "sk": {"S": "task"}})
    assert (item["Item"]["state"]["S"], item["Item"]["origin"]["S"]) == ("started", "command")
