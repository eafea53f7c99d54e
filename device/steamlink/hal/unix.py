"""A PC as a board, for trying and testing: no pins, any interpreter."""

from .linux import Linux


class Board(Linux):
    """This machine."""

    name = "unix"
