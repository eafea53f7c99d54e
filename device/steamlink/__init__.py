"""The firmware core: one source for MicroPython 1.22 and later, and CPython 3.11 and later."""

import sys


def forget(name):
    """Give back the memory of a module of this package that is needed only now and then."""
    path = __name__ + "." + name
    package, _, leaf = path.rpartition(".")
    sys.modules.pop(path, None)
    if hasattr(sys.modules[package], leaf):
        delattr(sys.modules[package], leaf)
