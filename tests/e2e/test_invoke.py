"""One function, one event: alone, within a stack, and never by accident at AWS."""

import json
import os
import subprocess
import time

import pytest
from conftest import FUNCTIONS, ROOT, Stack, command, fleetwarden


def clean():
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_alone_reaches_nobody(name):
    source = {"audit-notification": "sns-audit-completed", "triage-findings": "sqs-check"}
    source |= {"apply-suppressions": "sqs-suppression", "apply-mitigations": "sqs-mitigation-start"}
    source |= {"audit-commands": "invoke-describe-configuration", "suppression-review": "invoke-review-dry-run"}
    source |= {"detect-alarm": "sqs-alarm-raised", "detect-commands": "invoke-detect-list-violations"}
    source |= {"mitigation-commands": "invoke-mitigation-list"}
    source |= {"audit-watch": "invoke-audit-watch-dry-run"}
    source |= {"alarm-watch": "invoke-alarm-watch", "ml-model-status": "invoke-model-status"}
    event = ROOT / "events" / f"{source.get(name, 'sqs-finding-page')}.json"
    # Credentials without an endpoint are those of an account: the function must not get them.
    real = {"AWS_ACCESS_KEY_ID": "AKIAREAL", "AWS_SECRET_ACCESS_KEY": "real", "AWS_PROFILE": "production"}
    run = fleetwarden("invoke", name, "-e", event, env=clean() | real)
    answer = json.loads(run.stdout)
    failed = answer.get("batchItemFailures") or answer.get("errorType")
    assert failed, run.stdout + run.stderr
    assert f"{name} asked AWS, and there is no stack: fleetwarden up brings one up" in run.stderr
    assert "Connection refused" not in run.stdout + run.stderr


