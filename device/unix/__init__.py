"""A PC without sensors: the firmware on trial, on MicroPython's unix port or on CPython."""
