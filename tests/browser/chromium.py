"""The Chromium that the pages are looked at with.

`make browser` installs it below `target/tools/browser`, with all that it needs to run on a bare x86-64 Linux.
FLEETWARDEN_CHROMIUM names another, which then has the machine's libraries and fonts.
"""

import contextlib
import os
import pathlib

from playwright.sync_api import Error
from playwright.sync_api import sync_playwright

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = HERE.parents[1] / "target" / "tools" / "browser"
OWN = TOOLS / "chromium" / "chromium"
AXE = TOOLS / "node_modules" / "axe-core" / "axe.min.js"
# Playwright switches it on; with it, one picture in five of a page of many screens fails ("Unable to capture").
ARGUMENTS = ["--disable-features=CDPScreenshotNewSurface"]
HELP = "run `make browser`, or name an installed Chromium in FLEETWARDEN_CHROMIUM"


def settings():
    """The executable, and the environment that it runs in."""
    given = os.environ.get("FLEETWARDEN_CHROMIUM")
    if given:
        return pathlib.Path(given), dict(os.environ)
    libraries = {"LD_LIBRARY_PATH": str(OWN.parent / "al2023" / "lib"), "FONTCONFIG_FILE": str(HERE / "fonts.conf")}
    return OWN, os.environ | libraries


def missing():
    """What has to be there and is not."""
    return [str(path) for path in (settings()[0], AXE) if not path.exists()]


@contextlib.contextmanager
def running():
    """A browser; it ends with the block."""
    executable, environment = settings()
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS, env=environment)
        except Error as error:
            raise RuntimeError(f"{executable} does not start: {HELP}\n{error}") from None
        try:
            yield browser
        finally:
            browser.close()
