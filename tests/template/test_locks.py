"""What Python installs is pinned: each package to a version and to the hashes of its files, from no index of its own."""

import re

import pytest
from template import ROOT

LOCKS = [ROOT / "tests" / "requirements.txt", ROOT / "tests" / "sam" / "requirements.txt"]


def pinned(text):
    """The packages of a requirements file with their versions."""
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text.lower(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.parent.name)
def test_every_package_has_a_version_and_hashes(lock):
    text = lock.read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > len(pinned(lock.with_suffix(".in").read_text(encoding="utf-8")))
    for entry in entries:
        assert re.match(r"[\w.-]+==[\w.]+( ; [^\\]+)? \\\n    --hash=sha256:[0-9a-f]{64}", entry), entry
    assert "://" not in text and "index-url" not in text


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.parent.name)
def test_the_lock_is_of_the_requirements(lock):
    wanted = pinned(lock.with_suffix(".in").read_text(encoding="utf-8"))
    locked = pinned(lock.read_text(encoding="utf-8"))
    assert {name: locked.get(name) for name in wanted} == wanted


def test_packages_are_installed_by_their_hashes():
    for path in ("Makefile", "tests/sam/run.py"):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert "--require-hashes" in text and "--no-deps" in text, path
