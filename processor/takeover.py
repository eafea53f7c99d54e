"""Rebuilds the evaluator's state from the store when it takes over."""

from datetime import datetime, timedelta

import structlog

from bridge.clock import to_us
from bridge.plant import Plant
from processor.evaluation import Evaluation
from store.errors import StoreError
from store.port import Store

log = structlog.get_logger(__name__)

_RECORDED_IDS_SPAN = timedelta(hours=24)


def restore(evaluation: Evaluation, store: Store, plant: Plant, now: datetime) -> None:
    """Fold what is recorded into `evaluation`; a store that is away leaves it unknown.

    Alarm events first, then the rows of the longest delay or window and a minute more.
    """
    end_us = to_us(now) + 1
    start_us = end_us - evaluation.restore_span_us
    try:
        heads = store.alarm_heads()
        still_open = store.open_alarms()
        known = store.alarm_events(to_us(now - _RECORDED_IDS_SPAN), end_us)
        rows = [
            each
            for boiler in plant.file.boilers
            for each in store.rows(boiler.site, boiler.name, start_us, end_us)
        ]
    except StoreError as error:
        log.warning("alarm state unknown at take-over, going on without it", reason=str(error))
        return
    evaluation.restore(heads, still_open, rows, {event.id for event in known}, now)
    log.info("evaluator has taken over", open_alarms=len(still_open), rows=len(rows))
