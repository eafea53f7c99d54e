"""Starts the firmware; what nobody caught restarts the board, and a bad update loses its trial."""
# ruff: noqa: INP001 - MicroPython runs it as a program

import sys
import time

try:
    from steamlink import app, hal

    app.main(hal.board("esp32"))
except Exception as fault:  # noqa: BLE001 - the last place that can catch it
    import machine

    sys.print_exception(fault)
    time.sleep(5)  # Ctrl-C now leads to the prompt
    machine.reset()
