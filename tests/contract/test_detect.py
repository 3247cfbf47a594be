"""boto3 drives the operations of Detect that store and list: profiles, targets, custom metrics, dimensions."""

from conftest import ROLE, TOPIC
from test_errors import invalid, refused

ARN = "arn:aws:iot:us-east-1:123456789012"
ALL, REGISTERED, UNREGISTERED = (f"{ARN}:all/{which}" for which in ("things", "registered-things", "unregistered-things"))
FEWER = {"comparisonOperator": "less-than", "value": {"count": 10}, "durationSeconds": 300,
         "consecutiveDatapointsToAlarm": 1, "consecutiveDatapointsToClear": 1}
FAILURES = {"name": "Authorization", "metric": "aws:num-authorization-failures", "criteria": FEWER}
ANOMALY = {"name": "ml", "metric": "aws:num-messages-sent", "criteria": {"mlDetectionConfig": {"confidenceLevel": "HIGH"}}}
ALERTS = {"SNS": {"alertTargetArn": TOPIC, "roleArn": ROLE}}


def group(name):
    return f"{ARN}:thinggroup/{name}"


def names(iot, **filters):
    pages = iot.get_paginator("list_security_profiles").paginate(**filters, PaginationConfig={"PageSize": 2})
    return [profile["name"] for page in pages for profile in page["securityProfileIdentifiers"]]


def profiles_of(iot, target, **more):
    pages = iot.get_paginator("list_security_profiles_for_target").paginate(securityProfileTargetArn=target, **more)
    mappings = [mapping for page in pages for mapping in page["securityProfileTargetMappings"]]
    return [(mapping["securityProfileIdentifier"]["name"], mapping["target"]["arn"]) for mapping in mappings]


def test_a_profile_from_its_creation_to_its_end(iot):
    made = iot.create_security_profile(
        securityProfileName="p", securityProfileDescription="Ten failures", behaviors=[FAILURES], alertTargets=ALERTS,
        additionalMetricsToRetainV2=[{"metric": "aws:all-bytes-in", "exportMetric": True}],
        metricsExportConfig={"mqttTopic": "export", "roleArn": ROLE}, tags=[{"Key": "team", "Value": "fleet"}],
    )
    assert made["securityProfileArn"] == f"{ARN}:securityprofile/p"
    described = iot.describe_security_profile(securityProfileName="p")
    assert (described["version"], described["behaviors"], described["alertTargets"]) == (1, [FAILURES], ALERTS)
    assert described["creationDate"] == described["lastModifiedDate"]
    updated = iot.update_security_profile(securityProfileName="p", behaviors=[ANOMALY], expectedVersion=1)
    assert (updated["version"], updated["behaviors"]) == (2, [ANOMALY])
    for member in ("securityProfileDescription", "alertTargets", "additionalMetricsToRetainV2", "metricsExportConfig"):
        assert updated[member] == described[member]
    updated.pop("ResponseMetadata")
    described = iot.describe_security_profile(securityProfileName="p")
    assert {member: described[member] for member in updated} == updated
    bare = iot.update_security_profile(
        securityProfileName="p", expectedVersion=2, deleteBehaviors=True, deleteAlertTargets=True,
        deleteAdditionalMetricsToRetain=True, deleteMetricsExportConfig=True,
    )
    assert bare["version"] == 3
    assert not {"behaviors", "alertTargets", "additionalMetricsToRetainV2", "metricsExportConfig"} & set(bare)
    iot.delete_security_profile(securityProfileName="p", expectedVersion=3)
    iot.delete_security_profile(securityProfileName="p")
    assert names(iot) == []


def test_a_version_that_is_not_the_profile_s(iot):
    iot.create_security_profile(securityProfileName="p")
    conflict = lambda operation, **more: refused(
        "VersionConflictException", 409, operation, "the version is 1", securityProfileName="p", expectedVersion=2, **more)
    conflict(iot.update_security_profile, behaviors=[FAILURES])
    conflict(iot.delete_security_profile)
    assert "behaviors" not in iot.describe_security_profile(securityProfileName="p")
    error = refused("ResourceAlreadyExistsException", 409, iot.create_security_profile, securityProfileName="p")
    assert (error["resourceId"], error["resourceArn"]) == ("p", f"{ARN}:securityprofile/p")


