"""The pages; each turns snapshots and history into what its view shows."""

from panel_app.pages.alarms import AlarmsPage
from panel_app.pages.batches import BatchesPage
from panel_app.pages.overview import OverviewPage
from panel_app.pages.page import Page, Surroundings
from panel_app.pages.trends import TrendsPage

_PAGES: dict[str, type[Page]] = {
    "overview": OverviewPage,
    "trends": TrendsPage,
    "batches": BatchesPage,
    "alarms": AlarmsPage,
}


def page_of(given: Surroundings) -> Page:
    """The page of a route, not yet opened."""
    return _PAGES[given.route.page](given)
