"""Lambda's detection of recursive loops through queues, which the emulator has for direct invocations only.

It runs inside the emulator. The SDK of a function sends the trace header of its
invocation along with each call; SQS keeps that header with the message, as its attribute AWSTraceHeader; and the
invocation that receives the message gets the header back, with the count of its function raised by one. A function
that one chain of requests has invoked 16 times is not invoked a 17th time unless its `RecursiveLoop` is `Allow`: the
message stays on its queue and goes to the dead-letter queue as any that fails.

Source: Lambda Developer Guide, "Use Lambda recursive loop detection to prevent infinite loops". Not documented, and so
chosen here: how the header spells the counts, and that of a batch the message with the highest count decides.
"""

import contextvars
import re
import zlib

from ministack.services import lambda_svc, sqs

LIMIT = 16

# The header of the request that is being served, and of the invocation that is being made.
request_header = contextvars.ContextVar("request_header", default="")
invocation_header = contextvars.ContextVar("invocation_header", default="")

serve = sqs.handle_request
system_attributes = sqs._build_send_sys_attrs
invoke_with_batch = lambda_svc._run_sqs_batch
trace_header = lambda_svc._xray_trace_id_for_invocation


def counts(header):
    """How often each function was invoked in the chain of requests of a header."""
    lineage = re.search(r"Lineage=([^;]+)", header)
    return {name: int(count) for name, count in re.findall(r"(\w+):(\d+)", lineage[1])} if lineage else {}


async def serve_with_header(method, path, headers, body, query_params):
    request_header.set(headers.get("x-amzn-trace-id", ""))
    return await serve(method, path, headers, body, query_params)


def system_attributes_with_header(now, given):
    attributes = system_attributes(now, given)
    if request_header.get():
        attributes.setdefault("AWSTraceHeader", request_header.get())
    return attributes


def invoke_unless_in_a_loop(esm, function, event, batch, queue_url, queue_name):
    own = f"{zlib.crc32(function['config']['FunctionArn'].encode()):08x}"
    headers = [record["attributes"].get("AWSTraceHeader", "") for record in event["Records"]]
    header = max(headers, key=lambda header: counts(header).get(own, 0))
    lineage = counts(header)
    lineage[own] = lineage.get(own, 0) + 1
    if lineage[own] > LIMIT and function.get("recursive_loop") != "Allow":
        esm["LastProcessingResult"] = "PROBLEM: Function invocation failed"
        name = function["config"]["FunctionName"]
        lambda_svc.logger.warning("%s is in a recursive loop through %s and is not invoked", name, queue_name)
        return
    root = header.partition(";Lineage=")[0] or trace_header({"TracingConfig": {"Mode": "Active"}})
    invocation_header.set(f"{root};Lineage=" + "|".join(f"{name}:{count}" for name, count in lineage.items()))
    invoke_with_batch(esm, function, event, batch, queue_url, queue_name)


def trace_header_with_lineage(config, inbound_trace_header=None):
    return invocation_header.get() or trace_header(config, inbound_trace_header)


sqs.handle_request = serve_with_header
sqs._build_send_sys_attrs = system_attributes_with_header
lambda_svc._run_sqs_batch = invoke_unless_in_a_loop
lambda_svc._xray_trace_id_for_invocation = trace_header_with_lineage
