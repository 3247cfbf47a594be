"""The judge objects to what is wrong: an endpoint that misbehaves on order must be caught."""

import pytest
from botocore.exceptions import ClientError, ParamValidationError


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("unknown-members", "unknown member"),
        ("unknown-enum", "is not in the enum"),
        ("nulls", "null"),
        ("broken-json", "no JSON"),
        ("html", "no JSON"),
    ],
)
def test_a_spoilt_answer_is_caught(running, kind, words):
    running.control("POST", "reset", {})
    running.audit("LOGGING_DISABLED_CHECK")
    running.judge.verdicts.clear()
    task = running.control("GET", "state")["audits"][0]["taskId"]
    running.control("POST", "faults", {"faults": [{"operation": "DescribeAuditTask", "kind": kind, "count": 1}]})
    try:
        running.client().describe_audit_task(taskId=task)
    except ClientError:
        pass
    assert any(words in verdict for verdict in running.judge.verdicts), running.judge.verdicts


def test_a_bad_request_is_noted(running):
    running.judge.bad_requests.clear()
    iot = running.client(parameter_validation=False)
    with pytest.raises(ClientError):
        iot.create_mitigation_action(actionName="a", roleArn="short", actionParams={})
    assert any("roleArn" in fault for fault in running.judge.bad_requests)
    with pytest.raises(ParamValidationError):
        running.client().create_mitigation_action(actionName="a")
