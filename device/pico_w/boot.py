"""Runs first on the board: chooses which firmware starts, and never stops it from starting."""
# ruff: noqa: INP001, PTH116, T201 - MicroPython runs it as a program

import os
import sys

try:
    from steamlink import slots

    slots.enter("/")
except Exception as fault:  # noqa: BLE001 - a board that does not start is worse than any fault
    print("boot:", repr(fault))
    # The firmware that lies flat is damaged: a slot that is whole may still do.
    for name in [name for name in sys.modules if name.split(".")[0] == "steamlink"]:
        del sys.modules[name]
    for name in ("/a", "/b"):
        try:
            os.stat(name + ".ok")
        except OSError:
            continue
        sys.path.insert(0, name)
        break
