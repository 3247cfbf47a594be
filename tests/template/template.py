"""The template, read once: resources by type, a function with its globals, and who may call what.

Before it: `template.yaml`. After it: `test_template.py`, which holds the house's rules.
"""

import functools
import pathlib

from cfnlint.decode import cfn_yaml

ROOT = pathlib.Path(__file__).parents[2]


@functools.cache
def load():
    """The template with its short forms written out (`!Ref X` is `{"Ref": "X"}`)."""
    return cfn_yaml.load(str(ROOT / "template.yaml"))


def of_type(kind):
    """Logical id and properties of every resource of a type."""
    return {
        name: resource.get("Properties", {})
        for name, resource in load()["Resources"].items()
        if resource["Type"] == kind
    }


def functions():
    """Logical id and properties of every function, with what `Globals` says of it."""
    common = load()["Globals"]["Function"]
    result = {}
    for name, own in of_type("AWS::Serverless::Function").items():
        merged = {**common, **own}
        merged["LoggingConfig"] = {**common["LoggingConfig"], **own["LoggingConfig"]}
        merged["Environment"] = {
            **common["Environment"]["Variables"],
            **own["Environment"]["Variables"],
        }
        merged.setdefault("Events", {})  # a function that is only invoked has none
        result[name] = merged
    return result


def folder(function):
    """The folder of a function, which is also the name of its binary."""
    return function["CodeUri"].removeprefix("functions/")


def referred(value):
    """The logical id that `Ref`, `Fn::GetAtt` or a single-variable `Fn::Sub` names; None for anything else."""
    if not isinstance(value, dict):
        return None
    if "Ref" in value:
        return value["Ref"]
    if "Fn::GetAtt" in value:
        attribute = value["Fn::GetAtt"]
        return attribute[0] if isinstance(attribute, list) else attribute.split(".")[0]
    return None


def listed(value):
    """A member that may be one thing or a list of them, as a list."""
    return value if isinstance(value, list) else [value]


def sources(function):
    """The queues that a function is woken by: logical id and event."""
    return {
        referred(event["Properties"]["Queue"]): event["Properties"]
        for event in function["Events"].values()
        if event["Type"] == "SQS"
    }


def statements(role):
    """Every statement of a role's own policies."""
    return [
        statement
        for policy in of_type("AWS::IAM::Role")[role].get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def allowed(role):
    """Every action that a role's own policies allow."""
    return {action for statement in statements(role) for action in listed(statement["Action"])}
