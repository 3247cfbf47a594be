"""The deployer's policy covers what the template has, and little else."""

import json

import pytest
from template import ROOT
from template import load

POLICY = json.loads((ROOT / "docs" / "deployer-policy.json").read_text(encoding="utf-8"))
# The service of an action, where a resource type names it otherwise.
SERVICES = {"Serverless": "lambda", "IoT": "iot", "CloudWatch": "cloudwatch", "Logs": "logs", "Scheduler": "scheduler"}
# What has no resource in IAM, or whose resource has no name before it exists.
ANY_RESOURCE = {"EventSources", "NoResourceLevel"}


def listed(value):
    return value if isinstance(value, list) else [value]


def statements():
    return {statement["Sid"]: statement for statement in POLICY["Statement"]}


def service(kind):
    name = kind.split("::")[1]
    return SERVICES.get(name, name.lower())


@pytest.mark.parametrize("kind", sorted({resource["Type"] for resource in load()["Resources"].values()}))
def test_every_type_of_the_template_has_an_action_of_its_service(kind):
    actions = [action for statement in POLICY["Statement"] for action in listed(statement["Action"])]
    assert any(action.startswith(f"{service(kind)}:") for action in actions)


def test_every_kind_of_device_defender_resource_can_be_made():
    actions = [action for statement in POLICY["Statement"] for action in listed(statement["Action"])]
    for kind in {resource["Type"] for resource in load()["Resources"].values() if "::IoT::" in resource["Type"]}:
        assert f"iot:*{kind.rsplit(':', 1)[1]}" in actions


def test_no_action_is_a_whole_service_and_few_are_on_every_resource():
    for sid, statement in statements().items():
        assert not [action for action in listed(statement["Action"]) if action.endswith(":*") or action == "*"]
        assert ("*" in listed(statement["Resource"])) == (sid in ANY_RESOURCE), sid


def test_it_fits_into_a_managed_policy():
    assert len(json.dumps(POLICY, separators=(",", ":"))) <= 6144


def test_roles_are_passed_to_the_services_of_the_template_alone():
    assert set(statements()["PassRoles"]["Condition"]["StringEquals"]["iam:PassedToService"]) == {
        f"{name}.amazonaws.com" for name in ("lambda", "scheduler", "iot")
    }
