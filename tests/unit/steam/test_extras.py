"""Each extra is enough for the commands that it is for: what it does not hold is not imported."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = {
    "processor": (
        [
            "processor",
            "notifier",
            "topology",
            "store",
            "rollup",
            "quarantine",
            "device",
            "doctor",
            "check",
        ]
    ),
    "panel": ["panel", "store", "check"],
    "gateway": ["simulate", "replay", "check"],
    "embedded": ["demo", "run", "simulate", "device", "quarantine", "topology", "rollup", "doctor"],
}
BLOCKED = """
import importlib.abc, importlib.metadata, re, sys

def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()

locked = set(sys.argv[1].split(","))
modules = importlib.metadata.packages_distributions()
absent = {
    module for module, owners in modules.items() if not locked & {plain(each) for each in owners}
}

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


def run(extra, code, *arguments):
    """Run Python with the modules of an extra's lock only."""
    text = (ROOT / "requirements" / f"{extra}.txt").read_text(encoding="utf-8")
    locked = {
        re.sub(r"[-_.]+", "-", name).lower()
        for name in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)
    }
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + code, ",".join(locked), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("extra", "command"),
    [(extra, command) for extra, commands in COMMANDS.items() for command in commands],
)
def test_command_with_its_extra_alone_starts(extra, command):
    """Its module, and through it the command line, is there without any other extra."""
    done = run(extra, f"sys.argv[1:] = ['{command}', '--help']\nfrom steam.cli import main\nmain()")

    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
    assert "Not here" not in done.stdout


def test_command_without_its_extra_says_what_to_install():
    """A command that cannot run names the missing module and the extras."""
    done = run("processor", "sys.argv[1:] = ['simulate']\nfrom steam.cli import main\nmain()")

    assert done.returncode == 1
    assert "`steam simulate` needs paho: install Steam with the extra" in done.stderr


@pytest.mark.parametrize(
    ("extra", "module"),
    [
        ("processor", "steam.server"),
        ("processor", "steam.notifier_service"),
        ("panel", "panel_app.server"),
        ("panel", "panel_app.data.live_amqp"),
        ("gateway", "device.sim.fleet"),
        ("embedded", "steam.embedded"),
    ],
)
def test_program_with_its_extra_alone_is_whole(extra, module):
    """What a command imports once it runs is there too."""
    done = run(extra, f"import {module}")

    assert done.returncode == 0, done.stderr
