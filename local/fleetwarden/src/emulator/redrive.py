"""The redrive of dead-letter queues, which the emulator's Amazon SQS lacks: `StartMessageMoveTask`,
`ListMessageMoveTasks` and `CancelMessageMoveTask`.

A task moves the messages that were there when it began, each by a send to its destination and a deletion after it, so
that none is lost between the two. They arrive as new messages: with another id, as if never received.

Source: Amazon SQS API Reference, the three operations; Developer Guide, "Learn how to configure a dead-letter queue
redrive". Not documented, and so chosen here: that a message keeps its own AWSTraceHeader.
"""

import asyncio
import itertools
import json
import time

from ministack.core.responses import new_uuid
from ministack.services import sqs

# How many tasks a queue remembers, and ListMessageMoveTasks gives at most.
REMEMBERED = 10
# The highest MaxNumberOfMessagesPerSecond.
FASTEST = 500

# The tasks by the ARN of their source, the latest first.
tasks = {}
# What is running, so that nobody collects it.
running = set()


def refused(code, message, status=400):
    return sqs._Err(code, message, status)


def wrong(name, value, expected):
    return refused("InvalidParameterValue", f"Value {value} for parameter {name} is invalid. Reason: {expected}")


def queue(name, arn):
    found = sqs._queue_by_arn(arn) if arn else None
    if found is None:
        raise refused("ResourceNotFoundException", f"The resource that you specified for the {name} parameter doesn't exist.", 404)
    return found


def policy(queue):
    """The RedrivePolicy of a queue."""
    try:
        return json.loads(queue["attributes"].get("RedrivePolicy") or "{}")
    except ValueError:
        return {}


def is_dead_letter_queue(arn):
    return any(policy(other).get("deadLetterTargetArn") == arn for _, other in sqs._queues.all_items())


def whole(name, data, lowest, highest):
    """A whole number among the members of a request, if it is there."""
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not str(value).isdigit() or not lowest <= int(value) <= highest:
        raise wrong(name, value, f"Must be a whole number from {lowest} to {highest}.")
    return int(value)


def start(data, _url):
    source_arn, destination_arn = data.get("SourceArn"), data.get("DestinationArn")
    source = queue("SourceArn", source_arn)
    if destination_arn:
        queue("DestinationArn", destination_arn)
    rate = whole("MaxNumberOfMessagesPerSecond", data, 1, FASTEST)
    sqs._enforce_queue_policy(source, "sqs:StartMessageMoveTask")
    if not is_dead_letter_queue(source_arn):
        raise wrong("SourceArn", source_arn, "Source queue must be configured as a Dead Letter Queue.")
    if destination_arn == source_arn:
        raise wrong("DestinationArn", destination_arn, "Source and destination must be different queues.")
    known = tasks.setdefault(source_arn, [])
    if any(task["Status"] in ("RUNNING", "CANCELLING") for task in known):
        raise refused("UnsupportedOperation", "There is already a task running. Only one active task is allowed for a source queue.")
    begun = time.time()
    waiting = [message["id"] for message in source["messages"]]
    task = {
        "TaskHandle": new_uuid(),
        "Status": "RUNNING",
        "SourceArn": source_arn,
        "DestinationArn": destination_arn,
        "MaxNumberOfMessagesPerSecond": rate,
        "ApproximateNumberOfMessagesMoved": 0,
        "ApproximateNumberOfMessagesToMove": len(waiting),
        "StartedTimestamp": int(begun * 1000),
    }
    known.insert(0, task)
    del known[REMEMBERED:]
    move_all = asyncio.get_running_loop().create_task(run(task, set(waiting)))
    running.add(move_all)
    move_all.add_done_callback(running.discard)
    return {"TaskHandle": task["TaskHandle"]}


async def run(task, waiting):
    rate = task["MaxNumberOfMessagesPerSecond"]
    try:
        while task["Status"] == "RUNNING":
            message = await visible(task, waiting)
            if message is None:
                break
            move(task, message)
            waiting.discard(message["id"])
            task["ApproximateNumberOfMessagesMoved"] += 1
            await asyncio.sleep(1 / rate if rate else 0)
        task["Status"] = "CANCELLED" if task["Status"] == "CANCELLING" else "COMPLETED"
    except sqs._Err as error:
        task.update(Status="FAILED", FailureReason=error.code)


async def visible(task, waiting):
    """The next message to move: one that somebody has received comes when it is visible again."""
    while task["Status"] == "RUNNING":
        source = queue("SourceArn", task["SourceArn"])
        sqs._expire_retained(source)
        left = [message for message in source["messages"] if message["id"] in waiting]
        if not left:
            return None
        now = time.time()
        for message in left:
            sqs._ensure_msg_fields(message)
            if message["visible_at"] <= now:
                return message
        await asyncio.sleep(0.1)
    return None


def move(task, message):
    arn = task["DestinationArn"] or message["sys"].get("DeadLetterQueueSourceArn")
    if not arn:
        raise refused("CouldNotDetermineMessageSource", "A message came from no queue, and no DestinationArn is given.")
    destination = queue("DestinationArn", arn)
    sent = {
        "QueueUrl": sqs._queue_url(destination["name"]),
        "MessageBody": message["body"],
        "MessageAttributes": message["message_attributes"],
    }
    if "AWSTraceHeader" in message["sys"]:
        header = {"DataType": "String", "StringValue": message["sys"]["AWSTraceHeader"]}
        sent["MessageSystemAttributes"] = {"AWSTraceHeader": header}
    if destination["is_fifo"]:
        sent |= {"MessageGroupId": message["group_id"], "MessageDeduplicationId": message["id"]}
    sqs._act_send_message(sent, sent["QueueUrl"])
    source = queue("SourceArn", task["SourceArn"])
    source["messages"] = [other for other in source["messages"] if other["id"] != message["id"]]


def shown(task):
    """A task as ListMessageMoveTasks has it: its handle only while it is of use."""
    hidden = () if task["Status"] == "RUNNING" else ("TaskHandle",)
    return {name: value for name, value in task.items() if value is not None and name not in hidden}


def listed(data, _url):
    arn = data.get("SourceArn")
    sqs._enforce_queue_policy(queue("SourceArn", arn), "sqs:ListMessageMoveTasks")
    most = whole("MaxResults", data, 1, REMEMBERED) or 1
    return {"Results": [shown(task) for task in tasks.get(arn, [])[:most]]}


def cancel(data, _url):
    handle = data.get("TaskHandle")
    task = next((task for task in itertools.chain(*tasks.values()) if task["TaskHandle"] == handle), None)
    if task is None:
        raise refused("ResourceNotFoundException", "Task does not exist.", 404)
    sqs._enforce_queue_policy(queue("SourceArn", task["SourceArn"]), "sqs:CancelMessageMoveTask")
    if task["Status"] != "RUNNING":
        raise refused("UnsupportedOperation", "Only active tasks can be cancelled.")
    task["Status"] = "CANCELLING"
    return {"ApproximateNumberOfMessagesMoved": task["ApproximateNumberOfMessagesMoved"]}


sqs._HANDLERS.update(StartMessageMoveTask=start, ListMessageMoveTasks=listed, CancelMessageMoveTask=cancel)
