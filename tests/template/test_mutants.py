"""What the simulation breaks on purpose stands in the code once, so that each edit can still be made."""

import subprocess
import sys

from template import ROOT


def test_each_mutant_can_be_made():
    command = [sys.executable, ROOT / "local" / "simulation" / "mutants.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
