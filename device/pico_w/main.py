"""Starts the firmware; what nobody caught restarts the board, and a slot that never starts gives way."""
# ruff: noqa: INP001, PTH123 - MicroPython runs it as a program

import sys
import time

try:
    from steamlink import app, hal

    app.main(hal.board("pico_w"))
except Exception as fault:  # noqa: BLE001 - the last place that can catch it
    import machine

    sys.print_exception(fault)
    try:
        # Counted without slots.py: it may be what is damaged.
        if sys.path[0] in ("/a", "/b"):
            with open(sys.path[0] + ".fails", "a") as file:
                file.write(".")
    finally:
        time.sleep(5)  # Ctrl-C now leads to the prompt
        machine.reset()
