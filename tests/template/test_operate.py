"""What can ring, be raised, be counted or stand in the ledger is in the operator's pages."""

import re

import pytest
from template import ROOT
from template import load
from template import of_type

OPERATE = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")


def undocumented(names):
    """The names that stand nowhere as code."""
    return sorted(name for name in names if f"`{name}`" not in OPERATE)


def words(path, pattern):
    """What the code has between quotes."""
    found = re.findall(pattern, (ROOT / path).read_text(encoding="utf-8"))
    assert found, f"{path} has nothing like {pattern}"
    return found


def test_every_alarm_is_documented():
    assert undocumented(of_type("AWS::CloudWatch::Alarm")) == []


def test_every_kind_of_alert_is_documented():
    assert undocumented(words("shared/core/src/alert/kind.rs", r'=> "([a-z]+-[\w-]+)"')) == []


def test_an_alert_leads_to_a_section_that_is_there():
    headings = set(re.findall(r"^## (.+)$", OPERATE, re.MULTILINE))
    assert set(words("shared/core/src/alert/kind.rs", r'=> "([A-Z][^"]+)"')) <= headings


def test_every_metric_is_documented():
    source = "shared/core/src/metrics.rs"
    counts = [name for part in words(source, r"\[((?:\"\w+\"(?:, )?){3,})\]") for name in re.findall(r"\w+", part)]
    others = words(source, r'\("([A-Z]\w+)", (?:"|seen)') + words(source, r'const OLDEST: &str = "(\w+)"')
    assert undocumented(counts + others) == []


def test_every_metric_of_alarms_is_documented():
    source = "shared/core/src/metrics/alarms.rs"
    assert undocumented(words(source, r'"(Alarms[A-Z]\w+)"') + words(source, r'\("([A-Z]\w+)", "')) == []


@pytest.mark.parametrize("source", ["alarm_watch", "models"])
def test_every_metric_of_a_look_at_detect_is_documented(source):
    assert undocumented(words(f"shared/core/src/metrics/{source}.rs", r'\("([A-Z]\w+)", "')) == []


def test_every_state_of_a_mitigation_is_documented():
    assert undocumented(words("shared/aws/src/mitigations/item.rs", r'Self::\w+ => "([\w-]+)"')) == []


def test_a_parameter_that_the_pages_name_is_one():
    known = set(load()["Parameters"])
    for page in (ROOT / "docs").glob("*.md"):
        named = re.findall(r"parameters? `([A-Z][a-z]\w+)`|`([A-Z][a-z]\w+)=", page.read_text(encoding="utf-8"))
        assert {name for pair in named for name in pair if name} <= known, page.name
