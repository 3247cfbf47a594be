"""Who replaces `aws iot` by `fleetwarden audit` or `fleetwarden detect` sends the same input.

Both get the same words. What the AWS CLI sends is recorded as it arrives. What fleetwarden gives its function is sent on by
boto3, and has to arrive in the same way.
"""

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import boto3
import loopback
import pytest
from answers import skeletons
from awscli.clidriver import create_clidriver
from botocore import xform_name
from botocore.exceptions import ParamValidationError
from botocore.session import Session
from botocore.utils import ArgumentGenerator
from examples import FOLDER, examples
from judge import AUDIT_OPERATIONS, DETECT_OPERATIONS

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
FAMILIES = {xform_name(name, "-"): "audit" for name in AUDIT_OPERATIONS}
FAMILIES |= {xform_name(name, "-"): "detect" for name in DETECT_OPERATIONS}
MODEL = Session().get_service_model("iot")
OPERATIONS = {xform_name(name, "-"): MODEL.operation_model(name) for name in AUDIT_OPERATIONS + DETECT_OPERATIONS}
# Options that are ours.
OURS = {"stack", "region", "profile", "endpoint-url", "output", "query", "wide", "dry-run", "confirm", "try-on", "try-hours", "help", "no-paginate"}
STARTS = {"start-audit-mitigation-actions-task", "start-detect-mitigation-actions-task"}
DOCUMENTED = sorted(
    path.stem for path in FOLDER.glob("*.rst") if any(words[0] in FAMILIES for words in examples(path.stem)[0])
)
# What an example forgets.
FORGOTTEN = {"cancel-audit-mitigation-actions-task": ["--task-id", "t"]}


def command():
    """FLEETWARDEN_COMMAND, or whichever binary is built."""
    given = os.environ.get("FLEETWARDEN_COMMAND")
    if given:
        return shlex.split(given)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    for folder in ("release", "debug"):
        if (target / folder / "fleetwarden").exists():
            return [str(target / folder / "fleetwarden")]
    raise FileNotFoundError("fleetwarden is not built: cargo build --release -p fleetwarden")


# CloudFormation's answer to DescribeStackResource.
STACK_RESOURCE = b"""<DescribeStackResourceResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
  <DescribeStackResourceResult>
    <StackResourceDetail>
      <LogicalResourceId>F</LogicalResourceId>
      <PhysicalResourceId>f</PhysicalResourceId>
      <ResourceType>AWS::Lambda::Function</ResourceType>
      <LastUpdatedTimestamp>2026-11-01T00:00:00.000Z</LastUpdatedTimestamp>
      <ResourceStatus>CREATE_COMPLETE</ResourceStatus>
    </StackResourceDetail>
  </DescribeStackResourceResult>
</DescribeStackResourceResponse>
"""


