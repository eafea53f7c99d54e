"""Brings bad messages into the quarantine without letting them stop the good ones."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec
import structlog

from bridge.clock import Clock
from processor.counters import RecorderCounters
from processor.quarantine import BadMessage, Quarantine
from processor.quota import Quota, Verdict
from processor.results import PublishFailed
from processor.troubles import TroubleBook

log = structlog.get_logger(__name__)

AWAY_PAUSE = timedelta(seconds=1)
FULL_PAUSE = timedelta(seconds=10)
MOST_WAITING = 100

QUARANTINE_AWAY = "quarantine_away"
QUARANTINE_FULL = "quarantine_full"
DEVICE_FLOODING = "device_flooding"


class Bad(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A bad message and the number of its delivery; `stored`: only a copy goes to quarantine."""

    number: int
    message: BadMessage
    stored: bool = False


class Keeping:
    """What is to be quarantined waits here, unacknowledged, until the quarantine has it.

    A message beyond the share of its device and reason is only counted (`over_quota`).
    While the quarantine is away, up to `most_waiting` wait and recording goes on; then
    `blocked` tells the writer to hold. While it is full, up to `most_waiting` wait as well;
    those beyond are counted and dropped, and the log says so, because a full quarantine must
    not end the recording of good data. Used by the writer's thread alone.
    """

    def __init__(
        self,
        quarantine: Quarantine,
        quota: Quota,
        counters: RecorderCounters,
        clock: Clock,
        troubles: TroubleBook,
        *,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._quarantine = quarantine
        self._quota = quota
        self._counters = counters
        self._clock = clock
        self._troubles = troubles
        self._most_waiting = most_waiting
        self._waiting: dict[int, Bad] = {}
        self._since: datetime | None = None
        self._retry_at = clock()
        self._full = False
        self._dropping = False
        self.fault = ""

    def __contains__(self, number: int) -> bool:
        return number in self._waiting

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def since(self) -> datetime | None:
        """Since when something has been waiting without a break, or None."""
        return self._since

    @property
    def blocked(self) -> bool:
        """Whether more wait than may, for a quarantine that is away."""
        return not self._full and len(self._waiting) > self._most_waiting

    def take(self, bad: Iterable[Bad]) -> list[Bad]:
        """Take bad messages in, and try to keep what waits; returns those that are settled."""
        over = []
        for each in bad:
            verdict = self._quota.judge(each.message)
            if verdict is Verdict.KEEP:
                self._waiting[each.number] = each
            else:
                over.append(each)
                self._tell_over(each.message, first=verdict is Verdict.FIRST_OVER)
        self._counters.over_quota += len(over)
        return over + self.retry()

    def retry(self, *, now: bool = False) -> list[Bad]:
        """Try to keep what waits if it is time to, or `now`; returns those that are settled."""
        settled = self._retry(now=now)
        if not self._waiting:
            self._since = None
        elif self._since is None:
            self._since = self._clock()
        return settled

    def _retry(self, *, now: bool) -> list[Bad]:
        if not self._waiting or not (now or self._clock() >= self._retry_at):
            return []
        waiting = list(self._waiting.values())
        try:
            refused = self._quarantine.put([each.message for each in waiting])
        except PublishFailed as error:
            self._full = False
            self._wait(AWAY_PAUSE, str(error))
            return []
        kept = [each for place, each in enumerate(waiting) if place not in refused]
        self._settle(kept)
        self._counters.copied += sum(1 for each in kept if each.stored)
        self._full = bool(refused)
        if refused:
            self._wait(FULL_PAUSE, "the quarantine is full; `steam quarantine list` shows of what")
            return kept + self._drop_surplus()
        self._recovered()
        return kept

    def _settle(self, settled: list[Bad]) -> None:
        for each in settled:
            del self._waiting[each.number]

    def _drop_surplus(self) -> list[Bad]:
        """Give up the newest of what waits for a full quarantine, beyond what may wait."""
        surplus = list(self._waiting.values())[self._most_waiting :]
        self._settle(surplus)
        self._counters.over_quota += len(surplus)
        if surplus and not self._dropping:
            self._dropping = True
            log.error(
                "the quarantine is full: bad messages are counted and dropped; retry or drop "
                "some with `steam quarantine`",
                waiting=len(self._waiting),
            )
        return surplus

    def _wait(self, pause: timedelta, fault: str) -> None:
        self._retry_at = self._clock() + pause
        self._troubles.stand(QUARANTINE_FULL if self._full else QUARANTINE_AWAY, fault)
        if fault != self.fault:
            self.fault = fault
            log.error("bad messages wait, unacknowledged", reason=fault, waiting=len(self._waiting))

    def _recovered(self) -> None:
        if self.fault:
            log.info("the quarantine takes messages again")
        self._well()

    def _well(self) -> None:
        self._retry_at = self._clock()
        self._dropping = False
        self.fault = ""
        self._troubles.clear(QUARANTINE_FULL)
        self._troubles.clear(QUARANTINE_AWAY)

    def forget(self) -> None:
        """Let go of what waits: it goes back to the broker, which will hand it over again.

        Perhaps to another recorder: what was wrong here is not told any longer.
        """
        self._waiting.clear()
        self._since = None
        self._full = False
        self._well()

    def _tell_over(self, message: BadMessage, *, first: bool) -> None:
        reason = message.reason.value
        self._troubles.happen(
            f"{DEVICE_FLOODING}_{self._quota.owner(message) or 'unknown'}",
            f"its share of the quarantine is full of {reason}; such messages are only counted now",
        )
        if first:
            log.error(
                "a device has filled its share of the quarantine: such messages are only counted now",
                device=message.device or "(none that is known)",
                reason=reason,
                routing_key=message.routing_key[:200],
            )
