"""The binary of a function of commands as Lambda runs it: behind a Runtime API, with a table and queues of an emulator.

Before it: the binary and an endpoint. After it: `invoke` gives an event's answer, or raises what the function says is
wrong. Its requests of AWS IoT go through the judge of the endpoint.
"""

import json
import os
import queue
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import boto3
import loopback

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "123456789012"
REGION = "us-east-1"


def binary(name):
    """FLEETWARDEN_BINARIES/NAME, or whichever is built."""
    given = os.environ.get("FLEETWARDEN_BINARIES")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    for folder in [Path(given)] if given else [target / "release", target / "debug"]:
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"{name} is not built: cargo build --release -p {name}")


class Failed(Exception):
    """The function's error, by the name that a workflow catches."""

    def __init__(self, error):
        super().__init__(f"{error['errorType']}: {error['errorMessage']}")
        self.name, self.words = error["errorType"], error["errorMessage"]


class Emulator:
    """A table and two queues, in a process of ministack's own."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.folder = tempfile.TemporaryDirectory()
        command = os.environ.get("FLEETWARDEN_MINISTACK", ROOT / ".venv/bin/ministack")
        settings = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1", "SFTP_ENABLED": "0"}
        settings |= {"MINISTACK_ACCOUNT_ID": ACCOUNT, "IOT_MTLS_ENABLED": "0", "TMPDIR": self.folder.name}
        log = open(Path(self.folder.name) / "log", "wb")
        self.process = subprocess.Popen([command], env=os.environ | settings, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                urlopen(f"{self.url}/_ministack/health", timeout=5).close()
                break
            except (URLError, OSError):
                time.sleep(0.05)
        self.client("dynamodb").create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "decided_at")],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "Mitigations",
                    "KeySchema": [
                        {"AttributeName": "sk", "KeyType": "HASH"},
                        {"AttributeName": "decided_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )
        self.queue = self.client("sqs").create_queue(QueueName="mitigation")["QueueUrl"]
        self.alarms = self.client("sqs").create_queue(QueueName="alarm")["QueueUrl"]

    def client(self, service):
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, **keys)

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self.folder.cleanup()


class Function:
    """The function's process, and the Runtime API that it asks for events."""

    def __init__(self, iot_url, emulator, policy, name="audit-commands", alias=None):
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}" + (f":{alias}" if alias else "")
        self.events, self.answers = queue.Queue(), queue.Queue()
        function = self

        class Runtime(loopback.Handler):
            def do_GET(self):
                event = function.events.get()
                self.send_response(200)
                headers = {"Lambda-Runtime-Aws-Request-Id": event["id"], "Lambda-Runtime-Deadline-Ms": str(event["deadline"])}
                headers |= {"Lambda-Runtime-Invoked-Function-Arn": arn}
                body = json.dumps(event["body"]).encode()
                for header, value in (headers | {"Content-Type": "application/json", "Content-Length": str(len(body))}).items():
                    self.send_header(header, value)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                function.answers.put((self.path.rsplit("/", 1)[-1], json.loads(body or b"null")))

        self.server = loopback.serve(Runtime)
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "policy.yaml"
        path.write_text(policy, encoding="utf-8")
        runtime = f"127.0.0.1:{self.server.server_port}"
        settings = {"AWS_LAMBDA_RUNTIME_API": runtime, "AWS_LAMBDA_FUNCTION_NAME": name}
        settings |= {"AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256"}
        settings |= {"AWS_LAMBDA_LOG_GROUP_NAME": "log", "AWS_LAMBDA_LOG_STREAM_NAME": "log", "AWS_REGION": REGION}
        settings |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "ACCOUNT_ID": ACCOUNT}
        settings |= {"AWS_ENDPOINT_URL": emulator.url, "AWS_ENDPOINT_URL_IOT": iot_url, "POLICY_PATH": str(path)}
        settings |= {"LEDGER_TABLE": "ledger", "MITIGATION_QUEUE_URL": emulator.queue, "FOLLOW_UP_SECONDS": "1"}
        settings |= {"ALARM_QUEUE_URL": emulator.alarms}
        environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        self.process = subprocess.Popen([binary(name)], env=environment | settings, stdout=subprocess.DEVNULL)
        self.count = 0

    def invoke(self, command, **members):
        """The answer to a command."""
        self.count += 1
        deadline = int((time.time() + 60) * 1000)
        self.events.put({"id": f"request-{self.count}", "deadline": deadline, "body": {"command": command, **members}})
        kind, body = self.answers.get(timeout=70)
        if kind == "response":
            return body
        raise Failed(body)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.server.shutdown()
        self.server.server_close()
        self.folder.cleanup()
