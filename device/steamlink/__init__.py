"""The firmware core: one source for MicroPython 1.22 and later, and CPython 3.11 and later."""
