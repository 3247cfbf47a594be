"""The AWS CLI drives the endpoint by its documented commands. It parses answers in its own way."""

import time

from conftest import ROLE, TOPIC, driving

LOGGING = "LOGGING_DISABLED_CHECK"


def test_the_commands_of_the_registry(endpoint, aws):
    certificates = [
        finding["nonCompliantResource"]["resourceIdentifier"]["deviceCertificateId"]
        for finding in endpoint.findings(endpoint.audit("DEVICE_CERTIFICATE_SHARED_CHECK"))
    ]
    principals = [f"arn:aws:iot:us-east-1:123456789012:cert/{certificate}" for certificate in certificates[:8]]
    listed = [aws("list-principal-things", "--principal", principal, "--page-size", "1")["things"] for principal in principals]
    assert any(len(things) > 1 for things in listed)
    name = listed[0][0]
    thing = aws("describe-thing", "--thing-name", name)
    assert thing["thingName"] == name and thing["attributes"]["stage"]
    groups = [group["groupName"] for group in aws("list-thing-groups-for-thing", "--thing-name", name)["thingGroups"]]
    for group in groups:
        assert aws("describe-thing-group", "--thing-group-name", group)["thingGroupName"] == group
        assert name in aws("list-things-in-thing-group", "--thing-group-name", group)["things"]
    assert groups
    below = aws("list-thing-groups", "--parent-group", "production", "--no-recursive", "--page-size", "1")["thingGroups"]
    assert {group["groupName"] for group in below} == {"production-north", "production-south"}
    direct = aws("list-things-in-thing-group", "--thing-group-name", "production", "--no-recursive")["things"]
    below = aws("list-things-in-thing-group", "--thing-group-name", "production", "--recursive", "--page-size", "50")["things"]
    assert set(direct) < set(below) and len(below) > 50
    assert aws("list-thing-principals", "--thing-name", name, "--page-size", "1")["principals"] == [principals[0]]
    cameras = aws("list-things", "--thing-type-name", "camera", "--page-size", "9")["things"]
    assert len(cameras) > 9 and {thing["thingTypeName"] for thing in cameras} == {"camera"}
    assert aws("list-things", "--attribute-name", "site", "--attribute-value", "nor", "--use-prefix-attribute-value")["things"]
    fleet = endpoint.control("GET", "state")["fleet"]
    assert len(aws("list-certificates")["certificates"]) == fleet["deviceCertificates"]
    assert len(aws("list-ca-certificates", "--ascending-order")["certificates"]) == fleet["caCertificates"]
    policies = aws("list-policies")["policies"]
    assert len(policies) == fleet["policies"]
    assert aws("get-policy", "--policy-name", policies[0]["policyName"])["defaultVersionId"].isdigit()
    assert "fleet-role-alias-0" in aws("list-role-aliases")["roleAliases"]
    # These name their page size as the CLI's own option, which asks for one page then.
    assert len(aws("list-certificates", "--page-size", "9")["certificates"]) == 9
    aws("list-principal-things", "--principal", principals[0][:-1] + "g", fails="InvalidRequestException")
    aws("describe-thing", "--thing-name", "none", fails="ResourceNotFoundException")
    assert endpoint.judge.bad_requests == []


