"""The judge has nothing against a good page, and objects to each page that is bad in one way."""

import judge
import pytest

DARK = "body { background: #111; color: #eee; } a { color: #9cf; }"
STYLE = f"body {{ margin: 1rem; }} @media (prefers-color-scheme: dark) {{ {DARK} }}"
PAPER = "@media print { details::details-content { content-visibility: visible; } }"
BODY = "<h1>A report</h1><p>Some text, and <a href='https://example.com'>a link</a>.</p>"
DETAILS = "<details><summary>More</summary><p>There is more.</p></details>"
LABEL = ".label::before { content: 'label'; position: absolute; top: 2em; }"
VIEWPORT = "<meta name=viewport content='width=device-width, initial-scale=1'>"
WORD = "w" * 60


def written(folder, more="", style="", *, body=BODY, base=STYLE, viewport=VIEWPORT):
    path = folder / "page.html"
    path.write_text(
        f"<!doctype html><html lang=en><head><meta charset=utf-8><title>A page</title>{viewport}"
        f"<style>{base}{style}</style></head><body><main>{body}{more}</main></body></html>"
    )
    return path


def caught(faults, words):
    return any(words in fault for fault in faults)


@pytest.mark.parametrize("look", judge.LOOKS, ids=str)
def test_a_good_page_is_good_on_every_screen(browser, tmp_path, look):
    assert judge.on_screen(browser, written(tmp_path, DETAILS, PAPER), look, tmp_path) == []
    assert (tmp_path / f"page-{look}.png").exists()


def test_a_good_page_is_good_on_paper_and_in_the_hand(browser, tmp_path):
    page = written(tmp_path, DETAILS, PAPER)
    assert judge.on_paper(browser, page) == []
    assert judge.handled(browser, page) == []
    assert judge.active(browser, page) == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("<script>console.error('oh')</script>", "console error: oh"),
        ("<script>console.warn('oh')</script>", "console warning: oh"),
        ("<script>nothing()</script>", "nothing is not defined"),
        ("<script>alert('hello')</script>", "opens a dialog: hello"),
        ("<img alt='' src='https://example.com/a.png'>", "asks for https://example.com/a.png"),
        ("<img alt='' src=beside.png>", "beside.png"),
        ("<div style='width: 500px'>wide</div>", "the page is 516 px wide"),
        ("<div style='margin-left: -60px'>to the left</div>", "sticks out of the screen: <div>"),
        (f"<p class=long>{WORD}</p>", "runs out of its box: <p.long>"),
        (f"<p style='overflow: hidden'>{WORD}</p>", "is cut off: <p>"),
        ("<p style='overflow: hidden; height: 1em'>one<br>two</p>", "is cut off: <p>"),
        ("<p style='font-size: 11px'>small</p>", "is set in 11px: <p>"),
        ("<p class=label style='position: relative'>x</p>", "is taller than its box: <p.label>"),
        ("<p style='width: 2em; overflow-wrap: anywhere'>12,345</p>", "breaks the word 12,345: <p>"),
        ("<p style='width: 4em; overflow-wrap: anywhere'>a suppression</p>", "breaks the word suppression: <p>"),
        ("<p style='color: #777; background: #777'>grey</p>", "color-contrast"),
        ("<details><summary>More</summary><p style='color: #777'>grey</p></details>", "color-contrast"),
        ("<img src='data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA='>", "image-alt"),
        ("<h4>Too deep</h4>", "heading-order"),
        ("<h1>Another</h1>", "has 2 h1"),
        ("<style>h1 { display: none }</style>", "has 0 h1"),
    ],
)
def test_a_bad_page_is_caught_on_a_telephone(browser, tmp_path, more, words):
    faults = judge.on_screen(browser, written(tmp_path, more, LABEL), judge.Look(judge.TELEPHONE, "light"))
    assert caught(faults, words), faults


def test_what_scrolls_by_itself_does_not_stick_out(browser, tmp_path):
    wide = "<div style='width: 600px'>wide</div>"
    table = f"<div tabindex=0 role=region aria-label=Table style='overflow-x: auto'>{wide}</div>"
    page = written(tmp_path, table)
    assert judge.on_screen(browser, page, judge.Look(judge.TELEPHONE, "light")) == []
    # Paper does not scroll.
    page = written(tmp_path, table.replace("600px", "900px"))
    assert caught(judge.on_paper(browser, page), "is cut off: <div>")


ASIDE = "<p style='position: absolute; width: 1px; height: 1px; overflow: hidden'>for screen readers</p>"
SKIP = "<p><a class=skip href='#end'>Skip to the end</a></p><p id=end>The end.</p>"
FAR = ".skip { position: absolute; left: -99rem; }"


def test_what_is_aside_on_purpose_does_not_stick_out(browser, tmp_path):
    page = written(tmp_path, ASIDE + SKIP, FAR + ".skip:focus { left: 0; }")
    assert judge.on_screen(browser, page, judge.Look(judge.TELEPHONE, "light")) == []
    faults = judge.on_screen(browser, written(tmp_path, SKIP, FAR), judge.Look(judge.TELEPHONE, "light"))
    assert caught(faults, "sticks out of the screen: <a.skip>"), faults


def test_a_page_that_is_light_in_the_dark_is_caught(browser, tmp_path):
    page = written(tmp_path, base="")
    assert judge.on_screen(browser, page, judge.Look(judge.DESK, "dark")) == ["is not dark"]
    assert judge.on_screen(browser, page, judge.Look(judge.DESK, "light")) == []


def test_a_page_that_is_laid_out_for_a_desk_is_caught_on_a_telephone(browser, tmp_path):
    faults = judge.on_screen(browser, written(tmp_path, viewport=""), judge.Look(judge.TELEPHONE, "light"))
    assert caught(faults, "is there a viewport in its head?")


def test_what_is_closed_on_paper_is_caught(browser, tmp_path):
    assert caught(judge.on_paper(browser, written(tmp_path, DETAILS)), "is closed on paper: <details>")


@pytest.mark.parametrize(
    ("style", "words"),
    [
        ("summary { pointer-events: none; }", "does not answer a click: More"),
        ("summary { outline: none; }", "does not show that it has the focus: More"),
    ],
)
def test_what_cannot_be_opened_is_caught(browser, tmp_path, style, words):
    faults = judge.handled(browser, written(tmp_path, DETAILS, style))
    assert caught(faults, words), faults


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("<script>document.currentScript.remove()</script>", "has <script>"),
        ("<img alt='' src='data:image/png,' onerror='window.hostile = 1'>", "has onerror at <img>"),
        ("<a href='javascript:alert(1)'>go</a>", "leads to javascript:alert(1)"),
        ("<a href=' JavaScript:alert(1)'>go</a>", "leads to"),
        ("<svg><script>1</script></svg>", "has <script>"),
        ("<iframe srcdoc='x'></iframe>", "has <iframe>"),
        ("<form action='https://example.com'></form>", "has <form>"),
    ],
)
def test_what_could_run_is_caught(browser, tmp_path, more, words):
    faults = judge.active(browser, written(tmp_path, more))
    assert caught(faults, words), faults
