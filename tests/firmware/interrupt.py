"""Ending a device's process as systemd and Ctrl-C do."""

import signal
import subprocess


def interrupt(process: "subprocess.Popen[str] | subprocess.Popen[bytes]", timeout_s: float) -> int:
    """Send SIGINT and return the exit code.

    One that does not end is aborted, so that with PYTHONFAULTHANDLER=1 its output says where it
    hung; then the code is -6.
    """
    process.send_signal(signal.SIGINT)
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        return process.wait()
