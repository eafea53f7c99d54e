"""`python -m device.unix FOLDER`: the firmware with its configuration and data in FOLDER.

It starts again by itself where it asks for that: after a change of its configuration, an update,
a command. MicroPython cannot; there it ends with code 75, and a shell starts it again
(docs/guides/device.md).
"""

import os
import sys

from device import one_process
from device.steamlink import slots

_RESTART_CODE = 75


def main(folder: str) -> None:
    """Start the firmware of the slot that is in force, else this one."""
    if hasattr(os, "umask"):  # not on MicroPython
        os.umask(0o077)  # passwords lie in the folder
    one_process.lock(folder)
    slot = slots.enter(folder)
    try:
        if slot:
            from steamlink import app, hal
        else:
            from device.steamlink import app, hal
        app.main(hal.board("unix", folder=folder))
    except KeyboardInterrupt:
        return  # before it ran: nothing to keep
    except Exception:
        slots.blame(slot)
        raise
    except SystemExit as end:
        if end.args != (_RESTART_CODE,) or not hasattr(os, "execv"):
            raise
        _start_again()


def _start_again() -> None:
    """In the same process, so that whoever watches or stops it need not know. Never returns."""
    sys.stdout.flush()
    arguments = list(sys.orig_argv)
    arguments[0] = sys.executable
    os.execv(sys.executable, arguments)  # noqa: S606 - itself


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ".")
