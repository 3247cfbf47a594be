"""Whether a binary runs on `provided.al2023`: no symbol of a C library newer than its 2.34."""

import re
import subprocess

NEWEST = (2, 34)


def needed(binary):
    """The newest version of the C library that a binary asks for."""
    symbols = subprocess.run(["objdump", "-T", binary], capture_output=True, text=True, check=True).stdout
    versions = re.findall(r"GLIBC_(\d+)\.(\d+)", symbols)
    return max((int(major), int(minor)) for major, minor in versions)


def check(binary):
    """Ends the tests if Lambda's C library is too old for a binary."""
    newest = needed(binary)
    if newest > NEWEST:
        found, limit = (".".join(map(str, version)) for version in (newest, NEWEST))
        raise SystemExit(f"{binary} needs glibc {found}; provided.al2023 has {limit}")
