"""Lambda's detection of recursive loops, on one machine: a loop ends after 16 rounds unless the function allows it."""

import io
import json
import re
import time
import zipfile

import pytest

# A function that sends the number of its next round to its own queue, and after the last one elsewhere, with the trace
# header of its invocation as every SDK does.
LOOP = r"""#!/usr/bin/env python3
import json, os, urllib.request

API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
SQS = {
    "authorization": "AWS4-HMAC-SHA256 Credential=123456789012/20260101/us-east-1/sqs/aws4_request",
    "content-type": "application/x-amz-json-1.0",
    "x-amz-target": "AmazonSQS.SendMessage",
}

def post(url, body, headers):
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)).read()

while True:
    with urllib.request.urlopen(f"{API}/next") as given:
        request, header = given.headers["lambda-runtime-aws-request-id"], given.headers["lambda-runtime-trace-id"]
        (record,) = json.load(given)["Records"]
    following = int(record["body"]) + 1
    queue = os.environ["QUEUE_URL" if following <= int(os.environ["LAST"]) else "END_URL"]
    message = {"QueueUrl": queue, "MessageBody": str(following)}
    post(os.environ["AWS_ENDPOINT_URL"], message, SQS | {"x-amzn-trace-id": header})
    post(f"{API}/{request}/response", {}, {})
"""
LAST = 20


def loop(stack, name, setting):
    """Runs a loop to its end and returns the first round that was not invoked."""
    sqs, functions = stack.client("sqs"), stack.client("lambda")

    def queue(name, **attributes):
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, got["Attributes"]["QueueArn"]

    end, end_arn = queue(f"{name}-end")
    redrive = json.dumps({"deadLetterTargetArn": end_arn, "maxReceiveCount": 1})
    url, arn = queue(name, RedrivePolicy=redrive, VisibilityTimeout="2")
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        bootstrap = zipfile.ZipInfo("bootstrap")
        bootstrap.external_attr = 0o755 << 16
        archive.writestr(bootstrap, LOOP)
    functions.create_function(
        FunctionName=name,
        Runtime="provided.al2023",
        Role="arn:aws:iam::123456789012:role/loop",
        Handler="bootstrap",
        Timeout=2,
        Code={"ZipFile": code.getvalue()},
        Environment={"Variables": {"QUEUE_URL": url, "END_URL": end, "LAST": str(LAST)}},
    )
    if setting:
        functions.put_function_recursion_config(FunctionName=name, RecursiveLoop=setting)
    functions.create_event_source_mapping(FunctionName=name, EventSourceArn=arn, BatchSize=1)
    sqs.send_message(QueueUrl=url, MessageBody="1")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for message in sqs.receive_message(QueueUrl=end, WaitTimeSeconds=1).get("Messages", []):
            return int(message["Body"])
    raise AssertionError("the loop has no end")


@pytest.mark.parametrize("setting", [None, "Terminate"])
def test_a_loop_is_ended_after_sixteen_rounds(stack, setting):
    assert loop(stack, f"loop-{setting}", setting) == 17


def test_a_loop_that_is_allowed_is_not_ended(stack):
    assert loop(stack, "loop-allowed", "Allow") == LAST + 1


def test_the_template_says_which_functions_may_be_in_a_loop(stack):
    functions = stack.client("lambda")
    settings = {
        output: functions.get_function_recursion_config(FunctionName=name)["RecursiveLoop"]
        for output, name in stack.outputs.items()
        if output.endswith("FunctionName")
    }
    allowed = {output for output, setting in settings.items() if setting == "Allow"}
    assert allowed == {f"{name}FunctionName" for name in ("ApplyMitigations", "SuppressionReview", "TriageFindings")}


def test_a_function_passes_its_chain_of_requests_on(stack):
    """What triage parks carries the header of the invocation that parked it."""
    sqs = stack.client("sqs")
    sqs.send_message(QueueUrl=stack.outputs["CheckQueueUrl"], MessageBody="no check message")
    parked = stack.outputs["CheckDeadLetterQueueUrl"]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        got = sqs.receive_message(QueueUrl=parked, WaitTimeSeconds=1, AttributeNames=["All"]).get("Messages", [])
        for message in got:
            sqs.delete_message(QueueUrl=parked, ReceiptHandle=message["ReceiptHandle"])
            assert re.search(r"Lineage=\w+:1$", message["Attributes"]["AWSTraceHeader"])
            return
    raise AssertionError("nothing was parked")
