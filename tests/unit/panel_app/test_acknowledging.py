"""Acknowledgements on their way: confirmed by the live values, or failed after five seconds."""

import pytest

from bridge.clock import from_us
from bridge.live import AcknowledgeAlarm
from bridge.records import AlarmState
from panel_app.data.fake import FakeCommands, FakePlantFeed
from panel_app.data.fake_plant import fake_plant
from panel_app.data.hub import LiveHub
from panel_app.live.acknowledging import Acknowledging

START_US = 1_800_000_000_000_000


class Bench:
    """A fake plant at a moment that the test moves."""

    def __init__(self):
        self.now_us = START_US
        clock = lambda: from_us(self.now_us)  # noqa: E731
        self.hub = LiveHub(clock)
        self.feed = FakePlantFeed(self.hub, fake_plant(), clock=clock)
        self.commands = FakeCommands(self.feed)
        self.acknowledging = Acknowledging()

    def raise_alarm(self, state=AlarmState.UNACK):
        self.feed.alarm("caldeira-1", "low-water", state)
        self.feed.step()
        self.acknowledging.begin("caldeira-1", "low-water", state, self.now_us)

    def acknowledge(self):
        self.commands.acknowledge(
            AcknowledgeAlarm(
                id="1", boiler="caldeira-1", definition="low-water", by="Ana", at_us=self.now_us
            )
        )

    def settle(self, after_s=0.0):
        self.now_us += round(after_s * 1e6)
        return self.acknowledging.settle(self.hub.snapshot(), self.now_us, "not confirmed")


@pytest.fixture
def bench():
    return Bench()


@pytest.mark.parametrize("state", [AlarmState.UNACK, AlarmState.RTN_UNACK])
def test_acknowledgement_ends_when_the_live_state_changes(bench, state):
    """ACKED, and for a returned alarm NORMAL, confirm it."""
    bench.raise_alarm(state)
    assert bench.settle(1) is False
    assert bench.acknowledging.waiting

    bench.acknowledge()

    assert bench.settle() is True
    assert bench.acknowledging.all == []


def test_acknowledgement_without_confirmation_fails_after_five_seconds(bench):
    """Then it says so until the operator has read it."""
    bench.raise_alarm()

    assert bench.settle(5.0) is False
    assert bench.settle(0.1) is True
    assert [one.error for one in bench.acknowledging.all] == ["not confirmed"]
    assert not bench.acknowledging.waiting

    bench.acknowledging.dismiss("caldeira-1", "low-water")
    assert bench.acknowledging.all == []


def test_confirmation_after_the_failure_still_ends_it(bench):
    """A late evaluator clears the error by itself."""
    bench.raise_alarm()
    bench.settle(6)

    bench.acknowledge()

    assert bench.settle() is True
    assert bench.acknowledging.all == []