@pytest.mark.parametrize("event", ["[]", '["a"]', "[{}]", '"a"', "7", "null"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_event_that_is_no_object_is_refused(name, event):
    run = fleetwarden("invoke", name, "-e", "-", input=event, env=clean())
    assert run.returncode == 1 and json.loads(run.stdout)["errorType"], run.stdout + run.stderr
    assert "asked AWS" not in run.stderr


def test_files_of_windows_powershell_are_read(tmp_path):
    event, variables = tmp_path / "event.json", tmp_path / "variables"
    event.write_bytes('{"command": "DescribeAuditTasks"}'.encode("utf-16"))
    variables.write_bytes("ACCOUNT_ID=000000000000\r\n".encode("utf-16"))
    run = fleetwarden("invoke", "audit-commands", "-e", event, "--env-file", variables, env=clean())
    assert "did you mean 'DescribeAuditTask'?" in run.stdout, run.stdout + run.stderr


@pytest.mark.parametrize("url", ["localhost:4566", "ftp://localhost"])
def test_an_address_without_its_scheme_is_told_by_its_variable(url):
    environment = clean() | {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    run = fleetwarden("invoke", "audit-commands", "-e", ROOT / "events/invoke-list-findings.json", env=environment)
    assert run.returncode == 1 and "AWS_ENDPOINT_URL must begin with http:// or https://" in run.stderr


def test_a_function_that_is_not_there_and_an_event_that_is_not_there_say_so():
    run = fleetwarden("invoke", "no-such-function", "-e", ROOT / "events/sqs-check.json", env=clean())
    assert run.returncode == 1 and "the template has no function no-such-function; there are" in run.stderr
    run = fleetwarden("invoke", "triage", "-e", ROOT / "events/sqs-check.json", env=clean())
    assert run.returncode == 1 and "triage-findings" in run.stderr
    run = fleetwarden("invoke", "triage-findings", "-e", "/nowhere.json", env=clean())
    assert run.returncode == 1 and "/nowhere.json" in run.stderr


@pytest.mark.parametrize(("event", "more"), [("sns-no-json", []), ("sns-unknown-shape", ["--deployed"])])
def test_a_function_runs_with_the_environment_of_a_stack_that_is_up(stack, event, more):
    path = ROOT / "events" / f"{event}.json"
    run = fleetwarden("invoke", "audit-notification", "-e", path, *more, env=clean() | stack.variables)
    assert run.returncode == 0, run.stderr
    [(_, reason)] = stack.take("NotificationDeadLetterQueueUrl", 1)
    assert reason


def invoke(stack, event, *more):
    """What audit-commands answers in a stack."""
    run = fleetwarden("invoke", "audit-commands", "-e", "-", *more, input=json.dumps(event), env=clean() | stack.variables)
    assert run.stdout, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("more", [[], ["--deployed"]])
def test_a_command_answers_as_boto3_does(stack, more):
    iot = stack.client("iot")
    checks = {"LOGGING_DISABLED_CHECK": {"enabled": True}, "DEVICE_CERTIFICATE_SHARED_CHECK": {"enabled": True}}
    role = "arn:aws:iam::123456789012:role/AuditRole"
    change = {"command": "UpdateAccountAuditConfiguration", "roleArn": role, "auditCheckConfigurations": checks}
    assert invoke(stack, change, *more) == {}
    start = {"command": "StartOnDemandAuditTask", "targetCheckNames": list(checks)}
    task = invoke(stack, start | {"clientRequestToken": f"t-{len(more)}"}, *more)["taskId"]
    while iot.describe_audit_task(taskId=task)["taskStatus"] == "IN_PROGRESS":
        time.sleep(0.05)
    for command, members in [
        ("describe_account_audit_configuration", {}),
        ("list_scheduled_audits", {"maxResults": 5}),
        ("describe_audit_task", {"taskId": task}),
        ("list_audit_findings", {"taskId": task, "maxResults": 3}),
        ("list_audit_suppressions", {"ascendingOrder": False}),
        ("list_mitigation_actions", {}),
    ]:
        expected = getattr(iot, command)(**members)
        del expected["ResponseMetadata"]
        expected = json.loads(json.dumps(expected, default=lambda time: time.timestamp()))
        answer = invoke(stack, {"command": command.replace("_", "-"), **members}, *more)
        assert numbers(answer) == numbers(expected), command
    refused = invoke(stack, json.loads((ROOT / "events/invoke-delete-configuration.json").read_text()), *more)
    assert refused["errorType"] == "ConfirmationRequired"


def numbers(value):
    """The value with its numbers as one type: a time has no fraction, or one of zero."""
    if isinstance(value, dict):
        return {name: numbers(member) for name, member in value.items()}
    if isinstance(value, list):
        return [numbers(member) for member in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def test_a_command_is_done_from_the_command_line(stack):
    environment = clean() | stack.variables
    run = fleetwarden("audit", "list-mitigation-actions", env=environment)
    assert run.returncode == 0 and "ACTION" in run.stdout, run.stdout + run.stderr
    run = fleetwarden("audit", "list-mitigation-actions", "--max-results", "1", "--output", "json", env=environment)
    assert len(json.loads(run.stdout)["actionIdentifiers"]) == 1
    run = fleetwarden("audit", "delete-account-audit-configuration", env=environment)
    assert run.returncode == 1 and "ConfirmationRequired\nto delete the audit configuration" in run.stderr
    assert "Confirm with --confirm 123456789012" in run.stderr
    for more, begins in [([], "# "), (["--format", "html"], "<!doctype html>"), (["--output", "json"], '{\n  "account":')]:
        run = fleetwarden("audit", "audit-report", *more, env=environment)
        assert run.returncode == 0 and run.stdout.startswith(begins), run.stdout + run.stderr
    run = fleetwarden("audit", "list-audit-task", env=environment)
    assert run.returncode == 2 and "'list-audit-tasks'" in run.stderr
    tasks = ("audit", "list-audit-tasks", "--start-time", "2026-11-01", "--end-time", "2026-11-02")
    run = fleetwarden(*tasks, "--stack", "other", env=environment)
    assert run.returncode == 1 and "of the stack other in us-east-1" in run.stderr
    # Without variables, a profile and an instance there is nobody to ask.
    run = fleetwarden(*tasks, env=clean() | {"HOME": "/nowhere", "AWS_EC2_METADATA_DISABLED": "true"})
    assert run.returncode == 1 and "no credentials of AWS" in run.stderr


def test_mitigations_are_listed_and_shown_from_the_command_line(stack):
    environment = clean() | stack.variables
    names = ["LOGGING_DISABLED_CHECK", "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK"]
    checks = {name: {"enabled": True} for name in names}
    change = {"command": "UpdateAccountAuditConfiguration", "roleArn": "arn:aws:iam::123456789012:role/AuditRole"}
    assert invoke(stack, change | {"auditCheckConfigurations": checks}) == {}
    start = {"command": "StartOnDemandAuditTask", "targetCheckNames": list(checks), "clientRequestToken": "mitigated"}
    audit = invoke(stack, start)["taskId"]
    tasks, deadline = [], time.monotonic() + 60
    while not tasks and time.monotonic() < deadline:
        run = fleetwarden("mitigation", "list", "--state", "observed", "--output", "json", env=environment)
        assert run.returncode == 0, run.stderr
        tasks = [task for task in json.loads(run.stdout)["tasks"] if task["auditTaskId"] == audit]
        time.sleep(0.2)
    assert tasks, "no mitigation of the audit is in the ledger"
    run = fleetwarden("mitigation", "list", "--audit-task-id", audit, env=environment)
    assert run.returncode == 0 and tasks[0]["taskId"] in run.stdout, run.stdout + run.stderr
    run = fleetwarden("mitigation", "show", tasks[0]["taskId"], env=environment)
    assert f"Mitigation {tasks[0]['taskId']}: observed\n" in run.stdout, run.stdout + run.stderr
    assert f"rule {tasks[0]['rule']}\n" in run.stdout
    run = fleetwarden("mitigation", "show", "fw-none", env=environment)
    assert run.returncode == 1 and "NoMitigation\n" in run.stderr, run.stdout + run.stderr
    run = fleetwarden("mitigation", "show", "../x", env=environment)
    assert run.returncode == 1 and "InvalidInput\n$.taskId: " in run.stderr, run.stdout + run.stderr


def twice_at_a_time_of_the_schedule(stack, function):
    """The answers to the event of a schedule, by the binary alone and by the deployed function."""
    event = json.dumps({"scheduledAt": "2026-11-22T06:00:00Z"})
    for more in ([], ["--deployed"]):
        run = fleetwarden("invoke", function, "-e", "-", *more, input=event, env=clean() | stack.variables)
        assert run.returncode == 0, run.stdout + run.stderr
        yield json.loads(run.stdout)


def test_a_review_is_done_once_for_each_time_of_its_schedule(stack):
    first, second = twice_at_a_time_of_the_schedule(stack, "suppression-review")
    assert (first["mode"], first["gaps"], first["debt"]["suppressions"]) == ("observe", [], 0)
    assert second == {"slot": "2026-11-22T06:00:00Z", "repeated": True}


def test_the_audits_are_watched_once_for_each_time_of_the_schedule(stack):
    first, second = twice_at_a_time_of_the_schedule(stack, "audit-watch")
    assert (first["looksRefused"], first["auditsUnheard"]) == (0, 0), first
    assert second == {"slot": "2026-11-22T06:00:00Z", "repeated": True}


def test_a_stack_ends_with_its_command_and_leaves_nothing_running():
    stack = Stack("--findings", 20)
    marker = f"AWS_ENDPOINT_URL_IOT={stack.variables['AWS_ENDPOINT_URL_IOT']}".encode()
    assert running(marker)
    stack.close()
    time.sleep(0.2)
    assert not running(marker)


def running(marker):
    """Processes that have this in their environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as environment:
                if marker in environment.read().split(b"\0"):
                    found.append(pid)
        except OSError:
            continue
    return found


def test_what_is_missing_is_said():
    run = subprocess.run(
        [*command(), "up", "--ministack", "/no/such/ministack"], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert run.returncode == 1 and "run make" in run.stderr
