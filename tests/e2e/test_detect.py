"""The stack with Detect: what the template makes at Device Defender, and the way of an alarm from the topic to the log."""

import json
import time

import pytest
from conftest import ROOT
from conftest import Stack

BEHAVIOR = {
    "name": "AuthorizationFailures",
    "metric": "aws:num-authorization-failures",
    "criteria": {"comparisonOperator": "less-than", "value": {"count": 5}, "durationSeconds": 300},
}


@pytest.fixture(scope="module")
def detect(tmp_path_factory):
    """A stack with Detect whose alarms settle at once."""
    policy = tmp_path_factory.mktemp("policy") / "policy.yaml"
    policy.write_text("version: 1\nmode: observe\nalarms:\n  settle: 0m\nrules: []\n", encoding="utf-8")
    stack = Stack("--detect", "--findings", 200, "--policy", policy)
    yield stack
    stack.close()


def violation(event, at, thing="pump-7", number="1"):
    """Device Defender's message."""
    return {
        "violationEventTime": at,
        "thingName": thing,
        "behavior": BEHAVIOR,
        "violationEventType": event,
        "metricValue": {"count": 17},
        "violationId": f"{number}7e18651d207bbc74236c13faf146127",
        "securityProfileName": "FleetwardenRules",
    }


def publish(stack, message):
    text = message if isinstance(message, str) else json.dumps(message)
    stack.client("sns").publish(TopicArn=stack.outputs["AlarmTopicArn"], Message=text)


def exported(stack, violation_id, count, seconds=60):
    """The findings log's events of a violation, once there are so many."""
    logs, group = stack.client("logs"), stack.outputs["FindingsLogGroupName"]
    deadline, events = time.monotonic() + seconds, []
    while time.monotonic() < deadline and len(events) < count:
        streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
        names = [stream["logStreamName"] for stream in streams if violation_id in stream["logStreamName"]]
        read = [logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True) for name in names]
        events = [json.loads(event["message"]) for answer in read for event in answer["events"]]
        time.sleep(0.2)
    return events


def test_a_stack_without_detect_has_nothing_of_it(stack):
    assert [name for name in stack.outputs if name.startswith(("Alarm", "Detect", "Ml"))] == []
    assert stack.client("iot").list_security_profiles()["securityProfileIdentifiers"] == []
    schedules = stack.client("scheduler").list_schedules()["Schedules"]
    assert {schedule["Name"] for schedule in schedules} == {"fleetwarden-audit-watch", "fleetwarden-suppression-review"}


def test_the_examples_of_the_template_are_made(detect):
    iot = detect.client("iot")
    names = {profile["name"] for profile in iot.list_security_profiles()["securityProfileIdentifiers"]}
    assert names == {"FleetwardenModels", "FleetwardenRules"}
    for name in names:
        profile = iot.describe_security_profile(securityProfileName=name)
        assert profile["alertTargets"]["SNS"]["alertTargetArn"] == detect.outputs["AlarmTopicArn"]
        assert profile["alertTargets"]["SNS"]["roleArn"] == detect.outputs["AlarmTopicPublisherRoleArn"]
        targets = iot.list_targets_for_security_profile(securityProfileName=name)["securityProfileTargets"]
        assert [target["arn"].split(":")[-1] for target in targets] == ["all/registered-things"]
        behaviors = profile["behaviors"]
        judged = iot.validate_security_profile_behaviors(behaviors=behaviors)
        assert judged["valid"], judged["validationErrors"]
    rules = iot.describe_security_profile(securityProfileName="FleetwardenRules")["behaviors"]
    by_name = {behavior["name"]: behavior for behavior in rules}
    assert by_name["AuthorizationFailures"]["criteria"]["value"] == {"count": 5}
    assert by_name["BatteryLevel"]["metric"] == "FleetwardenBatteryLevel"
    assert by_name["MessagesToForeignTopics"]["metricDimension"]["dimensionName"] == "FleetwardenOwnTopics"
    assert iot.describe_dimension(name="FleetwardenOwnTopics")["stringValues"][0] == "devices/${iot:ClientId}/#"
    assert iot.describe_custom_metric(metricName="FleetwardenBatteryLevel")["metricType"] == "number"


def test_an_alarm_comes_from_the_topic_into_the_log(detect):
    now = int(time.time()) * 1000
    begin, end = violation("in-alarm", now - 300_000), violation("alarm-cleared", now)
    publish(detect, begin)
    assert [event["event"] for event in exported(detect, begin["violationId"], 1)] == ["in-alarm"]
    publish(detect, begin)
    publish(detect, end)
    events = exported(detect, begin["violationId"], 2)
    assert sorted(event["event"] for event in events) == ["alarm-cleared", "in-alarm"]
    assert {event["thing"] for event in events} == {"pump-7"}
    assert detect.drained("AlarmQueueUrl")
    assert detect.depth("AlarmDeadLetterQueueUrl") == 0


def test_a_bad_message_is_parked_with_its_reason_and_takes_no_good_one_along(detect):
    now = int(time.time()) * 1000
    publish(detect, "this is no JSON")
    good = violation("in-alarm", now, "pump-8", "2")
    publish(detect, good)
    assert len(exported(detect, good["violationId"], 1)) == 1
    [(parked, reason)] = detect.take("AlarmDeadLetterQueueUrl", 1)
    assert "this is no JSON" in parked and reason


def test_the_functions_of_detect_take_their_events(detect):
    functions = detect.client("lambda")
    for name, output in [("alarm-watch", "AlarmWatch"), ("model-status", "MlModelStatus")]:
        event = (ROOT / "events" / f"invoke-{name}.json").read_text(encoding="utf-8")
        answer = functions.invoke(FunctionName=detect.outputs[f"{output}FunctionName"], Payload=event)
        assert "FunctionError" not in answer, answer["Payload"].read()
    event = (ROOT / "events" / "invoke-detect-list-violations.json").read_text(encoding="utf-8")
    answer = functions.invoke(FunctionName=detect.outputs["DetectCommandsFunctionName"], Payload=event)
    assert json.loads(answer["Payload"].read())["activeViolations"] == []


def test_only_detect_alarm_of_detect_may_be_in_a_loop(detect):
    functions = detect.client("lambda")
    settings = {
        name: functions.get_function_recursion_config(FunctionName=detect.outputs[f"{name}FunctionName"])["RecursiveLoop"]
        for name in ("AlarmWatch", "DetectAlarm", "DetectCommands", "MlModelStatus")
    }
    assert {name for name, setting in settings.items() if setting == "Allow"} == {"DetectAlarm"}
