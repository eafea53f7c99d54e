"""Times: aware UTC inside, epoch microseconds on the wire to the store."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
"""Gives the present moment as an aware UTC datetime; injected wherever time matters."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def utc_now() -> datetime:
    """The machine's clock as an aware UTC datetime."""
    return datetime.now(UTC)


def to_us(moment: datetime) -> int:
    """Epoch microseconds of an aware datetime, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(epoch_us: int) -> datetime:
    """The aware UTC datetime of epoch microseconds, exactly."""
    return _EPOCH + timedelta(microseconds=epoch_us)
