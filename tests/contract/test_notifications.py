"""What is published: the summary of an audit and single findings, as AWS's documents and a capture show them."""

import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from conftest import ROLE, ROOT, TOPIC, Endpoint

EXPIRING = "DEVICE_CERTIFICATE_EXPIRING_CHECK"


@pytest.fixture
def topic():
    """An SNS that refuses the first message once, so that retrying is seen too."""
    messages, refusals = [], [500]

    class Sns(BaseHTTPRequestHandler):
        def do_POST(self):
            form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            scope = self.headers["authorization"].split("Credential=")[1].split(",")[0]
            status = refusals.pop() if refusals else 200
            if status == 200:
                messages.append((form, scope))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Sns)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", messages
    server.shutdown()
    server.server_close()


@pytest.fixture
def publishing(topic):
    url, messages = topic
    endpoint = Endpoint("--findings", 100, "--rate-scale", 0, "--audit-ms", 20, "--mitigation-ms", 20, "--sns-endpoint-url", url)
    endpoint.enable(topic=TOPIC)
    yield endpoint, messages
    assert endpoint.judge.verdicts == []
    endpoint.close()


def wait_for(messages, count):
    deadline = time.monotonic() + 10
    while len(messages) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(messages) == count
    form, scope = messages[-1]
    assert (form["Action"], form["Version"], form["TopicArn"]) == (["Publish"], ["2010-03-31"], [TOPIC])
    assert scope.startswith("123456789012/") and scope.endswith("/us-east-1/sns/aws4_request")
    return json.loads(form["Message"][0])


def test_an_audit_is_announced_and_no_client_has_to_ask(publishing):
    endpoint, messages = publishing
    before = int(time.time() * 1000)
    task = endpoint.client().start_on_demand_audit_task(targetCheckNames=[EXPIRING, "LOGGING_DISABLED_CHECK"])["taskId"]
    message = wait_for(messages, 1)
    assert message["taskId"] == task and message["taskType"] == "ON_DEMAND_AUDIT_TASK"
    assert isinstance(message["taskStartTime"], int) and message["taskStartTime"] >= before
    assert (message["nonCompliantChecksCount"], message["totalChecksCount"]) == (2, 2)
    details = {detail["checkName"]: detail for detail in message["auditDetails"]}
    truth = endpoint.client().describe_audit_task(taskId=task)["auditDetails"]
    assert details[EXPIRING]["nonCompliantResourcesCount"] == truth[EXPIRING]["nonCompliantResourcesCount"]
    cases = Path(os.environ.get("FLEETWARDEN_CASES", "/nonexistent"))
    schema = cases / "sns-audit-notification-schema.json"
    if schema.exists():
        schema = json.loads(schema.read_text())
        schema = schema.get("body", schema)
        assert set(schema["required"]) <= set(message)
        required = schema["properties"]["auditDetails"]["items"][0]["required"]
        assert all(set(required) <= set(detail) for detail in message["auditDetails"])


def test_a_finding_is_published(publishing):
    endpoint, messages = publishing
    iot = endpoint.client()
    finding = endpoint.findings(endpoint.audit(EXPIRING))[0]
    wait_for(messages, 1)
    iot.create_mitigation_action(actionName="tell", roleArn=ROLE, actionParams={"publishFindingToSnsParams": {"topicArn": TOPIC}})
    iot.start_audit_mitigation_actions_task(
        taskId="tell", target={"findingIds": [finding["findingId"]]}, auditCheckToActionsMapping={EXPIRING: ["tell"]})
    message = wait_for(messages, 2)
    assert (message["findingId"], message["severity"]) == (finding["findingId"], "MEDIUM")
    assert message["findingTime"] == int(finding["findingTime"].timestamp() * 1000 + 0.5)
    assert message["nonCompliantResource"] == finding["nonCompliantResource"]


def test_an_alarm_is_published_when_it_begins_and_when_it_ends(publishing):
    endpoint, messages = publishing
    iot = endpoint.client()
    thing = iot.list_things_in_thing_group(thingGroupName="production", maxResults=1)["things"][0]
    criteria = {"comparisonOperator": "less-than", "value": {"count": 2000}, "durationSeconds": 300,
                "consecutiveDatapointsToAlarm": 1, "consecutiveDatapointsToClear": 1}
    behavior = {"name": "loud", "metric": "aws:num-messages-sent", "criteria": criteria}
    iot.create_security_profile(
        securityProfileName="p", behaviors=[behavior, {**behavior, "name": "quiet", "suppressAlerts": True}],
        alertTargets={"SNS": {"alertTargetArn": TOPIC, "roleArn": ROLE}})
    iot.attach_security_profile(
        securityProfileName="p", securityProfileTargetArn="arn:aws:iot:us-east-1:123456789012:all/registered-things")
    endpoint.control("POST", "detect/scenarios", {
        "kind": "metric", "metric": behavior["metric"], "value": {"count": 5000}, "thingNames": [thing], "forSeconds": 1800})
    endpoint.control("POST", "clock", {"advanceMs": 1_200_000})
    began = wait_for(messages, 1)
    active = next(
        violation for violation in iot.list_active_violations(thingName=thing)["activeViolations"]
        if violation["behavior"]["name"] == "loud")
    assert (began["violationEventType"], began["thingName"], began["securityProfileName"]) == ("in-alarm", thing, "p")
    assert began["violationId"] == active["violationId"] and began["metricValue"] == {"count": 5000}
    assert began["violationEventTime"] == int(active["violationStartTime"].timestamp() * 1000)
    assert {**began["behavior"], "suppressAlerts": False} == {**behavior, "suppressAlerts": False}
    captured = Path(os.environ.get("FLEETWARDEN_CASES", ROOT.parent / "shared" / "cases")) / "sns-detect-violation-test.json"
    if captured.exists():
        captured = json.loads(captured.read_text())
        assert set(captured) <= set(began) and set(captured["behavior"]) <= set(began["behavior"])
        assert {name: type(value) for name, value in began.items() if name in captured} == {
            name: type(value) for name, value in captured.items()}
    endpoint.control("POST", "clock", {"advanceMs": 1_800_000})
    ended = wait_for(messages, 2)
    assert (ended["violationEventType"], ended["violationId"]) == ("alarm-cleared", began["violationId"])
    assert ended["violationEventTime"] > began["violationEventTime"] and "metricValue" not in ended
    assert endpoint.judge.bad_requests == []
