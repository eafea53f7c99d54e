"""`const` for both interpreters: MicroPython folds a private constant into the bytecode."""

try:
    from micropython import const
except ImportError:

    def const(value):
        """The value itself."""
        return value


__all__ = ("const",)
