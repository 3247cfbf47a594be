"""The functions that are simulated time out and take their batches as the template declares it."""

import re

from template import ROOT, folder, functions, load, of_type, referred

STACK = (ROOT / "local" / "simulation" / "src" / "stack.rs").read_text(encoding="utf-8")
ROW = re.compile(r'function\(\s*"([a-z-]+)",\s*(\d+),\s*(?:queue\("([a-z]+)", (\d+), (\d+), ([\d_]+)\)|Trigger::\w+)')


def simulated():
    """Time-out, batch size, concurrency and visibility by function; the last three are None without a queue."""
    for name, timeout, queue, *source in ROW.findall(STACK):
        yield name, (int(timeout), *(int(number) if queue else None for number in source))


def declared():
    queues = of_type("AWS::SQS::Queue")
    for function in functions().values():
        events = [event["Properties"] for event in function["Events"].values() if event["Type"] == "SQS"]
        source = (None, None, None)
        if events:
            (event,) = events
            visible = queues[referred(event["Queue"])]["VisibilityTimeout"]
            source = (event["BatchSize"], event["ScalingConfig"]["MaximumConcurrency"], visibility(visible))
        yield folder(function), (function["Timeout"], *source)


def visibility(value):
    """Of a queue of a loop it stands in the mappings."""
    if isinstance(value, dict):
        mapping, *keys = value["Fn::FindInMap"]
        value = load()["Mappings"][mapping]
        for key in keys:
            value = value[key]
    return int(value)


def test_each_function_is_simulated_as_it_is_declared():
    assert dict(simulated()) == dict(declared())


def test_those_functions_may_loop_that_are_declared_so():
    looping = set(re.findall(r'function\(\s*"([a-z-]+)",[^;]*\)\.looping\(\);', STACK))
    declared = {folder(function) for function in functions().values() if function.get("RecursiveLoop") == "Allow"}
    assert looping == declared
