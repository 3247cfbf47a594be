"""boto3 drives every audit operation through the judge: good calls, pages, and what they mean together."""

import time
from datetime import datetime, timedelta, timezone

import pytest
from conftest import ROLE, TOPIC, Endpoint
from judge import AUDIT_OPERATIONS

EXPIRING = "DEVICE_CERTIFICATE_EXPIRING_CHECK"
REVOKED = "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK"
POLICY = "IOT_POLICY_OVERLY_PERMISSIVE_CHECK"
LOGGING = "LOGGING_DISABLED_CHECK"
SHARED = "DEVICE_CERTIFICATE_SHARED_CHECK"
INTERMEDIATE = "INTERMEDIATE_CA_REVOKED_FOR_ACTIVE_DEVICE_CERTIFICATES_CHECK"
DEACTIVATE = {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}}
PERIOD = {"startTime": datetime.now(timezone.utc) - timedelta(days=1), "endTime": datetime.now(timezone.utc) + timedelta(days=1)}


def resource(finding):
    return finding["nonCompliantResource"]["resourceIdentifier"]


def run(iot, task, findings, mapping, token="token"):
    iot.start_audit_mitigation_actions_task(
        taskId=task, target={"findingIds": [finding["findingId"] for finding in findings]},
        auditCheckToActionsMapping=mapping, clientRequestToken=token,
    )
    while True:
        described = iot.describe_audit_mitigation_actions_task(taskId=task)
        if described["taskStatus"] != "IN_PROGRESS":
            return described
        time.sleep(0.01)


def test_configuration(endpoint, iot):
    zero = iot.describe_account_audit_configuration()
    assert len(zero["auditCheckConfigurations"]) == 17 and "roleArn" not in zero
    assert not any(check["enabled"] for check in zero["auditCheckConfigurations"].values())
    iot.update_account_audit_configuration(
        roleArn=ROLE,
        auditNotificationTargetConfigurations={"SNS": {"targetArn": TOPIC, "roleArn": ROLE, "enabled": True}},
        auditCheckConfigurations={EXPIRING: {"enabled": True, "configuration": {"CERT_EXPIRATION_THRESHOLD_IN_DAYS": "60"}}},
    )
    described = iot.describe_account_audit_configuration()
    assert described["roleArn"] == ROLE and described["auditNotificationTargetConfigurations"]["SNS"]["enabled"]
    assert described["auditCheckConfigurations"][EXPIRING]["configuration"] == {"CERT_EXPIRATION_THRESHOLD_IN_DAYS": "60"}
    iot.delete_account_audit_configuration(deleteScheduledAudits=True)
    assert "roleArn" not in iot.describe_account_audit_configuration()


def test_schedules(endpoint, iot):
    endpoint.enable()
    for number in range(5):
        made = iot.create_scheduled_audit(
            frequency="WEEKLY", dayOfWeek="MON", targetCheckNames=[LOGGING], scheduledAuditName=f"audit-{number}",
            tags=[{"Key": "team", "Value": "fleet"}],
        )
        assert made["scheduledAuditArn"].endswith(f":scheduledaudit/audit-{number}")
    pages = iot.get_paginator("list_scheduled_audits").paginate(PaginationConfig={"PageSize": 2})
    assert [len(page["scheduledAudits"]) for page in pages] == [2, 2, 1]
    iot.update_scheduled_audit(scheduledAuditName="audit-0", frequency="MONTHLY", dayOfMonth="LAST", targetCheckNames=[EXPIRING])
    described = iot.describe_scheduled_audit(scheduledAuditName="audit-0")
    assert (described["dayOfMonth"], described["targetCheckNames"]) == ("LAST", [EXPIRING]) and "dayOfWeek" not in described
    task = endpoint.control("POST", "run-schedule", {"scheduledAuditName": "audit-0"})["taskId"]
    audit = iot.describe_audit_task(taskId=task)
    assert (audit["taskType"], audit["scheduledAuditName"]) == ("SCHEDULED_AUDIT_TASK", "audit-0")
    iot.delete_scheduled_audit(scheduledAuditName="audit-0")
    assert len(iot.list_scheduled_audits()["scheduledAudits"]) == 4


