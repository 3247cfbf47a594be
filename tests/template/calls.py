"""What a function's code calls and reads, found in its text.

Before it: `functions/*/src` and `shared/aws/src`. After it: the rules that hold the template against the code.
Text is enough, because the code calls the SDK in two ways only: by the name of an operation, or by an adapter
of `shared/aws`, whose few methods stand in the table below. An operation of AWS IoT needs no row: the service
authorization reference has its action.
"""

import functools
import re

from template import ROOT
from template import authorization_reference

# An operation of the SDK by its method, and the action that IAM asks for.
OPERATIONS = {
    "add_thing_to_thing_group": "iot:AddThingToThingGroup",
    "batch_get_item": "dynamodb:BatchGetItem",
    "batch_write_item": "dynamodb:BatchWriteItem",
    "condition_check": "dynamodb:ConditionCheckItem",
    "create_log_stream": "logs:CreateLogStream",
    "delete_item": "dynamodb:DeleteItem",
    "delete_object": "s3:DeleteObject",
    "delete_policy_version": "iot:DeletePolicyVersion",
    "describe_ca_certificate": "iot:DescribeCACertificate",
    "describe_certificate": "iot:DescribeCertificate",
    "describe_log_streams": "logs:DescribeLogStreams",
    "describe_mitigation_action": "iot:DescribeMitigationAction",
    "describe_thing": "iot:DescribeThing",
    "describe_thing_group": "iot:DescribeThingGroup",
    "get_item": "dynamodb:GetItem",
    "get_log_events": "logs:GetLogEvents",
    "get_logging_options": "iot:GetLoggingOptions",
    "get_object": "s3:GetObject",
    "get_policy": "iot:GetPolicy",
    "get_statistics": "iot:GetStatistics",
    "get_thing_connectivity_data": "iot:GetThingConnectivityData",
    "get_v2_logging_options": "iot:GetV2LoggingOptions",
    "list_audit_findings": "iot:ListAuditFindings",
    "list_certificates_by_ca": "iot:ListCertificatesByCA",
    "list_policy_versions": "iot:ListPolicyVersions",
    "list_principal_things": "iot:ListPrincipalThings",
    "list_related_resources_for_audit_finding": "iot:ListRelatedResourcesForAuditFinding",
    "list_targets_for_policy": "iot:ListTargetsForPolicy",
    "list_targets_for_security_profile": "iot:ListTargetsForSecurityProfile",
    "list_thing_groups_for_thing": "iot:ListThingGroupsForThing",
    "list_things": "iot:ListThings",
    "list_things_in_thing_group": "iot:ListThingsInThingGroup",
    "publish": "sns:Publish",
    "put_item": "dynamodb:PutItem",
    "put_log_events": "logs:PutLogEvents",
    "put_object": "s3:PutObject",
    "query": "dynamodb:Query",
    "remove_thing_from_thing_group": "iot:RemoveThingFromThingGroup",
    "send_message": "sqs:SendMessage",
    "send_message_batch": "sqs:SendMessage",
    "set_default_policy_version": "iot:SetDefaultPolicyVersion",
    "set_logging_options": "iot:SetLoggingOptions",
    "set_v2_logging_options": "iot:SetV2LoggingOptions",
    "transact_write_items": "dynamodb:PutItem",
    "update_ca_certificate": "iot:UpdateCACertificate",
    "update_certificate": "iot:UpdateCertificate",
    "update_item": "dynamodb:UpdateItem",
}
# An adapter as the functions write it, and the operations behind it. An alert is claimed before it is sent.
ALERT = {"publish", "put_item", "update_item"}
THINGS = {"describe_thing", "describe_thing_group", "list_principal_things", "list_thing_groups_for_thing"}
# What mitigation actions change, and how one finds it.
CHANGED = {
    "describe_ca_certificate", "describe_certificate", "get_logging_options", "get_policy", "get_v2_logging_options",
    "list_policy_versions", "list_thing_groups_for_thing",
}
# What puts it back, and what the ledger has of that.
UNDO = CHANGED | {
    "add_thing_to_thing_group", "batch_get_item", "batch_write_item", "delete_policy_version", "get_item", "put_item",
    "query", "remove_thing_from_thing_group", "set_default_policy_version", "set_logging_options",
    "set_v2_logging_options", "update_ca_certificate", "update_certificate",
}
# The devices behind what they change, and which of them are connected.
REACH = {
    "get_thing_connectivity_data", "list_certificates_by_ca", "list_principal_things",
    "list_related_resources_for_audit_finding", "list_targets_for_policy", "list_things_in_thing_group",
}
BEFORE = CHANGED | {"list_principal_things", "list_related_resources_for_audit_finding"}
ADAPTERS = {
    r"\bledger(\(\))?\s*\.(try_)?run_once\(": {"put_item", "update_item"},
    r"\bledger(\(\))?\s*\.put(_in_place|_newer)?\(": {"put_item"},
    r"\bledger(\(\))?\s*\.(get|later_audit)\(": {"get_item"},
    r"\.get_all\(": {"batch_get_item"},
    r"\.put_all\(": {"batch_write_item"},
    r"\bmitigations\s*\.(claim|claim_whole|observed|set_aside|settle|release|take_round)\(": {"transact_write_items"},
    # A condition on an item that is not written: which audit has looked at the check last.
    r"\bmitigations\s*\.(claim|claim_whole|set_aside|take_round)\(": {"condition_check"},
    r"\bmitigations\s*\.(claim_again|claim_violations)\(": {"condition_check"},
    r"\bmitigations\s*\.(claim|claim_whole|claim_violations|over_budget|spent)\(": {"batch_get_item"},
    # What a claim has spent is given back with what says that nothing started.
    r"\bmitigations\s*\.(settle|release|set_aside)\(": {"batch_get_item", "get_item"},
    r"\bmitigations\s*\.(canary|never_starts)\(": {"get_item"},
    r"\bmitigations\s*\.(change_canary|take_canary)\(": {"transact_write_items"},
    r"\bUndoing\b": UNDO,
    r"\bmitigations\s*\.give_back\(": {"batch_get_item", "get_item", "transact_write_items"},
    r"\bfleet::known\(": {"get_item"},
    r"\bfleet::count\(": {"get_item", "get_statistics", "put_item"},
    r"\bmitigations\s*\.pause\(|\bpause::read\(|\bcheck_pause\(": {"get_item"},
    r"\bpause::(set|end)\(": {"get_item", "put_item"},
    r"\bmitigations\s*\.(ended|held_no_more|lost|started)\(": {"update_item"},
    r"\bmitigations\s*\.(claim_whole|holders)\(": {"batch_get_item"},
    r"\.of_audit\(": {"query"},
    r"\bmitigations\s*\.approval\(": {"get_item"},
    r"\bmitigations\s*\.(ask|explain_again)\(": {"transact_write_items"},
    r"\bmitigations\s*\.approve\(": {"condition_check", "transact_write_items"},
    r"\bmitigations\s*\.reject\(": {"get_item", "transact_write_items"},
    r"\bmitigations\s*\.confirm\(": {"put_item", "query"},
    r"\bmitigations\s*\.put_to_verify\(": {"put_item"},
    r"\bmitigations\s*\.to_verify\(": {"query"},
    r"\bmitigations\s*\.verified\(": {"batch_write_item"},
    r"\bmitigations\s*\.put_before\(": {"batch_write_item", "put_item"},
    r"\bmitigations\s*\.before_read\(": {"get_item"},
    r"\bmitigations\s*\.befores\(": {"query"},
    r"\bCheckStates\b": {"batch_write_item", "get_item", "list_audit_findings", "put_item"},
    r"\bstates\s*\.changes\(": {"describe_mitigation_action"},
    r"\bstates\s*\.read\(": BEFORE,
    r"\bstates\s*\.(certificate|authority|policy|groups|logging)\(": CHANGED,
    r"\bguard\s*\.ask\(": REACH,
    r"\bguard\s*\.ask_thing\(": {"get_thing_connectivity_data"},
    r"\bstates\s*\.read_thing\(": {"list_thing_groups_for_thing"},
    r"\bmitigations\s*\.(is_of_command|next_round|release)\(": {"get_item"},
    r"\bmitigations\s*\.(claim_alarms|claim_alarms_again|claim_violations)\(": {"transact_write_items"},
    r"\bmitigations\s*\.(observed_violations|set_alarms_aside|settle_alarms)\(": {"transact_write_items"},
    r"\bmitigations\s*\.(claim_violations|violation_holders)\(": {"batch_get_item"},
    r"\bmitigations\s*\.(alarm_task|is_of_alarm_command)\(": {"get_item"},
    r"\balarms(\(\))?\s*\.record\(": {"batch_get_item", "delete_item", "transact_write_items", "update_item"},
    r"\balarms(\(\))?\s*\.known\(": {"batch_get_item", "get_item"},
    r"\balarms(\(\))?\s*\.(join|note|verified)\(": {"get_item", "transact_write_items"},
    r"\balarms(\(\))?\s*\.(members|open|open_of|open_since)\(": {"batch_get_item", "query"},
    r"\balarms(\(\))?\s*\.(devices_in_alarm|incidents)\(": {"query"},
    r"\balarms(\(\))?\s*\.incident\(": {"get_item", "query"},
    r"\balarms(\(\))?\s*\.(end_incident|notice|open_incident)\(": {"get_item", "query", "transact_write_items"},
    r"\balarms(\(\))?\s*\.take_round\(": {"put_item"},
    r"\balarms(\(\))?\s*\.next_round\(": {"get_item"},
    r"\bledger(\(\))?\s*\.query(_page|_index)?\(": {"query"},
    r"\.put_file\(|\barchive\s*\.put\(|\.put\(&\w+, \"": {"put_object"},
    r"\barchive\s*\.record\(": {"get_object", "put_object"},
    r"\barchive(\(\))?\s*\.delete\(": {"delete_object"},
    r"\.get_file\(|\barchive\s*\.read\(": {"get_object"},
    r"\bAlerts\b": ALERT,
    r"\bStateItem\b": {"get_item", "put_item"},
    r"\bPopulations\b": {
        "get_item",
        "list_targets_for_security_profile",
        "list_things_in_thing_group",
        "put_item",
    },
    r"\bdevices\s*\.targets\(": {"list_targets_for_security_profile"},
    r"\bdevices\s*\.add_group\(": {"list_things_in_thing_group"},
    r"\bdevices\s*\.add_registered\(": {"list_things"},
    r"\bdevices\s*\.indexed\(": {"get_statistics"},
    r"\bpolicy::load(_with_windows)?\(": ALERT,
    r"\bRegistry\b": THINGS,
    r"\bGrades\b": {"describe_mitigation_action"},
    r"\bThingGroups\b": {"describe_mitigation_action", "list_thing_groups_for_thing"},
    r"\bgroups\s*\.remove\(": {"remove_thing_from_thing_group"},
    r"\bsuppressions::Record\b": {"get_item", "put_item"},
    r"\boriginal_words::find\(": {"batch_get_item"},
    r"\boriginal_words::keep\(": {"put_item"},
    r"\bConsumer\b": {"send_message"},
    r"\bQueue\b": {"send_message_batch"},
}
# Takes the name of an operation from who invokes it, of this table. All others have each name in their text.
ANY_OF = {"audit-commands": "AUDIT", "detect-commands": "DETECT"}


