"""`python -m device.unix FOLDER`: the firmware with its configuration and data in FOLDER."""

import sys

from device.steamlink import app
from device.steamlink.hal.unix import Board

app.main(Board(sys.argv[1] if len(sys.argv) > 1 else "."))
