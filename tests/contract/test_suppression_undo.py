"""`mitigation-commands` puts suppressions back at the endpoint, by what another DynamoDB has of them; and an alias of it takes
its own commands alone."""

import hashlib
import json
import time

import boto3
import pytest
from conftest import Endpoint
from function import Emulator, Failed, Function

CHECK = "CONFLICTING_CLIENT_IDS_CHECK"
POLICY = "version: 1\nmode: enforce\nrules: [{ name: lab, suppress: { indefinitely: true, reason: x } }]\n"
AUDIT = "8850eced986ec360f9b350835a621bcf"
OURS = "Fleetwarden: rule lab; x"


def key(*parts):
    """The ledger's key of a suppression: each part with its length before it."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part.encode()).to_bytes(8, "big") + part.encode())
    return digest.digest()[:16].hex()


@pytest.fixture(scope="module")
def emulator():
    emulator = Emulator()
    yield emulator
    emulator.close()


@pytest.fixture(scope="module")
def served():
    endpoint = Endpoint("--findings", 10, "--rate-scale", 0)
    yield endpoint
    endpoint.close()


@pytest.fixture(scope="module")
def call(served, emulator):
    function = Function(served.judge.url, emulator, POLICY, "mitigation-commands")
    yield function.invoke
    function.close()


@pytest.fixture
def record(emulator, iot_of):
    """Has a rule change the suppression of a client, as `apply-suppressions` writes it down."""
    table = emulator.client("dynamodb")

    def record(client, before, at):
        resource = {"clientId": client}
        iot_of.create_audit_suppression(
            checkName=CHECK, resourceIdentifier=resource, suppressIndefinitely=True, description=OURS, clientRequestToken=client
        )
        change = {"auditTaskId": AUDIT, "rule": "lab", "at": at, "after": {"description": OURS}}
        change |= {"before": before} if before else {}
        item = {
            "pk": f"suppression#{key('suppressed', CHECK, 'clientId', client)}", "sk": "suppression", "decided_at": at, "nonce": "0",
            "check": CHECK, "resource": json.dumps(resource), "changes": json.dumps([change]),
        }
        table.put_item(TableName="ledger", Item={name: {"S": text} for name, text in item.items()})

    return record


@pytest.fixture(scope="module")
def iot_of(served):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("iot", endpoint_url=served.judge.url, region_name="us-east-1", **keys)


def test_what_was_there_before_is_there_again(call, record, iot_of):
    end = int(time.time()) + 30 * 86_400
    record("lamp-1", None, "2026-11-23T00:00:01Z")
    record("lamp-2", {"expiresAt": end, "description": "Fleetwarden: rule old; y"}, "2026-11-23T00:00:02Z")
    record("lamp-3", None, "2026-11-22T00:00:00Z")
    would = call("SuppressionUndo", since="2026-11-23", reason="a test", dryRun=True)
    assert [one["result"] for one in would["suppressions"]] == ["would-undo"] * 2
    done = call("SuppressionUndo", since="2026-11-23", rule="lab", reason="a test")
    assert [(one["resource"]["clientId"], one["step"].split(",")[0]) for one in done["suppressions"]] == [
        ("lamp-2", "UpdateAuditSuppression"), ("lamp-1", "DeleteAuditSuppression"),
    ]
    assert done["nextAudit"][0]["suppressesAgain"] is True
    left = {one["resourceIdentifier"]["clientId"]: one for one in iot_of.list_audit_suppressions()["suppressions"]}
    assert set(left) == {"lamp-2", "lamp-3"}
    assert (left["lamp-2"]["description"], int(left["lamp-2"]["expirationDate"].timestamp())) == ("Fleetwarden: rule old; y", end)
    again = call("SuppressionUndo", checkName=CHECK, resourceIdentifier={"clientId": "lamp-1"}, reason="a test")
    assert again["suppressions"][0]["result"] == "as-before"
    with pytest.raises(Failed) as failed:
        call("SuppressionUndo", checkName=CHECK, resourceIdentifier={"clientId": "lamp-9"}, reason="a test")
    assert failed.value.name == "NoSuppression"


def test_an_alias_takes_its_own_commands_alone(served, emulator):
    function = Function(served.judge.url, emulator, POLICY, "mitigation-commands", alias="read")
    try:
        assert "tasks" in function.invoke("MitigationList")
        with pytest.raises(Failed) as failed:
            function.invoke("MitigationPause", reason="a test")
        assert failed.value.name == "WrongAlias"
    finally:
        function.close()
