"""A dashboard over the fake plant: a scene for browser tests and screenshots."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bridge.clock import Clock, utc_now
from bridge.plant import Plant
from bridge.records import AlarmState
from panel_app.data.fake import FakeCommands, FakePlantFeed, past_alarms
from panel_app.data.fake_plant import fake_plant
from panel_app.data.fake_store import FakeStore
from panel_app.data.history import History
from panel_app.data.hub import LiveHub
from panel_app.pages.overview_state import Ages
from panel_app.server import Dashboard


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The dashboard, and everything behind it that a test may move."""

    dashboard: Dashboard
    plant: Plant
    hub: LiveHub
    feed: FakePlantFeed
    commands: FakeCommands
    store: FakeStore

    @property
    def url(self) -> str:
        """Where the dashboard is."""
        return self.dashboard.url


@contextmanager
def scene(
    plant: Plant | None = None,
    *,
    clock: Clock = utc_now,
    ages: Ages | None = None,
    session_lifetime_s: float = 90.0,
    port: int = 0,
) -> Iterator[Scene]:
    """Serve the fake plant on loopback, on a free port where none is given."""
    plant = plant or fake_plant()
    hub = LiveHub(clock)
    feed = FakePlantFeed(hub, plant, clock=clock)
    commands = FakeCommands(feed)
    store = FakeStore(feed, clock=clock)
    history = History(store, clock=clock)
    dashboard = Dashboard(
        plant=lambda: plant,
        hub=hub,
        history=history,
        commands=commands,
        feed=feed,
        port=port,
        ages=ages or Ages(),
        session_lifetime_s=session_lifetime_s,
        clock=clock,
    )
    with dashboard:
        yield Scene(
            dashboard=dashboard,
            plant=plant,
            hub=hub,
            feed=feed,
            commands=commands,
            store=store,
        )
    history.close()


def make_abnormal(feed: FakePlantFeed) -> None:
    """Let things happen: two alarms, a bad reading, a silent device, three days of journal."""
    past_alarms(feed)
    feed.set_value("caldeira-2", "water_level", 33.1)
    feed.alarm("caldeira-2", "level-low", for_s=140)
    feed.set_value("caldeira-4", "flue_gas_temperature", 271)
    feed.alarm("caldeira-4", "stack-hot", AlarmState.ACKED, for_s=1_900, by="M. Souza")
    feed.set_bad("caldeira-4", "oxygen")
    feed.silence("caldeira-3", for_s=95)
