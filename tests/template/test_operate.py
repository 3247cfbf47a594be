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


METRICS = sorted(path.name for path in (ROOT / "shared/core/src/metrics").glob("*.rs"))


@pytest.mark.parametrize("source", METRICS)
def test_every_metric_is_documented(source):
    names = words(f"shared/core/src/metrics/{source}", r'(?:Metric::\w+|days)\("([A-Z]\w+)"|=> "(Alarms[A-Z]\w+)"')
    assert undocumented([name for pair in names for name in pair if name]) == []


def test_every_state_of_a_mitigation_is_documented():
    assert undocumented(words("shared/aws/src/mitigations/item.rs", r'Self::\w+ => "([\w-]+)"')) == []


def test_a_parameter_that_the_pages_name_is_one():
    known = set(load()["Parameters"])
    for page in (ROOT / "docs").glob("*.md"):
        named = re.findall(r"parameters? `([A-Z][a-z]\w+)`|`([A-Z][a-z]\w+)=", page.read_text(encoding="utf-8"))
        assert {name for pair in named for name in pair if name} <= known, page.name
