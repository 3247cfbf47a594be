"""The house's rules on the template. Each keeps a promise that no general linter knows of."""

import itertools
import json
import re

import pytest
from calls import ADAPTERS
from calls import OPERATIONS
from calls import code_calls
from calls import read_function
from calls import read_sources
from calls import variables_read
from template import ROOT
from template import allowed
from template import allowed_on
from template import conditional_statements
from template import folder
from template import functions
from template import listed
from template import load
from template import made
from template import of_type
from template import policies_on
from template import references
from template import referred
from template import resource_types
from template import sources
from template import statements

# What Lambda itself does with a function's role: the code never calls these.
BY_LAMBDA = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
# What knows a resource, and is asked for on "*" if the request names none. Source: service authorization reference, where
# none of these resources is required.
RESOURCE_OPTIONAL = {
    "iot:GetBehaviorModelTrainingSummaries",
    "iot:ListActiveViolations",
    "iot:ListDetectMitigationActionsExecutions",
    "iot:ListSecurityProfiles",
    "iot:ListViolationEvents",
    "iot:StartDetectMitigationActionsTask",
}
# What another service asks for in the caller's name.
BY_SERVICES = {"iam:PassRole", "iot:TagResource", "kms:Decrypt", "kms:GenerateDataKey"}
# A permission that changes an answer and is no call: without it a missing object answers 403, not 404.
FOR_ANSWERS = {"s3:ListBucket"}
# Lambda sets the first in every function. The others are for a stack on one machine and for a person at work.
FROM_LAMBDA = re.compile(r"AWS_(REGION|ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|LAMBDA_\w+)$")
FOR_ONE_MACHINE = re.compile(r"AWS_(ENDPOINT_URL(_\w+)?|CA_BUNDLE)$|(CALLS_PER_SECOND|POLICY_PATH|RUST_LOG)$")

FUNCTIONS = sorted(functions())
DEAD_LETTER_QUEUES = sorted(name for name in of_type("AWS::SQS::Queue") if "DeadLetter" in name)


@pytest.fixture(params=FUNCTIONS)
def function(request):
    """One function after the other."""
    return functions()[request.param]


def role_of(function):
    """The logical id of a function's role."""
    return referred(function["Role"])


def given_up(function):
    """Where Lambda sends what it gives up on after its asynchronous retries."""
    destinations = function.get("EventInvokeConfig", {}).get("DestinationConfig", {})
    return referred(destinations.get("OnFailure", {}).get("Destination"))


# --- functions ---------------------------------------------------------------------------------------


def test_a_function_logs_where_the_template_says_how_long(function):
    group = of_type("AWS::Logs::LogGroup")[referred(function["LoggingConfig"]["LogGroup"])]
    assert "RetentionInDays" in group
    assert function["LoggingConfig"]["LogFormat"] == "JSON"


def test_every_log_group_is_kept_for_a_time():
    assert all("RetentionInDays" in group for group in of_type("AWS::Logs::LogGroup").values())


def test_a_function_has_a_role_of_its_own():
    roles = [role_of(function) for function in functions().values()]
    assert len(set(roles)) == len(roles)
    for role in roles:
        assert "ManagedPolicyArns" not in of_type("AWS::IAM::Role")[role]


def test_a_function_is_traced(function):
    assert function["Tracing"] == "Active"


def test_a_function_is_built_under_its_own_name():
    for name, function in functions().items():
        metadata = load()["Resources"][name]["Metadata"]
        assert metadata["BuildMethod"] == "rust-cargolambda"
        assert metadata["BuildProperties"]["Binary"] == folder(function)


def test_a_function_loses_nothing(function):
    queues = of_type("AWS::SQS::Queue")
    parking = referred(function["Environment"]["DEAD_LETTER_QUEUE_URL"])
    assert parking in DEAD_LETTER_QUEUES
    for queue in sources(function):
        redrive = queues[queue]["RedrivePolicy"]
        assert redrive["maxReceiveCount"] >= 5
        assert referred(redrive["deadLetterTargetArn"]) == parking
    pushed = [event for event in function["Events"].values() if event["Type"] == "SNS"]
    for event in pushed:
        assert referred(event["Properties"]["RedrivePolicy"]["deadLetterTargetArn"]) == parking
    if pushed or not function["Events"]:
        assert given_up(function) == parking
        assert function["EventInvokeConfig"]["MaximumRetryAttempts"] == 2


def test_a_batch_fails_record_by_record(function):
    for event in sources(function).values():
        assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert event["ScalingConfig"]["MaximumConcurrency"] >= 2


