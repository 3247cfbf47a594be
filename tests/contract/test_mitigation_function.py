"""`mitigation-commands` reads a ledger that another DynamoDB than the one in memory keeps."""

import json

import pytest
from function import Emulator, Failed, Function

AUDIT = "8850eced986ec360f9b350835a621bcf"
CHECK = "LOGGING_DISABLED_CHECK"
TASKS = 7
FINDINGS = 30


@pytest.fixture(scope="module")
def emulator():
    emulator = Emulator()
    client = emulator.client("dynamodb")

    def put(**item):
        client.put_item(TableName="ledger", Item={name: {"S": text} for name, text in item.items()})

    target = json.dumps({CHECK: {"wholeCheck": {"reasonCodes": [], "count": FINDINGS}}})
    for n in range(TASKS):
        task = f"fw-{n}"
        put(
            pk=f"mitigation#{task}", sk="task", task_id=task, state="failed" if n % 2 else "completed", origin="rule",
            rule="r", audit_task_id=AUDIT, check=CHECK, actions=json.dumps({CHECK: ["a"]}), target=target,
            decided_at=f"2026-11-23T0{n}:00:00Z",
        )
        put(pk=f"audit#{AUDIT}", sk=f"mitigation#{CHECK}#{task}", task_id=task, check=CHECK)
        # Another item with that sort key, and one of the audit's.
        put(pk=f"other#{n}", sk="task", task_id=task)
        put(pk=f"audit#{AUDIT}", sk=f"check#{n}")
    for n in range(FINDINGS):
        state = "failed" if n % 10 == 3 else "completed"
        put(pk="mitigation#fw-0", sk=f"finding#f-{n:02}", finding_id=f"f-{n:02}", check=CHECK, state=state)
    yield emulator
    emulator.close()


@pytest.fixture(scope="module")
def call(emulator):
    function = Function(emulator.url, emulator, "version: 1\nmode: observe\nrules: []\n", "mitigation-commands")
    yield function.invoke
    function.close()


def pages(call, entries, command, **members):
    """The entries of all pages."""
    while True:
        page = call(command, **members)
        yield from page.get(entries, [])
        if "nextToken" not in page:
            return
        members["nextToken"] = page["nextToken"]


@pytest.mark.parametrize("size", [1, 3, TASKS, 250])
def test_tasks_are_listed_each_once(call, size):
    ids = [f"fw-{n}" for n in range(TASKS)]
    assert [task["taskId"] for task in pages(call, "tasks", "MitigationList", maxResults=size)] == ids[::-1]
    of_audit = pages(call, "tasks", "MitigationList", auditTaskId=AUDIT, maxResults=size)
    assert [task["taskId"] for task in of_audit] == ids
    failed = pages(call, "tasks", "MitigationList", state="failed", maxResults=size)
    assert [task["taskId"] for task in failed] == ids[1::2][::-1]
    period = {"startTime": "2026-11-23T02:00:00Z", "endTime": "2026-11-23T04:30:00Z"}
    assert [task["taskId"] for task in pages(call, "tasks", "MitigationList", maxResults=size, **period)] == ids[4:1:-1]


@pytest.mark.parametrize("size", [1, 7, 250])
def test_findings_are_told_each_once_and_those_first_that_failed(call, size):
    findings = list(pages(call, "findings", "MitigationShow", taskId="fw-0", maxResults=size))
    assert [finding["state"] for finding in findings] == ["failed"] * 3 + ["completed"] * (FINDINGS - 3)
    assert len({finding["findingId"] for finding in findings}) == FINDINGS


def test_a_task_that_is_not_there_has_a_name(call):
    with pytest.raises(Failed) as failed:
        call("MitigationShow", taskId="fw-none")
    assert failed.value.name == "NoMitigation"
