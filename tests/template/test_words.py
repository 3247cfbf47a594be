"""Texts that people read keep to plain words: the list has words that readers had to decode, and what to write."""

import re

import pytest
from template import ROOT

INSTEAD = {
    r"told": "reported, notified",
    r"mend(s|ed|ing)?": "fix",
    r"aloud": "not silent",
    r"(un)?heard": "received, handled",
    r"somebody": "a person, or the passive",
    r"whoever": "who, a person",
    r"anew": "again",
    r"nobody (can|could) (say|tell|look)": "unknown",
    r"nobody waited for": "asynchronous",
    r"dies on the way": "crashes",
    r"have news": "new or returned",
    r"no YAML": "invalid YAML",
}
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
SNAPSHOTS = sorted(path for folder in ("functions", "shared", "local") for path in (ROOT / folder).rglob("*.snap"))
# In alerts and reports, as far as they hold.
OF_SNAPSHOTS = [r"dies on the way", r"nobody waited for", r"have news", r"aloud"]


def prose(page):
    """A page without its code, with the same lines: blocks, and what stands between backticks."""
    text = re.sub(r"```.*?```", lambda code: "\n" * code[0].count("\n"), page, flags=re.DOTALL)
    text = re.sub(r"^(    |\t).*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


def found(text, words):
    """What a text has of the list, with the line and what to write instead."""
    return [
        f"line {number}: {match[0]}: write {INSTEAD[word]}"
        for number, line in enumerate(text.splitlines(), 1)
        for word in words
        for match in re.finditer(rf"\b({word})\b", line, re.IGNORECASE)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_keeps_to_plain_words(page):
    assert found(prose(page.read_text(encoding="utf-8")), INSTEAD) == []


def test_alerts_and_reports_keep_to_plain_words():
    assert SNAPSHOTS
    texts = {path: path.read_text(encoding="utf-8").split("\n---\n", 1)[-1] for path in SNAPSHOTS}
    assert {str(path.relative_to(ROOT)): said for path, text in texts.items() if (said := found(text, OF_SNAPSHOTS))} == {}


def test_a_word_of_the_list_is_found_in_prose_alone():
    page = "It is mended.\n\n    told\n\n```\nanew\n```\nThe kind `audit-unheard`, and\nwhoever is TOLD.\n"
    assert [line.split(": write")[0] for line in found(prose(page), INSTEAD)] == [
        "line 1: mended",
        "line 9: TOLD",
        "line 9: whoever",
    ]
