"""What nobody can use is parked with its reason, and everything beside it is done."""

import json
import time

import pytest

QUEUES = ["Check", "Suppression", "Mitigation", "Finding"]
HOSTILE = '{"taskId":"../../etc\\u0000","taskStatus":"COMPLETED","taskType":"ON_DEMAND_AUDIT_TASK","accountId":"123456789012","auditDetails":[]}'


def completed(task, account="123456789012", started=None):
    """The message of an audit that found something wrong with one check, and that began now unless it says when."""
    return json.dumps(
        {
            "accountId": account,
            "taskId": task,
            "taskStatus": "COMPLETED",
            "taskType": "ON_DEMAND_AUDIT_TASK",
            "failedChecksCount": 0,
            "canceledChecksCount": 0,
            "nonCompliantChecksCount": 1,
            "compliantChecksCount": 0,
            "totalChecksCount": 1,
            "taskStartTime": int((started or time.time()) * 1000),
            "auditDetails": [
                {
                    "checkName": "LOGGING_DISABLED_CHECK",
                    "checkRunStatus": "COMPLETED_NON_COMPLIANT",
                    "nonCompliantResourcesCount": 1,
                    "totalResourcesCount": 1,
                }
            ],
        }
    )


def audit(stack):
    """Runs an audit of one check; the endpoint announces its end to the topic."""
    iot = stack.client("iot")
    task = iot.start_on_demand_audit_task(targetCheckNames=["LOGGING_DISABLED_CHECK"])["taskId"]
    while iot.describe_audit_task(taskId=task)["taskStatus"] == "IN_PROGRESS":
        time.sleep(0.1)
    return task


def exported(stack, task, seconds=60):
    """The findings log's events of an audit, once there are some."""
    logs, group = stack.client("logs"), stack.outputs["FindingsLogGroupName"]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
        names = [stream["logStreamName"] for stream in streams if task in stream["logStreamName"].split("/")]
        read = [logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True) for name in names]
        events = [json.loads(event["message"]) for answer in read for event in answer["events"]]
        if events:
            return events
        time.sleep(0.2)
    return []


# The last is well formed, and of an audit that never was.
@pytest.mark.parametrize(
    "message",
    [
        "this is no JSON",
        "{",
        completed("0" * 32, account="999999999999"),
        HOSTILE,
        "[]",
        "\u202e\U0001f4a3",
        completed("0" * 32),
    ],
)
def test_a_bad_message_is_parked_and_the_next_audit_is_done(stack, message):
    stack.client("sns").publish(TopicArn=stack.outputs["AuditTopicArn"], Message=message)
    [(body, reason)] = stack.take("NotificationDeadLetterQueueUrl", 1)
    assert reason and json.loads(body)["Records"][0]["Sns"]["Message"] == message
    task = audit(stack)
    [event] = exported(stack, task)
    assert event["taskId"] == task and event["check"] == "LOGGING_DISABLED_CHECK"


def test_a_notification_that_lies_about_an_audit_is_parked_and_the_audit_is_done(stack):
    iot = stack.client("iot")
    task = iot.start_on_demand_audit_task(targetCheckNames=["LOGGING_DISABLED_CHECK"])["taskId"]
    lie = completed(task, started=1_700_000_000).replace("COMPLETED_NON_COMPLIANT", "COMPLETED_COMPLIANT")
    stack.client("sns").publish(TopicArn=stack.outputs["AuditTopicArn"], Message=lie)
    [event] = exported(stack, task)
    assert event["taskId"] == task and event["check"] == "LOGGING_DISABLED_CHECK"
    [(_, reason)] = stack.take("NotificationDeadLetterQueueUrl", 1)
    assert "differs from DescribeAuditTask" in reason


def test_a_thousand_records_of_one_event_all_end(stack):
    task = audit(stack)
    record = {"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": "arn:aws:sns:us-east-1:1:t:s"}
    started = stack.client("iot").describe_audit_task(taskId=task)["taskStartTime"].timestamp()
    messages = [completed(task, started=started)] * 990 + [f"bad {number}" for number in range(10)]
    sns = {"Type": "Notification", "TopicArn": stack.outputs["AuditTopicArn"], "Timestamp": "2026-11-22T00:00:00.000Z"}
    records = [
        record | {"Sns": sns | {"MessageId": str(number), "Subject": None, "MessageAttributes": {}, "Message": message}}
        for number, message in enumerate(messages)
    ]
    # Every other record is bad first, then good: order must not matter.
    records = records[::2] + records[1::2]
    answer = stack.client("lambda").invoke(
        FunctionName=stack.outputs["AuditNotificationFunctionName"], Payload=json.dumps({"Records": records})
    )
    assert "FunctionError" not in answer, answer["Payload"].read()
    parked = stack.take("NotificationDeadLetterQueueUrl", 10)
    assert len(parked) == 10 and all(reason for _, reason in parked)
    assert len(exported(stack, task)) == 1
    assert stack.depth("NotificationDeadLetterQueueUrl") == 0


@pytest.mark.parametrize("name", QUEUES)
@pytest.mark.parametrize("body", ["this is no JSON", "{}", "null", '{"audit":{"account":"999999999999"}}'])
def test_a_bad_message_on_any_queue_is_parked_with_its_reason(stack, name, body):
    stack.client("sqs").send_message(QueueUrl=stack.outputs[f"{name}QueueUrl"], MessageBody=body)
    [(parked, reason)] = stack.take(f"{name}DeadLetterQueueUrl", 1)
    assert parked == body and reason
    assert stack.drained(f"{name}QueueUrl")


def test_a_bad_message_takes_no_good_one_along(stack):
    sqs = stack.client("sqs")
    bad = [{"Id": str(number), "MessageBody": f"bad {number}"} for number in range(9)]
    for name in QUEUES:
        sqs.send_message_batch(QueueUrl=stack.outputs[f"{name}QueueUrl"], Entries=bad)
    task = audit(stack)
    assert len(exported(stack, task)) == 1
    for name in QUEUES:
        assert len(stack.take(f"{name}DeadLetterQueueUrl", 9)) == 9
        assert stack.drained(f"{name}QueueUrl")
