"""What the emulator lacks: Python loads this at its start, because it has the name that Python looks for."""

import os

os.environ.pop("PYTHONPATH", None)  # for the emulator alone, not for what it starts

import lineage  # noqa: E402, F401
import mail  # noqa: E402, F401
import redrive  # noqa: E402, F401
