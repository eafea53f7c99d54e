"""The bridge to a view in the browser: typed structs go out as JSON, messages come back."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import panel as pn
import param

_HERE = Path(__file__).parent
_STYLES = _HERE.parent / "theme"

OnMessage = Callable[[dict[str, Any]], None]


@cache
def source(*names: str) -> str:
    """The ESM text of a view: the named files of this folder, one after the other."""
    return "\n".join((_HERE / f"{name}.js").read_text(encoding="utf-8") for name in names)


@cache
def styles(*names: str) -> str:
    """The style sheets of a view, one after the other."""
    return "\n".join((_STYLES / f"{name}.css").read_text(encoding="utf-8") for name in names)


class View(pn.custom.JSComponent):  # type: ignore[misc]
    """A view: `state` is what it is built from, `live` the newest, `data` what was looked up.

    All are JSON texts made from structs: browsers parse them natively, equal texts are
    not sent again, and device text stays data (the views only set textContent).
    """

    state = param.String(default="{}")
    live = param.String(default="{}")
    data = param.String(default="{}")

    __abstract = True

    def __init__(self, **params: Any) -> None:
        super().__init__(sizing_mode="stretch_width", **params)

    def build(self, state: msgspec.Struct) -> None:
        """Build the view anew from `state`."""
        self.state = encode(state)

    def show(self, live: msgspec.Struct) -> None:
        """Show what has changed."""
        self.live = encode(live)

    def give(self, data: msgspec.Struct) -> None:
        """Give the view what was looked up for it."""
        self.data = encode(data)


def encode(payload: msgspec.Struct) -> str:
    """A struct as JSON text; a value that is not finite becomes null."""
    return msgspec.json.encode(payload).decode()


class Shell(View):
    """What surrounds every page: rail, head, alarm banner, acknowledge dialog, watchdog.

    It is the one voice of the browser: the other views hand it what they have to say. A
    message of a view that the browser has only just been sent would carry the whole view
    back (BokehJS takes its models for new until the next message).
    """

    def __init__(self, on_message: OnMessage, **params: Any) -> None:
        super().__init__(**params)
        self._on_message = on_message

    def say(self, message: msgspec.Struct) -> None:
        """Send the browser a message."""
        self._send_msg(msgspec.to_builtins(message))

    def _handle_msg(self, data: Any) -> None:
        if isinstance(data, dict):
            self._on_message(data)

    _esm = source("shared", "shell")
    _stylesheets: ClassVar[list[str]] = [styles("base", "shell")]


class Overview(View):
    """A tile per boiler."""

    _esm = source("shared", "mimic", "overview")
    _stylesheets: ClassVar[list[str]] = [styles("base", "overview")]


class TrendBar(View):
    """What is chosen above the trends: boiler, pens and span."""

    _esm = source("shared", "trend_bar")
    _stylesheets: ClassVar[list[str]] = [styles("base", "trends")]


class Batches(View):
    """The day's batches, minute by minute."""

    _esm = source("shared", "batches")
    _stylesheets: ClassVar[list[str]] = [styles("base", "batches")]


class Alarms(View):
    """The active alarms and the journal."""

    _esm = source("shared", "alarms")
    _stylesheets: ClassVar[list[str]] = [styles("base", "alarms")]
