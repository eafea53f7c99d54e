"""The firmware on the real MicroPython interpreter and on CPython."""
