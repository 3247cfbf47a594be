"""Every `fleetwarden` command in the pages is one: its subcommands and options are in its help."""

import functools
import re
import shlex

import pytest
from conftest import ROOT
from conftest import fleetwarden

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
# What ends a command in a shell.
END = {"|", ">", "&", "&&", ";", "<", "||"}


def commands(text):
    """The commands of a page: lines of its code, joined where they go on, and what stands between backticks."""
    text = text.replace("\\\n", " ")
    lines = re.findall(r"^(?: *)(?:target/release/)?fleetwarden (.+)$", text, re.MULTILINE)
    # A line of prose that begins with the name is no command.
    lines = [line for line in lines if re.match(r"[a-z][a-z-]*( |$)", line)]
    return lines + re.findall(r"`fleetwarden ([a-z][^`\n]*)`", text)


def words(command):
    """The words of a command up to what ends it, or nothing if it is only the beginning of one."""
    try:
        split = shlex.split(command, comments=True)
    except ValueError:
        return []
    end = next((place for place, word in enumerate(split) if word in END), len(split))
    return split[:end]


@functools.cache
def help_of(path):
    run = fleetwarden(*path, "--help", timeout=60)
    return run.stdout if run.returncode == 0 else None


def subcommands(path):
    listed = re.search(r"^Commands:\n((?:  .*\n|\n(?=  ))+)", help_of(path) or "", re.MULTILINE)
    return set(re.findall(r"^  ([a-z][\w-]*)", listed[1], re.MULTILINE)) if listed else set()


def wrong(command):
    """What of a command does not exist."""
    path, rest = (), words(command)
    while rest and rest[0] in subcommands(path):
        path, rest = (*path, rest[0]), rest[1:]
    if not path or rest and subcommands(path):
        return f"no subcommand {rest[0] if rest else ''}"
    known = set(re.findall(r"--[a-z][\w-]*", help_of(path) or ""))
    missing = [option for word in rest if word.startswith("--") and (option := word.split("=")[0]) not in known]
    return f"no option {', '.join(missing)}" if missing else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_of_a_page_exists(page):
    found = commands(page.read_text(encoding="utf-8"))
    assert {command: what for command in found if (what := wrong(command))} == {}


def test_a_command_that_does_not_exist_is_noticed():
    assert commands("    fleetwarden audit audit-report \\\n      --format html\n") == ["audit audit-report        --format html"]
    assert wrong("audit audit-report --format html > report.html") is None
    assert wrong("audit audit-report --colour red") == "no option --colour"
    assert wrong("audits audit-report") == "no subcommand audits"
    assert wrong("audit audit-reports --format html") == "no subcommand audit-reports"
    assert wrong("audit") is None
