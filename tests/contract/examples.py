"""The examples of the AWS CLI's own documentation, as commands and the files that they read."""

import re
import shlex
from pathlib import Path

import awscli

FOLDER = Path(awscli.__file__).with_name("examples") / "iot"


def blocks(text):
    """Each indented block with the line before it."""
    before, block = "", []
    for line in [*text.splitlines(), "end"]:
        if line.startswith(" ") or (block and not line.strip()):
            block.append(line)
        elif line.strip():
            if block:
                yield before, "\n".join(block)
            before, block = line, []


def examples(command):
    """The commands of a documented command as words without `aws iot`, and the files that they read by name."""
    found, files = [], {}
    for before, block in blocks((FOLDER / f"{command}.rst").read_text()):
        if name := re.match(r"Contents of ``(.+)``", before):
            files[name[1]] = block
        text = block.strip()
        if text.startswith("aws iot "):
            # A backslash at the end of a line that has spaces behind it is one all the same, as is meant there.
            found.append(words(re.sub(r"\\[ \t]*\n\s*", " ", text))[2:])
    return found, files


def words(text):
    """The words of the first line, and of those after it that its quotes go on over."""
    lines = text.splitlines()
    for count in range(1, len(lines) + 1):
        try:
            return shlex.split("\n".join(lines[:count]))
        except ValueError:
            continue
    return text.split()