def test_a_record_is_hidden_for_six_times_the_timeout(function):
    for queue in sources(function):
        visibility = of_type("AWS::SQS::Queue")[queue]["VisibilityTimeout"]
        assert visibility >= 6 * function["Timeout"]


def invoked_by(function):
    """The functions that a function invokes, by the queues and topics that it may send to."""
    wakes = {}
    for name, other in functions().items():
        for event in other["Events"].values():
            wakes.setdefault(referred(event["Properties"].get("Queue", event["Properties"].get("Topic"))), set()).add(name)
        wakes.setdefault(name, set()).add(name)
    sends = {
        referred(resource)
        for statement in statements(role_of(functions()[function]))
        if {"lambda:InvokeFunction", "sns:Publish", "sqs:SendMessage"} & set(listed(statement["Action"]))
        for resource in listed(statement["Resource"])
    }
    return {name for target in sends for name in wakes.get(target, ())}


def test_a_function_that_is_in_a_loop_is_allowed_to_be_and_no_other():
    """Lambda ends a loop through queues, topics and functions after about 16 rounds of one chain of requests."""
    reached = {name: invoked_by(name) for name in FUNCTIONS}
    for _ in FUNCTIONS:
        reached = {name: by | {far for near in by for far in reached[near]} for name, by in reached.items()}
    loops = {name for name in FUNCTIONS if name in reached[name]}
    assert {"ApplyMitigationsFunction", "SuppressionReviewFunction", "TriageFindingsFunction"} <= loops
    allowed = {name for name, function in functions().items() if function.get("RecursiveLoop") == "Allow"}
    assert allowed == loops


# --- the environment and the code ---------------------------------------------------------------------


def test_what_a_function_reads_is_what_it_is_given(function):
    read = variables_read(folder(function))
    given = set(function["Environment"])
    wanted = {name for name in read if not FROM_LAMBDA.match(name) and not FOR_ONE_MACHINE.match(name)}
    assert wanted - given == set(), "read by the code, not given by the template"
    assert given - wanted == set(), "given by the template, not read by the code"


def test_what_a_function_calls_is_what_it_may_call(function):
    may = allowed(role_of(function)) - BY_SERVICES - FOR_ANSWERS
    # Lambda sends in the function's name what it gives up on.
    calls = code_calls(folder(function)) | ({"sqs:SendMessage"} if given_up(function) else set())
    assert calls - may == set(), "called by the code, not allowed by the role"
    assert may - BY_LAMBDA - calls == set(), "allowed by the role, not called by the code"


def test_a_function_has_the_policy_if_it_reads_it(function):
    reads = re.search(r"\bpolicy::(load|read)\w*\b", read_function(folder(function))) is not None
    assert [referred(layer) for layer in function.get("Layers", [])] == (["PolicyLayer"] if reads else [])


def test_a_function_may_receive_only_from_its_sources(function):
    received = {
        referred(resource)
        for statement in statements(role_of(function))
        if "sqs:ReceiveMessage" in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }
    assert received == set(sources(function))


def test_a_function_may_send_only_where_it_is_told_to(function):
    told = {referred(v) for k, v in function["Environment"].items() if k.endswith("_QUEUE_URL")}
    may = {
        referred(resource)
        for statement in statements(role_of(function))
        if "sqs:SendMessage" in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }
    assert may == told


# --- permissions -------------------------------------------------------------------------------------


def test_no_permission_is_wider_than_its_action_knows():
    for role in of_type("AWS::IAM::Role"):
        for statement in statements(role):
            actions = set(listed(statement["Action"]))
            assert not any("*" in action for action in actions), role
            if "*" in listed(statement["Resource"]):
                assert [action for action in actions - RESOURCE_OPTIONAL if resource_types(action)] == [], role


def test_an_account_and_region_takes_one_stack_alone():
    """A second one would delete the suppressions that the first has standing: its schedule's name is taken."""
    schedules = of_type("AWS::Scheduler::Schedule")
    assert schedules["SuppressionReviewTimer"]["Name"] == "fleetwarden-suppression-review"
    assert "Condition" not in load()["Resources"]["SuppressionReviewTimer"]
    for schedule in schedules.values():
        assert "GroupName" not in schedule, "a name is taken in its group"


def test_a_schedule_wakes_a_function_with_its_time_and_loses_nothing():
    for name, schedule in of_type("AWS::Scheduler::Schedule").items():
        target = schedule["Target"]
        function, parked = referred(target["Arn"]), referred(target["DeadLetterConfig"]["Arn"])
        assert json.loads(target["Input"]) == {"scheduledAt": "<aws.scheduler.scheduled-time>"}
        assert parked == given_up(functions()[function]), name
        role = referred(target["RoleArn"])
        assert role in allowed_on("lambda:InvokeFunction")[function], name
        assert role in allowed_on("sqs:SendMessage")[parked], name


