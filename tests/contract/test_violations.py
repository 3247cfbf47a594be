"""boto3 drives what comes of security profiles: violations, metric values, training, Detect mitigation tasks."""

from datetime import datetime, timedelta, timezone

import pytest
from conftest import ROLE, TOPIC, Endpoint
from test_errors import invalid, refused

ARN = "arn:aws:iot:us-east-1:123456789012"
SENT = "aws:num-messages-sent"
MINUTE = 60_000
QUARANTINE = {"addThingsToThingGroupParams": {"thingGroupNames": ["quarantine"]}}


def fewer(name, count, metric=SENT, **more):
    criteria = {"comparisonOperator": "less-than", "value": {"count": count}, "durationSeconds": 300,
                "consecutiveDatapointsToAlarm": 1, "consecutiveDatapointsToClear": 1}
    return {"name": name, "metric": metric, "criteria": criteria, **more}


def model(name, metric):
    return {"name": name, "metric": metric, "criteria": {"mlDetectionConfig": {"confidenceLevel": "LOW"}}}


class Floor(Endpoint):
    """An endpoint whose clock these tests move."""

    def advance(self, minutes):
        self.control("POST", "clock", {"advanceMs": minutes * MINUTE})

    def period(self, days=1):
        now = datetime.fromtimestamp(self.control("GET", "clock")["nowMs"] / 1000, timezone.utc)
        return {"startTime": now - timedelta(days=days), "endTime": now}

    def profile(self, name, target, *behaviors):
        iot = self.client()
        iot.create_security_profile(
            securityProfileName=name, behaviors=behaviors, alertTargets={"SNS": {"alertTargetArn": TOPIC, "roleArn": ROLE}})
        iot.attach_security_profile(securityProfileName=name, securityProfileTargetArn=f"{ARN}:{target}")

    def things(self, group, count):
        return self.client().list_things_in_thing_group(thingGroupName=group, recursive=True, maxResults=count)["things"]

    def overdo(self, *things, minutes=60):
        """Things send many messages for a while."""
        self.control("POST", "detect/scenarios", {
            "kind": "metric", "metric": SENT, "value": {"count": 5000}, "thingNames": things, "forSeconds": minutes * 60})


@pytest.fixture
def floor():
    floor = Floor("--findings", 20, "--rate-scale", 0, "--mitigation-ms", 1000)
    yield floor
    floor.close()
    assert floor.judge.verdicts == [] and floor.judge.bad_requests == []


@pytest.fixture
def iot(floor):
    return floor.client()


def test_a_violation_begins_is_verified_and_ends(floor, iot):
    thing, other = floor.things("production", 2)
    floor.profile("p", "thinggroup/fleet", fewer("loud", 2000), fewer("quiet", 2000, suppressAlerts=True))
    floor.advance(10)
    assert iot.list_active_violations()["activeViolations"] == []
    floor.overdo(thing, minutes=30)
    floor.advance(20)
    active = iot.list_active_violations(securityProfileName="p")["activeViolations"]
    assert {violation["thingName"] for violation in active} == {thing}
    assert {violation["behavior"]["name"] for violation in active} == {"loud", "quiet"}
    loud = next(violation for violation in active if violation["behavior"]["name"] == "loud")
    assert loud["lastViolationValue"] == {"count": 5000} and loud["verificationState"] == "UNKNOWN"
    assert loud["lastViolationTime"] >= loud["violationStartTime"] and loud["violationStartTime"].timestamp() % 300 == 0
    for filters, count in (
        ({"thingName": thing}, 2), ({"thingName": other}, 0), ({"behaviorCriteriaType": "STATIC"}, 2),
        ({"behaviorCriteriaType": "STATISTICAL"}, 0), ({"listSuppressedAlerts": True}, 1), ({"listSuppressedAlerts": False}, 1),
        ({"verificationState": "UNKNOWN"}, 2), ({"verificationState": "BENIGN_POSITIVE"}, 0),
    ):
        assert len(iot.list_active_violations(**filters)["activeViolations"]) == count, filters
        assert len(iot.list_violation_events(**floor.period(), **filters)["violationEvents"]) == count, filters
    verify = lambda **members: iot.put_verification_state_on_violation(violationId=loud["violationId"], **members)
    verify(verificationState="BENIGN_POSITIVE", verificationStateDescription="A test of ours")
    verified, = iot.list_active_violations(verificationState="BENIGN_POSITIVE")["activeViolations"]
    assert (verified["violationId"], verified["verificationStateDescription"]) == (loud["violationId"], "A test of ours")
    verify(verificationState="TRUE_POSITIVE")
    floor.advance(30)
    assert iot.list_active_violations()["activeViolations"] == []
    events = [event for event in iot.list_violation_events(**floor.period())["violationEvents"]
              if event["violationId"] == loud["violationId"]]
    assert [event["violationEventType"] for event in events] == ["alarm-cleared", "in-alarm"]
    assert events[0]["verificationState"] == "TRUE_POSITIVE" and events[1]["metricValue"] == {"count": 5000}


