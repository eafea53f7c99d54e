"""The fake plant: the same at the same time, always."""

from bridge.clock import from_us
from panel_app.data.fake import FakePlantFeed
from panel_app.data.fake_plant import FAKE_METRICS, fake_plant, fake_value
from panel_app.data.fake_store import FakeStore
from panel_app.data.hub import LiveHub

NOW_US = 1_800_000_000_000_000


def test_values_are_a_function_of_time_within_their_range():
    """Two feeds show the same; no value leaves what its sensor can deliver."""
    plant = fake_plant()
    for boiler in plant.boilers:
        for metric in FAKE_METRICS:
            values = [fake_value(boiler, metric, 1_800_000_000 + 97 * n) for n in range(200)]
            assert values == [
                fake_value(boiler, metric, 1_800_000_000 + 97 * n) for n in range(200)
            ]
            assert min(values) >= plant.metrics[metric].low - 1
            assert max(values) <= plant.metrics[metric].high


def test_history_joins_the_live_values():
    """The last stored second is what the feed shows then."""
    hub = LiveHub()
    feed = FakePlantFeed(hub, fake_plant(), clock=lambda: from_us(NOW_US))
    store = FakeStore(feed, clock=lambda: from_us(NOW_US + 1_000_000))
    feed.step()

    series = store.series(
        "jundiai", "caldeira-1", ["oxygen"], NOW_US - 60_000_000, NOW_US + 1_000_000, 600
    )

    live = hub.snapshot().boiler("jundiai", "caldeira-1").readings["oxygen"]
    assert (series[0].times_us[-1], series[0].mean[-1]) == (live.at_us, live.value)