def test_the_aliases_are_those_that_the_code_knows():
    code = (ROOT / "shared/core/src/api/alias.rs").read_text(encoding="utf-8")
    known = set(re.findall(r'^pub const [A-Z]+: &str = "(\w+)";', code, re.MULTILINE))
    found = {}
    for name, alias in of_type("AWS::Lambda::Alias").items():
        function = referred(alias["FunctionName"])
        assert alias["FunctionVersion"] == "$LATEST", name
        assert name == f"{function.removesuffix('Function')}{alias['Name'].capitalize()}Alias"
        found.setdefault(function, set()).add(alias["Name"])
    assert found == {"AuditCommandsFunction": {"read"}, "DetectCommandsFunction": {"read"}, "MitigationCommandsFunction": known}


def test_what_nobody_waits_for_is_not_lost_by_an_alias():
    configured = {}
    for config in of_type("AWS::Lambda::EventInvokeConfig").values():
        alias = referred(config["Qualifier"]["Fn::Select"][1]["Fn::Split"][1])
        function = functions()[referred(config["FunctionName"])]
        assert of_type("AWS::Lambda::Alias")[alias]["FunctionName"] == config["FunctionName"]
        assert referred(config["DestinationConfig"]["OnFailure"]["Destination"]) == given_up(function)
        assert config["MaximumRetryAttempts"] == function["EventInvokeConfig"]["MaximumRetryAttempts"]
        configured[alias] = config
    changing = {name for name, alias in of_type("AWS::Lambda::Alias").items() if alias["Name"] != "read"}
    assert set(configured) == changing


def test_a_managed_policy_is_attached_to_nobody_and_names_aliases_alone():
    invoked = {}
    for name, policy in of_type("AWS::IAM::ManagedPolicy").items():
        assert set(policy) == {"Description", "PolicyDocument"}, "a stack attaches it to nobody"
        assert load()["Outputs"][f"{name}Arn"]["Value"] == {"Ref": name}
        statements = {statement["Sid"]: statement for statement in policy["PolicyDocument"]["Statement"]}
        find = statements.pop("FindFunctions")
        assert (find["Action"], find["Resource"]) == ("cloudformation:DescribeStackResource", {"Ref": "AWS::StackId"})
        aliases = of_type("AWS::Lambda::Alias")
        for statement in statements.values():
            assert (statement["Effect"], statement["Action"]) == ("Allow", "lambda:InvokeFunction")
            for resource in listed(statement["Resource"]):
                resource = resource["Fn::If"][1] if "Fn::If" in resource else resource
                invoked.setdefault(name, set()).add(aliases[resource["Ref"]]["Name"])
    assert invoked == {"ApproverPolicy": {"approve", "read"}, "OperatorPolicy": {"operate", "read"}, "ReaderPolicy": {"read"}}


def test_only_the_audit_role_has_a_managed_policy():
    managed = {
        name: role["ManagedPolicyArns"]
        for name, role in of_type("AWS::IAM::Role").items()
        if "ManagedPolicyArns" in role
    }
    assert list(managed) == ["AuditRole"]
    (arn,) = managed["AuditRole"]
    assert arn["Fn::Sub"].endswith(":policy/service-role/AWSIoTDeviceDefenderAudit")


def test_device_defender_takes_a_role_only_for_this_account():
    for name, role in of_type("AWS::IAM::Role").items():
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        if trust["Principal"]["Service"] == "iot.amazonaws.com":
            assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}, name
            assert "aws:SourceArn" in trust["Condition"]["ArnLike"], name


# --- mitigation actions -------------------------------------------------------------------------------


def test_there_is_one_mitigation_action_of_each_kind():
    actions = of_type("AWS::IoT::MitigationAction")
    kinds = sorted(kind for action in actions.values() for kind in action["ActionParams"])
    assert kinds == sorted(
        [
            "AddThingsToThingGroupParams",
            "EnableIoTLoggingParams",
            "PublishFindingToSnsParams",
            "ReplaceDefaultPolicyVersionParams",
            "UpdateCACertificateParams",
            "UpdateDeviceCertificateParams",
        ]
    )


def test_a_mitigation_role_is_for_its_action_alone():
    for action in of_type("AWS::IoT::MitigationAction").values():
        role = of_type("AWS::IAM::Role")[referred(action["RoleArn"])]
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        source = trust["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Sub"]
        assert source.endswith(f":mitigationaction/{action['ActionName']}")