class Recorder:
    """A server that answers AWS IoT's requests and those of a stack, and remembers what it was asked."""

    def __init__(self):
        self.requests, self.events = [], []
        recorder = self

        class Answers(loopback.Handler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                answer = recorder.record(self.command, self.path, body)
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        self.server = loopback.serve(Answers)
        self.url = "http://127.0.0.1:%d" % self.server.server_port

    def record(self, method, path, body):
        if path == "/":
            return STACK_RESOURCE
        if urlsplit(path).path.endswith("/invocations"):
            self.events.append(json.loads(body))
            return b"{}"
        path = urlsplit(path)
        members = json.loads(body) if body else {}
        members.pop("clientRequestToken", None)
        self.requests.append((method, path.path, sorted(parse_qsl(path.query, keep_blank_values=True)), members))
        return b"{}"


@pytest.fixture(scope="module")
def recorder():
    recorder = Recorder()
    yield recorder
    recorder.server.shutdown()


@pytest.fixture
def both(recorder, tmp_path, monkeypatch):
    """What arrives of some words from the AWS CLI, and what of the same words from fleetwarden."""
    # The AWS CLI names its own data in a variable when it is imported.
    for name in [name for name in os.environ if name.startswith(("AWS_", "FLEETWARDEN_STACK"))]:
        if name != "AWS_DATA_PATH":
            monkeypatch.delenv(name)
    for name, value in (KEYS | {"AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": os.devnull}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def of_aws(words):
        recorder.requests.clear()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            try:
                code = create_clidriver().main(["--endpoint-url", recorder.url, "iot", *words])
            except SystemExit as end:
                code = end.code
        return (list(recorder.requests), said.getvalue()) if code == 0 else (None, said.getvalue())

    def of_fleetwarden(words):
        recorder.events.clear()
        words = [*command(), FAMILIES[words[0]], *words, "--endpoint-url", recorder.url]
        run = subprocess.run(words, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        if run.returncode:
            return None, run.stderr
        [event] = recorder.events
        operation = event.pop("command")
        members = {name: value for name, value in event.items() if name not in ("all", "clientRequestToken")}
        if "clientRequestToken" in event and operation != "StartOnDemandAuditTask":
            members["clientRequestToken"] = event["clientRequestToken"]
        recorder.requests.clear()
        try:
            getattr(boto3.client("iot", endpoint_url=recorder.url), xform_name(operation))(**members)
        except ParamValidationError as error:
            return None, str(error)
        return list(recorder.requests), run.stderr

    return lambda words: (of_aws(words), of_fleetwarden(words))


def test_most_commands_are_documented_with_an_example():
    documented = {words[0] for name in DOCUMENTED for words in examples(name)[0]}
    assert len(documented) > 50 and documented <= FAMILIES.keys(), sorted(documented)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_an_example_of_the_documentation_sends_the_same(both, tmp_path, name):
    found, files = examples(name)
    assert found, name
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    for words in found:
        (theirs, said), (ours, told) = both(words)
        if theirs is None:
            # Some examples are wrong. What the AWS CLI refuses is refused here too, and mended as its error says.
            assert ours is None, (words, said)
            words = [word.replace("file::", "file://").replace("c7691e<shortened>", "c7" * 32) for word in words]
            words += FORGOTTEN.get(name, [])
            (theirs, said), (ours, told) = both(words)
        assert theirs and theirs == ours, (words, said, told)


MAPPED = ("start-audit-mitigation-actions-task", "--task-id", "t", "--target")
BEHAVED = ("create-security-profile", "--security-profile-name", "p", "--behaviors")


@pytest.mark.parametrize("words", [
    ("list-audit-findings", "--task-id", "t", "--max-results", "5"),
    ("list-audit-findings", "--no-list-suppressed-findings", "--resource-identifier", "account=123456789012"),
    ("list-audit-findings", "--resource-identifier", "policyVersionIdentifier={policyName=p,policyVersionId=3}"),
    ("list-audit-findings", "--resource-identifier", '{"clientId": "a=b, c"}', "--start-time", "2026-11-23"),
    ("list-audit-findings", "--resource-identifier", "clientId='a=b, \\'c\\''", "--next-token", "t"),
    ("list-audit-findings", "--page-size", "7", "--starting-token", "t"),
    ("list-audit-findings", "--max-items", "5", "--page-size", "5"),
    ("list-audit-suppressions", "--ascending-order", "--no-paginate"),
    ("list-audit-tasks", "--start-time", "2026-11-23T08:00:00+01:00", "--end-time", "1795392000.5"),
    ("start-on-demand-audit-task", "--target-check-names", '["A", "B"]'),
    ("start-on-demand-audit-task", "--target-check-names", "file://checks.json"),
    ("start-on-demand-audit-task", "--target-check-names"),
    ("describe-audit-task", "--cli-input-json", '{"taskId": "a"}', "--task-id", "b"),
    ("describe-audit-task", "--cli-input-json", "file://task.json"),
    ("delete-account-audit-configuration", "--no-delete-scheduled-audits"),
    ("create-scheduled-audit", "--scheduled-audit-name", "n", "--frequency", "MONTHLY", "--day-of-month", "1",
     "--target-check-names", "A", "--tags", "Key=a,Value=1", "Key=b,Value='2,3'"),
    (*MAPPED, "findingIds=f,g", "--audit-check-to-actions-mapping", "A=x,y,B=[z],C=w"),
    (*MAPPED, "auditTaskId=t,auditCheckToReasonCodeFilter={A=[r]}", "--audit-check-to-actions-mapping", '{"A": ["x"]}'),
    (*BEHAVED, "name=b,metric=m,criteria={comparisonOperator=in-port-set,value={ports=[80,443]}},suppressAlerts=true",
     "name=c,metric=n,criteria={value={count=5},durationSeconds=300,consecutiveDatapointsToAlarm=1}"),
    (*BEHAVED, '[{"name": "b"}]', "--alert-targets", "SNS={alertTargetArn=arn:a,roleArn=arn:aws:iam::1:role/r}"),
    (*BEHAVED, "name=b", "--additional-metrics-to-retain", "m", "n", "--additional-metrics-to-retain-v2",
     "metric=m,metricDimension={dimensionName=d,operator=NOT_IN}", "--metrics-export-config",
     "mqttTopic=a/b,roleArn=arn:aws:iam::1:role/r"),
    ("create-security-profile", "--security-profile-name", "p", "--security-profile-description", "file://words"),
    ("update-security-profile", "--security-profile-name", "p", "--delete-behaviors", "--expected-version", "3"),
    ("create-mitigation-action", "--action-name", "a", "--role-arn", "arn:aws:iam::1:role/r", "--action-params",
     "addThingsToThingGroupParams={thingGroupNames=[g,h],overrideDynamicGroups=false}"),
    ("start-detect-mitigation-actions-task", "--task-id", "t", "--target", "violationIds=v", "--actions", "a", "b",
     "--violation-event-occurrence-range", "startTime=2026-11-23,endTime=1795392000", "--no-include-suppressed-alerts",
     "--client-request-token", "k"),
    ("create-dimension", "--name", "d", "--type", "TOPIC_FILTER", "--string-values", "a/#", "$aws/+"),
], ids=lambda words: words[0])
def test_every_way_to_write_a_value_sends_the_same(both, tmp_path, words):
    (tmp_path / "checks.json").write_text('["A"]')
    (tmp_path / "task.json").write_text('{"taskId": "c"}')
    (tmp_path / "words").write_text("some words")
    (theirs, said), (ours, told) = both([*words])
    assert theirs and theirs == ours, (said, told)


@pytest.mark.parametrize("words", [
    ("describe-audit-task",),
    ("describe-audit-task", "--task-id"),
    ("describe-audit-task", "--task-id", "t", "--no-such-option", "x"),
    ("list-audit-findings", "--max-results", "many"),
    ("list-audit-findings", "--resource-identifier", "account"),
    ("list-audit-findings", "--resource-identifier", "account=1,account=2"),
    ("list-audit-findings", "--resource-identifier", '{"account": '),
    ("start-on-demand-audit-task", "--target-check-names", '["A"'),
    ("describe-audit-task", "--cli-input-json", "[]"),
    ("describe-audit-task", "--task-id", "file://no-such-file"),
], ids=lambda words: " ".join(words))
def test_what_the_aws_cli_refuses_is_refused(both, words):
    (theirs, said), (ours, told) = both([*words])
    assert theirs is None and ours is None and told.strip(), (said, told)


@pytest.fixture(scope="module")
def documented_options():
    commands = create_clidriver()._get_command_table()["iot"]._get_command_table()
    return lambda name: set(commands[name].arg_table)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_command_has_the_options_of_the_aws_cli_and_its_skeleton(documented_options, name):
    run = subprocess.run([*command(), FAMILIES[name], name, "--help"], capture_output=True, text=True, timeout=60)
    options = set(re.findall(r"^ +(?:-\w, )?--([a-z0-9-]+)", run.stdout, re.MULTILINE))
    wanted = documented_options(name)
    # How many devices may be behind it, and who asks for it, are asked of what starts a mitigation only.
    ours = OURS | {"client-request-token"} | ({"by", "devices"} if name in STARTS else set())
    assert wanted - options == set() and options - wanted <= ours, run.stdout + run.stderr
    shape = OPERATIONS[name].input_shape
    theirs = ArgumentGenerator().generate_skeleton(shape)
    compare(skeleton(name), json.loads(json.dumps(theirs, default=str)), shape)
    assert skeleton(name, "output", "--cli-input-json", "{}") == json.loads(skeletons())[OPERATIONS[name].name]


def skeleton(name, *of):
    words = [*command(), FAMILIES[name], name, "--generate-cli-skeleton", *of]
    run = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_skeletons_of_answers_are_those_of_the_model():
    kept = ROOT / "local/fleetwarden/src/commands/audit/answers.json"
    assert kept.read_text() == skeletons(), "python tests/contract/answers.py writes them anew"


def compare(ours, theirs, shape):
    """Whether a skeleton is that of the AWS CLI, but for a choice, which is random there."""
    if shape.type_name == "structure":
        assert ours.keys() == theirs.keys(), shape.name
        for name, member in shape.members.items():
            compare(ours[name], theirs[name], member)
    elif shape.type_name == "list":
        assert len(ours) == len(theirs) == 1
        compare(ours[0], theirs[0], shape.member)
    elif shape.type_name == "map":
        [[key, value]], [their_value] = ours.items(), theirs.values()
        assert key in (getattr(shape.key, "enum", None) or ["KeyName"])
        compare(value, their_value, shape.value)
    elif shape.type_name == "timestamp":
        assert ours == "1970-01-01T00:00:00"
    elif getattr(shape, "enum", None):
        assert ours in shape.enum
    else:
        assert ours == theirs and type(ours) is type(theirs), shape.name
