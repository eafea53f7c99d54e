"""What the notifier's tests use instead of the world."""

import threading
import time
from pathlib import Path

from bridge.plant import load_plant
from bridge.records import AlarmEvent, AlarmState
from processor.notifier.source import Taken
from processor.notifier.target import SendFailed

CASES = Path(__file__).parents[3] / "cases" / "notifications"
PLANT = load_plant(CASES / "plant.yaml")
T0_US = 1_795_453_407_000_000


def event(number=1, **changes):
    """A transition; its id is made from `number`."""
    fields = {
        "id": f"e{number}",
        "site": "matriz",
        "boiler": "caldeira-1",
        "definition": "agua-muito-baixa",
        "type": "LOLO",
        "metric": "water_level",
        "state": AlarmState.UNACK,
        "previous": AlarmState.NORMAL,
        "priority": 1,
        "at_us": T0_US + number,
        "recorded_at_us": T0_US + number,
        "value": 23.4,
        "setpoint": 25.0,
    }
    return AlarmEvent(**(fields | changes))


class MemorySource:
    """Keeps transitions in lists; hands over again after `lose`."""

    def __init__(self):
        self.kept = {}
        self.finished = []
        self._token = 0
        self._ready = []
        self._lock = threading.Lock()

    def put(self, events):
        """Hand over soon."""
        with self._lock:
            for one in events:
                if one.id not in [kept.id for kept in self.kept.values()]:
                    self._hand_over(one)

    def lose(self):
        """Lose the connection: all that is not done comes again under new tokens."""
        with self._lock:
            kept, self.kept, self._ready = list(self.kept.values()), {}, []
            for one in kept:
                self._hand_over(one)

    def open(self):
        """Nothing to do."""

    def fetch(self, timeout_s):
        """What was put."""
        with self._lock:
            ready, self._ready = self._ready, []
        if not ready:
            time.sleep(min(timeout_s, 0.005))
        return ready

    def done(self, token):
        """Forget."""
        with self._lock:
            kept = self.kept.pop(token, None)
        if kept is not None:
            self.finished.append(kept.id)

    def close(self):
        """Nothing to do."""

    def _hand_over(self, one):
        self._token += 1
        self.kept[self._token] = one
        self._ready.append(Taken(self._token, one))


class ScriptedTarget:
    """Accepts, or fails while `broken`, or blocks while `blocked` is clear."""

    def __init__(self, *, broken=False):
        self.broken = broken
        self.spacing_s = 0.0
        self.sent = []
        self.attempts = 0
        self.blocked = threading.Event()
        self.blocked.set()

    def send(self, notification):
        """Do as told."""
        self.attempts += 1
        self.blocked.wait(10)
        if self.broken:
            raise SendFailed("refused")
        self.sent.append(notification)


def until(condition, timeout_s=5.0):
    """Poll until the condition holds; fails the test at the deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.002)
