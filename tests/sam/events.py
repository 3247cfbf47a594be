"""Which function gets which event, and the variables that a deployed stack gives it.

The name of an event says both: `<source>-<case>.json`, where an SQS record's case begins with its queue.
"""

import pathlib

ROOT = pathlib.Path(__file__).parents[2]

# The beginning of an event's name, the function that it wakes, and the queue where that one parks.
FUNCTIONS = {
    "sns-": ("AuditNotificationFunction", "Notification"),
    "sqs-check": ("TriageFindingsFunction", "Check"),
    "sqs-suppression": ("ApplySuppressionsFunction", "Suppression"),
    "sqs-mitigation": ("ApplyMitigationsFunction", "Mitigation"),
    "sqs-finding": ("ExportFindingsFunction", "Finding"),
    "sqs-review": ("SuppressionReviewFunction", "Review"),
    "invoke-review": ("SuppressionReviewFunction", "Review"),  # before all others that are invoked
    "invoke-": ("AuditCommandsFunction", "Command"),
}
# A variable that holds an output of the stack.
OUTPUTS = {
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
PARKED = {
    "sns-many-records": 1,
    "sns-no-json": 1,
    "sns-other-account": 1,
    "sns-unknown-shape": 1,
    "sqs-check-poison": 1,
    "sqs-finding-batch": 1,
    "sqs-review": 1,  # what it was to go on with is not there
}
# The error of a command that is not done, by its name.
REFUSED = {
    "invoke-audit-report": "NoAudit",  # none has run in that stack
    "invoke-delete-configuration": "ConfirmationRequired",
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


def variables(outputs):
    """The file that `sam local invoke --env-vars` wants, from the outputs of the stack."""
    common = {name: outputs[output] for name, output in OUTPUTS.items()}
    return {
        function: {**common, "DEAD_LETTER_QUEUE_URL": outputs[f"{queue}DeadLetterQueueUrl"]}
        for function, queue in FUNCTIONS.values()
    }