def test_what_an_update_must_not_say_at_once(iot):
    iot.create_security_profile(securityProfileName="p", behaviors=[FAILURES], additionalMetricsToRetain=["aws:all-bytes-in"])
    update = lambda words, **members: invalid(iot.update_security_profile, words, securityProfileName="p", **members)
    update("deleteBehaviors", deleteBehaviors=True, behaviors=[ANOMALY])
    update("deleteAlertTargets", deleteAlertTargets=True, alertTargets=ALERTS)
    update("deleteAdditionalMetricsToRetain", deleteAdditionalMetricsToRetain=True, additionalMetricsToRetain=[])
    update("deleteMetricsExportConfig", deleteMetricsExportConfig=True, metricsExportConfig={"mqttTopic": "t", "roleArn": ROLE})
    update("battery", additionalMetricsToRetain=["battery"])
    update("no-dimension", additionalMetricsToRetainV2=[
        {"metric": "aws:num-messages-sent", "metricDimension": {"dimensionName": "no-dimension"}}])
    described = iot.describe_security_profile(securityProfileName="p")
    assert (described["version"], described["behaviors"]) == (1, [FAILURES])
    kept = iot.update_security_profile(securityProfileName="p", deleteBehaviors=False, behaviors=[ANOMALY])
    assert kept["additionalMetricsToRetain"] == ["aws:all-bytes-in"]


def test_behaviors_are_validated(endpoint, iot):
    validate = lambda *behaviors: iot.validate_security_profile_behaviors(behaviors=behaviors)
    good = validate(FAILURES, ANOMALY)
    assert (good["valid"], good["validationErrors"]) == (True, [])
    # The answer that the AWS CLI documents.
    bad = validate({**FAILURES, "criteria": {**FEWER, "consecutiveDatapointsToAlarm": 100000}})
    assert (bad["valid"], bad["validationErrors"]) == (False, [{
        "errorMessage": "Behavior Authorization is malformed. consecutiveDatapointsToAlarm 100000 should be in range[1,10]"
    }])
    both = validate({**FAILURES, "criteria": {**FEWER, "durationSeconds": 301}}, {"name": "b", "metric": "aws:none"})
    assert [error["errorMessage"].split(".")[0] for error in both["validationErrors"]] == [
        "Behavior Authorization is malformed", "Behavior b is malformed"]
    twice = validate(FAILURES, FAILURES)
    assert "another behavior" in twice["validationErrors"][0]["errorMessage"]
    for behaviors, words in (([{"name": "b", "metric": "battery"}], "metric"), ([FAILURES] * 2, "another behavior")):
        invalid(iot.create_security_profile, words, securityProfileName="p", behaviors=behaviors)
    assert names(iot) == []
    assert endpoint.judge.bad_requests == []


def test_targets(endpoint, iot):
    for number in range(6):
        iot.create_security_profile(securityProfileName=f"p{number}")
    attach = lambda number, target: iot.attach_security_profile(securityProfileName=f"p{number}", securityProfileTargetArn=target)
    for number in range(5):
        attach(number, ALL)
    attach(0, ALL)
    refused("LimitExceededException", 410, attach, number=5, target=ALL)
    attach(5, REGISTERED)
    attach(5, UNREGISTERED)
    attach(5, group("production-north"))
    attach(0, group("fleet"))
    listed = iot.list_targets_for_security_profile(securityProfileName="p5")["securityProfileTargets"]
    assert [target["arn"] for target in listed] == [REGISTERED, UNREGISTERED, group("production-north")]
    assert profiles_of(iot, group("fleet")) == [("p0", group("fleet"))]
    below = profiles_of(iot, group("fleet"), recursive=True)
    assert sorted(below) == [("p0", group("fleet")), ("p5", group("production-north"))]
    iot.detach_security_profile(securityProfileName="p0", securityProfileTargetArn=ALL)
    assert [name for name, _ in profiles_of(iot, ALL)] == ["p1", "p2", "p3", "p4"]
    attach(5, ALL)
    iot.delete_security_profile(securityProfileName="p1")
    assert [name for name, _ in profiles_of(iot, ALL)] == ["p2", "p3", "p4", "p5"]


def test_what_is_no_target(iot):
    iot.create_security_profile(securityProfileName="p")
    for operation in (iot.attach_security_profile, iot.detach_security_profile):
        use = lambda target: operation(securityProfileName="p", securityProfileTargetArn=target)
        refused("ResourceNotFoundException", 404, use, "none", target=group("none"))
        for target in (f"{ARN}:thing/device-0000000", ALL.replace("us-east-1", "eu-west-1"), ALL.replace("1234", "4321"), "fleet"):
            invalid(use, "securityProfileTargetArn", target=target)
        refused("ResourceNotFoundException", 404, operation, securityProfileName="none", securityProfileTargetArn=ALL)
    find = lambda target: iot.list_security_profiles_for_target(securityProfileTargetArn=target)
    refused("ResourceNotFoundException", 404, find, target=group("none"))
    invalid(find, "securityProfileTargetArn", target="fleet")
    refused("ResourceNotFoundException", 404, iot.list_targets_for_security_profile, securityProfileName="none")