def test_the_documented_commands(endpoint, aws):
    period = ("--start-time", str(int(time.time()) - 3600), "--end-time", str(int(time.time()) + 3600))
    aws("update-account-audit-configuration", "--role-arn", ROLE,
        "--audit-notification-target-configurations", {"SNS": {"targetArn": TOPIC, "roleArn": ROLE, "enabled": True}},
        "--audit-check-configurations", {LOGGING: {"enabled": True}, "DEVICE_CERTIFICATE_SHARED_CHECK": {"enabled": True}})
    assert aws("describe-account-audit-configuration")["roleArn"] == ROLE
    aws("create-scheduled-audit", "--scheduled-audit-name", "weekly", "--frequency", "WEEKLY", "--day-of-week", "WED",
        "--target-check-names", LOGGING)
    aws("update-scheduled-audit", "--scheduled-audit-name", "weekly", "--day-of-week", "MON")
    assert aws("describe-scheduled-audit", "--scheduled-audit-name", "weekly")["dayOfWeek"] == "MON"
    assert len(aws("list-scheduled-audits")["scheduledAudits"]) == 1
    aws("delete-scheduled-audit", "--scheduled-audit-name", "weekly")

    task = aws("start-on-demand-audit-task", "--target-check-names", LOGGING, "DEVICE_CERTIFICATE_SHARED_CHECK")["taskId"]
    assert aws("describe-audit-task", "--task-id", task)["taskStatus"] == "COMPLETED"
    aws("cancel-audit-task", "--task-id", task, fails="InvalidRequestException")
    assert aws("list-audit-tasks", *period)["tasks"][0]["taskId"] == task
    truth = endpoint.control("GET", f"findings-count?taskId={task}")
    findings = aws("list-audit-findings", "--task-id", task, "--page-size", "7")["findings"]
    assert len(findings) == truth["unsuppressed"] > 25
    finding = next(f for f in findings if f["checkName"] == LOGGING)["findingId"]
    shared = next(f for f in findings if f["checkName"] != LOGGING)["findingId"]
    assert aws("describe-audit-finding", "--finding-id", finding)["finding"]["severity"] == "LOW"
    assert aws("list-related-resources-for-audit-finding", "--finding-id", shared)["relatedResources"]

    key = ("--check-name", LOGGING, "--resource-identifier", "account=123456789012")
    aws("create-audit-suppression", *key, "--no-suppress-indefinitely", "--expiration-date", str(int(time.time()) + 9000),
        "--description", "Logging comes later")
    assert aws("describe-audit-suppression", *key)["description"] == "Logging comes later"
    aws("update-audit-suppression", *key, "--suppress-indefinitely")
    assert len(aws("list-audit-suppressions")["suppressions"]) == 1
    aws("delete-audit-suppression", *key)

    aws("create-mitigation-action", "--action-name", "log", "--role-arn", ROLE,
        "--action-params", {"enableIoTLoggingParams": {"roleArnForLogging": ROLE, "logLevel": "ERROR"}})
    aws("update-mitigation-action", "--action-name", "log", "--role-arn", ROLE + "2")
    assert aws("describe-mitigation-action", "--action-name", "log")["actionType"] == "ENABLE_IOT_LOGGING"
    assert aws("list-mitigation-actions", "--action-type", "ENABLE_IOT_LOGGING")["actionIdentifiers"]
    aws("start-audit-mitigation-actions-task", "--task-id", "fix", "--client-request-token", "fix",
        "--target", {"findingIds": [finding]}, "--audit-check-to-actions-mapping", {LOGGING: ["log"]})
    assert aws("describe-audit-mitigation-actions-task", "--task-id", "fix")["taskStatus"] == "COMPLETED"
    assert aws("list-audit-mitigation-actions-tasks", *period)["tasks"]
    executions = aws("list-audit-mitigation-actions-executions", "--task-id", "fix", "--finding-id", finding)
    assert executions["actionsExecutions"][0]["status"] == "COMPLETED"
    aws("cancel-audit-mitigation-actions-task", "--task-id", "fix", fails="InvalidRequestException")
    aws("delete-mitigation-action", "--action-name", "log")
    aws("delete-account-audit-configuration", "--delete-scheduled-audits")
    assert endpoint.control("GET", "state")["fleet"]["loggingEnabled"]
    assert endpoint.judge.bad_requests == []


def test_the_commands_that_cancel(slow):
    aws = driving(slow)
    slow.enable(LOGGING)
    task = aws("start-on-demand-audit-task", "--target-check-names", LOGGING)["taskId"]
    aws("cancel-audit-task", "--task-id", task)
    assert aws("describe-audit-task", "--task-id", task)["taskStatus"] == "CANCELED"
    audit = slow.client().start_on_demand_audit_task(targetCheckNames=[LOGGING])["taskId"]
    slow.control("POST", "clock", {"advanceMs": 3600000})
    finding = slow.findings(audit)[0]["findingId"]
    params = {"enableIoTLoggingParams": {"roleArnForLogging": ROLE, "logLevel": "ERROR"}}
    aws("create-mitigation-action", "--action-name", "log", "--role-arn", ROLE, "--action-params", params)
    aws("start-audit-mitigation-actions-task", "--task-id", "fix",
        "--target", {"findingIds": [finding]}, "--audit-check-to-actions-mapping", {LOGGING: ["log"]})
    aws("cancel-audit-mitigation-actions-task", "--task-id", "fix")
    assert aws("describe-audit-mitigation-actions-task", "--task-id", "fix")["taskStatus"] == "CANCELED"
    assert slow.judge.bad_requests == []


def test_the_commands_of_detect(endpoint, aws):
    all_things = ("--security-profile-target-arn", "arn:aws:iot:us-east-1:123456789012:all/things")
    name, metric, dimension = ("--security-profile-name", "p"), ("--metric-name", "battery"), ("--name", "d")
    criteria = {"comparisonOperator": "greater-than", "value": {"number": 5}}
    behaviors = [{"name": "b", "metric": "battery", "criteria": criteria}]
    aws("create-custom-metric", *metric, "--metric-type", "number", "--display-name", "Battery")
    assert aws("update-custom-metric", *metric, "--display-name", "Charge")["displayName"] == "Charge"
    assert aws("describe-custom-metric", *metric)["metricType"] == "number"
    assert aws("list-custom-metrics")["metricNames"] == ["battery"]
    aws("create-dimension", *dimension, "--type", "TOPIC_FILTER", "--string-values", "a/#", "b/+")
    assert aws("update-dimension", *dimension, "--string-values", "a/#")["stringValues"] == ["a/#"]
    assert aws("describe-dimension", *dimension)["type"] == "TOPIC_FILTER"
    assert aws("list-dimensions")["dimensionNames"] == ["d"]
    assert aws("validate-security-profile-behaviors", "--behaviors", behaviors)["valid"] is True
    aws("create-security-profile", *name, "--behaviors", behaviors,
        "--alert-targets", {"SNS": {"alertTargetArn": TOPIC, "roleArn": ROLE}})
    updated = aws("update-security-profile", *name, "--expected-version", "1", "--delete-alert-targets")
    assert updated["version"] == 2 and updated["behaviors"][0]["criteria"]["value"] == {"number": 5.0}
    assert "alertTargets" not in aws("describe-security-profile", *name)
    assert [profile["name"] for profile in aws("list-security-profiles", *metric)["securityProfileIdentifiers"]] == ["p"]
    aws("delete-custom-metric", *metric, fails="InvalidRequestException")
    aws("attach-security-profile", *name, *all_things)
    assert len(aws("list-security-profiles-for-target", *all_things, "--no-recursive")["securityProfileTargetMappings"]) == 1
    assert aws("list-targets-for-security-profile", *name)["securityProfileTargets"] == [{"arn": all_things[1]}]
    aws("detach-security-profile", *name, *all_things)
    assert aws("list-security-profiles-for-target", *all_things)["securityProfileTargetMappings"] == []
    aws("delete-security-profile", *name, "--expected-version", "1", fails="VersionConflictException")
    aws("delete-security-profile", *name, "--expected-version", "2")
    aws("delete-custom-metric", *metric)
    aws("delete-dimension", *dimension)
    assert endpoint.judge.bad_requests == []


