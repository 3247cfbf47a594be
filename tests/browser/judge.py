"""Looks at a page as people will, and says what is wrong with it.

It loads the page from its file, with nothing else within reach, at the width of a telephone and of a desk, in light and
in dark, and on paper. How it is laid out is measured in the page (`measure.js`), and what could run in it is looked for
in its source (`active.js`); contrast, names, headings and roles are judged by axe, which nobody here wrote.
"""

import contextlib
import dataclasses

import chromium

MEASURE = (chromium.HERE / "measure.js").read_text(encoding="utf-8")
ACTIVE = (chromium.HERE / "active.js").read_text(encoding="utf-8")
HEIGHT = 900
TELEPHONE = 400
DESK = 1280
# A sheet of A4 without its margins, at 96 pixels an inch.
PAPER = 718
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
NODES = 3
FOCUSED = """(one) => {
  const { outlineStyle, boxShadow } = getComputedStyle(one);
  return outlineStyle !== "none" || boxShadow !== "none";
}"""


@dataclasses.dataclass(frozen=True)
class Look:
    """How somebody looks at a page."""

    width: int
    scheme: str

    def __str__(self):
        return f"{self.width}-{self.scheme}"


LOOKS = [Look(width, scheme) for width in (TELEPHONE, DESK) for scheme in ("light", "dark")]


@contextlib.contextmanager
def opened(browser, path, look):
    """The page, and the list to which what happens in it is added for as long as it is open."""
    url, faults = path.as_uri(), []
    context = browser.new_context(
        viewport={"width": look.width, "height": HEIGHT},
        is_mobile=look.width == TELEPHONE,
        color_scheme=look.scheme,
        reduced_motion="reduce",
    )

    def requested(route):
        if route.request.url == url:
            return route.continue_()
        faults.append(f"asks for {route.request.url}")
        return route.abort()

    def asked(dialog):
        faults.append(f"opens a dialog: {dialog.message}")
        dialog.dismiss()

    def said(message):
        if message.type in ("warning", "error"):
            faults.append(f"console {message.type}: {message.text}")

    context.route("**/*", requested)
    page = context.new_page()
    page.on("console", said)
    page.on("pageerror", lambda error: faults.append(f"error in a script: {error}"))
    page.on("dialog", asked)
    page.goto(url)
    yield page, faults
    context.close()


def accessibility(page):
    """What axe objects to, and contrasts that it cannot tell."""
    page.evaluate(chromium.AXE.read_text(encoding="utf-8"))
    options = {"runOnly": RULES, "resultTypes": ["violations", "incomplete"]}
    result = page.evaluate("(options) => axe.run(options)", options)
    unsure = [rule for rule in result["incomplete"] if rule["id"] == "color-contrast"]
    for rule in result["violations"] + unsure:
        for node in rule["nodes"][:NODES]:
            why = " ".join(line.strip() for line in node["failureSummary"].splitlines()[1:])
            yield f"{rule['id']}, {len(rule['nodes'])} times: {node['html'][:120]}: {why}"


def on_screen(browser, path, look, pictures=None):
    """What is wrong with the page on a screen, with all in it opened. Pictures go to a folder."""
    with opened(browser, path, look) as (page, faults):
        picture(page, pictures, f"{path.stem}-{look}")
        width = page.evaluate("document.documentElement.clientWidth")
        if width != look.width:
            faults.append(f"is laid out for {width} px instead of {look.width}: is there a viewport in its head?")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        faults += page.evaluate(MEASURE, False)
        faults += accessibility(page)
        return faults


def on_paper(browser, path, pictures=None):
    """What is wrong with the page when it is printed."""
    with opened(browser, path, Look(PAPER, "light")) as (page, faults):
        page.emulate_media(media="print")
        picture(page, pictures, f"{path.stem}-paper")
        return faults + page.evaluate(MEASURE, True)


def active(browser, path):
    """What in the page could run or leave it."""
    with opened(browser, path, Look(DESK, "light")) as (page, faults):
        return faults + page.evaluate(ACTIVE, path.read_text(encoding="utf-8"))


def handled(browser, path):
    """What is wrong when each part of the page that opens is opened by mouse and closed by keyboard."""
    with opened(browser, path, Look(DESK, "light")) as (page, faults):
        for summary in page.locator("summary").all():
            if not summary.is_visible():
                continue
            name, was = summary.inner_text(), is_open(summary)
            summary.click(force=True)  # whatever lies over it
            if is_open(summary) == was:
                faults.append(f"does not answer a click: {name}")
            page.keyboard.press("Enter")
            if is_open(summary) != was:
                faults.append(f"does not answer the keyboard: {name}")
            if not summary.evaluate(FOCUSED):
                faults.append(f"does not show that it has the focus: {name}")
        return faults


def is_open(summary):
    return summary.evaluate("(one) => one.parentElement.open")


def picture(page, folder, name):
    """Leaves a picture of the whole page for people."""
    if folder:
        page.screenshot(path=folder / f"{name}.png", full_page=True)
