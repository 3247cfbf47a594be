"""The file of things and groups against its JSON Schema, judged by a validator that nobody here wrote."""

import copy
import json
import re
import textwrap

import jsonschema
import pytest
import yaml
from template import ROOT

SCHEMA = json.loads((ROOT / "docs/things.schema.json").read_text())
PAGE = (ROOT / "docs/things.md").read_text()
EXAMPLE = yaml.safe_load(
    textwrap.dedent(next(block for block in re.findall(r"(?:^(?:    .*)?\n)+", PAGE, re.MULTILINE) if "things:\n" in block))
)
EXPORTED = {
    "exported": {"from": "arn:aws:iot:eu-central-1:123456789012", "begun": "2026-11-30T08:00:00Z", "certificates": True},
    "things": [{"name": "a", "attributes": {}, "certificates": []}],
    "groups": [{"name": "b", "parent": "c", "things": ["a"]}],
}


def refused(file):
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(file)]


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", [EXAMPLE, EXPORTED, {}], ids=["documentation", "export", "nothing"])
def test_what_the_commands_take_is_valid(file):
    assert refused(file) == []


def test_the_example_has_every_list_that_people_write():
    assert set(EXAMPLE) == set(SCHEMA["properties"]) - {"exported"}


@pytest.mark.parametrize("path", [(), ("exported",), ("things", 0), ("groups", 0)], ids=str)
def test_a_misspelt_key_is_refused_wherever_it_stands(path):
    file = copy.deepcopy(EXPORTED)
    place = file
    for key in path:
        place = place[key]
    place["thigns"] = []
    assert refused(file)


@pytest.mark.parametrize("file", [[], {"things": {}}, {"things": [{"type": "a"}]}, {"groups": [{"name": "a", "parent": 3}]}])
def test_what_the_reader_refuses_the_schema_refuses(file):
    assert refused(file)


def test_every_operation_of_the_export_is_in_the_table_of_permissions():
    source = (ROOT / "local/fleetwarden/src/fleet/export.rs").read_text()
    called = set(re.findall(r'"((?:List|Describe)[A-Za-z]+)"', source))
    assert called and {f"iot:{operation}" for operation in called} == set(re.findall(r"iot:\w+", PAGE))