def test_what_changes_a_device_is_made_only_when_it_is_asked_for():
    for name, resource in load()["Resources"].items():
        if resource["Type"] == "AWS::IoT::MitigationAction":
            assert resource["Condition"] == "CreatesMitigationActions", name
    for parameter in ("AllowMitigation", "CreateMitigationActions", "ManageAuditConfiguration"):
        assert load()["Parameters"][parameter]["Default"] == "false"


# What an undo puts back: the function has it only where tasks may be started.
UNDOES = {
    "iot:AddThingToThingGroup", "iot:DeletePolicyVersion", "iot:RemoveThingFromThingGroup", "iot:SetDefaultPolicyVersion",
    "iot:SetLoggingOptions", "iot:SetV2LoggingOptions", "iot:UpdateCACertificate", "iot:UpdateCertificate",
}
# A role that only Detect has, or a statement that only Detect has.
OF_DETECT = {("EnablesDetect", "AllowsMitigation"), (None, "MitigatesAlarms")}


def test_no_role_may_change_a_device_unless_it_is_asked_for():
    """All other writes to AWS IoT are to audits, to suppressions, to security profiles and what they measure, to what
    people said of an alarm, and to the definitions of mitigation actions."""
    harmless = re.compile(
        r"iot:((Describe|Get|List)\w+|(Create|Delete|Update)(AuditSuppression|MitigationAction|ScheduledAudit)"
        r"|(Create|Delete|Update)(CustomMetric|Dimension|SecurityProfile)|(Attach|Detach)SecurityProfile"
        r"|(Delete|Update)AccountAuditConfiguration|Cancel(Audit|AuditMitigationActions|DetectMitigationActions)Task"
        r"|PutVerificationStateOnViolation|StartOnDemandAuditTask|TagResource|ValidateSecurityProfileBehaviors)$"
    )
    starts, of_detect, undoes = set(), set(), set()
    for role in of_type("AWS::IAM::Role"):
        of_role = load()["Resources"][role].get("Condition")
        for condition, statement in conditional_statements(role):
            for action in listed(statement["Action"]):
                if not action.startswith("iot:") or harmless.match(action):
                    continue
                if action in UNDOES and role in {"ApplyMitigationsRole", "MitigationCommandsRole"}:
                    undoes.add((role, action))
                    assert condition == "AllowsMitigation", action
                elif action == "iot:StartAuditMitigationActionsTask":
                    starts.add(role)
                    assert condition == "AllowsMitigation", role
                elif action == "iot:StartDetectMitigationActionsTask":
                    of_detect.add((role, action))
                    assert (of_role, condition) in OF_DETECT, role
                else:
                    assert of_role == "CreatesMitigationActions", (role, action)
    assert starts == {"ApplyMitigationsRole", "AuditCommandsRole"}
    # By a command, and what a stopped canary has changed.
    assert undoes == {(role, action) for role in ("ApplyMitigationsRole", "MitigationCommandsRole") for action in UNDOES}
    assert of_detect == {
        ("ApplyMitigationsRole", "iot:StartDetectMitigationActionsTask"),
        ("DetectCommandsRole", "iot:StartDetectMitigationActionsTask"),
    }
    assert load()["Conditions"]["AllowsMitigation"] == {
        "Fn::Or": [
            {"Condition": "CreatesMitigationActions"},
            {"Fn::Equals": [{"Ref": "AllowMitigation"}, "true"]},
        ]
    }
    both = [{"Condition": "EnablesDetect"}, {"Condition": "AllowsMitigation"}]
    assert load()["Conditions"]["MitigatesAlarms"] == {"Fn::And": both}


def test_the_audit_configuration_has_every_check():
    (configuration,) = of_type("AWS::IoT::AccountAuditConfiguration").values()
    assert len(configuration["AuditCheckConfigurations"]) == 17
    assert all(check["Enabled"] for check in configuration["AuditCheckConfigurations"].values())
    scheduled = load()["Parameters"]["ScheduledAuditChecks"]["Default"].split(",")
    assert len(set(scheduled)) == 17


# --- what stays when the stack is deleted ---------------------------------------------------------------


def retained():
    """The resources that stay, by logical id."""
    return {name: resource for name, resource in load()["Resources"].items() if "DeletionPolicy" in resource}


def test_what_stays_needs_nothing_that_goes():
    for name, resource in retained().items():
        needed = references(resource["Properties"]) & set(load()["Resources"])
        assert needed <= set(retained()), name


def test_what_stays_stays_on_replacement_too_and_goes_with_a_failed_creation():
    for name, resource in load()["Resources"].items():
        policies = resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")
        assert policies in ((None, None), ("RetainExceptOnCreate", "Retain")), name


