"""Writes what was gathered: the store first, then the quarantine, and never gives up."""

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo

import msgspec
import structlog

from bridge.clock import Clock, to_us
from bridge.messages import Reason, Refused
from bridge.records import Batch
from processor.backoff import Backoff
from processor.counters import RecorderCounters
from processor.gathering import Gathered, row_count, to_batch
from processor.keeping import AWAY_PAUSE, MOST_WAITING, Bad, Keeping
from processor.placing import bad_message
from processor.quarantine import Quarantine
from processor.quota import Quota
from processor.rollup import Touched
from processor.troubles import TroubleBook
from store.errors import Misconfigured, StoreError, TooLarge, Unavailable
from store.errors import Refused as StoreRefused
from store.port import Store

log = structlog.get_logger(__name__)

STORE_REFUSES = "store_refuses"
STORE_AWAY = "store_away"

_MISCONFIGURED_WAIT_S = 5.0
_AWAY_FOR_LONG = timedelta(seconds=60)


class Abandoned(Exception):
    """Asked to stop while the store or the quarantine was away; nothing is settled."""


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries that have come to their end: to be counted, then acknowledged.

    `up_to` acknowledges everything up to that number (0: nothing); `singly` these alone,
    because bad messages between them still wait for the quarantine.
    """

    up_to: int = 0
    singly: list[int] = []
    stored: int = 0
    quarantined: Mapping[str, int] = {}

    @property
    def messages(self) -> int:
        """How many deliveries it is about."""
        return self.stored + sum(self.quarantined.values())


class Writing:
    """Commits gathered deliveries to the store and the quarantine.

    Store away or misconfigured: hold and try again with growing waits. Too large: halve.
    Refused: bisect until the culprit stands alone, quarantine it with the server's words,
    and store the rest; writing a point again changes nothing. A quarantine that takes
    nothing holds the bad messages only (see Keeping).
    """

    def __init__(  # noqa: PLR0913 - one port each
        self,
        store: Store,
        quarantine: Quarantine,
        counters: RecorderCounters,
        clock: Clock,
        *,
        zone: tzinfo,
        recorder: str,
        backoff: Backoff,
        troubles: TroubleBook | None = None,
        quota: Quota | None = None,
        touched: Touched | None = None,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._store = store
        self._touched = Touched() if touched is None else touched
        self._counters = counters
        self._clock = clock
        self._zone = zone
        self._recorder = recorder
        self._backoff = backoff
        share = Quota() if quota is None else quota
        self._troubles = TroubleBook() if troubles is None else troubles
        self._keeping = Keeping(
            quarantine, share, counters, clock, self._troubles, most_waiting=most_waiting
        )
        self._held_since: datetime | None = None
        self._not_taken: Batch | None = None
        self._fault = ""
        self._summary_fault = ""

    @property
    def fault(self) -> str:
        """What is wrong with the store or the quarantine at this moment, or ""."""
        return self._fault or self._keeping.fault

    @property
    def held(self) -> bool:
        """Whether nothing can be written at this moment."""
        return bool(self._fault) or self._keeping.blocked

    @property
    def held_s(self) -> float:
        """For how long the store or the quarantine has taken nothing, in seconds; 0 where it does."""
        begun = [since for since in (self._held_since, self._keeping.since) if since is not None]
        return (self._clock() - min(begun)).total_seconds() if begun else 0.0

    def store_answers(self) -> bool:
        """Ask the store whether it is well again; told of what is the matter where it is not.

        What it did not take is written once more: points overwrite themselves, and a store
        that can be read may still take nothing.
        """
        try:
            if self._not_taken is None:
                self._store.check()
            else:
                self._store.write(self._not_taken)
        except (TooLarge, StoreRefused):
            pass  # It answers; what it refuses is found out when it comes again.
        except StoreError as error:
            self._hold_back(error)
            return False
        self._recovered()
        return True

    def forget(self) -> None:
        """Let go of everything that waits: it went back to the broker."""
        self._keeping.forget()
        self._recovered()

    @property
    def waiting(self) -> bool:
        """Whether bad messages wait for the quarantine."""
        return len(self._keeping) > 0

    def commit(self, gathered: Gathered, stopping: threading.Event) -> Written:
        """Make everything in `gathered` durable that can be; raises Abandoned on stop."""
        refused = self._write(gathered, self._clock(), stopping)
        if stopping.is_set():
            # Nobody waits for this any longer: its messages go back, and come again.
            raise Abandoned
        bad = {each.number: each for each in (*gathered.bad, *refused)}
        settled = self._keeping.take(bad.values())
        while self._keeping.blocked:
            if stopping.wait(AWAY_PAUSE.total_seconds()):
                raise Abandoned
            settled += self._keeping.retry(now=True)
        stored = len(gathered.deliveries) - len(bad)
        if not self.waiting:
            return self._written(settled, stored, up_to=gathered.last_number)
        singly = [each.number for each in gathered.deliveries if each.number not in bad]
        return self._written(settled, stored, singly=singly)

    def retry(self, *, now: bool = False) -> Written:
        """Try to keep what waits for the quarantine, if it is time to, or `now`."""
        return self._written(self._keeping.retry(now=now), 0, singly=[])

    def _written(
        self, settled: list[Bad], stored: int, *, up_to: int = 0, singly: list[int] | None = None
    ) -> Written:
        reasons = Counter(each.message.reason.value for each in settled if not each.stored)
        copies = sum(1 for each in settled if each.stored)
        return Written(
            up_to=up_to,
            singly=[] if singly is None else singly + [each.number for each in settled],
            stored=stored + copies,
            quarantined=reasons,
        )

    def _write(self, gathered: Gathered, now: datetime, stopping: threading.Event) -> list[Bad]:
        """Store what the flush holds, and one summary of how it ended; what the store refused."""
        batch = to_batch(gathered, now, self._zone, self._recorder)
        if not (batch.rows or batch.statuses or batch.alarm_events or batch.summary):
            return []
        try:
            self._hold(batch, gathered.bytes, stopping)
        except (TooLarge, StoreRefused):
            refused = self._write_parts(gathered, now, stopping)
            self._write_summary(gathered, refused, now, stopping)
        else:
            refused = []
        if batch.summary is not None and batch.rows:
            lag_us = to_us(self._clock()) - batch.summary.last_at_us
            self._counters.lag_seconds = lag_us / 1_000_000
        return refused

    def _write_parts(
        self, gathered: Gathered, now: datetime, stopping: threading.Event
    ) -> list[Bad]:
        """Store one half after the other without a summary, down to what the store refuses."""
        refused = []
        middle = len(gathered.deliveries) // 2
        for part in (slice(None, middle), slice(middle, None)):
            half = gathered.part(part)
            batch = to_batch(half, now, self._zone, self._recorder, summary=False)
            if not (batch.rows or batch.statuses or batch.alarm_events):
                continue
            try:
                self._hold(batch, half.bytes, stopping)
            except (TooLarge, StoreRefused) as error:
                if len(half.deliveries) > 1:
                    refused += self._write_parts(half, now, stopping)
                else:
                    refused.append(_culprit(half, error, now))
        return refused

    def _write_summary(
        self, gathered: Gathered, refused: list[Bad], now: datetime, stopping: threading.Event
    ) -> None:
        """Tell in the batch's one summary what was stored in the end."""
        numbers = {bad.number for bad in refused}
        kept = [
            placed
            for delivery, placed in zip(gathered.deliveries, gathered.placed, strict=True)
            if delivery.number not in numbers
        ]
        ended = msgspec.structs.replace(
            gathered, placed=kept, rows=row_count(kept), bad=[*gathered.bad, *refused]
        )
        summary = to_batch(ended, now, self._zone, self._recorder).summary
        if summary is None:
            return
        try:
            self._hold(Batch(batch_id=summary.batch_id, summary=summary), 0, stopping)
        except (TooLarge, StoreRefused) as error:
            if str(error) != self._summary_fault:
                self._summary_fault = str(error)
                log.warning("the store refuses the summary of a batch", reason=str(error))

    def _hold(self, batch: Batch, size: int, stopping: threading.Event) -> None:
        """Write, waiting as long as the store is away; `size` in bytes."""
        while True:
            begun = self._clock()
            try:
                self._store.write(batch)
            except (Unavailable, Misconfigured) as error:
                self._counters.write_failures += 1
                self._not_taken = batch
                wait_s = self._hold_back(error)
            else:
                self._touched.add(batch.rows)
                self._backoff.reset()
                self._recovered()
                seconds = (self._clock() - begun).total_seconds()
                rows = sum(len(each.times_us) for each in batch.rows)
                self._counters.wrote(rows, size, seconds)
                return
            if stopping.wait(wait_s):
                raise Abandoned

    def _hold_back(self, error: StoreError) -> float:
        """Tell that the store takes nothing, and why; for how long to wait, in seconds."""
        if self._held_since is None:
            self._held_since = self._clock()
        fault = str(error)
        if isinstance(error, Misconfigured):
            self._troubles.stand(STORE_REFUSES, fault)
        elif self._clock() - self._held_since >= _AWAY_FOR_LONG:
            self._troubles.stand(STORE_AWAY, fault)
        if fault != self._fault:
            self._fault = fault
            log.error("holding: nothing is lost, nothing is acknowledged", reason=fault)
        if isinstance(error, Unavailable):
            return max(error.retry_after_s or 0.0, self._backoff.next_s())
        return _MISCONFIGURED_WAIT_S

    def _recovered(self) -> None:
        self._held_since = self._not_taken = None
        if self._fault:
            self._fault = ""
            self._troubles.clear(STORE_REFUSES)
            self._troubles.clear(STORE_AWAY)
            log.info("writing again")


def _culprit(gathered: Gathered, error: TooLarge | StoreRefused, now: datetime) -> Bad:
    """The one delivery left, which the store refuses."""
    (delivery,) = gathered.deliveries
    words = error.words if isinstance(error, StoreRefused) else str(error)
    refusal = Refused(Reason.STORE_REFUSED, f"the store refuses it: {words[:500]}")
    return Bad(number=delivery.number, message=bad_message(delivery, refusal, to_us(now)))
