"""The firmware on a PC as a board has it, from .mpy files first on the path: `compiled.py FOLDER`."""

import sys

from steamlink import app
from steamlink.hal.unix import Board

app.main(Board(sys.argv[1]))
