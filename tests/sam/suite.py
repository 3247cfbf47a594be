"""`sam build` of every function, then each of them with each of its events in SAM's containers.

It comes after `run.py`, which makes the environment. The first event of a function comes by `sam local invoke`; the
others come by `sam local start-lambda`, which takes seconds less for each, to one environment after the other, as in
AWS. The functions in the containers are those that SAM built. They talk to a stack on this machine that the
`fleetwarden` command brings up; what they leave on its queues is taken up by the stack's own functions, which are the
same binaries.
"""

import argparse
import contextlib
import functools
import json
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time

import boto3
import botocore.config
import engine
import events
import glibc
import image
import relay

ROOT = events.ROOT
FOLDER = ROOT / "target" / "sam"
UP_SECONDS = 120
# Within which an invocation's last line of the log is there after its answer.
LOG_SECONDS = 5
# Within which a function gets to what another worker holds: longer than any lease of an invocation that has ended.
BUSY_SECONDS = 90
BUSY = "Fleetwarden.Later"
# This machine's processor; the template's default is the cheaper one in AWS.
PARAMETERS = ["--parameter-overrides", "Architecture=x86_64", "EnableDetect=true"]


def environment(**more):
    """The environment of the SAM CLI: no telemetry, and the compiler of the machine instead of zig's."""
    settings = {"SAM_CLI_TELEMETRY": "0", "CARGO_LAMBDA_COMPILER": "cargo"}
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, **settings, "PATH": path, "AWS_DEFAULT_REGION": "us-east-1", **more}


def build():
    """Builds what would be deployed; compiled code is shared with `cargo build`."""
    command = ["sam", "build", *PARAMETERS, "--build-dir", FOLDER / "build", "--no-cached"]
    began = time.monotonic()
    subprocess.run(command, cwd=ROOT, env=environment(), check=True)
    print(f"sam build: {time.monotonic() - began:.1f} s", flush=True)
    binaries = sorted((FOLDER / "build").glob("*Function/bootstrap"))
    for binary in binaries:
        glibc.check(binary)
    return binaries


def folder_of_binaries(folder):
    """What SAM built, by the names of the binaries, as the stack wants them."""
    binaries = pathlib.Path(folder) / "binaries"
    binaries.mkdir()
    for function in sorted((FOLDER / "build").glob("*Function/bootstrap")):
        words = re.findall("[A-Z][a-z]+", function.parent.name.removesuffix("Function"))
        (binaries / "-".join(words).lower()).symlink_to(function)
    return binaries


@contextlib.contextmanager
def stack(command):
    """A stack on this machine: its variables. It ends with the block."""
    with tempfile.TemporaryDirectory() as folder, (FOLDER / "up.log").open("wb") as log:
        file = pathlib.Path(folder) / "env"
        bring = [command, "up", "--detect", "--env-file", file, "--binaries", folder_of_binaries(folder)]
        up = subprocess.Popen(bring, cwd=ROOT, stdout=log, stderr=log)
        try:
            until = time.monotonic() + UP_SECONDS
            while not (file.exists() and file.read_text(encoding="utf-8").endswith("\n")):
                if up.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"the stack did not come up; see {FOLDER / 'up.log'}")
                time.sleep(0.2)
            exports = map(shlex.split, file.read_text(encoding="utf-8").splitlines())
            yield dict(variable.split("=", 1) for _export, variable in exports)
        finally:
            up.terminate()
            up.wait(timeout=60)


def client(variables, service, endpoint="AWS_ENDPOINT_URL"):
    """A client of the stack that is up."""
    return boto3.client(
        service,
        endpoint_url=variables[endpoint],
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )


def audited(variables):
    """The event of an audit that has run in the stack: one that Device Defender confirms."""
    iot = client(variables, "iot", "AWS_ENDPOINT_URL_IOT")
    task = iot.start_on_demand_audit_task(targetCheckNames=["LOGGING_DISABLED_CHECK"])["taskId"]
    while (described := iot.describe_audit_task(taskId=task))["taskStatus"] == "IN_PROGRESS":
        time.sleep(0.2)
    path = FOLDER / "sns-audit-of-the-stack.json"
    path.write_text(json.dumps(events.announcement(task, described)), encoding="utf-8")
    return path


def cases(variables):
    """Each event with its function. The audit runs last: the commands among the events find none."""
    yield from events.cases()
    yield audited(variables), "AuditNotificationFunction"


