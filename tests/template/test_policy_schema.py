"""The policies that ship against their JSON Schema, judged by a validator that nobody here wrote."""

import copy
import json
import re
import textwrap

import jsonschema
import pytest
import yaml
from template import ROOT

SCHEMA = json.loads((ROOT / "policies/policy.schema.json").read_text())
POLICIES = [
    path
    for folder in ("policies/deployed", "policies/cookbook")
    for path in sorted((ROOT / folder).glob("*.yaml"))
]
FULL = """
version: 1
mode: enforce
protect: { things: core-*, groups: [production], certificates: 1f*, policies: base }
windows:
  zone: Europe/Berlin
  open: [{ days: [Sat, Sun], hours: 22:00-06:00 }, {}]
  freeze: [{ from: 2026-12-19, to: 2027-01-06 }, { from: 12-20, to: 02-29 }]
actions:
  A: { windows: { zone: UTC, open: [{ hours: 09:00-15:00 }] } }
  B-1: { windows: { freeze: [{ from: 12-20, to: 01-06 }] } }
rules:
  - name: everything
    stage: shadow
    match:
      check: [REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK, REVOKED_CA_CERT_CHECK, "LOGGING_*"]
      severity: [CRITICAL, LOW]
      reason: A
      type: DEVICE_CERTIFICATE
      resource: ["a*", b]
      account: 123456789012
      region: eu-*
      olderThan: 30d
      seenAtLeast: 3
      expiresWithin: 12h
      thing: a
      group: [a, b]
      thingType: a
      attribute: { site: [a, b], floor: 3 }
    except: { severity: LOW }
    mitigate: { actions: [A, B-1] }
  - { name: one, suppress: { for: 2w, reason: r, owner: o, ticket: 4711 } }
  - { name: two, suppress: { until: 2027-06-30, reason: r } }
  - { name: three, suppress: { indefinitely: true, reason: r } }
  - { name: four, report: { severity: high } }
  - { name: five, report: { silent: true } }
  - { name: six, match: {}, mitigate: { actions: A } }
  - { name: seven, mitigate: { actions: A, windows: { zone: UTC, open: [{ days: [Mon] }], freeze: [{ from: 07-01, to: 07-03 }] } } }
  - { name: eight, alarm: {}, mitigate: { actions: A, windows: { open: [{}] } } }
"""


class Core(yaml.SafeLoader):
    """YAML 1.2, as Fleetwarden and editors read it: a date is a text, and so are `on` and `12:30`."""

    yaml_implicit_resolvers = {}


for tag, pattern, first in (
    ("bool", r"true|false", "tf"),
    ("null", r"~|null|", ["~", "n", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)


def refused(policy):
    """What the schema says against a policy, if anything."""
    checker = jsonschema.FormatChecker(["date"])
    validator = jsonschema.Draft202012Validator(SCHEMA, format_checker=checker)
    return [error.message for error in validator.iter_errors(policy)]


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_a_policy_that_ships_is_valid(path):
    assert refused(yaml.load(path.read_text(), Core)) == []


def test_the_example_of_the_documentation_is_valid():
    blocks = re.findall(r"(?:^(?:    .*)?\n)+", (ROOT / "docs/policy.md").read_text(), re.MULTILINE)
    example = next(block for block in blocks if "version: 1" in block)
    assert refused(yaml.load(textwrap.dedent(example), Core)) == []


NOTES = json.loads((ROOT / "local/fleetwarden/src/commands/policy/reference.json").read_text())


@pytest.mark.parametrize("key", NOTES)
def test_an_example_of_the_reference_is_valid(key):
    block, _, name = key.rpartition(".")
    owner = SCHEMA if block == "The file" else SCHEMA["$defs"][block]
    example = yaml.load(NOTES[key]["example"], Core)
    validator = jsonschema.Draft202012Validator({"$defs": SCHEMA["$defs"]} | owner["properties"][name])
    assert [error.message for error in validator.iter_errors(example)] == []


def test_every_key_is_known():
    assert refused(yaml.load(FULL, Core)) == []


def places(value, path=()):
    """Every mapping of the language within a value, by its path. Attributes have names of their own."""
    if isinstance(value, dict) and path[-1:] != ("attribute",):
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*path, key))


@pytest.mark.parametrize("path", list(places(yaml.load(FULL, Core))), ids=lambda path: "/".join(map(str, path)))
def test_a_misspelt_key_is_refused_wherever_it_stands(path):
    policy = copy.deepcopy(yaml.load(FULL, Core))
    place = policy
    for key in path:
        place = place[key]
    place["serverity"] = "LOW"
    assert refused(policy)


@pytest.mark.parametrize(
    "rule",
    [
        "{ name: r }",
        "{ report: {} }",
        "{ name: a b, report: {} }",
        "{ name: r, report: {}, mitigate: { actions: A } }",
        "{ name: r, stage: dark, report: {} }",
        "{ name: r, except: {}, report: {} }",
        "{ name: r, match: { check: CA_CERT_CHECK }, report: {} }",
        "{ name: r, match: { check: [] }, report: {} }",
        "{ name: r, match: { check: ~ }, report: {} }",
        "{ name: r, match: { severity: low }, report: {} }",
        "{ name: r, match: { resource: '' }, report: {} }",
        "{ name: r, match: { olderThan: 5 days }, report: {} }",
        "{ name: r, match: { seenAtLeast: often }, report: {} }",
        "{ name: r, match: { attribute: site }, report: {} }",
        "{ name: r, mitigate: { actions: [] } }",
        "{ name: r, mitigate: { actions: [A, A] } }",
        "{ name: r, mitigate: { actions: [A, B, C, D, E, F] } }",
        "{ name: r, mitigate: { actions: A, windows: {} } }",
        "{ name: r, mitigate: { actions: A, windows: { zone: UTC } } }",
        "{ name: r, mitigate: { actions: A, windows: { open: [] } } }",
        "{ name: r, mitigate: { actions: A, windows: { freeze: [{ from: 13-01, to: 01-06 }] } } }",
        "{ name: r, mitigate: { actions: A, windows: { freeze: [{ from: 12-20 }] } } }",
        "{ name: r, suppress: { for: 1d } }",
        "{ name: r, suppress: { reason: x } }",
        "{ name: r, suppress: { for: 1d, until: 2027-06-30, reason: x } }",
        "{ name: r, suppress: { until: 2027-02-30, reason: x } }",
        "{ name: r, suppress: { indefinitely: false, reason: x } }",
        "{ name: r, report: { severity: high, silent: true } }",
        "{ name: r, report: { severity: HIGH } }",
    ],
)
def test_what_the_reader_refuses_the_schema_refuses(rule):
    assert refused(yaml.load(f"version: 1\nrules: [{rule}]", Core))
    assert refused({"version": 2, "rules": []})
