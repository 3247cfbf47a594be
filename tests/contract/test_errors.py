"""Every refusal: derived from the model where it can be, by hand where members must agree with each other."""

import json
import re
import time
from datetime import datetime, timedelta, timezone
from http.client import HTTPConnection
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from conftest import ROLE, Endpoint
from judge import AUDIT_OPERATIONS, DETECT_OPERATIONS, JUDGED_BY_THE_SERVICE, MEMBERSHIP_OPERATIONS, MODEL, REACH_OPERATIONS, REGISTRY_OPERATIONS, SHAPES, UNDO_OPERATIONS, matches

EXPIRING = "DEVICE_CERTIFICATE_EXPIRING_CHECK"
LOGGING = "LOGGING_DISABLED_CHECK"
CERTIFICATE = {"deviceCertificateId": "a" * 64}
LOG = {"enableIoTLoggingParams": {"roleArnForLogging": ROLE, "logLevel": "WARN"}}
OPERATIONS = [*AUDIT_OPERATIONS, *DETECT_OPERATIONS, *REGISTRY_OPERATIONS, *MEMBERSHIP_OPERATIONS, *UNDO_OPERATIONS, *REACH_OPERATIONS]


def send(url, method, path, query="", body=None, sign=True, headers=None):
    """A signed request that no client has looked at. Gives status, error and body."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    request = AWSRequest(method, url + path + ("?" + query if query else ""), data=data, headers=headers or {})
    if sign:
        SigV4Auth(Credentials("test", "test"), "iot", "us-east-1").add_auth(request)
    connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request(method, path + ("?" + query if query else ""), data, dict(request.headers))
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    return response.status, response.getheader("x-amzn-errortype"), answer.decode()


def call(url, operation, members):
    """Places members where the model says they go."""
    http = MODEL["operations"][operation]["http"]
    shape = SHAPES[MODEL["operations"][operation]["input"]["shape"]]
    path, query, headers, body = http["requestUri"], [], {}, {}
    for name, value in members.items():
        reference = shape["members"].get(name, {})
        text = quote(str(value).lower() if isinstance(value, bool) else str(value), safe="")
        if reference.get("location") == "uri":
            path = path.replace("{%s}" % reference["locationName"], text)
        elif reference.get("location") == "querystring":
            query.append(f"{reference['locationName']}={text}")
        elif reference.get("location") == "header":
            headers[reference["locationName"]] = str(value)
        elif name == shape.get("payload"):
            body = value
        else:
            body[name] = value
    return send(url, http["method"], path, "&".join(query), body or None, headers=headers)


def sample(name, in_query=False):
    """The smallest good value of a shape."""
    shape = SHAPES[name]
    kind = shape["type"]
    if name == "AuditCheckName":
        return LOGGING
    if kind == "string":
        return shape.get("enum", ["1" * max(shape.get("min", 1), 1)])[0]
    if kind == "structure":
        return {member: sample(shape["members"][member]["shape"]) for member in shape.get("required", [])}
    if kind == "list":
        return [sample(shape["member"]["shape"])] * shape.get("min", 1)
    if kind == "map":
        return {sample(shape["key"]["shape"]): sample(shape["value"]["shape"])}
    if kind == "timestamp":
        return "2026-01-01T00:00:00Z" if in_query else 1_767_225_600
    return {"boolean": True}.get(kind, shape.get("min", 1))


def spoilt(name, in_query):
    """Values that a shape does not allow, each with what is wrong."""
    shape = SHAPES[name]
    kind = shape["type"]
    if not in_query:
        yield "type", {"string": 7, "boolean": "yes", "timestamp": "2026-01-01T00:00:00Z"}.get(kind, "text")
    elif kind in ("integer", "long", "boolean", "timestamp"):
        yield "type", "certainly"
    if "enum" in shape:
        yield "enum", "SOMETHING_ELSE"
    if "pattern" in shape and "enum" not in shape and shape["pattern"] != r"[\s\S]*":
        size = max(shape.get("min", 1), 1)
        yield "pattern", "\u0007" * size if "p{" in shape["pattern"] else "!" * size
    if kind in ("string", "integer", "long") and "max" in shape:
        yield "max", "1" * (shape["max"] + 1) if kind == "string" else shape["max"] + 1
    if kind in ("integer", "long") and "min" in shape:
        yield "min", shape["min"] - 1
    if kind == "string" and shape.get("min", 0) > (1 if in_query else 0):
        yield "min", "1" * (shape["min"] - 1)
    if kind == "list":
        if "max" in shape:
            yield "max", [sample(shape["member"]["shape"])] * (shape["max"] + 1)
        if shape.get("min"):
            yield "min", []
        for what, value in spoilt(shape["member"]["shape"], False):
            yield f"item {what}", [value]
    if kind == "map":
        for what, value in spoilt(shape["value"]["shape"], False):
            yield f"value {what}", {sample(shape["key"]["shape"]): value}
    if kind == "structure":
        good = sample(name)
        for member in shape.get("required", []):
            yield f"no {member}", {key: value for key, value in good.items() if key != member}
        for member, reference in shape["members"].items():
            for what, value in spoilt(reference["shape"], False):
                yield f"{member} {what}", {**good, member: value}


def good_members(operation):
    """The required members of an operation, as small as can be."""
    shape = SHAPES[MODEL["operations"][operation]["input"]["shape"]]
    members = ((name, shape["members"][name]) for name in shape.get("required", []))
    return {name: sample(of["shape"], of.get("location") == "querystring") for name, of in members}


def bad_requests():
    for operation in OPERATIONS:
        shape = SHAPES[MODEL["operations"][operation]["input"]["shape"]]
        required, good = shape.get("required", []), good_members(operation)
        if "InvalidRequestException" not in {error["shape"] for error in MODEL["operations"][operation]["errors"]}:
            continue
        for name, reference in shape["members"].items():
            place = reference.get("location")
            # A member that is the whole body has no name in it.
            if name == shape.get("payload"):
                continue
            if name in required and place != "uri":
                yield pytest.param(operation, name, {k: v for k, v in good.items() if k != name}, id=f"{operation}-{name}-missing")
            for what, value in spoilt(reference["shape"], place in ("uri", "querystring", "header")):
                if operation in JUDGED_BY_THE_SERVICE and re.search("consecutiveDatapoints.* (min|max)$", what):
                    continue
                yield pytest.param(operation, name, {**good, name: value}, id=f"{operation}-{name}-{what}")


@pytest.mark.parametrize(("operation", "member", "members"), bad_requests())
def test_what_the_model_forbids_is_refused(endpoint, operation, member, members):
    status, error, body = call(endpoint.judge.url, operation, members)
    assert (status, error) == (400, "InvalidRequestException"), body
    assert member in body
    assert endpoint.judge.bad_requests


def allowed(name):
    """The least and the greatest that a shape allows, each with what it is."""
    shape = SHAPES[name]
    kind = shape["type"]
    least, most = shape.get("min", 0), shape.get("max")
    if kind == "string":
        texts = shape.get("enum") or ["1" * size for size in (least, most) if size] + ["p99.99", "LAST", "a1b2"]
        fits = lambda text: least <= len(text) <= (most or len(text)) and matches(shape.get("pattern", ".*"), text)
        yield from (("text", text) for text in texts if "enum" in shape or fits(text))
    elif kind in ("integer", "long"):
        yield from (("number", number) for number in (shape.get("min"), most) if number is not None)
    elif kind == "double":
        yield from (("number", number) for number in (-1.5, 0, 1e300))
    elif kind == "list":
        yield from (("items", [sample(shape["member"]["shape"])] * size) for size in (least, most or 7))
        yield from ((f"item {what}", [value]) for what, value in allowed(shape["member"]["shape"]))
    elif kind == "map":
        yield from ((what, {sample(shape["key"]["shape"]): value}) for what, value in allowed(shape["value"]["shape"]))
    elif kind == "structure":
        good = sample(name)
        for member, reference in shape["members"].items():
            yield from ((f"{member} {what}", {**good, member: value}) for what, value in allowed(reference["shape"]))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_the_model_allows_is_no_validation_error(endpoint, operation):
    good = good_members(operation)
    for name, reference in SHAPES[MODEL["operations"][operation]["input"]["shape"]]["members"].items():
        for what, value in allowed(reference["shape"]):
            if value or value == 0:
                answer = call(endpoint.judge.url, operation, {**good, name: value})[2]
                assert "validation error" not in answer, f"{name} {what}: {answer}"
    assert endpoint.judge.bad_requests == []


@pytest.mark.parametrize("operation", OPERATIONS)
def test_declared_faults(endpoint, operation):
    good = good_members(operation)
    declared = {error["shape"] for error in MODEL["operations"][operation]["errors"]}
    # The operations on logging declare no throttling, and have another name for a failure of the service.
    internal = "InternalException" if "InternalException" in declared else "InternalFailureException"
    for kind, status, error in (("throttle", 400, "ThrottlingException"), ("internal-failure", 500, internal)):
        if error not in declared:
            continue
        endpoint.control("POST", "faults", {"faults": [{"operation": operation, "kind": kind, "count": 1}]})
        assert call(endpoint.judge.url, operation, good)[:2] == (status, error)
    assert endpoint.control("GET", "faults") == {"faults": []}


def refused(code, status, operation, words="", **members):
    with pytest.raises(ClientError) as caught:
        operation(**members)
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), error
    assert words in error["Error"]["Message"]
    return error


def invalid(operation, words, **members):
    return refused("InvalidRequestException", 400, operation, words, **members)


def test_missing_resources(endpoint, iot):
    key = {"checkName": EXPIRING, "resourceIdentifier": CERTIFICATE}
    for operation, members in [
        (iot.delete_account_audit_configuration, {}),
        (iot.describe_scheduled_audit, {"scheduledAuditName": "none"}),
        (iot.update_scheduled_audit, {"scheduledAuditName": "none"}),
        (iot.delete_scheduled_audit, {"scheduledAuditName": "none"}),
        (iot.describe_audit_task, {"taskId": "none"}),
        (iot.cancel_audit_task, {"taskId": "none"}),
        (iot.describe_audit_finding, {"findingId": "none"}),
        (iot.list_related_resources_for_audit_finding, {"findingId": "none"}),
        (iot.describe_audit_suppression, key),
        (iot.update_audit_suppression, {**key, "suppressIndefinitely": True}),
        (iot.describe_mitigation_action, {"actionName": "none"}),
        (iot.update_mitigation_action, {"actionName": "none"}),
        (iot.describe_audit_mitigation_actions_task, {"taskId": "none"}),
        (iot.cancel_audit_mitigation_actions_task, {"taskId": "none"}),
        (iot.list_principal_things, {"principal": f"arn:aws:iot:us-east-1:123456789012:cert/{'a' * 64}"}),
        (iot.describe_thing, {"thingName": "none"}),
        (iot.list_thing_groups_for_thing, {"thingName": "none"}),
        (iot.describe_thing_group, {"thingGroupName": "none"}),
        (iot.list_things_in_thing_group, {"thingGroupName": "none", "recursive": True}),
        (iot.list_thing_groups, {"parentGroup": "none"}),
        (iot.list_thing_principals, {"thingName": "none"}),
        (iot.get_policy, {"policyName": "none"}),
        (iot.describe_security_profile, {"securityProfileName": "none"}),
        (iot.update_security_profile, {"securityProfileName": "none"}),
        (iot.describe_custom_metric, {"metricName": "none"}),
        (iot.update_custom_metric, {"metricName": "none", "displayName": "n"}),
        (iot.describe_dimension, {"name": "none"}),
        (iot.update_dimension, {"name": "none", "stringValues": ["a"]}),
    ]:
        refused("ResourceNotFoundException", 404, operation, **members)


def test_configuration_rules(endpoint, iot):
    update = iot.update_account_audit_configuration
    on, off = {"enabled": True}, {"enabled": False}
    invalid(update, "roleArn", auditCheckConfigurations={LOGGING: on})
    invalid(update, "auditCheckConfigurations", roleArn=ROLE)
    invalid(update, "auditCheckConfigurations", roleArn=ROLE, auditCheckConfigurations={"REVOKED_CA_CERT_CHECK": on})
    invalid(update, "targetArn", roleArn=ROLE, auditCheckConfigurations={LOGGING: on},
            auditNotificationTargetConfigurations={"SNS": {"enabled": True}})
    days = lambda value: {"enabled": True, "configuration": {"CERT_EXPIRATION_THRESHOLD_IN_DAYS": value}}
    invalid(update, "30 to 3652", roleArn=ROLE, auditCheckConfigurations={EXPIRING: days("29")})
    invalid(update, "CERT_EXPIRATION", roleArn=ROLE, auditCheckConfigurations={LOGGING: days("60")})
    assert "roleArn" not in iot.describe_account_audit_configuration()
    endpoint.enable(LOGGING, EXPIRING)
    iot.create_scheduled_audit(frequency="DAILY", targetCheckNames=[LOGGING], scheduledAuditName="daily")
    invalid(update, LOGGING, auditCheckConfigurations={LOGGING: off})
    update(auditCheckConfigurations={EXPIRING: off})


def test_schedule_rules(endpoint, iot):
    endpoint.enable(LOGGING)
    create = lambda **members: iot.create_scheduled_audit(**{"targetCheckNames": [LOGGING], "scheduledAuditName": "s", **members})
    invalid(create, "dayOfWeek", frequency="BIWEEKLY")
    invalid(create, "dayOfMonth", frequency="MONTHLY", dayOfWeek="MON")
    invalid(create, "targetCheckNames", frequency="DAILY", targetCheckNames=[])
    invalid(create, EXPIRING, frequency="DAILY", targetCheckNames=[EXPIRING])
    create(frequency="DAILY")
    error = refused("ResourceAlreadyExistsException", 409, create, frequency="DAILY")
    assert (error["resourceId"], error["resourceArn"][-16:]) == ("s", ":scheduledaudit/s"[-16:])
    invalid(iot.update_scheduled_audit, "dayOfWeek", scheduledAuditName="s", frequency="WEEKLY")
    for number in range(4):
        create(frequency="DAILY", scheduledAuditName=f"s{number}")
    refused("LimitExceededException", 410, create, frequency="DAILY", scheduledAuditName="sixth")


def test_audit_rules(endpoint, iot):
    invalid(iot.start_on_demand_audit_task, LOGGING, targetCheckNames=[LOGGING])
    done = endpoint.audit(LOGGING)
    invalid(iot.cancel_audit_task, "not in progress", taskId=done)
    now = datetime.now(timezone.utc)
    invalid(iot.list_audit_tasks, "90 days", startTime=now - timedelta(days=91), endTime=now)
    invalid(iot.list_audit_tasks, "startTime", startTime=now, endTime=now - timedelta(1))
    invalid(iot.list_audit_findings, "taskId")
    invalid(iot.list_audit_findings, "taskId", taskId=done, startTime=now, endTime=now)
    invalid(iot.list_audit_findings, "endTime", startTime=now)
    invalid(iot.list_audit_findings, "checkName", taskId=done, checkName="NO_CHECK")
    invalid(iot.list_audit_findings, "nextToken", taskId=done, nextToken="made-up")
    assert iot.list_audit_findings(taskId="unknown")["findings"] == []


def test_suppression_rules(endpoint, iot):
    key = {"checkName": EXPIRING, "resourceIdentifier": CERTIFICATE}
    create, now = iot.create_audit_suppression, datetime.now(timezone.utc)
    invalid(create, "expirationDate", **key)
    invalid(create, "expirationDate", **key, suppressIndefinitely=False)
    invalid(create, "expirationDate", **key, suppressIndefinitely=True, expirationDate=now + timedelta(1))
    invalid(create, "future", **key, expirationDate=now - timedelta(1))
    invalid(create, "deviceCertificateId", checkName=EXPIRING, resourceIdentifier={"clientId": "x"}, suppressIndefinitely=True)
    half = {"policyVersionIdentifier": {"policyName": "p"}}
    for call in (create, iot.describe_audit_suppression, iot.delete_audit_suppression):
        more = {"suppressIndefinitely": True} if call is create else {}
        invalid(call, "policyVersionId", checkName="IOT_POLICY_OVERLY_PERMISSIVE_CHECK", resourceIdentifier=half, **more)
    create(**key, suppressIndefinitely=True, clientRequestToken="once")
    refused("ResourceAlreadyExistsException", 409, create, **key, suppressIndefinitely=True)
    other = {"checkName": EXPIRING, "resourceIdentifier": {"deviceCertificateId": "b" * 64}}
    refused("ResourceAlreadyExistsException", 409, create, **other, suppressIndefinitely=True, clientRequestToken="once")
    endpoint.control("POST", "rules", {"mostSuppressions": 1, "lapsedStay": True})
    refused("LimitExceededException", 410, create, **other, suppressIndefinitely=True)
    endpoint.control("POST", "rules", {"mostSuppressions": None, "lapsedStay": True})
    iot.delete_audit_suppression(**key)
    create(**other, suppressIndefinitely=True, clientRequestToken="once")


def test_action_rules(endpoint, iot):
    create = iot.create_mitigation_action
    invalid(create, "exactly one", actionName="a", roleArn=ROLE, actionParams={})
    invalid(create, "exactly one", actionName="a", roleArn=ROLE,
            actionParams={**LOG, "updateCACertificateParams": {"action": "DEACTIVATE"}})
    disabled = {"enableIoTLoggingParams": {"roleArnForLogging": ROLE, "logLevel": "DISABLED"}}
    invalid(create, "logLevel", actionName="a", roleArn=ROLE, actionParams=disabled)
    made = create(actionName="a", roleArn=ROLE, actionParams=LOG)
    error = refused("ResourceAlreadyExistsException", 409, create, actionName="a", roleArn=ROLE, actionParams=LOG)
    assert (error["resourceId"], error["resourceArn"]) == (made["actionId"], made["actionArn"])
    for number in range(99):
        create(actionName=f"a{number}", roleArn=ROLE, actionParams=LOG)
    refused("LimitExceededException", 410, create, actionName="b", roleArn=ROLE, actionParams=LOG)


def test_task_rules(endpoint, iot):
    iot.create_mitigation_action(actionName="log", roleArn=ROLE, actionParams=LOG)
    audit = endpoint.audit()
    log = endpoint.findings(audit, checkName=LOGGING)[0]["findingId"]
    other = endpoint.findings(audit, checkName=EXPIRING)[0]["findingId"]
    mapping = {LOGGING: ["log"]}
    start = lambda target, mapping=mapping, task="t", **more: iot.start_audit_mitigation_actions_task(
        taskId=task, target=target, auditCheckToActionsMapping=mapping, **more)
    invalid(start, "auditTaskId", target={})
    invalid(start, "both", target={"auditTaskId": audit, "findingIds": [log]})
    invalid(start, "auditTaskId", target={"findingIds": [log], "auditCheckToReasonCodeFilter": {LOGGING: ["X"]}})
    invalid(start, "does not exist", target={"findingIds": ["none"]})
    invalid(start, "does not exist", target={"auditTaskId": "none"})
    invalid(start, "no-such-action", target={"findingIds": [log]}, mapping={LOGGING: ["no-such-action"]})
    invalid(start, EXPIRING, target={"findingIds": [log, other]})
    invalid(start, "auditCheckToActionsMapping", target={"findingIds": [log]}, mapping={})
    start({"findingIds": [log]}, clientRequestToken="one")
    start({"findingIds": [log]}, clientRequestToken="one")
    refused("TaskAlreadyExistsException", 400, start, target={"findingIds": [log]}, clientRequestToken="two")
    invalid(start, "clientRequestToken", target={"auditTaskId": audit}, clientRequestToken="one")
    invalid(start, "clientRequestToken", target={"findingIds": [log]}, task="u", clientRequestToken="one")
    time.sleep(0.05)
    invalid(iot.cancel_audit_mitigation_actions_task, "not in progress", taskId="t")


def test_thing_rules(endpoint, iot):
    certificate = endpoint.findings(endpoint.audit(EXPIRING))[0]["nonCompliantResource"]["resourceIdentifier"]
    principal = f"arn:aws:iot:us-east-1:123456789012:cert/{certificate['deviceCertificateId']}"
    for bad in (certificate["deviceCertificateId"], principal[:-1], principal.replace(":cert/", ":cacert/"), "arn:aws:iot"):
        invalid(iot.list_principal_things, "principal", principal=bad)
    for elsewhere in (principal.replace("us-east-1", "eu-west-1"), principal.replace("123456789012", "210987654321")):
        refused("ResourceNotFoundException", 404, iot.list_principal_things, "certificate", principal=elsewhere)
    identity = "us-east-1:b3f8e2a1-0c4d-4e5f-8a9b-0123456789ab"
    assert iot.list_principal_things(principal=identity)["things"] == []
    raw = endpoint.client(parameter_validation=False)
    for bad in ("a b", "a/b", "a" * 129):
        invalid(raw.describe_thing, "thingName", thingName=bad)
        invalid(raw.list_thing_groups_for_thing, "thingName", thingName=bad)
        invalid(raw.describe_thing_group, "thingGroupName", thingGroupName=bad)
        invalid(raw.list_things_in_thing_group, "thingGroupName", thingGroupName=bad)
    refused("ResourceNotFoundException", 404, iot.describe_thing, thingName="a:b")
    token = iot.list_things_in_thing_group(thingGroupName="fleet", recursive=True)["nextToken"]
    things = lambda **members: iot.list_things_in_thing_group(nextToken=token, **members)
    assert things(thingGroupName="fleet", recursive=True, maxResults=1)["things"]
    invalid(things, "nextToken", thingGroupName="fleet", recursive=False)
    invalid(things, "nextToken", thingGroupName="production", recursive=True)
    invalid(iot.list_principal_things, "nextToken", principal=principal, nextToken="made-up")
    for one in ({"attributeName": "site"}, {"attributeValue": "north"}):
        invalid(iot.list_things, "together", **one)
    token = iot.list_things(thingTypeName="sensor", maxResults=1)["nextToken"]
    invalid(iot.list_things, "nextToken", thingTypeName="camera", nextToken=token)
    marker = iot.list_certificates(pageSize=1)["nextMarker"]
    assert iot.list_certificates(pageSize=2, marker=marker)["certificates"]
    invalid(iot.list_certificates, "marker", marker=marker, ascendingOrder=True)
    invalid(iot.list_policies, "marker", marker=marker)


def test_before_any_operation(endpoint):
    url = endpoint.judge.url
    assert send(url, "GET", "/audit/nothing")[:2] == (404, "UnknownOperationException")
    assert send(url, "GET", "/audit/configuration", sign=False)[:2] == (403, "MissingAuthenticationTokenException")
    assert send(url, "POST", "/audit/findings", body=b"{half")[:2] == (400, "InvalidRequestException")
    assert send(endpoint.url, "POST", "/audit/findings", body=b" " * (1 << 20) + b"{}")[0] == 413


def test_limits_on_what_runs(slow):
    iot = slow.client()
    slow.enable()
    for _ in range(10):
        audit = iot.start_on_demand_audit_task(targetCheckNames=[LOGGING])["taskId"]
    refused("LimitExceededException", 410, iot.start_on_demand_audit_task, targetCheckNames=[LOGGING])
    slow.control("POST", "clock", {"advanceMs": 3600000})
    finding = iot.list_audit_findings(taskId=audit)["findings"][0]["findingId"]
    iot.create_mitigation_action(actionName="log", roleArn=ROLE, actionParams=LOG)
    start = lambda task: iot.start_audit_mitigation_actions_task(
        taskId=task, target={"findingIds": [finding]}, auditCheckToActionsMapping={LOGGING: ["log"]})
    for number in range(10):
        start(f"t{number}")
    refused("LimitExceededException", 410, start, task="t10")


@pytest.mark.parametrize(
    ("operation", "members", "burst"),
    [
        ("list_scheduled_audits", {}, 5),
        ("list_principal_things", {"principal": "arn:aws:iam::123456789012:role/Operator"}, 10),
        ("list_things_in_thing_group", {"thingGroupName": "fleet"}, 25),
        ("list_things", {}, 10),
        ("list_security_profiles", {}, 10),
        ("list_custom_metrics", {}, 10),
    ],
)
def test_published_rates(operation, members, burst):
    throttled = Endpoint("--findings", 0, "--rate-scale", 1)
    try:
        call = getattr(throttled.client(), operation)
        codes = []
        for _ in range(burst * 2 + 2):
            try:
                codes.append(call(**members)["ResponseMetadata"]["HTTPStatusCode"])
            except ClientError as error:
                codes.append(error.response["Error"]["Code"])
        assert codes[:burst] == [200] * burst and "ThrottlingException" in codes
        assert throttled.judge.verdicts == []
    finally:
        throttled.close()
