"""Emails of Amazon SNS as files: the emulator's SNS only logs that there is one. Each goes into the folder `mail` beside
the emulator's log, with its recipient and subject, so that the text of an alert can be read on one machine."""

import os
from pathlib import Path

from ministack.services import sns

FOLDER = Path(os.environ["TMPDIR"]) / "mail"

fanout = sns._fanout


def addresses(topic_arn, message, structure, attributes):
    """The confirmed addresses whose filters let the message pass, and the text that each gets."""
    topic = sns._topic_by_arn_any_scope(topic_arn) or {"subscriptions": []}
    for subscription in topic["subscriptions"]:
        if subscription.get("protocol") != "email" or not subscription.get("confirmed"):
            continue
        text = sns._resolve_message_for_protocol(message, structure, "email")
        if sns._matches_filter_policy(subscription, attributes or {}, text):
            yield subscription["endpoint"], text


def deliver(topic_arn, msg_id, message, subject, message_structure="", message_attributes=None, **more):
    for address, text in addresses(topic_arn, message, message_structure, message_attributes):
        FOLDER.mkdir(exist_ok=True)
        number = len(list(FOLDER.iterdir())) + 1
        (FOLDER / f"{number:04}.eml").write_text(f"To: {address}\nSubject: {subject}\n\n{text}\n", encoding="utf-8")
    return fanout(topic_arn, msg_id, message, subject, message_structure, message_attributes, **more)


sns._fanout = deliver
