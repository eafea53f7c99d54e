"""Acknowledgements on their way: pending until the live state changes, failed after 5 s."""

import msgspec

from bridge.records import AlarmState
from panel_app.data.hub import LiveSnapshot

CONFIRMED_WITHIN_S = 5.0

Key = tuple[str, str]
"""Boiler and alarm definition."""


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """One acknowledgement: asked for at `since_us`; `error` says why it failed."""

    boiler: str
    definition: str
    since_us: int
    state: AlarmState
    error: str = ""


class Acknowledging:
    """The acknowledgements that one session has asked for and not yet seen."""

    def __init__(self) -> None:
        self._pending: dict[Key, Pending] = {}

    @property
    def all(self) -> list[Pending]:
        """The pending and the failed."""
        return list(self._pending.values())

    @property
    def waiting(self) -> bool:
        """Whether one is pending."""
        return any(not one.error for one in self._pending.values())

    def begin(self, boiler: str, definition: str, state: AlarmState, now_us: int) -> None:
        """An acknowledgement is being sent."""
        self._pending[boiler, definition] = Pending(
            boiler=boiler, definition=definition, since_us=now_us, state=state
        )

    def fail(self, boiler: str, definition: str, error: str) -> None:
        """It could not be sent."""
        pending = self._pending.get((boiler, definition))
        if pending is not None:
            self._pending[boiler, definition] = msgspec.structs.replace(pending, error=error)

    def dismiss(self, boiler: str, definition: str) -> None:
        """The operator has read the error."""
        self._pending.pop((boiler, definition), None)

    def settle(self, snapshot: LiveSnapshot, now_us: int, unconfirmed: str) -> bool:
        """Drop what the live values confirm; whether anything changed.

        What is overdue has failed, and `unconfirmed` says so to the operator.
        """
        before = dict(self._pending)
        states = {
            (boiler.boiler, alarm.definition): alarm.state
            for view in snapshot.sites.values()
            for boiler in view.live.boilers
            for alarm in boiler.alarms
        }
        for key, pending in before.items():
            if states.get(key, AlarmState.NORMAL) in (AlarmState.ACKED, AlarmState.NORMAL):
                del self._pending[key]
            elif not pending.error and now_us - pending.since_us > CONFIRMED_WITHIN_S * 1e6:
                self.fail(*key, unconfirmed)
        return before != self._pending
