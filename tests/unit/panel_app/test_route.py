"""The address: what is written is read again, and nothing else gets in."""

from hypothesis import given
from hypothesis import strategies as st

from panel_app.data.fake_plant import fake_plant
from panel_app.route import JOURNAL_HOURS, MOST_PENS, PAGES, SPANS_S, Route, route_of

PLANT = fake_plant()

ROUTES = st.builds(
    Route,
    page=st.sampled_from(PAGES),
    boiler=st.sampled_from(["", *PLANT.boilers]),
    pens=st.lists(st.sampled_from(sorted(PLANT.metrics)), max_size=MOST_PENS, unique=True).map(
        tuple
    ),
    span=st.sampled_from(sorted(SPANS_S)),
    day=st.sampled_from(["", "2026-11-23"]),
    hours=st.sampled_from(JOURNAL_HOURS),
    priority=st.integers(0, 4),
    state=st.sampled_from(["", "UNACK", "ACKED", "RTN_UNACK", "NORMAL"]),
    text=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40),
    lang=st.sampled_from(["", "en", "pt-BR"]),
)


@given(ROUTES)
def test_route_survives_its_query_string(route):
    """A bookmark leads back to where it was made."""
    assert route_of(route.search, PLANT) == route


@given(st.integers(1, 2_000_000_000), st.integers(1, 10_000_000))
def test_route_with_a_past_span_survives(start_s, length_s):
    """A zoomed window is part of the address, and is not live."""
    route = Route(page="trends", start_s=start_s, end_s=start_s + length_s)

    assert route_of(route.search, PLANT) == route
    assert not route.live


@given(st.text(max_size=300))
def test_any_query_string_is_a_route(search):
    """Whatever is typed leads somewhere that exists."""
    route = route_of(search, PLANT)

    assert route.page in PAGES
    assert route.boiler in ("", *PLANT.boilers)
    assert set(route.pens) <= set(PLANT.metrics)


def test_unknown_names_fall_back():
    """Boilers, pens and pages that the plant does not know are left out."""
    search = (
        "?page=admin&boiler=<script>&pens=oxygen,passwords,oxygen&span=99y&from=5&to=3&hours=-1"
    )

    assert route_of(search, PLANT) == Route(pens=("oxygen",))
