"""`mitigation cancel` at a service that is judged: what runs is canceled there, and what waits for a person never starts."""

import pytest
from conftest import ROLE
from function import Emulator, Failed, Function
from test_violations import QUARANTINE, Floor, fewer

SHARED = "DEVICE_CERTIFICATE_SHARED_CHECK"
POLICY = "version: 1\nmode: enforce\nbudgets: none\nrules: []\n"
WORDS = {"by": "mia", "reason": "wrong devices"}


@pytest.fixture(scope="module")
def emulator():
    emulator = Emulator()
    yield emulator
    emulator.close()


@pytest.fixture(scope="module")
def floor():
    """An endpoint where a mitigation task lasts until its clock is moved."""
    floor = Floor("--findings", 100, "--rate-scale", 0, "--audit-ms", 30, "--mitigation-ms", 3_600_000)
    iot = floor.client()
    iot.create_mitigation_action(
        actionName="off", roleArn=ROLE, actionParams={"updateDeviceCertificateParams": {"action": "DEACTIVATE"}})
    iot.create_mitigation_action(actionName="quarantine", roleArn=ROLE, actionParams=QUARANTINE)
    yield floor
    floor.close()
    assert floor.judge.verdicts == [] and floor.judge.bad_requests == []


@pytest.fixture(scope="module")
def functions(floor, emulator):
    """Starts a function of commands under a policy, and ends it."""
    started = []

    def start(name, policy=POLICY):
        started.append(Function(floor.judge.url, emulator, policy, name))
        return started[-1].invoke

    yield start
    for function in started:
        function.close()


@pytest.fixture(scope="module")
def mitigation(functions):
    return functions("mitigation-commands")


def audited(floor, count):
    findings = floor.findings(floor.audit(SHARED), checkName=SHARED)
    return [finding["findingId"] for finding in findings[:count]]


def of_findings(task, ids):
    actions = {"auditCheckToActionsMapping": {SHARED: ["off"]}, "devices": {"any": True}}
    return {"taskId": task, "target": {"findingIds": ids}} | actions


def test_a_task_of_findings_that_runs_is_canceled_at_the_service(floor, functions, mitigation):
    functions("audit-commands")("StartAuditMitigationActionsTask", **of_findings("m", audited(floor, 3)))
    status = lambda: floor.client().describe_audit_mitigation_actions_task(taskId="m")["taskStatus"]
    assert mitigation("MitigationCancel", taskId="m", dryRun=True, **WORDS)["dryRun"] and status() == "IN_PROGRESS"
    canceled = mitigation("MitigationCancel", taskId="m", **WORDS)
    assert (canceled["state"], canceled.get("repeated"), status()) == ("canceling", None, "CANCELED")
    # The service refuses a second one, and who gave the first is told that it is done.
    again = mitigation("MitigationCancel", taskId="m", **WORDS)
    assert (again["state"], again["repeated"]) == ("canceling", True)
    assert floor.control("GET", "state")["fleet"]["changes"] == 0


def test_a_task_of_alarms_that_runs_is_canceled_at_the_service(floor, functions, mitigation):
    floor.profile("noisy", "thinggroup/lab", fewer("always", 0))
    floor.advance(20)
    one = floor.client().list_active_violations(securityProfileName="noisy")["activeViolations"][0]
    target = {"target": {"violationIds": [one["violationId"]]}, "actions": ["quarantine"]}
    functions("detect-commands")("StartDetectMitigationActionsTask", taskId="d", **target)
    assert mitigation("MitigationCancel", taskId="d", **WORDS)["state"] == "canceling"
    summary = floor.client().describe_detect_mitigation_actions_task(taskId="d")["taskSummary"]
    assert summary["taskStatus"] == "CANCELED"


def test_what_waits_for_another_person_never_starts_after_a_cancel(floor, functions, mitigation):
    start = functions("audit-commands", POLICY + "twoPersons: true\n")
    asked = of_findings("w", audited(floor, 5)[4:]) | {"by": "kim"}
    with pytest.raises(Failed) as waits:
        start("StartAuditMitigationActionsTask", **asked)
    assert waits.value.name == "NeedsApproval"
    assert mitigation("MitigationCancel", taskId="w", **WORDS)["state"] == "rejected"
    with pytest.raises(Failed) as rejected:
        start("StartAuditMitigationActionsTask", **asked)
    assert rejected.value.name == "Rejected"
    with pytest.raises(floor.client().exceptions.ResourceNotFoundException):
        floor.client().describe_audit_mitigation_actions_task(taskId="w")


def test_what_is_not_there_or_has_ended_has_nothing_to_cancel(floor, functions, mitigation):
    with pytest.raises(Failed) as unknown:
        mitigation("MitigationCancel", taskId="none", **WORDS)
    assert unknown.value.name == "NoMitigation"
    functions("audit-commands")("StartAuditMitigationActionsTask", **of_findings("e", audited(floor, 7)[6:]))
    floor.advance(61)
    assert floor.client().describe_audit_mitigation_actions_task(taskId="e")["taskStatus"] == "COMPLETED"
    with pytest.raises(Failed) as ended:
        mitigation("MitigationCancel", taskId="e", **WORDS)
    assert ended.value.name == "NothingToCancel"
