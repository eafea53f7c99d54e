"""`steam demo`: everything on one machine, and an honest account at the end."""

import json
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from tests.servers.ports import free_port
from tests.system.rig import ROOT, wait_until

pytestmark = pytest.mark.system


def start(*arguments):
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "steam",
            "demo",
            "--no-browser",
            "--port",
            str(free_port()),
            *arguments,
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_demo_accounts_for_every_message_and_raises_an_alarm():
    """Everything acknowledged is stored; the scripted fault raises an alarm that is delivered."""
    process = start("--for", "25")
    out, err = process.communicate(timeout=110)
    assert process.returncode == 0, err

    figures = json.loads(out.splitlines()[-1])

    accounted = figures["stored"] + figures["duplicate"] + figures["quarantined"]
    assert accounted == figures["acknowledged"] >= 3 * 20
    assert figures["held"] == figures["dead"] == figures["lost"] == 0
    assert figures["alarms_raised"] >= 1
    assert figures["notifications_sent"] >= 1
    assert figures["p95_publish_to_stored_ms"] > 0


def test_demo_ends_cleanly_on_ctrl_c():
    """Ctrl-C ends the demo in order: exit 0, no traceback, the account printed."""
    process = start()
    line = process.stderr.readline() + process.stderr.readline()
    url = re.search(r"http://127.0.0.1:\d+/", line)[0]
    wait_until(lambda: answers(url), "the dashboard")

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert json.loads(out.splitlines()[-1])["lost"] == 0