def test_the_commands_of_violations(endpoint, aws):
    limit = {"comparisonOperator": "less-than", "value": {"count": 0}, "durationSeconds": 300}
    model = {"mlDetectionConfig": {"confidenceLevel": "HIGH"}}
    name = ("--security-profile-name", "p")
    aws("create-security-profile", *name, "--behaviors", [
        {"name": "b", "metric": "aws:num-messages-sent", "criteria": limit},
        {"name": "m", "metric": "aws:num-disconnects", "criteria": model},
    ])
    aws("attach-security-profile", *name, "--security-profile-target-arn", "arn:aws:iot:us-east-1:123456789012:thinggroup/lab")
    endpoint.control("POST", "clock", {"advanceMs": 1_200_000})
    now = endpoint.control("GET", "clock")["nowMs"] // 1000
    period = ("--start-time", str(now - 3600), "--end-time", str(now + 3600))
    violation = aws("list-active-violations", *name, "--page-size", "1")["activeViolations"][0]
    thing = ("--thing-name", violation["thingName"])
    event, = aws("list-violation-events", *period, *thing, "--behavior-criteria-type", "STATIC")["violationEvents"]
    assert (event["violationId"], event["violationEventType"]) == (violation["violationId"], "in-alarm")
    aws("put-verification-state-on-violation", "--violation-id", violation["violationId"],
        "--verification-state", "FALSE_POSITIVE", "--verification-state-description", "too strict")
    verified = aws("list-active-violations", "--verification-state", "FALSE_POSITIVE", "--no-list-suppressed-alerts")
    assert [one["verificationStateDescription"] for one in verified["activeViolations"]] == ["too strict"]
    values = aws("list-metric-values", *thing, *period, "--metric-name", "aws:num-messages-sent")["metricDatumList"]
    assert all("count" in datum["value"] for datum in values) and len(values) >= 2
    summary, = aws("get-behavior-model-training-summaries", *name)["summaries"]
    assert (summary["behaviorName"], summary["modelStatus"]) == ("m", "PENDING_BUILD")
    aws("create-mitigation-action", "--action-name", "move", "--role-arn", ROLE,
        "--action-params", {"addThingsToThingGroupParams": {"thingGroupNames": ["quarantine"]}})
    aws("start-detect-mitigation-actions-task", "--task-id", "t", "--target", {"violationIds": [violation["violationId"]]},
        "--actions", "move", "--include-only-active-violations", "--no-include-suppressed-alerts")
    assert aws("describe-detect-mitigation-actions-task", "--task-id", "t")["taskSummary"]["taskStatus"] == "SUCCESSFUL"
    assert [task["taskId"] for task in aws("list-detect-mitigation-actions-tasks", *period)["tasks"]] == ["t"]
    execution, = aws("list-detect-mitigation-actions-executions", "--task-id", "t")["actionsExecutions"]
    assert (execution["thingName"], execution["status"]) == (violation["thingName"], "SUCCESSFUL")
    aws("cancel-detect-mitigation-actions-task", "--task-id", "t", fails="InvalidRequestException")
    assert endpoint.judge.bad_requests == []


def test_the_command_that_cancels_a_task_of_detect(slow):
    aws = driving(slow)
    slow.client().create_security_profile(securityProfileName="p")
    params = {"addThingsToThingGroupParams": {"thingGroupNames": ["quarantine"]}}
    aws("create-mitigation-action", "--action-name", "move", "--role-arn", ROLE, "--action-params", params)
    aws("start-detect-mitigation-actions-task", "--task-id", "t", "--target", {"securityProfileName": "p"}, "--actions", "move")
    aws("cancel-detect-mitigation-actions-task", "--task-id", "t")
    assert aws("describe-detect-mitigation-actions-task", "--task-id", "t")["taskSummary"]["taskStatus"] == "CANCELED"
    assert slow.judge.bad_requests == []