def test_metric_values_of_two_weeks(floor, iot):
    thing, = floor.things("production", 1)
    iot.create_dimension(name="d", type="TOPIC_FILTER", stringValues=["#"])
    floor.profile("p", "thinggroup/production", fewer("all", 2000),
                  fewer("some", 2000, metricDimension={"dimensionName": "d", "operator": "IN"}))
    floor.advance(60)
    of = {"thingName": thing, "metricName": SENT, **floor.period()}
    values = iot.list_metric_values(**of, maxResults=250)["metricDatumList"]
    assert len(values) >= 10 and all(set(datum["value"]) == {"count"} for datum in values)
    narrowed = iot.list_metric_values(**of, dimensionName="d", dimensionValueOperator="IN", maxResults=250)["metricDatumList"]
    assert [datum["timestamp"] for datum in narrowed] == [datum["timestamp"] for datum in values]
    assert iot.list_metric_values(**of | {"metricName": "aws:num-disconnects"})["metricDatumList"] == []
    refused("ResourceNotFoundException", 404, iot.list_metric_values, **of | {"metricName": "battery"})
    refused("ResourceNotFoundException", 404, iot.list_metric_values, **of, dimensionName="none")
    invalid(iot.list_metric_values, "14 days", **of | {"startTime": of["endTime"] - timedelta(days=15)})
    invalid(iot.list_metric_values, "startTime", **of | {"endTime": of["startTime"] - timedelta(1)})


def test_training(floor, iot):
    floor.profile("p", "all/registered-things", model("sent", SENT), model("bytes", "aws:message-byte-size"), fewer("rule", 2000))
    floor.profile("q", "thinggroup/lab", model("failures", "aws:num-authorization-failures"))
    floor.advance(24 * 60)
    summaries = iot.get_behavior_model_training_summaries()["summaries"]
    assert [(summary["securityProfileName"], summary["behaviorName"]) for summary in summaries] == [
        ("p", "sent"), ("p", "bytes"), ("q", "failures")]
    assert {summary["modelStatus"] for summary in summaries} == {"PENDING_BUILD"}
    assert all("lastModelRefreshDate" not in summary for summary in summaries)
    floor.advance(14 * 24 * 60)
    sent, _ = iot.get_behavior_model_training_summaries(securityProfileName="p")["summaries"]
    assert sent["modelStatus"] == "ACTIVE" and sent["lastModelRefreshDate"] > sent["trainingDataCollectionStartDate"]
    refused("ResourceNotFoundException", 404, iot.get_behavior_model_training_summaries, securityProfileName="none")


@pytest.fixture
def alarms(floor, iot):
    """The ids of the violations of three things by name, and an action."""
    floor.profile("p", "thinggroup/fleet", fewer("loud", 2000))
    things = floor.things("production", 3)
    floor.overdo(*things, minutes=600)
    floor.advance(20)
    iot.create_mitigation_action(actionName="move", roleArn=ROLE, actionParams=QUARANTINE)
    active = iot.list_active_violations()["activeViolations"]
    assert {violation["thingName"] for violation in active} == set(things)
    return {violation["thingName"]: violation["violationId"] for violation in active}


def start(iot, task="t", **members):
    return iot.start_detect_mitigation_actions_task(**{
        "taskId": task, "actions": ["move"], "includeOnlyActiveViolations": True, "includeSuppressedAlerts": True, **members})


