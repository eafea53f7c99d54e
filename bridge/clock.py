"""Times: aware UTC inside, epoch microseconds on the wire to the store."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Clock = Callable[[], datetime]
"""Gives the present moment as an aware UTC datetime; injected wherever time matters."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def utc_now() -> datetime:
    """The machine's clock as an aware UTC datetime."""
    return datetime.now(UTC)


def is_time_zone(name: str) -> bool:
    """Whether the tz database has a zone of that name, such as America/Sao_Paulo."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of the database
        return False
    return True


def to_us(moment: datetime) -> int:
    """Epoch microseconds of an aware datetime, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(epoch_us: int) -> datetime:
    """The aware UTC datetime of epoch microseconds, exactly."""
    return _EPOCH + timedelta(microseconds=epoch_us)
