"""The pages of the reports, of audits and alarms of every kind and of the demonstration's, as people will look at it."""

import judge
import pytest
from conftest import FOLDER
from conftest import PAGES

# What a name, a reason or a description of somebody else's may hold; all of it is text.
HOSTILE = ["<script>alert(1)</script>", "onerror=alert(1)>", "</style></title>", "&lt;b&gt;", "javascript:alert(1)"]


def clean(faults):
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("look", judge.LOOKS, ids=str)
def test_it_can_be_read_on_a_screen(browser, report, look):
    clean(judge.on_screen(browser, report, look, FOLDER))


def test_it_can_be_read_on_paper(browser, report):
    clean(judge.on_paper(browser, report, FOLDER))


def test_nothing_in_it_can_run_or_leads_out_of_it(browser, report):
    clean(judge.active(browser, report))


def test_what_opens_is_opened_by_mouse_and_keyboard(browser, report):
    clean(judge.handled(browser, report))


@pytest.mark.parametrize("name", ["hostile", "alarms-hostile"])
def test_hostile_texts_are_shown_as_they_are(browser, name):
    with judge.opened(browser, PAGES / f"{name}.html", judge.LOOKS[0]) as (page, faults):
        text = page.inner_text("body")
    assert [part for part in HOSTILE if part not in text] == []
    clean(faults)
