"""The Python environment of the scripts in this folder: `.local/emulated-aws`, made on first use from requirements.txt.

Reads requirements.txt; writes only below `.local`. Every script calls `enter` first and then runs inside it."""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"
ENVIRONMENT = LOCAL / "emulated-aws"
REQUIREMENTS = Path(__file__).resolve().parent / "emulated_aws" / "requirements.txt"


def enter():
    """Returns inside the environment; outside of it, makes it and starts the same command again with its Python."""
    if Path(sys.prefix).resolve() == ENVIRONMENT.resolve():
        return
    if sys.version_info < (3, 11):
        raise SystemExit(f"Python 3.11 or later is needed; this is {sys.version.split()[0]}.")
    python = ENVIRONMENT / "bin" / "python"
    LOCAL.mkdir(exist_ok=True)
    # Two scripts that start together install once.
    with open(LOCAL / "emulated-aws.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install(python)
    os.execv(python, [str(python), *sys.argv])


def _install(python):
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    installed = ENVIRONMENT / "installed.sha256"
    if python.exists() and installed.exists() and installed.read_text() == wanted:
        return
    print(f"installing {REQUIREMENTS.relative_to(ROOT)} into {ENVIRONMENT.relative_to(ROOT)} ...", file=sys.stderr)
    make = [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)]
    _run(make, "Python's venv module is missing (Debian: apt install python3-venv)")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--requirement", str(REQUIREMENTS)], "the Python packages could not be installed (no package index?)")
    installed.write_text(wanted)


def _run(command, fault):
    if subprocess.run(command, stdout=sys.stderr).returncode != 0:
        raise SystemExit(f"{fault}: {' '.join(command)}")
