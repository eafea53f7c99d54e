"""What the overview says of each boiler and of the house."""

import msgspec
import pytest

from bridge.clock import from_us
from bridge.live import LiveBoiler, LiveReading
from panel_app.components.view import encode
from panel_app.data.fake import FakePlantFeed
from panel_app.data.fake_plant import fake_plant
from panel_app.data.hub import LiveHub
from panel_app.i18n import translator_of
from panel_app.pages.overview_state import (
    Ages,
    burner_word,
    columns_for,
    overview_live,
    overview_state,
)

NOW_US = 1_800_000_000_000_000
PLANT = fake_plant()
PT = translator_of("pt-BR")


@pytest.fixture
def hub():
    return LiveHub(lambda: from_us(NOW_US))


@pytest.fixture
def feed(hub):
    return FakePlantFeed(hub, PLANT, clock=lambda: from_us(NOW_US))


def live(hub, now_us=NOW_US):
    return overview_live(PLANT, hub.snapshot(), PT, now_us, Ages())


def test_totals_count_only_boilers_with_fresh_values(hub, feed):
    """A boiler whose values are old adds neither steam nor capacity nor a flame."""
    feed.set_value("caldeira-1", "steam_flow", 4.0)
    feed.set_value("caldeira-2", "steam_flow", 6.0)
    feed.silence("caldeira-3", for_s=60)
    feed.silence("caldeira-4", for_s=60)
    feed.step()

    totals = live(hub).totals

    assert totals["steam"] == 10.0
    assert totals["load"] == 100 * 10.0 / 16.0
    assert totals["running"] == "2 de 4"


def test_totals_without_any_value_are_unknown_and_not_zero(hub):
    """No data differs from zero."""
    totals = live(hub).totals

    assert totals["steam"] is None
    assert totals["load"] is None


@pytest.mark.parametrize(
    ("age_s", "state"), [(0, "live"), (5, "live"), (5.1, "late"), (10, "late"), (10.1, "stale")]
)
def test_freshness_follows_the_age_of_the_newest_reading(hub, feed, age_s, state):
    """Live up to 5 s, late up to 10 s, then stale."""
    feed.step()

    tiles = live(hub, NOW_US + round(age_s * 1e6)).boilers

    assert {tile.state for tile in tiles} == {state}


def test_boiler_without_values_has_no_data(hub):
    """It is shown, and says that nothing has come."""
    tile = live(hub).boilers[0]

    assert (tile.state, tile.at, tile.burner) == ("none", 0, "–")


@pytest.mark.parametrize(
    ("code", "quality", "word"),
    [
        (5.0, 192, "Modulando"),
        (7.0, 192, "Bloqueado"),
        (12.0, 192, "Estado 12"),
        (-1.0, 192, "Estado -1"),
        (5.0, 0, "–"),
        (None, 192, "–"),
    ],
)
def test_burner_state_is_a_word(code, quality, word):
    """A number without a word is shown as a number; a bad reading as nothing."""
    readings = {"burner_state": LiveReading(code, NOW_US, quality)}
    boiler = LiveBoiler(boiler="c1", readings=readings, alarms=[], devices=[])

    assert burner_word(boiler, PT) == word


def test_tiles_are_in_the_order_of_the_plant_file(hub):
    """And each row leads to the trend of its metric."""
    state = overview_state(PLANT, hub.snapshot(), PT)

    assert [tile.id for tile in state.boilers] == list(PLANT.boilers)
    level = state.boilers[0].rows[1]
    assert level.metric == "water_level"
    assert "pens=water_level," in level.search


def test_payload_is_plain_json_even_with_values_that_are_not_finite(hub, feed):
    """A browser can read it whatever a sensor delivers; markup in it stays text."""
    feed.set_value("caldeira-1", "oxygen", float("nan"))
    feed.set_value("caldeira-1", "steam_flow", float("inf"))
    feed.step()

    read = msgspec.json.decode(encode(live(hub)))

    assert read["boilers"][0]["readings"]["oxygen"][0] is None
    assert read["boilers"][0]["readings"]["steam_flow"][0] is None


@pytest.mark.parametrize(
    ("tiles", "columns"), [(0, 1), (1, 1), (2, 2), (3, 2), (4, 2), (5, 3), (12, 3)]
)
def test_columns_keep_the_grid_square(tiles, columns):
    """At most three tiles stand side by side."""
    assert columns_for(tiles) == columns
