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
    source |= {"audit-commands": "invoke-describe-configuration"}
    event = ROOT / "events" / f"{source.get(name, 'sqs-finding-page')}.json"
    # Credentials without an endpoint are those of an account: the function must not get them.
    real = {"AWS_ACCESS_KEY_ID": "AKIAREAL", "AWS_SECRET_ACCESS_KEY": "real", "AWS_PROFILE": "production"}
    run = fleetwarden("invoke", name, "-e", event, env=clean() | real)
    answer = json.loads(run.stdout)
    failed = answer.get("batchItemFailures") or answer.get("errorType")
    assert failed, run.stdout + run.stderr


def test_a_function_that_is_not_there_and_an_event_that_is_not_there_say_so():
    run = fleetwarden("invoke", "no-such-function", "-e", ROOT / "events/sqs-check.json", env=clean())
    assert run.returncode == 1 and "the template has no function no-such-function" in run.stderr
    run = fleetwarden("invoke", "triage-findings", "-e", "/nowhere.json", env=clean())
    assert run.returncode == 1 and "/nowhere.json" in run.stderr


@pytest.mark.parametrize(("event", "more"), [("sns-no-json", []), ("sns-unknown-shape", ["--deployed"])])
def test_a_function_runs_with_the_environment_of_a_stack_that_is_up(stack, event, more):
    path = ROOT / "events" / f"{event}.json"
    run = fleetwarden("invoke", "audit-notification", "-e", path, *more, env=clean() | stack.variables)
    assert run.returncode == 0, run.stderr
    [(_, reason)] = stack.take("NotificationDeadLetterQueueUrl", 1)
    assert reason


@pytest.mark.parametrize("more", [[], ["--deployed"]])
def test_a_command_is_done_in_a_stack_that_is_up(stack, more):
    path = ROOT / "events/invoke-describe-configuration.json"
    run = fleetwarden("invoke", "audit-commands", "-e", path, *more, env=clean() | stack.variables)
    assert run.returncode == 0, run.stderr
    described = stack.client("iot").describe_account_audit_configuration()
    del described["ResponseMetadata"]
    assert json.loads(run.stdout) == described
    path = ROOT / "events/invoke-delete-configuration.json"
    run = fleetwarden("invoke", "audit-commands", "-e", path, *more, env=clean() | stack.variables)
    assert json.loads(run.stdout)["errorType"] == "ConfirmationRequired", run.stdout + run.stderr


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