def test_custom_metrics(iot):
    create = lambda name, **more: iot.create_custom_metric(**{"metricName": name, "metricType": "number", **more})
    made = create("battery", displayName="Battery, in percent", clientRequestToken="one", tags=[{"Key": "a", "Value": "b"}])
    assert made["metricArn"] == f"{ARN}:custommetric/battery"
    again = create("battery", displayName="Battery, in percent", clientRequestToken="one")
    assert again["metricArn"] == made["metricArn"]
    for more in ({}, {"clientRequestToken": "one", "metricType": "number-list"}):
        assert refused("ResourceAlreadyExistsException", 409, create, name="battery", **more)["resourceId"] == "battery"
    refused("ResourceAlreadyExistsException", 409, create, name="other", clientRequestToken="one")
    invalid(create, "aws:", name="aws:battery")
    described = iot.describe_custom_metric(metricName="battery")
    assert (described["metricType"], described["displayName"]) == ("number", "Battery, in percent")
    updated = iot.update_custom_metric(metricName="battery", displayName="Battery")
    assert updated["displayName"] == "Battery" and updated["lastModifiedDate"] >= updated["creationDate"]
    for number in range(99):
        create(f"m{number}")
    refused("LimitExceededException", 410, create, name="more")
    pages = iot.get_paginator("list_custom_metrics").paginate(PaginationConfig={"PageSize": 60})
    assert [len(page["metricNames"]) for page in pages] == [60, 40]
    above = {"name": "b", "metric": "battery", "criteria": {"comparisonOperator": "greater-than", "value": {"number": -1.5}}}
    iot.create_security_profile(securityProfileName="p", behaviors=[above])
    iot.create_security_profile(securityProfileName="q", additionalMetricsToRetain=["m1", "battery"])
    iot.create_security_profile(securityProfileName="r", additionalMetricsToRetainV2=[{"metric": "m1"}])
    assert (names(iot, metricName="battery"), names(iot, metricName="m1"), names(iot, metricName="m2")) == (["p", "q"], ["q", "r"], [])
    invalid(iot.delete_custom_metric, "security profile", metricName="battery")
    iot.update_security_profile(securityProfileName="p", behaviors=[])
    iot.update_security_profile(securityProfileName="q", deleteAdditionalMetricsToRetain=True)
    iot.delete_custom_metric(metricName="battery")
    iot.delete_custom_metric(metricName="battery")
    refused("ResourceNotFoundException", 404, iot.list_security_profiles, metricName="battery")


def test_dimensions(iot):
    create = lambda name, **more: iot.create_dimension(name=name, type="TOPIC_FILTER", stringValues=["device/+/auth"], **more)
    assert create("d", clientRequestToken="one")["arn"] == f"{ARN}:dimension/d"
    for name, more in (("d", {}), ("d", {"clientRequestToken": "one"}), ("e", {"clientRequestToken": "one"})):
        assert refused("ResourceAlreadyExistsException", 409, create, name=name, **more)["resourceId"] == "d"
    updated = iot.update_dimension(name="d", stringValues=["device/${iot:ClientId}/auth", "a/#"])
    assert updated["stringValues"] == ["device/${iot:ClientId}/auth", "a/#"]
    described = iot.describe_dimension(name="d")
    assert (described["type"], described["stringValues"]) == ("TOPIC_FILTER", updated["stringValues"])
    for number in range(9):
        create(f"d{number}")
    refused("LimitExceededException", 410, create, name="more")
    assert iot.list_dimensions(maxResults=3)["dimensionNames"] == ["d", "d0", "d1"]
    narrow = {**FAILURES, "metricDimension": {"dimensionName": "d", "operator": "NOT_IN"}}
    iot.create_security_profile(securityProfileName="p", behaviors=[narrow])
    assert iot.describe_security_profile(securityProfileName="p")["behaviors"] == [narrow]
    assert (names(iot, dimensionName="d"), names(iot, dimensionName="d0")) == (["p"], [])
    invalid(iot.list_security_profiles, "dimensionName", dimensionName="d", metricName="m")
    invalid(iot.delete_dimension, "security profile p", name="d")
    iot.delete_security_profile(securityProfileName="p")
    iot.delete_dimension(name="d")
    iot.delete_dimension(name="d")
    refused("ResourceNotFoundException", 404, iot.list_security_profiles, dimensionName="d")
