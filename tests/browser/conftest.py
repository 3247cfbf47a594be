"""Has the pages rendered, and a browser running.

What must be there: `make browser` installs it. The pages are those of the example `report-pages`, and the
demonstration's report if one was left.
"""

import subprocess

import chromium
import pytest

ROOT = chromium.HERE.parents[1]
FOLDER = ROOT / "target" / "browser"
PAGES = FOLDER / "pages"
DEMO = ROOT / "target" / "demo" / "report.html"


def pytest_sessionstart(session):
    missing = chromium.missing()
    if missing:
        pytest.exit(f"not there: {', '.join(missing)}; {chromium.HELP}", returncode=2)
    PAGES.mkdir(parents=True, exist_ok=True)


@pytest.fixture(scope="session")
def browser():
    with chromium.running() as browser:
        yield browser
