"""A store that makes up the history of the fake plant, for tests and for work on the design."""

from bridge.clock import Clock, from_us, to_us, utc_now
from bridge.records import AlarmEvent
from panel_app.data.fake import FakePlantFeed
from panel_app.data.fake_plant import fake_value
from store.port import BatchMinute, Series

_SECOND_US = 1_000_000
_SICK_MINUTE = 5


class FakeStore:
    """A HistorySource that makes up any span, and shows the events of a fake feed."""

    def __init__(self, feed: FakePlantFeed, *, clock: Clock = utc_now) -> None:
        self._feed = feed
        self._clock = clock
        self.asked = 0

    def series(
        self,
        site: str,  # noqa: ARG002 - the port's
        boiler: str,
        metrics: list[str],
        start_us: int,
        end_us: int,
        points: int,
    ) -> list[Series]:
        """Each asked metric over the span, three samples to a point."""
        self.asked += 1
        step_us = max(1_000_000, (end_us - start_us) // points)
        last_us = min(end_us, to_us(self._clock()))
        times = list(range(start_us // step_us * step_us, last_us, step_us))
        return [self._one(boiler, metric, times, step_us) for metric in metrics]

    def batches(self, start_us: int, end_us: int) -> list[BatchMinute]:
        """One row a minute, some late, a few with quarantine, some minutes missing."""
        self.asked += 1
        minute_us = 60_000_000
        end_us = min(end_us, to_us(self._clock()))
        found = []
        for at_us in range(start_us // minute_us * minute_us, end_us, minute_us):
            minute = at_us // minute_us
            if minute % 523 in (17, 18, 19):
                continue
            rough = fake_value("caldeira-1", "carbon_monoxide", minute) / 34.0
            moment = from_us(at_us).strftime("%Y-%m-%d_%H-%M")
            found.append(
                BatchMinute(
                    batch_id=moment,
                    flushes=60,
                    rows=round(180 + 60 * rough),
                    messages=round(180 + 60 * rough),
                    bytes=round(38_000 * rough),
                    quarantined=3 if minute % 211 == _SICK_MINUTE else 0,
                    lag_ms_max=round(240 * rough) + (9_000 if minute % 307 in (3, 4) else 0),
                    first_at_us=at_us,
                    last_at_us=min(at_us + 59_000_000, end_us),
                )
            )
        return found

    def alarm_events(
        self, start_us: int, end_us: int, *, boiler: str | None = None, limit: int = 10_000
    ) -> list[AlarmEvent]:
        """The feed's events within the span, newest first."""
        self.asked += 1
        found = [
            event
            for event in self._feed.events
            if start_us <= event.at_us < end_us and boiler in (None, event.boiler)
        ]
        return sorted(found, key=lambda event: (event.at_us, event.n), reverse=True)[:limit]

    @staticmethod
    def _one(boiler: str, metric: str, times: list[int], step_us: int) -> Series:
        samples = 3 if step_us > _SECOND_US else 1
        rows = [
            [
                fake_value(boiler, metric, (at_us + step_us * part / samples) / 1e6)
                for part in range(samples)
            ]
            for at_us in times
        ]
        return Series(
            metric=metric,
            step_us=step_us if samples > 1 else 0,
            times_us=times,
            minimum=[min(row) for row in rows],
            maximum=[max(row) for row in rows],
            mean=[sum(row) / samples for row in rows],
            last=[row[-1] for row in rows],
            count=[step_us // 1_000_000] * len(rows),
        )
