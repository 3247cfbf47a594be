"""The redrive of a dead-letter queue as docs/operate.md has it, by the AWS CLI against the stack on this machine."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

AWS = Path(sys.executable).with_name("aws")


@pytest.fixture
def sqs(stack):
    return stack.client("sqs")


def queue(sqs, name, **attributes):
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def pair(sqs, name):
    """A dead-letter queue and the queue before it."""
    parked, arn = queue(sqs, f"{name}-parked")
    before = queue(sqs, name, RedrivePolicy=json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1}))
    return (parked, arn), before


def bodies(sqs, url):
    got = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get("Messages"):
        got += messages
    return got


def ended(sqs, arn):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        task, = sqs.list_message_move_tasks(SourceArn=arn)["Results"]
        if task["Status"] not in ("RUNNING", "CANCELLING"):
            assert "TaskHandle" not in task
            return task
        time.sleep(0.05)
    raise AssertionError("the task has no end")


def test_the_documented_commands_move_what_was_parked(stack, sqs):
    """What a function parked came from no queue: it goes where the command says, and is parked there again."""
    check, parked = stack.outputs["CheckQueueUrl"], stack.outputs["CheckDeadLetterQueueUrl"]
    arn = lambda url: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    waiting = lambda: int(
        sqs.get_queue_attributes(QueueUrl=parked, AttributeNames=["All"])["Attributes"]["ApproximateNumberOfMessages"]
    )
    sqs.purge_queue(QueueUrl=parked)
    sqs.send_message(QueueUrl=check, MessageBody="no check message")
    until(lambda: waiting() == 1)

    def aws(command, *arguments):
        words = [AWS, "--endpoint-url", stack.variables["AWS_ENDPOINT_URL"], "sqs", command, *arguments]
        done = subprocess.run(words, env=os.environ | stack.variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert aws("start-message-move-task", "--source-arn", arn(parked), "--destination-arn", arn(check))["TaskHandle"]
    task = ended(sqs, arn(parked))
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"], task["DestinationArn"]) == ("COMPLETED", 1, arn(check))
    assert aws("list-message-move-tasks", "--source-arn", arn(parked))["Results"][0]["Status"] == "COMPLETED"
    until(lambda: waiting() == 1)
    message, = bodies(sqs, parked)
    assert message["Body"] == "no check message" and "reason" in message["MessageAttributes"]
    sqs.purge_queue(QueueUrl=parked)


def until(holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_messages_go_back_to_where_they_came_from(sqs):
    (parked, arn), (url, source) = pair(sqs, "back")
    attributes = {"reason": {"DataType": "String", "StringValue": "why"}}
    for number in range(25):
        sqs.send_message(QueueUrl=url, MessageBody=str(number), MessageAttributes=attributes)
    # Received once and not deleted: the next look parks them.
    while sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages"):
        pass
    sqs.start_message_move_task(SourceArn=arn)
    task = ended(sqs, arn)
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 25)
    assert task["ApproximateNumberOfMessagesToMove"] == 25 and "DestinationArn" not in task
    assert task["StartedTimestamp"] / 1000 == pytest.approx(time.time(), abs=60)
    got = bodies(sqs, url)
    assert sorted(int(message["Body"]) for message in got) == list(range(25))
    assert all(message["MessageAttributes"] == attributes for message in got)
    assert bodies(sqs, parked) == []


def test_what_came_from_nowhere_needs_a_destination(sqs):
    (parked, arn), (url, source) = pair(sqs, "nowhere")
    sqs.send_message(QueueUrl=parked, MessageBody="a")
    sqs.start_message_move_task(SourceArn=arn)
    task = ended(sqs, arn)
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
    sqs.start_message_move_task(SourceArn=arn, DestinationArn=source)
    assert ended(sqs, arn)["Status"] == "COMPLETED"
    assert [message["Body"] for message in bodies(sqs, url)] == ["a"]
    tasks = sqs.list_message_move_tasks(SourceArn=arn, MaxResults=10)["Results"]
    assert [task["Status"] for task in tasks] == ["COMPLETED", "FAILED"]


def test_one_task_at_a_time_at_its_rate_until_it_is_cancelled(sqs):
    (parked, arn), (url, source) = pair(sqs, "slow")
    for number in range(20):
        sqs.send_message(QueueUrl=parked, MessageBody=str(number))
    start = {"SourceArn": arn, "DestinationArn": source, "MaxNumberOfMessagesPerSecond": 2}
    handle = sqs.start_message_move_task(**start)["TaskHandle"]
    task, = sqs.list_message_move_tasks(SourceArn=arn)["Results"]
    assert (task["Status"], task["TaskHandle"], task["MaxNumberOfMessagesPerSecond"]) == ("RUNNING", handle, 2)
    refused(sqs.exceptions.UnsupportedOperation, sqs.start_message_move_task, **start)
    moved = sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"]
    task = ended(sqs, arn)
    assert task["Status"] == "CANCELLED" and moved <= task["ApproximateNumberOfMessagesMoved"] < 5
    assert len(bodies(sqs, url)) + len(bodies(sqs, parked)) == 20
    refused(sqs.exceptions.UnsupportedOperation, sqs.cancel_message_move_task, TaskHandle=handle)


def refused(kind, call, **members):
    with pytest.raises(kind) as refusal:
        call(**members)
    return refusal.value.response["Error"]["Code"]


def test_what_cannot_be_moved_is_refused(sqs):
    (parked, arn), (url, source) = pair(sqs, "refused")
    missing = arn + "-x"
    not_found = sqs.exceptions.ResourceNotFoundException
    refused(not_found, sqs.start_message_move_task, SourceArn=missing)
    refused(not_found, sqs.start_message_move_task, SourceArn=arn, DestinationArn=missing)
    refused(not_found, sqs.list_message_move_tasks, SourceArn=missing)
    refused(not_found, sqs.cancel_message_move_task, TaskHandle="x")
    for wrong in (
        {"SourceArn": source},
        {"SourceArn": arn, "DestinationArn": arn},
        {"SourceArn": arn, "DestinationArn": source, "MaxNumberOfMessagesPerSecond": 501},
        {"SourceArn": arn, "DestinationArn": source, "MaxNumberOfMessagesPerSecond": 0},
    ):
        assert refused(ClientError, sqs.start_message_move_task, **wrong) == "InvalidParameterValue"
    assert sqs.list_message_move_tasks(SourceArn=arn)["Results"] == []
