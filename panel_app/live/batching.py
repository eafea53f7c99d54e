"""One websocket flush and one walk over the models for all that a tick changes."""

from collections.abc import Iterator
from contextlib import contextmanager

import panel as pn
from bokeh.document import Document


@contextmanager
def batched(document: Document) -> Iterator[None]:
    """Hold the document's messages and freeze its model graph until the end."""
    with pn.io.hold(document), document.models.freeze():
        yield