def test_what_the_account_goes_on_using_stays():
    """The audit configuration, whoever owns it, security profiles, and the account's logging options name these."""
    outputs = [f"{topic}Topic{what}Arn" for topic in ("Alarm", "Audit") for what in ("", "PublisherRole")]
    used = {referred(load()["Outputs"][name]["Value"]) for name in outputs}
    used |= set(of_type("AWS::IoT::AccountAuditConfiguration"))
    for action in of_type("AWS::IoT::MitigationAction").values():
        used |= references(action["ActionParams"].get("EnableIoTLoggingParams", {})) & set(load()["Resources"])
    assert "IotLoggingRole" in used
    assert used <= set(retained())


def test_what_stays_is_documented():
    page = (ROOT / "docs" / "upgrade.md").read_text(encoding="utf-8").split("## Remove", 1)[1]
    assert [name for name in retained() if f"`{name}`" not in page] == []


# --- alarms -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("queue", DEAD_LETTER_QUEUES)
def test_a_dead_letter_queue_has_an_alarm(queue):
    watching = [
        alarm
        for alarm in of_type("AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
        and [referred(d["Value"]) for d in alarm["Dimensions"]] == [queue]
    ]
    (alarm,) = watching
    assert alarm["Threshold"] == 0
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert [referred(action) for action in alarm["AlarmActions"]] == ["AlertTopic"]


def test_alerts_are_listed_from_the_log_of_every_function_that_raises_them():
    (query,) = of_type("AWS::Logs::QueryDefinition").values()
    groups = [group["Fn::If"][1] if "Fn::If" in group else group for group in query["LogGroupNames"]]
    raisers = allowed_on("sns:Publish")["AlertTopic"]
    logs = {referred(f["LoggingConfig"]["LogGroup"]) for f in functions().values() if role_of(f) in raisers}
    assert len(raisers) == len(logs) and {referred(group) for group in groups} == logs
    documented = (ROOT / "docs" / "queries.md").read_text(encoding="utf-8")
    assert query["QueryString"].strip() in documented


def test_no_level_hides_an_alert_or_a_metric():
    """Lambda takes a line without level for INFO; the functions filter their own lines."""
    for function in functions().values():
        assert function["LoggingConfig"]["ApplicationLogLevel"] == "TRACE"
        assert referred(function["Environment"]["LOG_LEVEL"]) == "LogLevel"


def test_a_dead_letter_queue_keeps_longest():
    queues = of_type("AWS::SQS::Queue")
    for name, queue in queues.items():
        expected = 1209600 if name in DEAD_LETTER_QUEUES else 345600
        assert queue["MessageRetentionPeriod"] == expected, name


# --- queues and topics: who may send, and how much ------------------------------------------------------

# A denial for all but these: by the statement's condition.
SENDERS = "aws:PrincipalArn"


def denial(statements):
    """The one statement that denies all but some senders."""
    (found,) = [s for s in statements if s["Effect"] == "Deny" and SENDERS in json.dumps(s["Condition"])]
    assert found["Principal"] == "*"
    return found


def excepted(statement):
    """The roles that a denial leaves out. One that a stack may not have stands behind its condition, or the whole
    policy does."""
    roles = set()
    for arn in statement["Condition"]["ArnNotEquals"][SENDERS]:
        if "Fn::If" in arn:
            condition, arn, other = arn["Fn::If"]
            assert other == {"Ref": "AWS::NoValue"}
            assert load()["Resources"][referred(arn)]["Condition"] == condition
        assert arn["Fn::GetAtt"][1] == "Arn"
        roles.add(referred(arn))
    return roles


@pytest.mark.parametrize("queue", sorted(of_type("AWS::SQS::Queue")))
def test_only_those_that_send_to_a_queue_may(queue):
    statement = denial(policies_on("AWS::SQS::QueuePolicy", "Queues")[queue])
    assert (statement["Action"], referred(statement["Resource"])) == ("sqs:SendMessage", queue)
    assert excepted(statement) == allowed_on("sqs:SendMessage")[queue]
    # SNS sends in its own name: what a topic cannot deliver.
    assert statement["Condition"]["Bool"] == {"aws:PrincipalIsAWSService": "false"}
    # A record is moved back with the permissions of the role that moves it, and never into a dead-letter queue.
    operators = statement["Condition"].get("ArnNotLike")
    if queue in DEAD_LETTER_QUEUES:
        assert operators is None
    else:
        arns = {SENDERS: {"Fn::Split": [",", {"Ref": "OperatorRoleArns"}]}}
        assert operators == {"Fn::If": ["HasOperatorRoles", arns, {"Ref": "AWS::NoValue"}]}
    assert set(statement["Condition"]) <= {"ArnNotEquals", "ArnNotLike", "Bool"}


@pytest.mark.parametrize("topic", sorted(of_type("AWS::SNS::Topic")))
def test_only_those_that_publish_to_a_topic_may(topic):
    statement = denial(policies_on("AWS::SNS::TopicPolicy", "Topics")[topic])
    assert (statement["Action"], referred(statement["Resource"])) == ("sns:Publish", topic)
    assert excepted(statement) == allowed_on("sns:Publish")[topic]
    alarms = {"aws:SourceArn": {"Fn::Sub": "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*"}}
    tools = {"Fn::If": ["HasAlarmSources", {"Fn::Split": [",", {"Ref": "AlarmSourceRoleArns"}]}, {"Ref": "AWS::NoValue"}]}
    others = {key: value for key, value in statement["Condition"].items() if key != "ArnNotEquals"}
    expected = {"AlertTopic": {"ArnNotLike": alarms}, "AlarmTopic": {"ArnNotLike": {SENDERS: tools, **alarms}}}
    assert others == expected.get(topic, {})


def test_a_service_sends_to_a_queue_only_for_a_resource_of_this_stack():
    topics = {}
    for queue, statements in policies_on("AWS::SQS::QueuePolicy", "Queues").items():
        for statement in statements:
            if statement["Effect"] == "Allow":
                assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
                topics[queue] = referred(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
    assert topics == {
        "AlarmDeadLetterQueue": "AlarmTopic",
        "AlarmQueue": "AlarmTopic",
        "NotificationDeadLetterQueue": "AuditTopic",
    }


def test_alarms_reach_their_function_with_the_topic_that_they_came_by():
    (subscription,) = (s for s in of_type("AWS::SNS::Subscription").values() if s["Protocol"] == "sqs")
    assert (referred(subscription["TopicArn"]), referred(subscription["Endpoint"])) == ("AlarmTopic", "AlarmQueue")
    assert subscription["RawMessageDelivery"] is False
    assert referred(subscription["RedrivePolicy"]["deadLetterTargetArn"]) == "AlarmDeadLetterQueue"
    assert set(sources(functions()["DetectAlarmFunction"])) == {"AlarmQueue"}


def test_a_queue_takes_what_the_code_packs():
    """A message of 1 MiB, and its dead-letter queue no less: a redrive that does not fit is lost."""
    packed = re.search(r"const SQS: .*\bbytes: \(1 << (\d+)\) -", read_sources("shared/core/src/pack.rs"))
    sizes = {queue["MaximumMessageSize"] for queue in of_type("AWS::SQS::Queue").values()}
    assert sizes == {1 << int(packed[1])}


# --- Detect: only when it is asked for ------------------------------------------------------------------

# Whatever is named after a part of Detect.
DETECT_NAME = re.compile(
    r"detect|alarm-?(topic|queue|dead|watch|source)|ml-?model|violation|security-?profile|custom-?metric|dimension/",
    re.IGNORECASE,
)
# The parameters that decide what is made, with the values to try.
SWITCHES = {
    "EnableDetect": ["false", "true"],
    "CreateExampleProfiles": ["false", "true"],
    "ExampleProfileTargetArns": ["", "arn:aws:iot:us-east-1:123456789012:thinggroup/pumps"],
    "AlarmSourceRoleArns": ["", "arn:aws:iam::123456789012:role/tool"],
    "CommandRoleArns": ["", "arn:aws:iam::123456789012:role/device-defender"],
    "CreateMitigationActions": ["false", "true"],
    "AllowMitigation": ["false", "true"],
}


def test_a_stack_without_detect_has_nothing_of_it():
    for examples in SWITCHES["CreateExampleProfiles"]:
        stack = made(EnableDetect="false", CreateExampleProfiles=examples, AllowMitigation="true")
        text = json.dumps(stack)
        assert [name for name in stack if DETECT_NAME.search(name)] == []
        assert [text[found.start() - 40 : found.end() + 40] for found in DETECT_NAME.finditer(text)] == []
    assert set(made(EnableDetect="true")) - set(made(EnableDetect="false")) == {
        name for name, resource in load()["Resources"].items() if resource.get("Condition") == "EnablesDetect"
    }


def test_a_stack_refers_only_to_what_it_makes():
    for values in itertools.product(*SWITCHES.values()):
        parameters = dict(zip(SWITCHES, values, strict=True))
        stack = made(**parameters)
        known = set(stack) | set(load()["Parameters"])
        missing = {name for name in references(stack) if not name.startswith("AWS::")} - known
        assert missing == set(), parameters


def test_an_output_stands_under_the_condition_of_what_it_names():
    for name, output in load()["Outputs"].items():
        for named in references(output["Value"]):
            assert output.get("Condition") == load()["Resources"][named].get("Condition"), name


# --- example security profiles ---------------------------------------------------------------------------


def behaviors(profile):
    """The behaviors of an example profile, by name."""
    return {behavior["Name"]: behavior for behavior in of_type("AWS::IoT::SecurityProfile")[profile]["Behaviors"]}


def test_an_example_profile_alarms_by_the_topic_with_its_role():
    for name, profile in of_type("AWS::IoT::SecurityProfile").items():
        assert load()["Resources"][name]["Condition"] == "CreatesExampleProfiles"
        (target,) = profile["AlertTargets"].values()
        named = referred(target["AlertTargetArn"]), referred(target["RoleArn"])
        assert (list(profile["AlertTargets"]), named) == (["SNS"], ("AlarmTopic", "AlarmTopicPublisherRole"))
        names = [behavior["Name"] for behavior in profile["Behaviors"]]
        assert len(set(names)) == len(names) and all(re.fullmatch(r"[a-zA-Z0-9:_-]{1,128}", n) for n in names)


def test_an_example_behavior_expects_what_is_normal():
    """Criteria state what is expected: of what is bad less than a limit, and never more than one."""
    for name, behavior in behaviors("ExampleRulesProfile").items():
        criteria, metric = behavior["Criteria"], behavior["Metric"]
        (kind,) = criteria["Value"]
        if kind == "Count":
            assert criteria["ComparisonOperator"] in {"less-than", "less-than-equals"}, name
            assert int(criteria["Value"]["Count"]) > 0, name
        elif kind == "Number":
            assert (criteria["ComparisonOperator"], referred(metric)) == ("greater-than-equals", "ExampleCustomMetric")
        else:
            assert criteria["ComparisonOperator"] == "in-port-set", name
            assert "DurationSeconds" not in criteria, "a list has no duration"
        assert criteria.get("DurationSeconds", 300) in {300, 600, 900, 1800, 3600}


def test_the_example_models_are_of_the_six_metrics_that_the_cloud_counts():
    models = behaviors("ExampleModelsProfile").values()
    names = "message-byte-size num-messages-sent num-messages-received num-authorization-failures"
    names += " num-connection-attempts num-disconnects"
    assert {model["Metric"] for model in models} == {f"aws:{name}" for name in names.split()}
    for model in models:
        criteria = model["Criteria"]
        counts = ["ConsecutiveDatapointsToAlarm", "ConsecutiveDatapointsToClear"]
        assert set(criteria) == {"MlDetectionConfig", *counts}
        assert all(1 <= criteria[count] <= 10 for count in counts)


# --- partitions ---------------------------------------------------------------------------------------


def texts(value, path=()):
    """Every text of the template with the names of the members that lead to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner, path)
    elif isinstance(value, str):
        yield path, value


def test_nothing_names_a_partition_or_its_domain():
    """China has other ARNs and another domain. The names of services are the same in all partitions."""
    named = []
    for path, text in texts(load()["Resources"]):
        if re.search(r"\barn:aws", text):
            named.append(text)
        service = path[-2:] == ("Principal", "Service") or path[-1] == "iam:PassedToService"
        if "amazonaws.com" in text and not (service and re.fullmatch(r"[a-z]+\.amazonaws\.com", text)):
            named.append(text)
        if "kms:ViaService" in path:
            assert text == "sns.${AWS::Region}.${AWS::URLSuffix}"
    assert named == []


# --- encryption ---------------------------------------------------------------------------------------


def test_everything_is_encrypted():
    assert all(queue["SqsManagedSseEnabled"] is True for queue in of_type("AWS::SQS::Queue").values())
    assert all(referred(t["KmsMasterKeyId"]) == "TopicKey" for t in of_type("AWS::SNS::Topic").values())
    assert all(t["SSESpecification"]["SSEEnabled"] is True for t in of_type("AWS::DynamoDB::Table").values())
    assert all("BucketEncryption" in bucket for bucket in of_type("AWS::S3::Bucket").values())
    assert all(key["EnableKeyRotation"] is True for key in of_type("AWS::KMS::Key").values())


def test_whoever_publishes_may_use_the_key():
    for role in of_type("AWS::IAM::Role"):
        if "sns:Publish" in allowed(role):
            assert {"kms:Decrypt", "kms:GenerateDataKey"} <= allowed(role), role


@pytest.mark.parametrize("kind", ["AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy"])
def test_only_tls_is_spoken(kind):
    for name, policy in of_type(kind).items():
        (denied,) = [s for s in policy["PolicyDocument"]["Statement"] if s["Sid"] == "TlsOnly"]
        assert (denied["Effect"], denied["Principal"]) == ("Deny", "*"), name
        assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}, name


# --- dashboard ----------------------------------------------------------------------------------------


def test_the_dashboard_is_json_and_names_what_is_there():
    (dashboard,) = of_type("AWS::CloudWatch::Dashboard").values()
    body, more = dashboard["DashboardBody"]["Fn::Sub"]
    condition, of_detect, nothing = more["DetectWidgets"]["Fn::If"]
    assert (condition, nothing) == ("EnablesDetect", "")
    json.loads(re.sub(r"\$\{[\w.:]+\}", "x", body.replace("${DetectWidgets}", "")))
    body = body.replace("${DetectWidgets}", of_detect["Fn::Sub"])
    named = {name.split(".")[0] for name in re.findall(r"\$\{([\w.:]+)\}", body)}
    assert {n for n in named if not n.startswith("AWS::")} <= set(load()["Resources"])
    widgets = json.loads(re.sub(r"\$\{[\w.:]+\}", "x", body))["widgets"]
    places = [(w["x"], w["y"] + row) for w in widgets for row in range(w["height"])]
    assert len(set(places)) == len(places), "two widgets in one place"
    searches = [
        metric["expression"]
        for widget in widgets
        for (metric, *_) in widget["properties"].get("metrics", [])
        if isinstance(metric, dict)
    ]
    shown = {name for search in searches for name in re.findall(r'MetricName="(\w+)"', search)}
    shown |= {
        metric[1]
        for widget in widgets
        for metric in widget["properties"].get("metrics", [])
        if metric[0] == "Fleetwarden"
    }
    counted = read_sources("shared/core/src/metrics")
    assert shown <= set(re.findall(r'"(\w+)"', counted))
    gauges = [search for search in searches if "{Fleetwarden,Check" in search]
    assert gauges and all("'Maximum'" in search for search in gauges)
    for queue in of_type("AWS::SQS::Queue"):
        assert queue in named, "a queue that no widget shows"
    for function in FUNCTIONS:
        assert function in named, "a function that no widget shows"


def test_the_ledgers_indexes_are_those_that_the_code_asks():
    (table,) = of_type("AWS::DynamoDB::Table").values()
    indexes = table["GlobalSecondaryIndexes"]
    has = {index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]] for index in indexes}
    text = read_sources("shared/aws/src/ledger/query.rs")
    asked = re.findall(r'Index \{ name: "(\w+)", hash: "(\w+)", range: "(\w+)" \}', text)
    assert has == {name: list(keys) for name, *keys in asked}
    assert all(index["Projection"] == {"ProjectionType": "KEYS_ONLY"} for index in indexes)


def test_who_asks_an_index_may_ask_it_and_no_other_may(function):
    asks = ".query_index(" in read_function(folder(function))
    may = [s["Resource"] for s in statements(role_of(function)) if "dynamodb:Query" in listed(s["Action"])]
    assert ({"Fn::Sub": "${LedgerTable.Arn}/index/Mitigations"} in may) == asks


# --- outputs ------------------------------------------------------------------------------------------


def test_parameters_and_outputs_are_described():
    for section in ("Parameters", "Outputs"):
        assert all(entry.get("Description") for entry in load()[section].values())
    grouped = [
        name
        for group in load()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        for name in group["Parameters"]
    ]
    assert sorted(grouped) == sorted(load()["Parameters"])


def test_keys_stand_in_the_same_order():
    order = ["Type", "Condition", "DeletionPolicy", "UpdateReplacePolicy", "Metadata", "Properties"]
    for name, resource in load()["Resources"].items():
        keys = [key for key in resource if not key.startswith("__")]
        assert keys == [key for key in order if key in keys], name


# --- the tables that the rules above rely on ------------------------------------------------------------


def test_every_operation_behind_an_adapter_is_known():
    text = read_sources("shared/aws/src")
    # A text may be called so, too: the id of a client.
    called = set(re.findall(r"\bclient\s*\.(\w+)\(\)", text)) - {"to_owned"}
    assert called and called <= set(OPERATIONS)
    behind = set().union(*ADAPTERS.values())
    assert called <= behind | {"send_message"}


def test_the_policy_layer_holds_the_policy_alone():
    """What else lay there would deploy all functions anew when it changes."""
    (layer,) = of_type("AWS::Serverless::LayerVersion").values()
    assert [path.name for path in (ROOT / layer["ContentUri"]).iterdir()] == ["policy.yaml"]
