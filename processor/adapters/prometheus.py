"""The counters as Prometheus text; they are read when scraped, never pushed."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from bridge.messages import Reason
from processor.counters import (
    Counters,
    EvaluatorCounters,
    Flow,
    Histogram,
    NotifierCounters,
    RecorderCounters,
)

_RECORDER = {
    "batches": "Batches written to the store",
    "rows": "Rows written to the store",
    "bytes": "Bytes written to the store",
    "write_failures": "Writes that the store did not take at first",
    "copied": "Copies kept in quarantine of messages that were stored",
    "roll_ups": "Windows of roll-ups stored",
    "roll_up_failures": "Times that the store did not let roll-ups be computed",
    "over_quota": "Quarantined messages counted only, because their device filled its share",
}
_EVALUATOR = {
    "rows": "Rows evaluated",
    "transitions": "Alarm transitions made",
    "retroactive": "Transitions journalled without notification",
    "publish_failures": "Publications that were not confirmed at first",
    "live_published": "Live documents published",
    "commands": "Commands of operators taken",
}
_TARGET = {
    "sent": "Notifications that the target accepted",
    "failed": "Attempts that the target did not accept",
    "retried": "Attempts after the first",
    "given_up": "Notifications noted as undeliverable",
}
_NOTIFIER = {
    "transitions": "Transitions taken from the source",
    "unrouted": "Transitions that no route asks for",
    "duplicate": "Transitions taken again and already known",
}


class SteamCollector:
    """Turns the counters of a process into metric families when asked."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        """The metric families of this moment."""
        counters = self._counters
        flows = [role.flow for role in (counters.record, counters.evaluate) if role is not None]
        yield from _flow_families(flows)
        if counters.record is not None:
            yield from _recorder_families(counters.record)
        if counters.evaluate is not None:
            yield from _evaluator_families(counters.evaluate)
        if counters.notify is not None:
            yield from _notifier_families(counters.notify)


def exposition(counters: Counters) -> bytes:
    """The counters of this moment as Prometheus text."""
    registry = CollectorRegistry()
    registry.register(SteamCollector(counters))
    ProcessCollector(registry=registry)
    return bytes(generate_latest(registry))


def _flow_families(flows: list[Flow]) -> Iterator[Metric]:
    received = CounterMetricFamily(
        "steam_messages_received", "Messages handed over", labels=["role"]
    )
    again = CounterMetricFamily(
        "steam_messages_redelivered", "Not for the first time", labels=["role"]
    )
    returned = CounterMetricFamily("steam_messages_returned", "Given back", labels=["role"])
    in_flight = GaugeMetricFamily("steam_messages_in_flight", "Not yet settled", labels=["role"])
    ended = CounterMetricFamily("steam_messages_settled", "By outcome", labels=["role", "outcome"])
    bad = CounterMetricFamily("steam_messages_quarantined", "By reason", labels=["role", "reason"])
    for flow in flows:
        now = flow.snapshot()
        received.add_metric([flow.role], now.received)
        again.add_metric([flow.role], now.redelivered)
        returned.add_metric([flow.role], now.returned)
        in_flight.add_metric([flow.role], now.in_flight)
        for outcome, count in now.outcomes.items():
            ended.add_metric([flow.role, outcome], count)
        # From the start, or the first burst of a reason would be no increase to Prometheus.
        for reason in Reason:
            bad.add_metric([flow.role, reason.value], now.quarantined.get(reason.value, 0))
    yield from (received, again, returned, in_flight, ended, bad)


def _plain(prefix: str, source: object, names: dict[str, str]) -> Iterator[Metric]:
    for name, text in names.items():
        yield CounterMetricFamily(f"{prefix}_{name}", text, value=getattr(source, name))


def _state(prefix: str, source: RecorderCounters | EvaluatorCounters) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        f"{prefix}_lag_seconds", "Now less the newest row's time", value=source.lag_seconds
    )
    yield GaugeMetricFamily(
        f"{prefix}_connected", "1 while the broker is connected", value=float(source.connected)
    )
    yield CounterMetricFamily(
        f"{prefix}_stalls",
        "Times that a queue with messages delivered none and was subscribed anew",
        value=source.stalls,
    )


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    bounds = [*(f"{bound:g}" for bound in histogram.bounds), "+Inf"]
    buckets = list(zip(bounds, histogram.cumulative(), strict=True))
    family = HistogramMetricFamily(name, text)
    family.add_metric([], buckets, histogram.total)
    return family


def _recorder_families(record: RecorderCounters) -> Iterator[Metric]:
    yield from _plain("steam_record", record, _RECORDER)
    yield from _state("steam_record", record)
    yield GaugeMetricFamily(
        "steam_record_held_seconds",
        "For how long store or quarantine have taken nothing",
        value=record.held_seconds,
    )
    yield GaugeMetricFamily(
        "steam_record_roll_up_behind_seconds",
        "For how long the roll-ups that are due have not all been computed",
        value=record.roll_up_behind_seconds,
    )
    yield _histogram(
        "steam_record_write_seconds", "Duration of a write to the store", record.write_seconds
    )
    yield _histogram("steam_record_batch_rows", "Rows of a write", record.batch_rows)


def _evaluator_families(evaluate: EvaluatorCounters) -> Iterator[Metric]:
    yield from _plain("steam_evaluate", evaluate, _EVALUATOR)
    yield from _state("steam_evaluate", evaluate)
    yield CounterMetricFamily(
        "steam_evaluate_held_seconds",
        "Time spent waiting because results could not be published",
        value=evaluate.held_seconds,
    )
    yield GaugeMetricFamily(
        "steam_evaluate_active",
        "1 where this replica's evaluator is the one that is given messages",
        value=float(evaluate.active),
    )


def _notifier_families(notify: NotifierCounters) -> Iterator[Metric]:
    yield from _plain("steam_notifier", notify, _NOTIFIER)
    targets = list(notify.targets.values())
    for name, text in _TARGET.items():
        family = CounterMetricFamily(f"steam_notifications_{name}", text, labels=["target"])
        for target in targets:
            family.add_metric([target.target], getattr(target, name))
        yield family
    waiting = GaugeMetricFamily(
        "steam_notifications_waiting", "Transitions not yet delivered", labels=["target"]
    )
    for target in targets:
        waiting.add_metric([target.target], target.waiting)
    yield waiting
