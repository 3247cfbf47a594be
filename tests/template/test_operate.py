"""The operator's pages have a runbook for each alarm and alert, and every metric and state."""

import re

import pytest
from template import ROOT
from template import load
from template import of_type

OPERATE = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
PAGES = OPERATE + (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


def undocumented(names):
    """The names that stand nowhere as code."""
    return sorted(name for name in names if f"`{name}`" not in PAGES)


def runbooks():
    """The parts below the headings of the third level that are a name, by that name."""
    parts = re.split(r"^#{1,3} ", OPERATE, flags=re.MULTILINE)
    named = (re.match(r"`([\w-]+)`\n", part) for part in parts)
    return {name[1]: part for name, part in zip(named, parts) if name}


def without_runbook(names):
    """The names without a runbook, or with one that leaves out what happened, why, what to do, or how it ends."""
    books = runbooks()
    parts = ("**Symptom.**", "**Causes.**", "**Do.**", "**Verify.**")
    return sorted(name for name in names if not all(part in books.get(name, "") for part in parts))


def words(path, pattern):
    """What the code has between quotes."""
    found = re.findall(pattern, (ROOT / path).read_text(encoding="utf-8"))
    assert found, f"{path} has nothing like {pattern}"
    return found


def test_every_alarm_has_its_runbook():
    assert without_runbook(of_type("AWS::CloudWatch::Alarm")) == []


def test_every_kind_of_alert_has_its_runbook():
    assert without_runbook(words("shared/core/src/alert/kind.rs", r'=> "([a-z]+-[\w-]+)"')) == []


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
