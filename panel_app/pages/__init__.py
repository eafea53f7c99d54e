"""The pages; each turns snapshots and history into what its view shows."""

from panel_app.pages.overview import OverviewPage
from panel_app.pages.page import Page, Surroundings


def page_of(given: Surroundings) -> Page:
    """The page of a route, not yet opened."""
    kinds: dict[str, type[Page]] = {"overview": OverviewPage}
    return kinds.get(given.route.page, OverviewPage)(given)
