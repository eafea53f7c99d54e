"""What every page does, and what it is given for that."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from bridge.clock import Clock
from bridge.plant import Plant
from panel_app.data.history import History
from panel_app.data.hub import LiveHub
from panel_app.i18n import Translator
from panel_app.live.acknowledging import Pending
from panel_app.pages.overview_state import Ages
from panel_app.route import Route

Answer = TypeVar("Answer")


class Fetch(Protocol):
    """Waits for an answer away from the document, then gives it to the page."""

    def __call__(self, future: Future[Answer], then: Callable[[Answer], None]) -> None:
        """Call `then` on the document's thread; not at all once the page is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a page may use: where it is, what it may read, and how it speaks."""

    plant: Plant
    hub: LiveHub
    history: History
    clock: Clock
    translator: Translator
    route: Route
    ages: Ages
    batch_zone: str
    width: int
    height: int
    fetch: Fetch
    later: Callable[[Callable[[], None]], None]
    """Run something at a later turn of the loop, unless the page is closed by then."""
    pending: Callable[[], list[Pending]]
    """The acknowledgements on their way."""
    go: Callable[[Route], None]
    """Replace the URL and the route; the page stays."""


class Page(Protocol):
    """One page of one session, touched only on that session's document."""

    def __init__(self, given: Surroundings) -> None: ...

    view: Any
    """The Panel object to show."""

    def open(self) -> None:
        """Build the view; ask the history for what it needs."""

    def refresh(self) -> None:
        """Show what is new in the hub; called at every tick."""

    def receive(self, message: dict[str, Any]) -> None:
        """Take what the page's view says; what it does not know it leaves."""

    def close(self) -> None:
        """Let go of everything."""
