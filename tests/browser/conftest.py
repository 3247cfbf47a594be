"""Has the pages rendered, and a browser running.

What must be there: `make browser` installs it. The pages are those of the example `report-pages`, and the
reports of the demonstrations if they were left.
"""

import subprocess

import chromium
import pytest

ROOT = chromium.HERE.parents[1]
FOLDER = ROOT / "target" / "browser"
PAGES = FOLDER / "pages"
DEMO = ROOT / "target" / "demo"
DEMOS = {DEMO / "report.html": "demo", DEMO / "alarms.html": "demo-alarms"}


def pytest_sessionstart(session):
    """Before the tests are collected, since the pages are among their names."""
    missing = chromium.missing()
    if missing:
        pytest.exit(f"not there: {', '.join(missing)}; {chromium.HELP}", returncode=2)
    PAGES.mkdir(parents=True, exist_ok=True)
    example = ["--quiet", "--locked", "--package", "fleetwarden-core", "--example", "report-pages"]
    if subprocess.run(["cargo", "run", *example, "--", PAGES], cwd=ROOT, check=False).returncode != 0:
        pytest.exit("the pages were not rendered; see above", returncode=2)


def pytest_generate_tests(metafunc):
    """Each page is a case of its own."""
    if "report" in metafunc.fixturenames:
        pages = sorted(PAGES.glob("*.html")) + [page for page in DEMOS if page.exists()]
        metafunc.parametrize("report", pages, ids=[DEMOS.get(page, page.stem) for page in pages])


@pytest.fixture(scope="session")
def browser():
    with chromium.running() as browser:
        yield browser
