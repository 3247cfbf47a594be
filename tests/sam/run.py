"""`make sam`: builds with the SAM CLI and invokes each function with each of its events.

The SAM CLI pins much, so that it gets a virtual environment of its own below `target/`, made when its
requirements change. What happens in it is in `suite.py`; arguments are passed on.
"""

import os
import pathlib
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
FOLDER = HERE.parents[1] / "target" / "sam" / "venv"


def environment():
    """The interpreter of an environment that has the requirements."""
    installed = FOLDER / "installed.txt"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    python = FOLDER / "bin" / "python"
    if not installed.exists() or installed.read_text(encoding="utf-8") != wanted:
        venv.create(FOLDER, with_pip=True, clear=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pip += ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*pip, "--requirement", REQUIREMENTS], check=True)
        installed.write_text(wanted, encoding="utf-8")
    return python


if __name__ == "__main__":
    interpreter = environment()
    os.execv(interpreter, [interpreter, HERE / "suite.py", *sys.argv[1:]])
