"""The template, read once: resources by type, a function with its globals, and who may call what.

Before it: `template.yaml`. After it: `test_template.py`, which holds the house's rules.
"""

import functools
import json
import pathlib
import re
from importlib import resources

from cfnlint.decode import cfn_yaml
from ministack.services.cloudformation import language_extensions

ROOT = pathlib.Path(__file__).parents[2]


@functools.cache
def load():
    """The template with its short forms written out (`!Ref X` is `{"Ref": "X"}`) and its loops expanded."""
    return language_extensions.apply(cfn_yaml.load(str(ROOT / "template.yaml")), {})


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


def made(**parameters):
    """The resources of a stack with these parameters, over the defaults: with every `Fn::If` decided."""
    values = {name: parameter["Default"] for name, parameter in load()["Parameters"].items()} | parameters

    def met(condition):
        (operator, operands) = next(iter(condition.items()))
        if operator == "Condition":
            return met(load()["Conditions"][operands])
        if operator == "Fn::Equals":
            left, right = (values[side["Ref"]] if isinstance(side, dict) else side for side in operands)
            return left == right
        decided = [met(operand) for operand in operands]
        return {"Fn::And": all(decided), "Fn::Or": any(decided), "Fn::Not": not decided[0]}[operator]

    def decided(value):
        if isinstance(value, list):
            return [item for item in map(decided, value) if item != {"Ref": "AWS::NoValue"}]
        if not isinstance(value, dict):
            return value
        if "Fn::If" in value:
            condition, yes, no = value["Fn::If"]
            return decided(yes if met({"Condition": condition}) else no)
        members = {key: decided(member) for key, member in value.items()}
        if isinstance(text := members.get("Fn::Sub"), list):
            own = {name: inner for name, inner in text[1].items() if isinstance(inner, str)}
            whole = re.sub(r"\$\{(\w+)\}", lambda found: own.get(found[1], found[0]), text[0])
            rest = {name: inner for name, inner in text[1].items() if name not in own}
            members = {"Fn::Sub": [whole, rest] if rest else whole}
        return {key: member for key, member in members.items() if member != {"Ref": "AWS::NoValue"}}

    def stands(resource):
        return "Condition" not in resource or met({"Condition": resource["Condition"]})

    return {name: decided(resource) for name, resource in load()["Resources"].items() if stands(resource)}


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


def references(value):
    """Every logical id, parameter and pseudo parameter that a value refers to, at any depth."""
    if isinstance(value, list):
        return {name for item in value for name in references(item)}
    if not isinstance(value, dict):
        return set()
    if "Fn::Sub" in value:
        text = value["Fn::Sub"]
        text, own = text if isinstance(text, list) else (text, {})
        named = {name.split(".")[0] for name in re.findall(r"\$\{([\w:.]+)\}", text)}
        return (named - set(own)) | references(list(own.values()))
    if "Fn::If" in value:
        return references(value["Fn::If"][1:])
    name = referred(value)
    return {name} if name else references(list(value.values()))


def conditional_statements(role):
    """Every statement of a role's own policies, with the condition that it stands under or None."""
    found = []
    for policy in of_type("AWS::IAM::Role")[role].get("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            if "Fn::If" in statement:
                condition, statement, other = statement["Fn::If"]
                assert other == {"Ref": "AWS::NoValue"}, role
                found.append((condition, statement))
            else:
                found.append((None, statement))
    return found


def statements(role):
    """Every statement of a role's own policies."""
    return [statement for _, statement in conditional_statements(role)]


def allowed_on(action):
    """The roles whose own policies allow an action, by what they allow it on."""
    roles = {}
    for role in of_type("AWS::IAM::Role"):
        for statement in statements(role):
            if action in listed(statement["Action"]):
                for resource in listed(statement["Resource"]):
                    roles.setdefault(referred(resource), set()).add(role)
    return roles


def policies_on(kind, member):
    """The statements of every policy of a resource, by the logical id of that resource."""
    found = {}
    for policy in of_type(kind).values():
        for name in map(referred, listed(policy[member])):
            assert name not in found, f"{name} has two policies: the second replaces the first"
            found[name] = policy["PolicyDocument"]["Statement"]
    return found


def allowed(role):
    """Every action that a role's own policies allow."""
    return {action for statement in statements(role) for action in listed(statement["Action"])}


@functools.cache
def authorization_reference():
    """The service authorization reference as cfn-lint has it."""
    text = resources.files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text(encoding="utf-8")
    return json.loads(text)


def resource_types(action):
    """The types of resource that an action knows."""
    service, name = action.lower().split(":")
    return authorization_reference()[service]["Actions"][name].get("Resources", [])
