"""Starts the endpoint on a free loopback port, with the judge before it."""

import json
import os
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.config import Config
from judge import Judge

ROOT = Path(__file__).resolve().parents[2]
ROLE = "arn:aws:iam::123456789012:role/AuditRole"
TOPIC = "arn:aws:sns:us-east-1:123456789012:audits"
AWS = Path(sys.executable).with_name("aws")


def pytest_collection_modifyitems(items):
    """What was seen is judged last."""
    items.sort(key=lambda item: item.path.name == "test_coverage.py")


def command():
    """The endpoint's command line: DEVICE_DEFENDER_COMMAND, or whichever binary is built."""
    given = os.environ.get("DEVICE_DEFENDER_COMMAND")
    if given:
        return shlex.split(given)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    for words in (["release/fleetwarden", "device-defender"], ["release/examples/serve"], ["debug/examples/serve"]):
        if (target / words[0]).exists():
            return [str(target / words[0]), *words[1:]]
    pytest.exit("no endpoint is built: cargo build --release -p device-defender --examples", returncode=2)


class Endpoint:
    """A running endpoint and the judge before it."""

    def __init__(self, *arguments):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [*command(), "--port", str(port), *map(str, arguments)], stdout=subprocess.DEVNULL
        )
        self.wait()
        self.judge = Judge(self.url)

    def wait(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                return self.control("GET", "clock")
            except OSError:
                time.sleep(0.01)
        raise RuntimeError("the endpoint did not start")

    def control(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        with urlopen(Request(f"{self.url}/_control/{path}", data, method=method), timeout=60) as response:
            return json.load(response)

    def client(self, **settings):
        return boto3.client(
            "iot",
            endpoint_url=self.judge.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, **settings),
        )

    def enable(self, *checks, topic=None):
        """Enables checks, all of them when none is named."""
        iot = self.client()
        checks = checks or iot.describe_account_audit_configuration()["auditCheckConfigurations"]
        more = {}
        if topic:
            more["auditNotificationTargetConfigurations"] = {
                "SNS": {"targetArn": topic, "roleArn": ROLE, "enabled": True}
            }
        iot.update_account_audit_configuration(
            roleArn=ROLE, auditCheckConfigurations={check: {"enabled": True} for check in checks}, **more
        )
        return list(checks)

    def audit(self, *checks):
        """Runs an audit to its end and gives its id."""
        iot = self.client()
        task = iot.start_on_demand_audit_task(targetCheckNames=self.enable(*checks))["taskId"]
        while iot.describe_audit_task(taskId=task)["taskStatus"] == "IN_PROGRESS":
            time.sleep(0.01)
        return task

    def findings(self, task, **filters):
        pages = self.client().get_paginator("list_audit_findings").paginate(
            taskId=task, PaginationConfig={"PageSize": 250}, **filters
        )
        return [finding for page in pages for finding in page["findings"]]

    def close(self):
        self.judge.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def running():
    endpoint = Endpoint("--findings", 400, "--rate-scale", 0, "--audit-ms", 30, "--mitigation-ms", 30)
    yield endpoint
    endpoint.close()


@pytest.fixture(scope="module")
def slow():
    """An endpoint where audits and mitigation tasks end only when its clock is advanced."""
    endpoint = Endpoint("--findings", 100, "--rate-scale", 0, "--audit-ms", 3600000, "--mitigation-ms", 3600000)
    yield endpoint
    endpoint.close()
    assert endpoint.judge.verdicts == []


@pytest.fixture
def endpoint(running):
    """A fresh world; at the end the endpoint must have done nothing wrong in the judge's eyes."""
    running.control("POST", "reset", {})
    running.judge.verdicts.clear()
    running.judge.bad_requests.clear()
    yield running
    assert running.judge.verdicts == []


@pytest.fixture
def iot(endpoint):
    return endpoint.client()


def driving(endpoint):
    """The AWS CLI on an endpoint: a function of a command and its arguments."""
    if not AWS.exists():
        pytest.skip("the AWS CLI is not installed beside this Python")
    environment = os.environ | {
        "AWS_ENDPOINT_URL_IOT": endpoint.judge.url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": os.devnull, "AWS_PAGER": "", "AWS_MAX_ATTEMPTS": "1",
    }

    def run(command, *arguments, fails=None):
        words = [argument if isinstance(argument, str) else json.dumps(argument) for argument in arguments]
        done = subprocess.run([sys.executable, str(AWS), "iot", command, *words], env=environment, capture_output=True, text=True)
        if fails:
            assert done.returncode != 0 and fails in done.stderr, done.stderr
            return None
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


@pytest.fixture
def aws(endpoint):
    return driving(endpoint)
