"""The events have the shapes in which AWS sends them, of the account and region of the examples."""

import hashlib
import json

import pytest
from calls import operations_of_tables
from template import ROOT

ACCOUNT, REGION = "123456789012", "us-east-1"
EVENTS = sorted((ROOT / "events").glob("*.json"))
BY_SCHEDULE = ("invoke-alarm-watch", "invoke-audit-watch", "invoke-model-status", "invoke-review")


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_an_event_is_of_its_source(path):
    source = path.stem.split("-")[0]
    event = json.loads(path.read_text(encoding="utf-8"))
    if path.stem.startswith(BY_SCHEDULE):
        assert set(event) <= {"dryRun", "scheduledAt"}
        return
    if source == "invoke":
        family = next((f for f in ("DETECT", "MITIGATION") if path.stem.startswith(f"invoke-{f.lower()}")), "AUDIT")
        own = {"AUDIT": {"auditreport"}, "DETECT": {"alarmreport", "alarmincident"}}.get(family, set())
        commands = {name.lower() for name in operations_of_tables()[family]} | own
        assert event["command"].replace("-", "").lower() in commands
        return
    for record in event["Records"]:
        if source == "sns":
            assert record["EventSource"] == "aws:sns"
            # Device Defender sets neither.
            assert (record["Sns"]["Subject"], record["Sns"]["MessageAttributes"]) == (None, {})
            assert record["Sns"]["TopicArn"].startswith(f"arn:aws:sns:{REGION}:{ACCOUNT}:")
        else:
            assert (source, record["eventSource"]) == ("sqs", "aws:sqs")
            assert record["eventSourceARN"].startswith(f"arn:aws:sqs:{REGION}:{ACCOUNT}:")
            body = record["body"].encode()
            assert record["md5OfBody"] == hashlib.md5(body, usedforsecurity=False).hexdigest()


def test_an_audit_counts_what_it_lists():
    for path in EVENTS:
        if not path.stem.startswith("sns-audit"):
            continue
        (record,) = json.loads(path.read_text(encoding="utf-8"))["Records"]
        audit = json.loads(record["Sns"]["Message"])
        ended = [check["checkRunStatus"] for check in audit["auditDetails"]]
        counts = {
            "canceledChecksCount": "CANCELED",
            "compliantChecksCount": "COMPLETED_COMPLIANT",
            "failedChecksCount": "FAILED",
            "nonCompliantChecksCount": "COMPLETED_NON_COMPLIANT",
        }
        assert {name: audit[name] for name in counts} == {n: ended.count(s) for n, s in counts.items()}
        assert audit["totalChecksCount"] == len(ended)
