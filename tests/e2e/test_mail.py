"""An email of SNS is a file beside the emulator's log, as docs/notifications.md says."""

import json


def test_a_confirmed_address_gets_the_text_for_email_and_the_subject(stack):
    sns = stack.client("sns")
    topic = sns.create_topic(Name="mail")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="oncall@example.com")
    kinds = {"kind": ["audit-failed"]}
    filtered = {"FilterPolicy": json.dumps(kinds)}
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="audits@example.com", Attributes=filtered)
    sns.publish(
        TopicArn=topic,
        Subject="[high] Checks failed",
        Message=json.dumps({"default": "for programs", "email": "for people"}),
        MessageStructure="json",
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "policy-refused"}},
    )
    mails = [path.read_text() for path in sorted((stack.log.parent / "mail").iterdir())]
    assert "To: oncall@example.com\nSubject: [high] Checks failed\n\nfor people\n" in mails
    assert not any("audits@example.com" in mail for mail in mails)
