"""Browsers that leave are no error; everything else is."""

import logging

import pytest
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError

from panel_app.live.departures import Departures


def record(error=None, text="error handling message"):
    info = None if error is None else (type(error), error, None)
    return logging.LogRecord("bokeh", logging.ERROR, "", 0, text, None, info)


@pytest.mark.parametrize("error", [WebSocketClosedError(), StreamClosedError()])
def test_departure_is_not_logged(error):
    """A browser closed while it was written to."""
    assert Departures().filter(record(error)) is False
    assert (
        Departures().filter(record(text="Failed sending message as connection was closed")) is False
    )


@pytest.mark.parametrize("error", [None, ValueError("bad"), AssertionError("ours")])
def test_other_errors_are_logged(error):
    """Also an assertion that is not Bokeh's about a closed connection."""
    assert Departures().filter(record(error)) is True