@pytest.fixture
def traveller():
    """An endpoint of its own for a test that moves the clock, which does not go back."""
    endpoint = Endpoint("--findings", 100, "--rate-scale", 0, "--audit-ms", 10, "--mitigation-ms", 10)
    yield endpoint
    endpoint.close()
    assert endpoint.judge.verdicts == []


def test_schedules_run_by_the_clock(traveller):
    endpoint, iot = traveller, traveller.client()
    endpoint.enable()
    today = datetime.fromtimestamp(endpoint.control("GET", "clock")["nowMs"] / 1000, timezone.utc)
    weekday = (today + timedelta(days=3)).strftime("%a").upper()
    for name, days in (
        ("daily", {"frequency": "DAILY"}),
        ("weekly", {"frequency": "WEEKLY", "dayOfWeek": weekday}),
        ("biweekly", {"frequency": "BIWEEKLY", "dayOfWeek": weekday}),
        ("last", {"frequency": "MONTHLY", "dayOfMonth": "LAST"}),
    ):
        iot.create_scheduled_audit(scheduledAuditName=name, targetCheckNames=[LOGGING], **days)
    endpoint.control("POST", "clock", {"advanceMs": 60 * 86_400_000})
    now = today + timedelta(days=60)
    pages = iot.get_paginator("list_audit_tasks").paginate(startTime=today, endTime=now, taskType="SCHEDULED_AUDIT_TASK")
    began = {}
    for task in (task for page in pages for task in page["tasks"]):
        described = iot.describe_audit_task(taskId=task["taskId"])
        assert described["taskStatus"] == "COMPLETED" and described["taskStartTime"].astimezone(timezone.utc).hour == 6
        began.setdefault(described["scheduledAuditName"], []).append(described["taskStartTime"].astimezone(timezone.utc))
    assert len(began["daily"]) == 60
    assert [day.strftime("%a").upper() for day in began["weekly"]] == [weekday] * 9
    assert began["biweekly"] == began["weekly"][::2]
    assert all((day + timedelta(days=1)).day == 1 for day in began["last"]) and len(began["last"]) in (1, 2)
    # What is older than 90 days is gone, and asking for it is refused.
    endpoint.control("POST", "clock", {"advanceMs": 91 * 86_400_000})
    first = endpoint.control("GET", "state")["audits"][0]["taskId"]
    assert iot.describe_audit_task(taskId=first)["taskStartTime"] > now
    with pytest.raises(iot.exceptions.InvalidRequestException):
        iot.list_audit_tasks(startTime=today, endTime=now)


def test_a_check_whose_data_is_not_there_yet(endpoint, iot):
    endpoint.control("POST", "collecting", {"collecting": [SHARED]})
    task = iot.start_on_demand_audit_task(targetCheckNames=endpoint.enable(SHARED, LOGGING))["taskId"]
    time.sleep(0.1)
    described = iot.describe_audit_task(taskId=task)
    assert described["taskStatus"] == "IN_PROGRESS" and described["taskStatistics"]["waitingForDataCollectionChecks"] == 1
    assert described["auditDetails"][SHARED]["checkRunStatus"] == "WAITING_FOR_DATA_COLLECTION"
    endpoint.control("POST", "collecting", {"collecting": []})
    assert iot.describe_audit_task(taskId=task)["taskStatus"] == "COMPLETED"