def outputs(variables):
    """The outputs of the one stack that is up."""
    (found,) = client(variables, "cloudformation").describe_stacks()["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}


def local(subcommand, env_file):
    """A command of the SAM CLI that runs what was built."""
    command = ["sam", "local", *subcommand, "--template", FOLDER / "build" / "template.yaml", *PARAMETERS]
    command += ["--config-file", ROOT / "samconfig.toml"]
    return [*command, "--env-vars", env_file, "--skip-pull-image", "--layer-cache-basedir", FOLDER / "layers"]


def parsed(answer):
    """What a function answered; it answers an error if it failed, and if it answered nothing."""
    try:
        return json.loads(answer)
    except ValueError:
        return {"errorType": "no answer", "errorMessage": answer[-400:]}


def invoke(function, event, env_file, settings):
    """One invocation by `sam local invoke`: what the function answered, and its log."""
    command = local(["invoke", function, "--event", event], env_file)
    ended = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
    return parsed("".join(ended.stdout.strip().splitlines()[-1:])), ended.stderr


class Lambda:
    """`sam local start-lambda`, with one container for each function."""

    def __init__(self, env_file, settings):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = FOLDER / "start-lambda.log"
        command = local(["start-lambda", "--host", "127.0.0.1", "--port", str(self.port)], env_file)
        command += ["--warm-containers", "LAZY"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=settings, stdout=log, stderr=log)
        self.client = boto3.client(
            "lambda",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="none",
            aws_secret_access_key="none",
            config=botocore.config.Config(read_timeout=900, retries={"total_max_attempts": 1}),
        )

    def __enter__(self):
        until = time.monotonic() + UP_SECONDS
        while self.process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            time.sleep(0.2)
        self.close()
        raise SystemExit(f"sam local start-lambda does not answer; see {self.log}")

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends it and its containers. Now and then it hangs while it ends, when all has been asked of it."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            print("sam local start-lambda does not end: it is killed", flush=True)
            self.process.kill()
            self.process.wait()

    def invoke(self, function, event):
        """One invocation: what the function answered, and its log, which comes a moment after the answer."""
        before = self.log.stat().st_size
        answer = self.client.invoke(FunctionName=function, Payload=event.read_bytes())["Payload"].read().decode()
        until = time.monotonic() + LOG_SECONDS
        while not counted(log := self.lines(before)) and time.monotonic() < until:
            time.sleep(0.05)
        return parsed(answer), log

    def lines(self, before):
        """The log since a place, without a line that is still being written."""
        written, newline, _ = self.log.read_bytes()[before:].rpartition(b"\n")
        return (written + newline).decode()


def counted(log):
    """The counts of the invocation, which every function prints as its last metric."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    counts = [line for line in lines if "_aws" in line and "Parked" in line]
    return counts[-1] if counts else {}


def until_free(invocation):
    """An invocation, again while another worker is at the same work, as Lambda retries it.

    The stack takes up its own audit, too: whichever comes second is told to come back.
    """
    until = time.monotonic() + BUSY_SECONDS
    while True:
        answer, log = invocation()
        is_busy = isinstance(answer, dict) and answer.get("errorType") == BUSY
        if not is_busy or time.monotonic() > until:
            return answer, log
        time.sleep(1)


def failed(event, answer, log):
    """What is wrong with an invocation; nothing if each record ended as it should."""
    if event.stem.startswith("invoke-"):
        error = answer.get("errorType") if isinstance(answer, dict) else "no answer"
        return None if error == events.REFUSED.get(event.stem) else f"{error}: {answer}"
    if isinstance(answer, dict) and "errorType" in answer:
        return f"{answer['errorType']}: {answer.get('errorMessage')}"
    if isinstance(answer, dict) and answer.get("batchItemFailures"):
        return f"to be retried: {answer['batchItemFailures']}"
    records = json.loads(event.read_text(encoding="utf-8"))["Records"]
    expected = {"Records": len(records), "Failed": 0, "Parked": events.PARKED.get(event.stem, 0)}
    found = {name: counted(log).get(name) for name in expected}
    return None if found == expected else f"counted {found} instead of {expected}"


def run(arguments):
    """Everything, in order; returns the number of events that were not handled."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    binaries = build()
    with contextlib.ExitStack() as ending:
        host = ending.enter_context(engine.running(FOLDER / "docker"))
        variables = ending.enter_context(stack(arguments.fleetwarden))
        urls = {name: url for name, url in variables.items() if name.startswith("AWS_ENDPOINT_URL")}
        relayed = ending.enter_context(relay.listening(engine.gateway(host), urls))
        image.make(host, binaries, relayed)
        env_file = FOLDER / "env-vars.json"
        env_file.write_text(json.dumps(events.variables(outputs(variables)), indent=2), encoding="utf-8")
        # The SAM CLI has no business with the stack: it hands only region and credentials on.
        own = {k: v for k, v in variables.items() if not k.startswith("AWS_ENDPOINT_URL")}
        settings = environment(DOCKER_HOST=host, **own)
        served = ending.enter_context(Lambda(env_file, settings))
        failures, seen = 0, set()
        for path, function in cases(variables):
            began = time.monotonic()
            if function in seen:
                invocation = functools.partial(served.invoke, function, path)
            else:
                invocation = functools.partial(invoke, function, path, env_file, settings)
            answer, log = until_free(invocation)
            seen.add(function)
            wrong = failed(path, answer, log)
            failures += wrong is not None
            seconds = time.monotonic() - began
            print(f"{'FAILED' if wrong else 'ok':6} {seconds:5.1f} s  {function:26} {path.name}", flush=True)
            if wrong:
                print(f"       {wrong}\n{log}", file=sys.stderr)
    return failures


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fleetwarden", default=ROOT / "target" / "release" / "fleetwarden")
    raise SystemExit(min(run(parser.parse_args()), 1))


if __name__ == "__main__":
    main()