def read_sources(place):
    """The code of a folder or a file as one text, without its tests and comments."""
    texts = []
    place = ROOT / place
    for path in sorted(place.rglob("*.rs")) if place.is_dir() else [place]:
        if "tests" in path.relative_to(ROOT).with_suffix("").parts or path.stem.endswith("_tests"):
            continue
        text = path.read_text(encoding="utf-8").split("#[cfg(test)]\nmod tests {")[0]
        texts.append(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    return "\n".join(texts)


def operations_of_tables():
    """The operations that the core describes, by the name of their table: all of them behind one adapter."""
    text = read_sources("shared/core/src/api.rs")
    row = re.compile(r"^ {4}(\w+) (?:GET|POST|PUT|PATCH|DELETE) \"", re.MULTILINE)
    tables = re.findall(r"^pub static (\w+): \[Operation;.*?^\};", text, re.MULTILINE | re.DOTALL)
    bodies = re.findall(r"^pub static \w+: \[Operation;(.*?)^\};", text, re.MULTILINE | re.DOTALL)
    return {name: set(row.findall(body)) for name, body in zip(tables, bodies, strict=True)}


def read_function(function):
    """The code of a function, with that of the crate that functions of commands share.

    All calls of that crate are made for a client of AWS IoT: a function without one can make none of them.
    """
    text = read_sources(f"functions/{function}/src")
    manifest = (ROOT / "functions" / function / "Cargo.toml").read_text(encoding="utf-8")
    shares = "fleetwarden-commands" in manifest and ".iot_api()" in text
    return text + (read_sources("shared/commands/src") if shares else "")


def iot_actions(text):
    """The actions behind the operations of the typed client of AWS IoT: their names are those of its methods."""
    known = authorization_reference()["iot"]["Actions"]
    spelled = {"ca": "CA"}
    called = {
        "".join(spelled.get(word, word.capitalize()) for word in name.split("_"))
        for name in re.findall(r"\.([a-z]+_[a-z0-9_]+)\(\)", text)
    }
    return {f"iot:{name}" for name in called if name.lower() in known}


@functools.cache
def code_calls(function):
    """The IAM actions that a function's code needs."""
    text = read_function(function)
    called = {name for name in OPERATIONS if re.search(rf"\.{name}\(\)", text)}
    for adapter, behind in ADAPTERS.items():
        if re.search(adapter, text):
            called |= behind
    calls = {OPERATIONS[name] for name in called} | iot_actions(text)
    if ".iot_api()" not in text:
        return calls
    tables = operations_of_tables()
    named = set().union(*tables.values()) & set(re.findall(r'"([A-Z]\w+)"', text))
    if function in ANY_OF:
        # Registry and other tables: only what stands in the text.
        named |= tables[ANY_OF[function]]
    return calls | {f"iot:{name}" for name in named}


@functools.cache
def variables_read(function):
    """The environment variables that a function reads, those of the adapters included."""
    read = re.compile(r'(?:\b(?:required|optional|queue|seconds|endpoint|var|var_os)\(\s*|\blet name = )"([A-Z][A-Z0-9_]+)"')
    own = set(read.findall(read_function(function)))
    common = set(read.findall(read_sources("shared/aws/src")))
    return own | common