def test_a_mitigation_task(floor, iot, alarms):
    (thing, violation), (late, _), _ = alarms.items()
    assert start(iot, target={"violationIds": [violation]}, clientRequestToken="t")["taskId"] == "t"
    summary = iot.describe_detect_mitigation_actions_task(taskId="t")["taskSummary"]
    assert summary["taskStatus"] == "IN_PROGRESS" and summary["target"] == {"violationIds": [violation]}
    assert (summary["onlyActiveViolationsIncluded"], summary["suppressedAlertsIncluded"]) == (True, True)
    assert start(iot, target={"violationIds": [violation]}, clientRequestToken="t")["taskId"] == "t"
    taken = lambda **members: refused("TaskAlreadyExistsException", 400, start, iot=iot, target={"violationIds": [violation]}, **members)
    taken(clientRequestToken="other")
    taken(task="other", clientRequestToken="t")
    floor.advance(1)
    summary = iot.describe_detect_mitigation_actions_task(taskId="t")["taskSummary"]
    assert summary["taskStatus"] == "SUCCESSFUL" and summary["taskEndTime"] > summary["taskStartTime"]
    assert summary["taskStatistics"] == {"actionsExecuted": 1, "actionsSkipped": 0, "actionsFailed": 0}
    assert summary["actionsDefinition"][0]["name"] == "move"
    of = lambda **members: iot.list_detect_mitigation_actions_executions(**members)["actionsExecutions"]
    execution, = of(taskId="t")
    assert (execution["status"], execution["thingName"], execution["violationId"]) == ("SUCCESSFUL", thing, violation)
    assert of(violationId=violation) == of(**floor.period(), thingName=thing) == [execution]
    assert of(**floor.period(), thingName=late) == []
    assert floor.things("quarantine", 9) == [thing]
    # By a profile and a behavior: all that are active, in a range.
    start(iot, task="all", target={"securityProfileName": "p", "behaviorName": "loud"},
          violationEventOccurrenceRange=floor.period())
    floor.advance(1)
    assert sorted(floor.things("quarantine", 9)) == sorted(alarms)
    tasks = iot.list_detect_mitigation_actions_tasks(**floor.period())["tasks"]
    assert [task["taskId"] for task in tasks] == ["all", "t"]
    start(iot, task="none", target={"securityProfileName": "p", "behaviorName": "other"})
    floor.advance(1)
    nothing = iot.describe_detect_mitigation_actions_task(taskId="none")["taskSummary"]
    assert nothing["taskStatus"] == "SUCCESSFUL" and set(nothing["taskStatistics"].values()) == {0}


def test_what_a_task_must_not_be(floor, iot, alarms):
    violation = next(iter(alarms.values()))
    log = {"enableIoTLoggingParams": {"roleArnForLogging": ROLE, "logLevel": "WARN"}}
    iot.create_mitigation_action(actionName="log", roleArn=ROLE, actionParams=log)
    bad = lambda words, target, **members: invalid(start, words, iot=iot, target=target, **members)
    good = {"violationIds": [violation]}
    bad("violationIds", {})
    bad("securityProfileName", {"behaviorName": "loud"})
    bad("violationIds", {**good, "securityProfileName": "p"})
    bad("does not exist", {"violationIds": ["none"]})
    bad("does not exist", {"securityProfileName": "none"})
    bad("none", good, actions=["none"])
    bad("log", good, actions=["log"])
    late, early = floor.period()["endTime"], floor.period()["startTime"]
    bad("startTime", good, violationEventOccurrenceRange={"startTime": late, "endTime": early})
    executions = lambda words, **members: invalid(iot.list_detect_mitigation_actions_executions, words, **members)
    executions("taskId", taskId="t", **floor.period())
    executions("endTime", startTime=early)
    executions("taskId", thingName="device-0000000")
    invalid(iot.list_violation_events, "startTime", startTime=late, endTime=early)
    invalid(iot.list_detect_mitigation_actions_tasks, "startTime", startTime=late, endTime=early)
    invalid(iot.put_verification_state_on_violation, "none", violationId="none", verificationState="UNKNOWN")
    for number in range(5):
        start(iot, task=f"t{number}", target=good)
    refused("LimitExceededException", 410, start, iot=iot, task="t5", target=good)
    iot.cancel_detect_mitigation_actions_task(taskId="t0")
    assert iot.describe_detect_mitigation_actions_task(taskId="t0")["taskSummary"]["taskStatus"] == "CANCELED"
    invalid(iot.cancel_detect_mitigation_actions_task, "t0", taskId="t0")
    start(iot, task="t5", target=good)
    for operation in (iot.describe_detect_mitigation_actions_task, iot.cancel_detect_mitigation_actions_task):
        refused("ResourceNotFoundException", 404, operation, taskId="none")
    refused("ResourceNotFoundException", 404, iot.list_active_violations, securityProfileName="none")