def test_audit_and_findings(endpoint, iot):
    task = endpoint.audit()
    audit = iot.describe_audit_task(taskId=task)
    assert audit["taskStatus"] == "COMPLETED" and audit["taskStatistics"]["totalChecks"] == 17
    findings = endpoint.findings(task)
    assert len(findings) == len({finding["findingId"] for finding in findings}) == 400
    assert len({finding["checkName"] for finding in findings}) >= 10
    for check, details in audit["auditDetails"].items():
        of_check = endpoint.findings(task, checkName=check)
        assert len(of_check) == details["nonCompliantResourcesCount"]
    one = findings[3]
    assert iot.describe_audit_finding(findingId=one["findingId"])["finding"] == one
    by_resource = endpoint.findings(task, checkName=one["checkName"], resourceIdentifier=resource(one))
    assert by_resource == [one]
    by_time = iot.list_audit_findings(**PERIOD)
    assert len(by_time["findings"]) == 25 and by_time["nextToken"]
    tasks = iot.list_audit_tasks(**PERIOD, taskStatus="COMPLETED", taskType="ON_DEMAND_AUDIT_TASK")["tasks"]
    assert [listed["taskId"] for listed in tasks] == [task]
    again = endpoint.findings(endpoint.audit())
    assert not {f["findingId"] for f in findings} & {f["findingId"] for f in again}
    assert [resource(f) for f in findings] == [resource(f) for f in again]


def test_related_resources(endpoint, iot):
    task = endpoint.audit()
    issuer = endpoint.findings(task, checkName=INTERMEDIATE)[0]
    assert not issuer.get("relatedResources")
    pages = iot.get_paginator("list_related_resources_for_audit_finding").paginate(
        findingId=issuer["findingId"], PaginationConfig={"PageSize": 5}
    )
    related = [item for page in pages for item in page["relatedResources"]]
    assert len(related) >= 8 and related[0]["resourceType"] == "DEVICE_CERTIFICATE"
    shared = endpoint.findings(task, checkName=SHARED)[0]
    assert shared["relatedResources"][0]["additionalInfo"]["CONNECTION_TIME"].isdigit()


def test_cancel_audit(slow):
    slow.enable()
    iot = slow.client()
    task = iot.start_on_demand_audit_task(targetCheckNames=[LOGGING])["taskId"]
    assert iot.describe_audit_task(taskId=task)["auditDetails"][LOGGING]["checkRunStatus"] == "IN_PROGRESS"
    iot.cancel_audit_task(taskId=task)
    assert iot.describe_audit_task(taskId=task)["taskStatus"] == "CANCELED"
    slow.control("POST", "clock", {"advanceMs": 3600000})
    assert iot.describe_audit_task(taskId=task)["taskStatus"] == "CANCELED"
    assert iot.list_audit_findings(taskId=task)["findings"] == []


def test_a_check_that_fails(endpoint, iot):
    endpoint.control("POST", "check-failures", {"failing": [POLICY]})
    details = iot.describe_audit_task(taskId=endpoint.audit())["auditDetails"]
    assert (details[POLICY]["checkRunStatus"], details[POLICY]["errorCode"]) == ("FAILED", "INSUFFICIENT_PERMISSIONS")


def test_suppressions(endpoint, iot):
    finding, other = endpoint.findings(endpoint.audit(), checkName=EXPIRING)[:2]
    key = {"checkName": EXPIRING, "resourceIdentifier": resource(finding)}
    until = datetime.fromtimestamp(int(time.time()) + 86400, timezone.utc)
    iot.create_audit_suppression(**key, expirationDate=until, suppressIndefinitely=False, description="known, ticket 7")
    iot.create_audit_suppression(checkName=EXPIRING, resourceIdentifier=resource(other), suppressIndefinitely=True)
    described = iot.describe_audit_suppression(**key)
    assert described["expirationDate"] == until and described["resourceIdentifier"] == resource(finding)
    listed = [s["resourceIdentifier"] for s in iot.list_audit_suppressions()["suppressions"]]
    assert listed == [resource(finding), resource(other)]
    backwards = iot.get_paginator("list_audit_suppressions").paginate(ascendingOrder=False, PaginationConfig={"PageSize": 1})
    assert [s["resourceIdentifier"] for page in backwards for s in page["suppressions"]] == listed[::-1]
    task = endpoint.audit(EXPIRING)
    suppressed = endpoint.findings(task, listSuppressedFindings=True)
    assert sorted(map(str, map(resource, suppressed))) == sorted(map(str, listed))
    assert all(f["isSuppressed"] for f in suppressed)
    details = iot.describe_audit_task(taskId=task)["auditDetails"][EXPIRING]
    assert details["suppressedNonCompliantResourcesCount"] == 2
    assert len(endpoint.findings(task, listSuppressedFindings=False)) == details["nonCompliantResourcesCount"]
    iot.update_audit_suppression(**key, suppressIndefinitely=True, description="for ever")
    assert "expirationDate" not in iot.describe_audit_suppression(**key)
    iot.delete_audit_suppression(**key)
    iot.delete_audit_suppression(**key)
    assert len(iot.list_audit_suppressions(checkName=EXPIRING)["suppressions"]) == 1


