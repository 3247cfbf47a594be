"""Which function gets which event, and the variables that a deployed stack gives it.

The name of an event says both: `<source>-<case>.json`, where an SQS record's case begins with its queue.
"""

import json
import pathlib

ROOT = pathlib.Path(__file__).parents[2]

# The beginning of an event's name, the function that it wakes, and the queue where that one parks.
FUNCTIONS = {
    "sns-": ("AuditNotificationFunction", "Notification"),
    "sqs-alarm": ("DetectAlarmFunction", "Alarm"),
    "sqs-check": ("TriageFindingsFunction", "Check"),
    "sqs-suppression": ("ApplySuppressionsFunction", "Suppression"),
    "sqs-mitigation": ("ApplyMitigationsFunction", "Mitigation"),
    "sqs-finding": ("ExportFindingsFunction", "Finding"),
    "sqs-review": ("SuppressionReviewFunction", "Review"),
    # Before all others that are invoked.
    "invoke-alarm-watch": ("AlarmWatchFunction", "Alarm"),
    "invoke-audit-watch": ("AuditWatchFunction", "AuditWatch"),
    "invoke-detect": ("DetectCommandsFunction", "Command"),
    "invoke-mitigation": ("MitigationCommandsFunction", "Command"),
    "invoke-model-status": ("MlModelStatusFunction", "Alarm"),
    "invoke-review": ("SuppressionReviewFunction", "Review"),
    "invoke-": ("AuditCommandsFunction", "Command"),
}
# A variable that holds an output of the stack.
OUTPUTS = {
    "ALARM_QUEUE_URL": "AlarmQueueUrl",
    "ALERT_TOPIC_ARN": "AlertTopicArn",
    "ARCHIVE_BUCKET": "ArchiveBucketName",
    "AUDIT_TOPIC_ARN": "AuditTopicArn",
    "CHECK_QUEUE_URL": "CheckQueueUrl",
    "FINDING_QUEUE_URL": "FindingQueueUrl",
    "FINDINGS_LOG_GROUP": "FindingsLogGroupName",
    "LEDGER_TABLE": "LedgerTableName",
    "MITIGATION_QUEUE_URL": "MitigationQueueUrl",
    "REVIEW_QUEUE_URL": "ReviewQueueUrl",
    "SUPPRESSION_QUEUE_URL": "SuppressionQueueUrl",
}

# How many records of an event a function parks, having told people; all others are handled to their end.
# Of the audits of the events, the endpoint knows none: see `announcement` for one that it knows.
PARKED = {
    "sns-audit-canceled": 1,
    "sns-audit-completed": 1,
    "sns-audit-compliant": 1,
    "sns-audit-failed-checks": 1,
    "sns-audit-old-names": 1,
    "sns-many-records": 3,
    "sns-no-json": 1,
    "sns-other-account": 1,
    "sns-unknown-shape": 1,
    "sqs-alarm-many-records": 1,
    "sqs-alarm-no-json": 1,
    "sqs-alarm-other-account": 1,
    "sqs-check-poison": 1,
    "sqs-finding-batch": 1,
    "sqs-review": 1,  # what it was to go on with is not there
}
# The error of a command that is not done, by its name.
REFUSED = {
    "invoke-audit-report": "NoAudit",  # none has run in that stack
    "invoke-delete-configuration": "ConfirmationRequired",
    "invoke-detect-delete-profile": "ConfirmationRequired",
    "invoke-detect-wrong-input": "InvalidInput",
    "invoke-mitigation-approve": "NoMitigation",
    "invoke-mitigation-cancel": "NoMitigation",
    "invoke-mitigation-reject": "NoMitigation",
    "invoke-mitigation-show": "NoMitigation",  # none was decided on in that stack
    "invoke-mitigation-undo": "NoMitigation",
    "invoke-wrong-input": "InvalidInput",
}


def cases():
    """Each event with the function that it wakes."""
    for path in sorted((ROOT / "events").glob("*.json")):
        for beginning, (function, _) in FUNCTIONS.items():
            if path.name.startswith(beginning):
                yield path, function
                break
        else:
            raise SystemExit(f"{path.name}: its name says no function; see {__file__}")


def announcement(task, described):
    """The event of an audit that the endpoint has run, from what it answers about that audit."""
    event = json.loads((ROOT / "events" / "sns-audit-completed.json").read_text(encoding="utf-8"))
    (record,) = event["Records"]
    message = json.loads(record["Sns"]["Message"])
    del message["scheduledAuditName"]
    statistics = described["taskStatistics"]
    message |= {f"{name}Count": statistics[name] for name in statistics if f"{name}Count" in message}
    message |= {
        "taskId": task,
        "taskStatus": described["taskStatus"],
        "taskType": described["taskType"],
        "taskStartTime": int(described["taskStartTime"].timestamp() * 1000),
        "auditDetails": [{"checkName": name, **check} for name, check in described["auditDetails"].items()],
    }
    record["Sns"]["Message"] = json.dumps(message)
    return event


def variables(outputs):
    """The file that `sam local invoke --env-vars` wants, from the outputs of the stack."""
    common = {name: outputs[output] for name, output in OUTPUTS.items()}
    return {
        function: {**common, "DEAD_LETTER_QUEUE_URL": outputs[f"{queue}DeadLetterQueueUrl"]}
        for function, queue in FUNCTIONS.values()
    }
