"""Browsers that leave: not a fault, so not an error in the log."""

import asyncio
import logging
import traceback
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError

_LEFT = (WebSocketClosedError, StreamClosedError)
_LOGGERS = ("bokeh.server.protocol_handler", "bokeh.server.views.ws", "tornado.application")


class Departures(logging.Filter):
    """Drops what Bokeh and Tornado log when a browser closes while it is written to."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is about something else."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return "connection was closed" not in record.getMessage()
        return not is_departure(error)


def is_departure(error: BaseException) -> bool:
    """Whether an error only says that a browser is gone.

    Bokeh's `assert self._session is not None` (server/connection.py) fails when a message
    arrives while its connection is being closed.
    """
    if isinstance(error, _LEFT):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    return (
        isinstance(error, AssertionError)
        and last is not None
        and last.name == "session"
        and last.filename.endswith("connection.py")
    )


def keep_quiet(loop: asyncio.AbstractEventLoop) -> None:
    """Let departures pass in silence: in the loggers, and in tasks nobody waits for."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, Departures) for one in logger.filters):
            logger.addFilter(Departures())

    def handle(asked: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, _LEFT):
            asked.default_exception_handler(context)

    loop.set_exception_handler(handle)