def test_actions(endpoint, iot):
    kinds = {
        "certificate": DEACTIVATE,
        "authority": {"updateCACertificateParams": {"action": "DEACTIVATE"}},
        "group": {"addThingsToThingGroupParams": {"thingGroupNames": ["quarantine"], "overrideDynamicGroups": True}},
        "policy": {"replaceDefaultPolicyVersionParams": {"templateName": "BLANK_POLICY"}},
        "logging": {"enableIoTLoggingParams": {"roleArnForLogging": ROLE, "logLevel": "WARN"}},
        "sns": {"publishFindingToSnsParams": {"topicArn": TOPIC}},
    }
    for name, params in kinds.items():
        iot.create_mitigation_action(actionName=name, roleArn=ROLE, actionParams=params)
        assert iot.describe_mitigation_action(actionName=name)["actionParams"] == params
    pages = iot.get_paginator("list_mitigation_actions").paginate(PaginationConfig={"PageSize": 4})
    assert [len(page["actionIdentifiers"]) for page in pages] == [4, 2]
    listed = iot.list_mitigation_actions(actionType="PUBLISH_FINDING_TO_SNS")["actionIdentifiers"]
    assert [action["actionName"] for action in listed] == ["sns"]
    iot.update_mitigation_action(actionName="sns", actionParams={"publishFindingToSnsParams": {"topicArn": TOPIC + "-2"}})
    assert iot.describe_mitigation_action(actionName="sns")["actionParams"]["publishFindingToSnsParams"]["topicArn"].endswith("-2")
    iot.delete_mitigation_action(actionName="sns")
    iot.delete_mitigation_action(actionName="sns")


def test_mitigation(endpoint, iot):
    iot.create_mitigation_action(actionName="off", roleArn=ROLE, actionParams=DEACTIVATE)
    first = endpoint.audit()
    findings = endpoint.findings(first, checkName=REVOKED)[:3]
    done = run(iot, "task-1", findings, {REVOKED: ["off"]})
    assert done["taskStatus"] == "COMPLETED" and done["endTime"] >= done["startTime"]
    assert done["taskStatistics"][REVOKED] == {
        "totalFindingsCount": 3, "failedFindingsCount": 0, "succeededFindingsCount": 3,
        "skippedFindingsCount": 0, "canceledFindingsCount": 0,
    }
    execution, = iot.list_audit_mitigation_actions_executions(taskId="task-1", findingId=findings[0]["findingId"])["actionsExecutions"]
    assert (execution["status"], execution["actionName"]) == ("COMPLETED", "off")
    tasks = iot.list_audit_mitigation_actions_tasks(**PERIOD, findingId=findings[0]["findingId"], auditTaskId=first)["tasks"]
    assert [task["taskId"] for task in tasks] == ["task-1"]
    gone = {str(resource(finding)) for finding in findings}
    assert not gone & {str(resource(f)) for f in endpoint.findings(endpoint.audit(), checkName=REVOKED)}
    assert len(endpoint.findings(first, checkName=REVOKED)) > 3  # a finding is a snapshot
    assert endpoint.control("GET", "state")["fleet"]["inactiveDeviceCertificates"] == 3
    # A replay has the same answer and no effect; repeating the work under another id shows as repeated.
    run(iot, "task-1", findings, {REVOKED: ["off"]})
    assert endpoint.control("GET", "calls")["effects"]["repeated"] == []
    run(iot, "task-2", findings[:1], {REVOKED: ["off"]}, "token-2")
    assert [r["times"] for r in endpoint.control("GET", "calls")["effects"]["repeated"]] == [2]


