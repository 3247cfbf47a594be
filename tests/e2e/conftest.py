"""Runs the operator's command line with the real release binaries, and a stack that the tests share.

What must be there: `cargo build --release` and ministack (`make venv`). FLEETWARDEN_COMMAND, FLEETWARDEN_BINARIES
and FLEETWARDEN_MINISTACK name others.
"""

import json
import os
import queue
import shlex
import signal
import subprocess
import threading
import time
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ["audit-notification", "triage-findings", "apply-suppressions", "apply-mitigations", "export-findings"]
FUNCTIONS += ["audit-commands", "mitigation-commands", "suppression-review", "audit-watch"]
FUNCTIONS += ["detect-alarm", "alarm-watch", "ml-model-status", "detect-commands"]


def command():
    return shlex.split(os.environ.get("FLEETWARDEN_COMMAND", str(ROOT / "target/release/fleetwarden")))


def pytest_sessionstart(session):
    binaries = Path(os.environ.get("FLEETWARDEN_BINARIES", ROOT / "target/release"))
    ministack = Path(os.environ.get("FLEETWARDEN_MINISTACK", ROOT / ".venv/bin/ministack"))
    wanted = [Path(command()[0]), ministack, *(binaries / name for name in FUNCTIONS)]
    missing = [str(path) for path in wanted if not path.exists()]
    if missing:
        pytest.exit(f"not there: {', '.join(missing)}; run make build venv", returncode=2)


def fleetwarden(*arguments, **more):
    """Runs a subcommand to its end."""
    more = {"capture_output": True, "text": True, "timeout": 900, "cwd": ROOT} | more
    return subprocess.run([*command(), *map(str, arguments)], **more)


def demo(folder, *arguments, code=0):
    """Runs the demonstration and returns its summary, with the report of its last audit."""
    path = folder / "summary.json"
    run = fleetwarden("demo", "--summary", path, *arguments)
    assert run.returncode == code, run.stdout + run.stderr
    return json.loads(path.read_text()) | {"report": json.loads((folder / "report.json").read_text())}


class Stack:
    """A stack that is up."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [*command(), "up", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        self.variables, self.outputs, self.log = {}, {}, None
        said = queue.Queue()
        threading.Thread(target=self.read, args=(said,), daemon=True).start()
        try:
            self.remark = said.get(timeout=120)
        except queue.Empty:
            self.close()
            raise RuntimeError("the stack is not up after two minutes") from None
        if self.remark is None:
            raise RuntimeError(f"the stack did not come up: {self.process.stderr.read()}")

    def read(self, said):
        """Reads the variables and the outputs; the last output is followed by the remark that all is up."""
        for line in self.process.stderr:
            if "the stack is up" in line:
                self.log = Path(line.split("emulator's log: ")[1].split(")")[0])
                break
        else:
            return said.put(None)
        for line in self.process.stdout:
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").strip().partition("=")
                self.variables[name] = value
            else:
                name, _, value = line.removeprefix("# ").strip().partition(": ")
                self.outputs[name] = value
                if name == "TriageFindingsFunctionName":
                    break
        said.put("up")

    def client(self, service):
        url = self.variables["AWS_ENDPOINT_URL_IOT" if service == "iot" else "AWS_ENDPOINT_URL"]
        return boto3.client(
            service,
            endpoint_url=url,
            region_name=self.variables["AWS_REGION"],
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 3}),
        )

    def depth(self, output):
        """How many messages a queue holds, wherever they are."""
        attributes = self.client("sqs").get_queue_attributes(QueueUrl=self.outputs[output], AttributeNames=["All"])
        names = ["", "NotVisible", "Delayed"]
        return sum(int(attributes["Attributes"][f"ApproximateNumberOfMessages{name}"]) for name in names)

    def drained(self, output, seconds=30):
        """Waits until a queue holds nothing, and says whether it does."""
        deadline = time.monotonic() + seconds
        while (depth := self.depth(output)) and time.monotonic() < deadline:
            time.sleep(0.2)
        return depth == 0

    def take(self, output, count, seconds=60):
        """Takes so many messages off a queue: their bodies with their reasons."""
        sqs, url, taken = self.client("sqs"), self.outputs[output], []
        deadline = time.monotonic() + seconds
        while len(taken) < count and time.monotonic() < deadline:
            answer = sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageAttributeNames=["All"]
            )
            for message in answer.get("Messages", []):
                reason = message.get("MessageAttributes", {}).get("reason", {}).get("StringValue")
                taken.append((message["Body"], reason))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return taken

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def stack():
    stack = Stack("--findings", 200)
    yield stack
    stack.close()