def test_an_action_that_fails_skips_the_later_ones(endpoint, iot):
    iot.create_mitigation_action(actionName="off", roleArn=ROLE, actionParams=DEACTIVATE)
    iot.create_mitigation_action(actionName="tell", roleArn=ROLE, actionParams={"publishFindingToSnsParams": {"topicArn": TOPIC}})
    finding = endpoint.findings(endpoint.audit(), checkName=LOGGING)[0]
    done = run(iot, "mixed", [finding], {LOGGING: ["tell", "off", "tell"]})
    assert done["taskStatus"] == "FAILED" and done["taskStatistics"][LOGGING]["failedFindingsCount"] == 1
    executions = iot.list_audit_mitigation_actions_executions(taskId="mixed", findingId=finding["findingId"])["actionsExecutions"]
    assert [execution["status"] for execution in executions] == ["COMPLETED", "FAILED", "SKIPPED"]
    assert executions[1]["errorCode"]


def test_a_whole_audit_with_a_filter(endpoint, iot):
    iot.create_mitigation_action(actionName="off", roleArn=ROLE, actionParams=DEACTIVATE)
    task = endpoint.audit()
    past = [f for f in endpoint.findings(task, checkName=EXPIRING) if f["reasonForNonComplianceCode"] == "CERTIFICATE_PAST_EXPIRATION"]
    iot.start_audit_mitigation_actions_task(
        taskId="bulk", clientRequestToken="bulk", auditCheckToActionsMapping={EXPIRING: ["off"]},
        target={"auditTaskId": task, "auditCheckToReasonCodeFilter": {EXPIRING: ["CERTIFICATE_PAST_EXPIRATION"]}},
    )
    time.sleep(0.05)
    described = iot.describe_audit_mitigation_actions_task(taskId="bulk")
    assert described["taskStatistics"][EXPIRING]["succeededFindingsCount"] == len(past)
    assert described["actionsDefinition"][0]["name"] == "off"


def test_cancel_mitigation(slow):
    slow.control("POST", "reset", {})
    slow.enable()
    iot = slow.client()
    iot.create_mitigation_action(actionName="off", roleArn=ROLE, actionParams=DEACTIVATE)
    audit = iot.start_on_demand_audit_task(targetCheckNames=[REVOKED])["taskId"]
    slow.control("POST", "clock", {"advanceMs": 3600000})
    findings = slow.findings(audit)[:10]
    iot.start_audit_mitigation_actions_task(
        taskId="stop", target={"findingIds": [f["findingId"] for f in findings]}, auditCheckToActionsMapping={REVOKED: ["off"]}
    )
    slow.control("POST", "clock", {"advanceMs": 1800000})
    executions = [
        iot.list_audit_mitigation_actions_executions(taskId="stop", findingId=f["findingId"])["actionsExecutions"][0]["status"]
        for f in findings
    ]
    assert executions == ["COMPLETED"] * 5 + ["IN_PROGRESS"] + ["PENDING"] * 4
    iot.cancel_audit_mitigation_actions_task(taskId="stop")
    described = iot.describe_audit_mitigation_actions_task(taskId="stop")
    counts = described["taskStatistics"][REVOKED]
    assert described["taskStatus"] == "CANCELED"
    assert (counts["succeededFindingsCount"], counts["canceledFindingsCount"]) == (5, 5)


@pytest.fixture(scope="module", autouse=True)
def every_operation_was_seen(running, slow):
    yield
    assert len(AUDIT_OPERATIONS) == 30
    answered = {name for judge in (running.judge, slow.judge) for name, codes in judge.seen.items() if 200 in codes}
    assert set(AUDIT_OPERATIONS) - answered == set()
